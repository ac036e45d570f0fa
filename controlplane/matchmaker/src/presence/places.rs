//! A radio in memory.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use dot11::MacAddr;
use visibility::Band;

use super::recent::Recent;
use crate::memory::NONE;
use crate::objects::{KeyId, WILD};
use crate::scope::AccountRef;

/// Where a radio is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// WGS 84, degrees times 10^7.
    pub latitude_e7: i32,
    /// WGS 84, degrees times 10^7.
    pub longitude_e7: i32,
    /// For people.
    pub civic: Box<str>,
}

/// What people call a place.
#[derive(Debug)]
pub(super) struct Civic(pub(super) Box<str>);

/// At most 136 octets, and what is recent if the radio is not silent. Times are whole seconds since the start.
#[derive(Debug)]
pub(super) struct RadioPlace {
    /// Places of radios that it hears, and a mark of who was there: it may have gone, and the place be another's.
    pub(super) neighbours: [u32; 8],
    pub(super) marks: [u8; 8],
    pub(super) key: KeyId,
    ip: [u8; 16],
    port: u16,
    pub(super) mac: MacAddr,
    /// Not registered from then on; zero: not registered.
    pub(super) expires: u32,
    /// Few have one, and a pointer to it takes half of what a slice takes.
    pub(super) civic: Option<Box<Civic>>,
    pub(super) recent: Option<Box<Recent>>,
    /// When the rate limit lets it in, in milliseconds.
    pub(super) rate: u64,
    pub(super) latitude_e7: i32,
    pub(super) longitude_e7: i32,
    pub(super) up_kbps: u32,
    pub(super) down_kbps: u32,
    pub(super) account: AccountRef,
    pub(super) load_permille: u16,
    pub(super) band: Band,
    pub(super) channel: u8,
    pub(super) bssids: u8,
    pub(super) capabilities: u8,
    /// There is a record of it: it stays its owner's when it is not registered.
    pub(super) recorded: bool,
    pub(super) located: bool,
}

const _: () = assert!(size_of::<RadioPlace>() <= 136);

impl RadioPlace {
    pub(super) fn new(mac: MacAddr, account: AccountRef, key: KeyId) -> RadioPlace {
        RadioPlace {
            neighbours: [NONE; 8],
            marks: [0; 8],
            key,
            ip: [0; 16],
            port: 0,
            mac,
            expires: 0,
            civic: None,
            recent: None,
            rate: 0,
            latitude_e7: 0,
            longitude_e7: 0,
            up_kbps: 0,
            down_kbps: 0,
            account,
            load_permille: 0,
            band: Band::Ghz2_4,
            channel: 0,
            bssids: 0,
            capabilities: 0,
            recorded: false,
            located: false,
        }
    }

    /// Nothing is there.
    pub(super) fn gone() -> RadioPlace {
        RadioPlace::new(WILD, AccountRef::POOL, KeyId([0; 16]))
    }

    /// Reads something of each of its cache lines.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        u64::from(self.mac.0[0])
            ^ u64::from(self.marks[0])
            ^ u64::from(self.key.0[0])
            ^ u64::from(self.bssids)
    }

    pub(super) fn is_live(&self, now: Duration) -> bool {
        u64::from(self.expires) > now.as_secs()
    }

    pub(super) fn endpoint(&self) -> SocketAddr {
        let ip = Ipv6Addr::from(self.ip);
        SocketAddr::new(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4), self.port)
    }

    pub(super) fn set_endpoint(&mut self, endpoint: SocketAddr) {
        self.ip = match endpoint.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        self.port = endpoint.port();
    }

    pub(super) fn location(&self) -> Option<Location> {
        self.located.then(|| Location {
            latitude_e7: self.latitude_e7,
            longitude_e7: self.longitude_e7,
            civic: self.civic.as_ref().map(|civic| civic.0.clone()).unwrap_or_default(),
        })
    }
}
