//! Bodies of the fuzz targets, one module for each crate whose parsers are fuzzed.

pub mod dot11;
