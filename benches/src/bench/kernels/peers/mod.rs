//! Other people's CCM and GCM, in C.

#![allow(unsafe_code, reason = "foreign functions")]

mod aws_lc;
mod ipsec_mb;
mod ipsec_mb_gcm;
mod openssl;

pub use aws_lc::AwsLc;
pub use ipsec_mb::{IpsecMb, Use};
pub use ipsec_mb_gcm::IpsecMbGcm;
pub use openssl::OpenSsl;
