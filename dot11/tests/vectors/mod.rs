//! Test vectors too long to stand among the tests.

pub mod ccm;
pub mod ccmp;
