//! Side-by-side benchmarks, the demo and the fault run.

pub mod bench;
#[cfg(feature = "demo")]
pub mod demo;
#[cfg(feature = "faults")]
pub mod faults;
