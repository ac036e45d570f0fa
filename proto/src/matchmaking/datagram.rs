//! The outer form of matchmaking's datagrams: parsed and built, nothing opened or sealed.

use crate::tunnel;

/// The longest datagram.
pub const MAX_DATAGRAM: usize = 1200;
/// The shortest Initiation; a peer pads with zeros.
pub const MIN_INITIATION: usize = 512;
/// The longest Response.
pub const MAX_RESPONSE: usize = 480;
/// The shortest ticket: a request is longer than a Not accepted.
pub const MIN_TICKET: usize = 16;
/// The longest ticket.
pub const MAX_TICKET: usize = 192;
/// The longest encoded `Request`: it fits behind the longest ticket and a cookie.
pub const MAX_REQUEST: usize = MAX_DATAGRAM - (2 + 16 + 2 + MAX_TICKET + 8) - TAG;
/// The longest encoded `Answer` or `Push`.
pub const MAX_ANSWER: usize = MAX_DATAGRAM - ANSWER_HEAD - TAG;
/// Octets of an AEAD's tag.
pub const TAG: usize = 16;
/// The version of the protocol in this document.
pub const VERSION: u8 = 1;
/// The versions that are spoken here.
pub const VERSIONS: &[u8] = &[VERSION];

/// Octets in front of a sealed answer or push.
pub const ANSWER_HEAD: usize = 2 + 8 + 12;
/// Octets in front of a sealed Admission.
pub const RESPONSE_HEAD: usize = 2 + 8 + NOISE_2 + 12;
/// Octets of Noise message 2: an ephemeral key and the tag of an empty payload.
pub const NOISE_2: usize = 32 + TAG;
const NOISE_AT: usize = 2 + 16 + 2;

/// Names an address proved or a request fresh; opaque to a peer.
pub type Cookie = [u8; 16];
/// No cookie.
pub const NO_COOKIE: Cookie = [0; 16];

/// First octets.
#[allow(missing_docs, reason = "the table in the README says what they are")]
pub mod kind {
    pub const INITIATION: u8 = 0x81;
    pub const COOKIE: u8 = 0x82;
    pub const RESPONSE: u8 = 0x83;
    pub const REQUEST: u8 = 0x84;
    pub const ANSWER: u8 = 0x85;
    pub const NOT_ACCEPTED: u8 = 0x86;
    pub const VERSIONS: u8 = 0x87;
    pub const PUSH: u8 = 0x88;
    pub const PUNCH: u8 = crate::tunnel::Punch::KIND;
    pub const FRESH_REQUEST: u8 = 0x8a;
}

/// Whether a datagram that begins with this octet is matchmaking's; else it is the tunnel's, or nobody's.
pub const fn is_matchmaking(first: u8) -> bool {
    matches!(first, kind::INITIATION..=kind::FRESH_REQUEST)
}

/// Why octets are no datagram of matchmaking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// Not one of [`kind`].
    #[error("not a datagram of matchmaking")]
    Kind,
    /// A version that is not spoken here.
    #[error("version {version} of matchmaking is not spoken here")]
    Version {
        /// It.
        version: u8,
    },
    /// Shorter or longer than its kind may be.
    #[error("a matchmaking datagram of a length that its kind cannot have")]
    Length,
}

