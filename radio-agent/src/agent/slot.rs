//! A virtual BSS that is there for whichever service is needed: what it shows, its tunnel, the devices that begin.

use std::time::Duration;

use dot11::MacAddr;
use proto::tunnel::{FrameInfo, ServiceUuid, SessionId};

use super::link::Link;
use super::offers::Because;
use super::stations::Stations;
use super::template::Template;
use super::usage::Usage;

/// Virtual BSSes of one radio: as many as the first octet of an address has place for.
pub const MAX_SLOTS: usize = 16;

/// Devices of a BSS that begin, or were introduced or refused and are not associated.
pub const MAX_CLIENTS: usize = 64;

/// Frames that are kept for the gateway, of all devices that begin and of one.
const MAX_HELD: usize = 16;
const MAX_HELD_OF_ONE: usize = 2;

/// Longer frames are not kept: no authentication frame is.
const MAX_HELD_LEN: usize = 1024;

/// Who began and was not heard since is not beginning any more.
const BEGINNING: Duration = Duration::from_secs(10);

/// A tunnel without devices goes down after this.
pub const TUNNEL_IDLE: Duration = Duration::from_secs(30);

/// The BSSIDs of a radio's virtual BSSes: its permanent address, locally administered, with the number of the BSS, from 1
/// on, added without carry to bits 2 to 7 of the first octet (bits 0 and 1 are individual/group and universal/local,
/// 802.11-2020 §9.2.4.3.2). Those in `taken` are left out.
pub fn bssids(radio: MacAddr, count: usize, taken: &[MacAddr]) -> Vec<MacAddr> {
    let MacAddr([first, rest @ ..]) = radio;
    let address = |number: u8| {
        let [b, c, d, e, f] = rest;
        MacAddr([((first & 0xfc) ^ (number << 2)) | 0x02, b, c, d, e, f])
    };
    (1..64).map(address).filter(|bssid| !taken.contains(bssid)).take(count.min(MAX_SLOTS)).collect()
}

/// How much a service is needed: what comes first in this order goes first. [`Standing::outranks`] says what may displace
/// what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Standing {
    pub(super) need: Need,
    /// Of the offer: a class, and in the last octet the order within it, which is the signal's.
    pub(super) rank: u32,
    /// Of the device that needs it most, in dBm, the sign turned.
    pub(super) weakness: i16,
}

/// Who needs a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// A device that is near and that the offer names.
    Named,
    /// Any device that is near.
    Anybody,
    /// A device that may come.
    Predicted,
}

impl Standing {
    /// A stronger signal alone displaces nothing: it would go to and fro. So of the rank only the class counts.
    pub(super) fn outranks(&self, other: &Standing) -> bool {
        let class = |standing: &Standing| standing.rank >> 8;
        (self.need, class(self)) < (other.need, class(other))
    }
}

/// Where a device stands that begins to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The matchmaker is to be asked.
    Wanted,
    /// It is asked.
    Asked,
    /// The gateway knows of it.
    Introduced { until: Duration },
    /// It is ignored.
    Refused { until: Duration },
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) address: MacAddr,
    pub(super) heard: Duration,
    /// An offer names it, or it was associated lately.
    pub(super) expected: bool,
    pub(super) progress: Progress,
}

impl Client {
    fn is_beginning(&self, now: Duration) -> bool {
        match self.progress {
            Progress::Wanted | Progress::Asked => true,
            Progress::Introduced { until } => now < until && now < self.heard + BEGINNING,
            Progress::Refused { .. } => false,
        }
    }
}

/// A frame of a device that begins.
#[derive(Debug)]
struct Held {
    device: MacAddr,
    frame: Vec<u8>,
    info: FrameInfo,
}

/// What a slot shows.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) service: ServiceUuid,
    pub(super) template: Template,
    /// As it is offered now.
    pub(super) why: Because,
    pub(super) since: Duration,
    /// When it last became what it is now, if it was something else before.
    pub(super) changed: Option<Duration>,
    /// As far as anybody near needs it.
    pub(super) standing: Option<Standing>,
    pub(super) stations: Stations,
    pub(super) usage: Usage,
    pub(super) clients: Vec<Client>,
    /// Of the tunnel, from the first introduction on.
    pub(super) session: Option<SessionId>,
    pub(super) link: Option<Link>,
    held: Vec<Held>,
    idle_since: Option<Duration>,
    /// When a device was last told that it is not associated.
    pub(super) told: Duration,
}

impl Shown {
    pub(super) fn new(
        service: ServiceUuid,
        template: Template,
        why: Because,
        standing: Option<Standing>,
        now: Duration,
    ) -> Shown {
        Shown {
            service,
            template,
            why,
            since: now,
            changed: None,
            standing,
            stations: Stations::default(),
            usage: Usage::default(),
            clients: Vec::new(),
            session: None,
            link: None,
            held: Vec::new(),
            idle_since: None,
            told: Duration::ZERO,
        }
    }

