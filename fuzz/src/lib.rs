//! Bodies of the fuzz targets, one module for each crate whose parsers are fuzzed.

pub mod agent;
pub mod dataplane;
pub mod dot11;
pub mod proto;
pub mod radius;
#[cfg(feature = "ttgctl")]
pub mod ttgctl;