/// A view of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table in the README says what they are")]
pub enum Datagram<'a> {
    Initiation { cookie: &'a Cookie, noise: &'a [u8] },
    Cookie { initiation: &'a [u8; 8], cookie: &'a Cookie },
    Response { initiation: &'a [u8; 8], noise: &'a [u8; NOISE_2], nonce: &'a [u8; 12] },
    Request(SealedRequest<'a>),
    Answer { counter: u64, nonce: &'a [u8; 12] },
    NotAccepted { counter: u64, echo: &'a [u8; 8], cookie: &'a Cookie },
    Versions { initiation: &'a [u8; 8], versions: &'a [u8] },
    Push { session: &'a [u8; 8], nonce: &'a [u8; 12] },
    Punch(tunnel::Punch),
}

/// What stands in front of a sealed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedRequest<'a> {
    /// Of a request that is proved fresh.
    pub cookie: Option<&'a Cookie>,
    /// The ticket.
    pub ticket: &'a [u8],
    /// Of the datagram, under the ticket.
    pub counter: u64,
}

impl<'a> Datagram<'a> {
    /// Checked: afterwards every part is where it should be. What is sealed begins at [`Datagram::head`], and is at
    /// least a tag long.
    pub fn parse(bytes: &'a [u8]) -> Result<Datagram<'a>, DatagramError> {
        use DatagramError::Length;
        let (&first, rest) = bytes.split_first().ok_or(Length)?;
        if !is_matchmaking(first) {
            return Err(DatagramError::Kind);
        }
        let (&version, rest) = rest.split_first().ok_or(Length)?;
        // The form of Versions is the same in all of them, or it could not be understood when it matters.
        if version != VERSION && first != kind::VERSIONS {
            return Err(DatagramError::Version { version });
        }
        if bytes.len() > MAX_DATAGRAM {
            return Err(Length);
        }
        let mut rest = Rest(rest);
        let datagram = match first {
            kind::INITIATION => {
                let cookie = rest.array()?;
                let length = usize::from(u16::from_be_bytes(*rest.array()?));
                let noise = rest.0.get(..length).filter(|noise| noise.len() >= 8).ok_or(Length)?;
                return Ok(Datagram::Initiation { cookie, noise });
            }
            kind::COOKIE => Datagram::Cookie { initiation: rest.array()?, cookie: rest.array()? },
            kind::RESPONSE => {
                if bytes.len() > MAX_RESPONSE {
                    return Err(Length);
                }
                let (initiation, noise, nonce) = (rest.array()?, rest.array()?, rest.array()?);
                rest.sealed()?;
                Datagram::Response { initiation, noise, nonce }
            }
            kind::REQUEST | kind::FRESH_REQUEST => {
                let cookie = if first == kind::FRESH_REQUEST { Some(rest.array()?) } else { None };
                let length = usize::from(u16::from_be_bytes(*rest.array()?));
                let (ticket, behind) = rest.0.split_at_checked(length).ok_or(Length)?;
                if !(MIN_TICKET..=MAX_TICKET).contains(&ticket.len()) {
                    return Err(Length);
                }
                rest = Rest(behind);
                let counter = u64::from_be_bytes(*rest.array()?);
                rest.sealed()?;
                Datagram::Request(SealedRequest { cookie, ticket, counter })
            }
            kind::ANSWER => {
                let (counter, nonce) = (u64::from_be_bytes(*rest.array()?), rest.array()?);
                rest.sealed()?;
                Datagram::Answer { counter, nonce }
            }
            kind::NOT_ACCEPTED => Datagram::NotAccepted {
                counter: u64::from_be_bytes(*rest.array()?),
                echo: rest.array()?,
                cookie: rest.array()?,
            },
            kind::VERSIONS => {
                let initiation = rest.array()?;
                let versions = std::mem::take(&mut rest.0);
                if versions.is_empty() {
                    return Err(Length);
                }
                Datagram::Versions { initiation, versions }
            }
            kind::PUSH => {
                let (session, nonce) = (rest.array()?, rest.array()?);
                rest.sealed()?;
                Datagram::Push { session, nonce }
            }
            kind::PUNCH => return tunnel::Punch::parse(bytes).map(Datagram::Punch).ok_or(Length),
            _ => return Err(DatagramError::Kind),
        };
        if !rest.0.is_empty() {
            return Err(Length);
        }
        Ok(datagram)
    }

    /// Octets in front of what is sealed: its additional data. 0 for kinds in which nothing is.
    pub fn head(&self) -> usize {
        match self {
            Datagram::Response { .. } => RESPONSE_HEAD,
            Datagram::Request(request) => {
                2 + request.cookie.map_or(0, |cookie| cookie.len()) + 2 + request.ticket.len() + 8
            }
            Datagram::Answer { .. } | Datagram::Push { .. } => ANSWER_HEAD,
            _ => 0,
        }
    }
}

/// The 8 octets of an Initiation, of whatever version, that what comes back repeats: the first of its Noise message.
/// They are random, so nobody who did not see it can answer it.
pub fn initiation_id(datagram: &[u8]) -> Option<&[u8; 8]> {
    datagram.get(NOISE_AT..)?.first_chunk()
}

/// An Initiation, padded. `None` if the Noise message does not fit.
pub fn initiation(cookie: &Cookie, noise: &[u8]) -> Option<Vec<u8>> {
    if NOISE_AT + noise.len() > MAX_DATAGRAM {
        return None;
    }
    let mut out = vec![kind::INITIATION, VERSION];
    out.extend_from_slice(cookie);
    out.extend_from_slice(&(noise.len() as u16).to_be_bytes());
    out.extend_from_slice(noise);
    out.resize(out.len().max(MIN_INITIATION), 0);
    Some(out)
}

/// A Cookie, into `out`.
pub fn cookie(initiation: &[u8; 8], cookie: &Cookie, out: &mut Vec<u8>) {
    head(out, kind::COOKIE, &[initiation, cookie]);
}

/// What a peer is told that speaks none of [`VERSIONS`], into `out`.
pub fn versions(initiation: &[u8; 8], out: &mut Vec<u8>) {
    head(out, kind::VERSIONS, &[initiation, VERSIONS]);
}

/// Not accepted, into `out`. `echo` is the last eight octets of the request: who did not see it does not know them.
pub fn not_accepted(counter: u64, echo: &[u8; 8], cookie: &Cookie, out: &mut Vec<u8>) {
    head(out, kind::NOT_ACCEPTED, &[&counter.to_be_bytes(), echo, cookie]);
}

/// What stands in front of a sealed Admission, into `out`.
pub fn response(initiation: &[u8; 8], noise: &[u8], nonce: &[u8; 12], out: &mut Vec<u8>) {
    head(out, kind::RESPONSE, &[initiation, noise, nonce]);
}

/// What stands in front of a sealed request, into `out`.
pub fn request(cookie: Option<&Cookie>, ticket: &[u8], counter: u64, out: &mut Vec<u8>) {
    let length = (ticket.len() as u16).to_be_bytes();
    match cookie {
        Some(cookie) => {
            head(out, kind::FRESH_REQUEST, &[cookie, &length, ticket, &counter.to_be_bytes()]);
        }
        None => head(out, kind::REQUEST, &[&length, ticket, &counter.to_be_bytes()]),
    }
}

/// What stands in front of a sealed answer or push, into `out`; `names` is the request's counter, or the session.
pub fn downward(kind: u8, names: &[u8; 8], nonce: &[u8; 12], out: &mut Vec<u8>) {
    head(out, kind, &[names, nonce]);
}

fn head(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    out.clear();
    out.extend_from_slice(&[kind, VERSION]);
    for part in parts {
        out.extend_from_slice(part);
    }
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], DatagramError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(DatagramError::Length)?;
        self.0 = rest;
        Ok(array)
    }

    fn sealed(&mut self) -> Result<(), DatagramError> {
        if std::mem::take(&mut self.0).len() < TAG { Err(DatagramError::Length) } else { Ok(()) }
    }
}
