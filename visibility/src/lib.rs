//! When a network is shown to a device, on a radio. Pure: what is demanded and what is known in, a verdict out.
//!
//! The matchmaker says *which* networks a radio may show to a device, and with each of them a [`Policy`]. The radio knows how
//! it hears the device and what it has to spare: its [`Facts`]. [`decide`] puts the two together. Times are durations since
//! one start, that of the process.
#![forbid(unsafe_code)]

mod decide;
mod facts;
mod policy;
mod verdict;

pub use decide::{decide, dwell, probe, stay};
pub use facts::{Band, Device, Facts};
pub use policy::{MAX_OVERLOAD, Policy, demanded_under_overload};
pub use verdict::{Because, Dwell, Probe, Reason, Stay, Verdict, Wait};
