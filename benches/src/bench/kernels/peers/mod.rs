//! Other people's CCM, in C.

#![allow(unsafe_code, reason = "foreign functions")]

mod aws_lc;
mod ipsec_mb;
mod openssl;

pub use aws_lc::AwsLc;
pub use ipsec_mb::{IpsecMb, Use};
pub use openssl::OpenSsl;
