//! Side-by-side benchmarks and the demo.

pub mod bench;
#[cfg(feature = "demo")]
pub mod demo;
