//! What processes tell each other, as octets: Protocol Buffers, so that a process of the next version understands this one. Whatever comes
//! in is checked, though only who has the matchmaker's secrets can have sealed it: it may be of another version.

use std::{net::SocketAddr, time::Duration};

use dot11::MacAddr;
use matchmaker::{
    Uuid,
    objects::{KeyId, Owner},
    presence::{InstanceId, Load, SessionKey},
    shared::{SharedInstance, SharedTunnel, Struck, Whom},
};
use prost::Message;
use proto::matchmaking::check::MAX_ENDPOINTS;

/// Names a process: drawn when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ProcessId(pub [u8; 16]);

impl std::fmt::Display for ProcessId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// A process says that it is there.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Hello {
    /// Counts; one that stands still is of a process that is gone.
    #[prost(uint64, tag = "1")]
    pub beat: u64,
    /// Changes of its instances so far.
    #[prost(uint64, tag = "2")]
    pub revision: u64,
}

/// What is said to one process, or to all.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Envelope {
    #[prost(bytes = "vec", tag = "1")]
    pub from: Vec<u8>,
    /// To be acknowledged, unless it is zero.
    #[prost(uint64, tag = "2")]
    pub number: u64,
    #[prost(uint64, repeated, tag = "3")]
    pub acknowledged: Vec<u64>,
    #[prost(message, optional, tag = "4")]
    pub pushed: Option<Pushed>,
    #[prost(message, optional, tag = "5")]
    pub changed: Option<Changed>,
    #[prost(message, optional, tag = "6")]
    pub refusal: Option<Refusal>,
    #[prost(message, optional, tag = "7")]
    pub forget_pmk: Option<ForgetPmk>,
}

/// An instance is to be told something by the process that keeps it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Pushed {
    #[prost(bytes = "vec", tag = "1")]
    pub instance: Vec<u8>,
    /// A `ttg.matchmaking.v1.Push`.
    #[prost(bytes = "vec", tag = "2")]
    pub push: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub service: Vec<u8>,
}

