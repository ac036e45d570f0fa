//! Cookies: what proves that somebody receives what is sent to an address, without remembering anything for it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use super::super::Entropy;
use super::super::datagram::Cookie;

/// A secret is used so long, and accepted as long again: a cookie lasts between one and two minutes.
const ROTATION: Duration = Duration::from_secs(60);

/// What a cookie is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A handshake from this address, while there are many.
    Handshake,
    /// Requests under the ticket of this peer with this serial.
    Fresh {
        /// Of the ticket.
        serial: u64,
        /// The beginning of the peer's static key: two peers may have tickets of one serial.
        peer: [u8; 8],
    },
}

/// Makes and verifies cookies: the first 16 octets of an HMAC-SHA-256 over their purpose and an address. The secrets
/// are a matchmaker's own: what one takes for fresh proves nothing to another.
pub struct Cookies {
    current: hmac::Key,
    previous: Option<hmac::Key>,
    since: Duration,
}

impl Cookies {
    /// With a first secret.
    pub fn new(now: Duration, entropy: Entropy<'_>) -> Cookies {
        Cookies { current: secret(entropy), previous: None, since: now }
    }

    /// Replaces the secret when it is time; to be called before anything else is done at `now`.
    pub fn tick(&mut self, now: Duration, entropy: Entropy<'_>) {
        let age = now.saturating_sub(self.since);
        if age < ROTATION {
            return;
        }
        let last = std::mem::replace(&mut self.current, secret(entropy));
        self.previous = (age < 2 * ROTATION).then_some(last);
        self.since = now;
    }

    /// The cookie for this address.
    pub fn make(&self, proof: Proof, source: SocketAddr) -> Cookie {
        tag(&self.current, proof, source)
    }

    /// Whether this is a cookie for this address. Takes as long whatever is in it.
    pub fn verify(&self, cookie: &Cookie, proof: Proof, source: SocketAddr) -> bool {
        let keys = [Some(&self.current), self.previous.as_ref()];
        keys.into_iter()
            .flatten()
            .any(|key| verify_slices_are_equal(&tag(key, proof, source), cookie).is_ok())
    }
}

fn secret(entropy: Entropy<'_>) -> hmac::Key {
    let mut secret = [0; 32];
    entropy(&mut secret);
    hmac::Key::new(hmac::HMAC_SHA256, &secret)
}

fn tag(key: &hmac::Key, proof: Proof, source: SocketAddr) -> Cookie {
    let mut text = [0; 1 + 16 + 18];
    if let Proof::Fresh { serial, peer } = proof {
        text[0] = 1;
        text[1..9].copy_from_slice(&serial.to_be_bytes());
        text[9..17].copy_from_slice(&peer);
    }
    text[17..].copy_from_slice(&octets(source));
    hmac::sign(key, &text).as_ref()[..16].try_into().expect("16 of 32 octets")
}

/// An address as 18 octets; an IPv4 address is one, however the socket writes it.
pub(super) fn octets(source: SocketAddr) -> [u8; 18] {
    let mut out = [0; 18];
    let ip = match source.ip().to_canonical() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    out[..16].copy_from_slice(&ip.octets());
    out[16..].copy_from_slice(&source.port().to_be_bytes());
    out
}
