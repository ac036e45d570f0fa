//! Side-by-side benchmarks and the demo.

pub mod demo;
