//! Who is kept out: devices that failed too often, whoever asks too much, and weak links while a service is overloaded.

mod failures;
mod overload;
mod rate;

pub(crate) use failures::Failures;
pub use failures::{Strikes, Struck};
pub(crate) use overload::Overload;
pub(crate) use rate::Sources;
pub use rate::{Rate, Rates};
