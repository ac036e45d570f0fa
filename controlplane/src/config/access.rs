//! What the configuration says of who may connect over gRPC: certificates, and tokens of operators.

use std::path::PathBuf;

use serde::Deserialize;

use super::Config;

/// TLS for gateways and operators.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// What is shown to them: PEM, with what is between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Whoever has a certificate of this authority is a gateway; absent: no gateway attaches over the network.
    pub gateways: Option<PathBuf>,
    /// Whoever has a certificate of this authority is an operator who may do everything.
    pub operators: Option<PathBuf>,
}

impl Config {
    pub(super) fn check_access(&self) -> Result<(), String> {
        match &self.tls {
            None if !self.listen.ip().is_loopback() => Err(format!(
                "listen = \"{}\" can be reached from elsewhere, and session keys and commands of operators would cross the network in clear: \
                 add [tls] with certificate, key, gateways and operators (README.md shows how to make them), or listen on 127.0.0.1",
                self.listen
            )),
            Some(tls) if tls.operators.is_none() && self.tokens.is_none() => Err(
                "[tls] names no operators, and there are no tokens: nobody could administer. Add operators = \"FILE\" (the certificate of \
                 the authority that signs theirs), or tokens = \"FILE\" before [tls]"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }
}
