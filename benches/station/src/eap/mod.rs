//! The EAP peer (RFC 3748): Identity, Nak, and EAP-TTLS version 0 with PAP inside (RFC 5281).
//!
//! [`Peer`] lives as long as one conversation and takes EAP packets, without EAPOL around them. TLS is rustls on
//! memory buffers; it draws its own entropy from aws-lc-rs, the one thing in this crate that a seed does not
//! determine.

mod avp;
mod config;
mod ttls;

use std::sync::Arc;

use dot11::eap::{Code, Eap, EapType, packet};
use dot11::rsn::Pmk;
use zeroize::{Zeroize, ZeroizeOnDrop};

use ttls::{Ttls, TtlsError};

pub use config::{Config, ConfigError, Credentials};

/// Master session key: 64 octets (RFC 5281 §8).
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Msk([u8; 64]);

impl Msk {
    /// The octets.
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// The pairwise master key: its first 32 octets (802.11-2020 §12.7.1.3).
    pub fn pmk(&self) -> Pmk {
        let mut pmk = [0; 32];
        pmk.copy_from_slice(&self.0[..32]);
        Pmk::new(pmk)
    }
}

impl std::fmt::Debug for Msk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Msk(…)")
    }
}

/// What one packet led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this EAP response.
    Respond(Vec<u8>),
    /// The conversation is over and gave this key.
    Success(Msk),
    /// The conversation is over: the server refused.
    Failure,
    /// The packet means nothing at this point (RFC 3748 §4.2: a peer discards such silently).
    Ignore,
}

/// Why a conversation cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EapError {
    /// Not an EAP packet.
    #[error(transparent)]
    Packet(#[from] dot11::eap::EapError),
    /// TLS could not be set up.
    #[error("TLS: {0}")]
    Tls(String),
}

/// The peer's side of one conversation.
pub struct Peer {
    config: Config,
    credentials: Arc<Credentials>,
    method: Option<Ttls>,
    /// Identifier of the last request and the response to it, for when the request comes again.
    last: Option<(u8, Vec<u8>)>,
    /// Why the method gave up, for whoever asks.
    failed: Option<String>,
}

impl Peer {
    /// A peer that waits for the first request.
    pub fn new(config: Config, credentials: Arc<Credentials>) -> Peer {
        Peer { config, credentials, method: None, last: None, failed: None }
    }

    /// Why the TLS handshake failed, if it has: a certificate that does not verify, for example.
    pub fn failure(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Takes one EAP packet.
    ///
    /// # Errors
    /// It is not one, or TLS could not be set up.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Step, EapError> {
        let request = Eap::parse(bytes)?;
        match (request.code, request.eap_type) {
            (Code::Request, Some(eap_type)) => self.request(&request, eap_type),
            (Code::Success, _) => {
                // RFC 3748 §4.2: a success before the method is done is somebody else's.
                let msk = self.method.as_ref().and_then(|method| method.msk());
                Ok(msk.map_or(Step::Ignore, |msk| Step::Success(msk.clone())))
            }
            (Code::Failure, _) => Ok(Step::Failure),
            _ => Ok(Step::Ignore),
        }
    }

    fn request(&mut self, request: &Eap<'_>, eap_type: EapType) -> Result<Step, EapError> {
        if let Some((id, response)) = &self.last
            && *id == request.id
        {
            return Ok(Step::Respond(response.clone()));
        }
        let respond = |eap_type, data: &[u8]| packet(Code::Response, request.id, Some(eap_type), data);
        let response = match eap_type {
            EapType::IDENTITY => {
                // A new conversation, whatever was under way.
                self.method = None;
                respond(EapType::IDENTITY, self.credentials.outer_identity.as_bytes())
            }
            EapType::NOTIFICATION => respond(EapType::NOTIFICATION, &[]),
            EapType::TTLS => match self.ttls(request.data)? {
                Some(data) => respond(EapType::TTLS, &data),
                None => return Ok(Step::Ignore),
            },
            _ => respond(EapType::NAK, &[EapType::TTLS.0]),
        };
        self.last = Some((request.id, response.clone()));
        Ok(Step::Respond(response))
    }

    fn ttls(&mut self, data: &[u8]) -> Result<Option<Vec<u8>>, EapError> {
        if Ttls::is_start(data) {
            let method = Ttls::new(&self.config).map_err(|error| EapError::Tls(error.to_string()))?;
            self.method = Some(method);
        }
        let Some(method) = &mut self.method else { return Ok(None) };
        match method.receive(data, &self.credentials) {
            Ok(response) => Ok(Some(response)),
            Err(TtlsError::Malformed) => Ok(None),
            Err(TtlsError::Tls { why, response }) => {
                // The server learns of it by the alert in this response and answers with a failure.
                self.failed = Some(why.to_string());
                Ok(Some(response))
            }
        }
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("credentials", &self.credentials)
            .field("method", &self.method.is_some())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