    pub(super) fn client(&mut self, address: MacAddr) -> Option<&mut Client> {
        self.clients.iter_mut().find(|client| client.address == address)
    }

    /// A device begins. Of those that did not get further the one not heard for longest gives way; for one that is `expected`
    /// also one that waits and is not, so that made-up addresses keep nobody out. `None`: there is no place; otherwise what was
    /// thrown away with who gave way.
    pub(super) fn begins(&mut self, address: MacAddr, expected: bool, now: Duration) -> Option<u64> {
        if let Some(client) = self.client(address) {
            (client.progress, client.expected) = (Progress::Wanted, expected);
            return Some(0);
        }
        let mut dropped = 0;
        if self.clients.len() == MAX_CLIENTS {
            let gives_way = |&at: &usize| {
                let client = &self.clients[at];
                !client.is_beginning(now) || expected && !client.expected
            };
            let order = |&at: &usize| {
                let client = &self.clients[at];
                (client.is_beginning(now), client.progress != Progress::Wanted, client.heard)
            };
            let at = (0..MAX_CLIENTS).filter(gives_way).min_by_key(order)?;
            let gone = self.clients.swap_remove(at).address;
            dropped = self.drop_held(Some(gone));
        }
        self.clients.push(Client { address, heard: now, expected, progress: Progress::Wanted });
        Some(dropped)
    }

    /// Keeps a frame until the gateway answers; `false`: that, or one that gave way to it, is thrown away.
    pub(super) fn hold(&mut self, device: MacAddr, frame: &[u8], info: FrameInfo) -> bool {
        let own = self.held.iter().filter(|held| held.device == device).count();
        if own == MAX_HELD_OF_ONE || frame.len() > MAX_HELD_LEN {
            return false;
        }
        let full = self.held.len() == MAX_HELD;
        if full {
            let expected =
                |device| self.clients.iter().any(|client| client.address == device && client.expected);
            let other = self.held.iter().position(|held| !expected(held.device));
            let Some(at) = other.filter(|_| expected(device)) else { return false };
            self.held.remove(at);
        }
        self.held.push(Held { device, frame: frame.to_vec(), info });
        !full
    }

    /// Throws away what is kept of one device, or of all; gives how much it was.
    pub(super) fn drop_held(&mut self, device: Option<MacAddr>) -> u64 {
        let before = self.held.len();
        self.held.retain(|held| device.is_some_and(|device| device != held.device));
        (before - self.held.len()) as u64
    }

    /// Takes what is kept of devices that are introduced.
    pub(super) fn take_held(&mut self) -> Vec<(Vec<u8>, FrameInfo)> {
        let introduced = |device: MacAddr| {
            let found = self.clients.iter().find(|client| client.address == device);
            found.is_some_and(|client| matches!(client.progress, Progress::Introduced { .. }))
        };
        let (go, stay): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.held).into_iter().partition(|held| introduced(held.device));
        self.held = stay;
        go.into_iter().map(|held| (held.frame, held.info)).collect()
    }

    /// Whether devices are associated, or begin.
    pub(super) fn has_devices(&self, now: Duration) -> bool {
        !self.stations.is_empty() || self.clients.iter().any(|client| client.is_beginning(now))
    }

    /// Forgets devices that are over; gives whether the tunnel has been without devices for too long.
    pub(super) fn expire(&mut self, now: Duration) -> bool {
        let stations = &self.stations;
        self.clients.retain(|client| match client.progress {
            Progress::Introduced { until } => now < until || stations.contains(client.address),
            Progress::Refused { until } => now < until,
            Progress::Wanted | Progress::Asked => true,
        });
        if self.link.is_none() || self.has_devices(now) {
            self.idle_since = None;
            return false;
        }
        now >= *self.idle_since.get_or_insert(now) + TUNNEL_IDLE
    }

    /// The tunnel is gone, and with it what it introduced.
    pub(super) fn unlink(&mut self) {
        (self.link, self.session, self.idle_since) = (None, None, None);
        self.usage = Usage::default();
        self.clients.retain(|client| matches!(client.progress, Progress::Refused { .. }));
    }

    /// When something is to be done for the tunnel or its devices, apart from what is done once a second.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.link.as_ref().map(Link::deadline).into_iter().chain(self.stations.deadline()).min()
    }
}

/// A virtual BSS.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) bssid: MacAddr,
    pub(super) shown: Option<Shown>,
    /// What it showed last: devices still know the service by this BSSID, and look for it there first.
    pub(super) last: Option<ServiceUuid>,
    /// Since when it is free: the one free for longest is taken first.
    pub(super) free_since: Duration,
    /// Sequence number of the next probe response.
    pub(super) sequence: u16,
}

impl Slot {
    pub(super) fn new(bssid: MacAddr) -> Slot {
        Slot { bssid, shown: None, last: None, free_since: Duration::ZERO, sequence: 0 }
    }

    /// The gateway, if there is a tunnel to it.
    pub(super) fn gateway(&self) -> Option<std::net::SocketAddr> {
        self.shown.as_ref()?.link.as_ref()?.up()
    }
}
