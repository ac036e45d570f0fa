//! The authentication client: one Access-Request to whichever server answers.
//!
//! * Retransmission as in RFC 5080 §2.2.1; the same packet each time, so that the server sees a duplicate as one.
//! * Servers are asked in order of preference. One that does not answer is passed over for [`Timings::dead_time`], then one
//!   request (or Status-Server) finds out whether it is back.
//! * An EAP conversation stays with its server: give [`Reply::server`] to the next [`AccessRequest`].
//! * A forged or otherwise bad reply is counted and the request stays pending.

mod config;
mod counters;
mod health;
mod port;
mod reply;
mod request;
mod retransmit;
pub(crate) mod transport;

use std::{net::SocketAddr, sync::Arc};

pub use config::{ClientConfig, ConfigError, Nas, Server, ServerId, Timings};
pub use counters::ServerStats;
pub use reply::{
    Accept, BadReply, Challenge, ExchangeError, FailureCause, Outcome, Reject, Reply, ServerFailure,
};
pub use request::{AccessRequest, Association, Credential};

use self::transport::{Failure, Role, Transport, random_authenticator};
use crate::packet::{Packet, Password, encode_access_request};

/// An authentication client. Cheap to clone; all clones share ports, identifiers and what is known of the servers.
#[derive(Clone)]
pub struct AuthClient {
    transport: Arc<Transport>,
}

impl AuthClient {
    /// Opens one port per server. Asynchronous because it needs the runtime its receivers will live on.
    pub async fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        Ok(Self { transport: Transport::open(config, Role::Authentication)? })
    }

    /// Asks. Takes up to [`Timings::maximum_duration`]; dropping the future gives the request up.
    pub async fn exchange(&self, request: AccessRequest) -> Result<Reply, ExchangeError> {
        let attributes =
            request.encode(self.transport.nas()).map_err(crate::packet::BuildError::Attribute)?;
        let password = match &request.credential {
            Credential::Password(clear) => Some(clear),
            Credential::Eap(_) => None,
        };
        let answer = self
            .transport
            .exchange(request.server, &|identifier, secret| {
                let authenticator = random_authenticator().map_err(|_| crate::packet::BuildError::Entropy)?;
                let password = password.map(|clear| Password(clear));
                let packet =
                    encode_access_request(identifier, authenticator, attributes.view(), password, secret)?;
                Ok((packet, authenticator))
            })
            .await
            .map_err(|failure| match failure {
                Failure::NoServerAnswers(tried) => ExchangeError::NoServerAnswers { tried },
                Failure::Build(error) => ExchangeError::Request(error),
                Failure::UnknownServer(id) => ExchangeError::UnknownServer(id),
            })?;
        let server = self.transport.server(answer.server);
        let bad = |problem| ExchangeError::BadReply { address: server.address, problem };
        let packet = Packet::parse(&answer.packet).map_err(|_| bad(BadReply::Malformed))?;
        reply::decode(answer.server, packet, &server.secret, &answer.request).map_err(bad)
    }

    /// Counters of each server.
    pub fn stats(&self) -> Vec<(SocketAddr, ServerStats)> {
        self.transport.stats()
    }
}