/// An instance of the sender is there, or is as it says now, or is gone.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Changed {
    #[prost(uint64, tag = "1")]
    pub revision: u64,
    #[prost(message, optional, tag = "2")]
    pub instance: Option<Instance>,
    #[prost(bool, tag = "3")]
    pub gone: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Instance {
    #[prost(bytes = "vec", tag = "1")]
    pub service: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub instance: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub key: Vec<u8>,
    #[prost(string, repeated, tag = "4")]
    pub endpoints: Vec<String>,
    #[prost(uint32, tag = "5")]
    pub load_permille: u32,
    #[prost(uint32, tag = "6")]
    pub sessions: u32,
    #[prost(uint32, tag = "7")]
    pub admissions_per_second: u32,
    #[prost(bool, tag = "8")]
    pub draining: bool,
    #[prost(uint64, tag = "9")]
    pub at_ms: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Tunnel {
    #[prost(bytes = "vec", tag = "1")]
    pub bssid: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub radio: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub service: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub instance: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub session_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    pub key: Vec<u8>,
    #[prost(uint64, tag = "7")]
    pub at_ms: u64,
    /// Of the radio's software; zero: not known.
    #[prost(fixed64, tag = "8")]
    pub run: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Refusal {
    #[prost(bytes = "vec", tag = "1")]
    pub client: Vec<u8>,
    /// Zero: forgiven.
    #[prost(uint32, tag = "2")]
    pub strikes: u32,
    #[prost(uint64, tag = "3")]
    pub until_ms: u64,
    #[prost(uint64, tag = "4")]
    pub at_ms: u64,
    /// By the services of this account only.
    #[prost(string, tag = "5")]
    pub account: String,
    /// By the services of this key only.
    #[prost(bytes = "vec", tag = "6")]
    pub key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ForgetPmk {
    #[prost(bytes = "vec", tag = "1")]
    pub service: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub client: Vec<u8>,
    /// What was made until then, in milliseconds.
    #[prost(uint64, tag = "3")]
    pub at: u64,
}

pub(super) fn process(octets: &[u8]) -> Option<ProcessId> {
    octets.try_into().ok().map(ProcessId)
}

pub(super) fn which(service: &[u8], instance: &[u8]) -> Option<(Uuid, InstanceId)> {
    Some((Uuid::from_slice(service).ok()?, instance.try_into().ok()?))
}

pub(super) fn mac(octets: &[u8]) -> Option<MacAddr> {
    octets.try_into().ok().map(MacAddr)
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl From<&SharedInstance> for Instance {
    fn from(said: &SharedInstance) -> Instance {
        Instance {
            service: said.service.as_bytes().to_vec(),
            instance: said.instance.to_vec(),
            key: said.key.0.to_vec(),
            endpoints: said.endpoints.iter().map(SocketAddr::to_string).collect(),
            load_permille: said.load.load_permille.into(),
            sessions: said.load.sessions,
            admissions_per_second: said.load.admissions_per_second,
            draining: said.load.draining,
            at_ms: milliseconds(said.at),
        }
    }
}

impl Instance {
    pub fn read(&self) -> Option<SharedInstance> {
        let endpoints: Option<Vec<SocketAddr>> =
            // Not more than radios take, whatever another version says.
            self.endpoints.iter().take(MAX_ENDPOINTS).map(|text| text.parse().ok()).collect();
        Some(SharedInstance {
            service: Uuid::from_slice(&self.service).ok()?,
            instance: self.instance.as_slice().try_into().ok()?,
            key: KeyId(self.key.as_slice().try_into().ok()?),
            endpoints: endpoints?,
            load: Load {
                load_permille: u16::try_from(self.load_permille).ok()?,
                sessions: self.sessions,
                admissions_per_second: self.admissions_per_second,
                draining: self.draining,
            },
            at: Duration::from_millis(self.at_ms),
        })
    }
}

impl From<&SharedTunnel> for Tunnel {
    fn from(said: &SharedTunnel) -> Tunnel {
        Tunnel {
            bssid: said.bssid.0.to_vec(),
            radio: said.radio.0.to_vec(),
            service: said.service.as_bytes().to_vec(),
            instance: said.instance.to_vec(),
            session_id: said.session_id.to_vec(),
            key: said.key.0.to_vec(),
            at_ms: milliseconds(said.at),
            run: said.run,
        }
    }
}

impl Tunnel {
    pub fn read(&self) -> Option<SharedTunnel> {
        Some(SharedTunnel {
            bssid: mac(&self.bssid)?,
            radio: mac(&self.radio)?,
            run: self.run,
            service: Uuid::from_slice(&self.service).ok()?,
            instance: self.instance.as_slice().try_into().ok()?,
            session_id: self.session_id.as_slice().try_into().ok()?,
            key: SessionKey(self.key.as_slice().try_into().ok()?),
            at: Duration::from_millis(self.at_ms),
        })
    }
}

impl Refusal {
    pub fn new(whom: &Whom, struck: Struck) -> Refusal {
        let (account, key) = match &whom.within {
            None => (String::new(), Vec::new()),
            Some(Owner::Account(id)) => (id.to_string(), Vec::new()),
            Some(Owner::Key(key)) => (String::new(), key.0.to_vec()),
        };
        Refusal {
            client: whom.client.0.to_vec(),
            strikes: struck.strikes,
            until_ms: milliseconds(struck.until),
            at_ms: milliseconds(struck.at),
            account,
            key,
        }
    }

    /// Where it is kept: each of them somewhere else.
    pub fn field(&self) -> Vec<u8> {
        [&self.client[..], &self.key, self.account.as_bytes()].concat()
    }

    pub fn read(&self) -> Option<(Whom, Struck)> {
        let (until, at) = (Duration::from_millis(self.until_ms), Duration::from_millis(self.at_ms));
        let within = match (self.account.as_str(), self.key.as_slice()) {
            ("", []) => None,
            ("", key) => Some(Owner::Key(KeyId(key.try_into().ok()?))),
            (account, []) => Some(Owner::Account(account.parse().ok()?)),
            _ => return None,
        };
        let whom = Whom { client: mac(&self.client)?, within };
        Some((whom, Struck { strikes: self.strikes, until, at }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn instance() -> SharedInstance {
        SharedInstance {
            service: Uuid::from_u128(7),
            instance: [1; 16],
            key: KeyId([2; 16]),
            endpoints: vec!["192.0.2.1:5247".parse().unwrap(), "[2001:db8::1]:5247".parse().unwrap()],
            load: Load { load_permille: 1001, sessions: 3, admissions_per_second: 50, draining: true },
            at: Duration::from_millis(1_700_000_000_123),
        }
    }

    #[test]
    fn what_is_said_is_what_is_read() {
        let said = instance();
        let octets = Instance::from(&said).encode_to_vec();
        assert_eq!(Instance::decode(&*octets).unwrap().read(), Some(said));
        let tunnel = SharedTunnel {
            bssid: MacAddr([1; 6]),
            radio: MacAddr([2; 6]),
            run: u64::MAX,
            service: Uuid::from_u128(7),
            instance: [3; 16],
            session_id: [4; 16],
            key: SessionKey([5; 16]),
            at: Duration::from_millis(9),
        };
        assert_eq!(Tunnel::decode(&*Tunnel::from(&tunnel).encode_to_vec()).unwrap().read(), Some(tunnel));
        let struck = Struck { strikes: 2, until: Duration::from_millis(8), at: Duration::from_millis(7) };
        let account = Owner::Account("a@example.org".parse().unwrap());
        for within in [None, Some(account), Some(Owner::Key(KeyId([7; 16])))] {
            let whom = Whom { client: MacAddr([6; 6]), within };
            let refusal = Refusal::new(&whom, struck);
            assert_eq!(Refusal::decode(&*refusal.encode_to_vec()).unwrap().read(), Some((whom, struck)));
        }
    }

    #[test]
    fn impossible_values_are_refused() {
        let said = Instance::from(&instance());
        assert_eq!(Instance { endpoints: vec!["nowhere".into()], ..said.clone() }.read(), None);
        assert_eq!(Instance { load_permille: 70_000, ..said.clone() }.read(), None);
        assert_eq!(Instance { key: vec![0; 15], ..said }.read(), None);
        assert_eq!((mac(&[0; 5]), process(&[0; 17])), (None, None));
    }

    proptest! {
        #[test]
        fn arbitrary_octets_do_no_harm(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Instance::decode(&*octets).map(|said| said.read());
            let _ = Tunnel::decode(&*octets).map(|said| said.read());
            let _ = Refusal::decode(&*octets).map(|said| said.read());
            let _ = Envelope::decode(&*octets);
            let _ = Hello::decode(&*octets);
        }
    }
}
