//! TLS for gRPC connections, with certificates out of files: what a server does with those who connect, how a client connects, and
//! what a person is told if it does not work. Who may do what is not decided here.
#![forbid(unsafe_code)]

pub mod client;
mod dial;
pub mod files;
pub mod server;
mod sources;
#[cfg(feature = "testkit")]
pub mod testkit;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// gRPC is HTTP/2.
const ALPN: &[u8] = b"h2";

/// The one of the whole tree.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
