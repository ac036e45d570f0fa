//! What a client is told: servers, who this access point is, and how patient to be.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use crate::packet::{AttributeError, AttributeList, AttributeType, MAX_VALUE_LEN, Secret};

/// One server, by its place in [`ClientConfig::servers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub usize);

/// A server and what is known about it.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens (authentication: port 1812, accounting: 1813).
    pub address: SocketAddr,
    /// Shared with that server.
    pub secret: Secret,
    /// Refuse replies to Access-Requests without Message-Authenticator (default). `false` only for legacy servers that
    /// omit it on replies without EAP-Message; those open the way for forged replies (CVE-2024-3596).
    pub require_message_authenticator: bool,
    /// It answers Status-Server (RFC 5997): once dead, it is asked with that, not with some user's request.
    pub status_server: bool,
}

impl Server {
    /// A server with the safe defaults.
    pub fn new(address: SocketAddr, secret: Secret) -> Self {
        Self { address, secret, require_message_authenticator: true, status_server: false }
    }
}

/// How this access point names itself. At least one must be given (RFC 2865 §4.1).
#[derive(Clone, Debug, Default)]
pub struct Nas {
    /// NAS-Identifier, 1 to 253 octets.
    pub identifier: Option<String>,
    /// NAS-IP-Address.
    pub ip_address: Option<Ipv4Addr>,
    /// NAS-IPv6-Address (RFC 3162 §2.1).
    pub ipv6_address: Option<Ipv6Addr>,
}

impl Nas {
    pub(crate) fn encode(&self, list: &mut AttributeList) -> Result<(), AttributeError> {
        if let Some(identifier) = &self.identifier {
            list.push(AttributeType::NAS_IDENTIFIER, identifier.as_bytes())?;
        }
        if let Some(address) = self.ip_address {
            list.push_ip(AttributeType::NAS_IP_ADDRESS, address.into())?;
        }
        if let Some(address) = self.ipv6_address {
            list.push_ip(AttributeType::NAS_IPV6_ADDRESS, address.into())?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        match &self.identifier {
            Some(text) if text.is_empty() || text.len() > MAX_VALUE_LEN => {
                Err(ConfigError::NasIdentifier(text.len()))
            }
            None if self.ip_address.is_none() && self.ipv6_address.is_none() => Err(ConfigError::NoNas),
            _ => Ok(()),
        }
    }
}

/// Retransmission (RFC 5080 §2.2.1, its parameter in brackets) and failover. Every wait is jittered by ±10 %.
#[derive(Clone, Debug)]
pub struct Timings {
    /// Wait before the first retransmission [IRT]; doubles with each.
    pub initial_retransmission: Duration,
    /// Longest wait between retransmissions [MRT].
    pub maximum_retransmission: Duration,
    /// Transmissions to the last server that is left, the first included [MRC].
    pub maximum_count: u32,
    /// Transmissions to a server while another one is left.
    pub failover_count: u32,
    /// All of one exchange, over all servers [MRD].
    pub maximum_duration: Duration,
    /// How long a server that did not answer is passed over before it is tried again.
    pub dead_time: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            initial_retransmission: Duration::from_secs(2),
            maximum_retransmission: Duration::from_secs(16),
            maximum_count: 5,
            failover_count: 3,
            maximum_duration: Duration::from_secs(30),
            dead_time: Duration::from_secs(60),
        }
    }
}

/// Everything a client is told.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// In order of preference; the next one is asked only when those before it do not answer.
    pub servers: Vec<Server>,
    /// Who this access point is.
    pub nas: Nas,
    /// Patience.
    pub timings: Timings,
    /// Source address; `None` leaves it to the routing table. Servers of the other family ignore it.
    pub local_address: Option<IpAddr>,
    /// Source ports per server at most, opened when needed. Each carries 256 requests at a time (RFC 2865 §3).
    pub maximum_ports: usize,
}

impl ClientConfig {
    /// Servers and name with default patience, 16 ports per server.
    pub fn new(servers: Vec<Server>, nas: Nas) -> Self {
        Self { servers, nas, timings: Timings::default(), local_address: None, maximum_ports: 16 }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.servers.is_empty() {
            return Err(ConfigError::NoServer);
        }
        let t = &self.timings;
        if t.initial_retransmission.is_zero() || t.maximum_count == 0 || t.failover_count == 0 {
            return Err(ConfigError::Timings);
        }
        if self.maximum_ports == 0 {
            return Err(ConfigError::NoPort);
        }
        self.nas.check()
    }
}

/// Why a client cannot be made from its configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No server is given.
    #[error("no RADIUS server is given; name at least one with its address and shared secret")]
    NoServer,
    /// Neither NAS-Identifier nor an address is given.
    #[error(
        "RADIUS needs a NAS identifier, or the access point's IPv4 or IPv6 address: give one (RFC 2865 §4.1)"
    )]
    NoNas,
    /// NAS-Identifier does not fit.
    #[error("the NAS identifier has {0} octets; it must have 1 to 253")]
    NasIdentifier(usize),
    /// A wait or a count is zero.
    #[error("the first RADIUS retransmission time and the numbers of transmissions must not be zero")]
    Timings,
    /// No source port is allowed.
    #[error("at least one RADIUS source port per server is needed")]
    NoPort,
    /// A socket cannot be opened.
    #[error("cannot open a UDP socket towards RADIUS server {server}: {source}")]
    Socket {
        /// The server's address.
        server: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}
