//! Radios that registered, and those that there is a record of. Made for ten million that are silent: one takes at most 200
//! octets, all counted.

use std::net::SocketAddr;
use std::time::Duration;

use dot11::MacAddr;
use visibility::Band;

use super::places::{Civic, Location, RadioPlace};
use super::recent::RecentClient;
use crate::Refusal;
use crate::gate::Rate;
use crate::memory::{Lines, NONE, Seed, Slab, hash_pair, touched};
use crate::objects::{KeyId, WILD};
use crate::scope::{AccountRef, Scope};

/// Radios made ready at a time.
const FETCHED: usize = crate::MAX_AHEAD;

/// Who speaks, as the protocol authenticated it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its account, or the pool.
    pub account: AccountRef,
    /// Its static key.
    pub key: KeyId,
}

/// What a radio says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RadioRegistration {
    /// Permanent MAC address.
    pub mac: MacAddr,
    /// As its datagrams come from.
    pub endpoint: SocketAddr,
    /// Where it works.
    pub band: Band,
    /// Where it works.
    pub channel: u8,
    /// Virtual BSSes that fit at a time.
    pub bssids: u8,
    /// Of the backhaul, in kbit/s; zero: unknown.
    pub up_kbps: u32,
    /// The same towards the radio.
    pub down_kbps: u32,
    /// Of the busiest of its resources, in thousandths.
    pub load_permille: u16,
    /// As the message has them.
    pub capabilities: u8,
    /// Where it is.
    pub location: Option<Location>,
    /// Radios that it hears, by their own address or by that of a BSS, which is likely to differ from it in the first octet only (the local bit, and
    /// the bits that some count BSSes with); the first eight that are registered count.
    pub neighbours: Vec<MacAddr>,
}

/// A radio as others may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RadioView {
    /// What it said.
    pub registration: RadioRegistration,
    /// Whose it is.
    pub owner: Peer,
    /// It registered and that is still valid.
    pub registered: bool,
    /// Until when, unless it registers again.
    pub until: Duration,
    /// There is a record of it.
    pub recorded: bool,
}

/// What memory the radios take, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RadiosMemory {
    /// The radios themselves.
    pub places: usize,
    /// What they are found by.
    pub index: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Radios {
    seed: Seed,
    places: Slab<RadioPlace>,
    index: Lines,
    len: usize,
    /// Where the sweep goes on.
    hand: u32,
}

impl Radios {
    pub(crate) fn new(seed: Seed) -> Radios {
        Radios { seed, ..Radios::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The place of a radio that is registered.
    #[inline]
    pub(crate) fn live(&self, mac: MacAddr, now: Duration) -> Result<u32, Refusal> {
        self.find(mac).filter(|&at| self.places.get(at).is_live(now)).ok_or(Refusal::NotRegistered)
    }

    /// What one key or account registered, another cannot take over while it is alive, or ever if there is a record of it.
    pub(crate) fn register(
        &mut self,
        peer: Peer,
        said: &RadioRegistration,
        lifetime: Duration,
        now: Duration,
    ) -> Result<u32, Refusal> {
        let at = match self.find(said.mac) {
            Some(at) => {
                let place = self.places.get(at);
                let pinned = place.is_live(now) || place.recorded;
                if pinned && !is_owner(place.account, place.key, peer) {
                    return Err(Refusal::NotYours);
                }
                at
            }
            None => self.insert(said.mac, peer.account, peer.key),
        };
        let (mut neighbours, mut marks) = ([NONE; 8], [0; 8]);
        let places =
            said.neighbours.iter().filter_map(|&mac| self.find_bss(mac)).filter(|&other| other != at);
        for (n, place) in places.take(8).enumerate() {
            (neighbours[n], marks[n]) = (place, self.mark(place));
        }
        let place = self.places.get_mut(at);
        place.set_endpoint(said.endpoint);
        (place.neighbours, place.marks) = (neighbours, marks);
        (place.account, place.key) = (peer.account, peer.key);
        (place.band, place.channel, place.bssids) = (said.band, said.channel, said.bssids);
        (place.up_kbps, place.down_kbps) = (said.up_kbps, said.down_kbps);
        (place.load_permille, place.capabilities) = (said.load_permille, said.capabilities);
        place.located = said.location.is_some();
        if let Some(location) = &said.location {
            (place.latitude_e7, place.longitude_e7) = (location.latitude_e7, location.longitude_e7);
            let civic = Some(&location.civic).filter(|civic| !civic.is_empty());
            place.civic = civic.map(|civic| Box::new(Civic(civic.clone())));
        }
        place.expires = now.saturating_add(lifetime).as_secs().min(u64::from(u32::MAX)) as u32;
        Ok(at)
    }

    /// There is a record of it.
    pub(crate) fn record(&mut self, mac: MacAddr, account: AccountRef, key: KeyId) {
        let at = self.find(mac).unwrap_or_else(|| self.insert(mac, account, key));
        let place = self.places.get(at);
        // What another registered ends.
        if !is_owner(account, key, Peer { account: place.account, key: place.key }) {
            self.places.get_mut(at).expires = 0;
        }
        let place = self.places.get_mut(at);
        (place.account, place.key, place.recorded) = (account, key, true);
    }

    /// The radio is going; a record of it stays.
    pub(crate) fn unregister(&mut self, peer: Peer, mac: MacAddr) -> Result<(), Refusal> {
        let Some(at) = self.find(mac) else { return Ok(()) };
        let place = self.places.get(at);
        if !is_owner(place.account, place.key, peer) {
            return Err(Refusal::NotYours);
        }
        self.end(at);
        Ok(())
    }

    pub(crate) fn forget(&mut self, mac: MacAddr) {
        if let Some(at) = self.find(mac) {
            self.places.get_mut(at).recorded = false;
            self.end(at);
        }
    }

    /// Looks at the next `most` places, and ends what is over.
    pub(crate) fn sweep(&mut self, most: u32, now: Duration) {
        for _ in 0..most.min(self.places.places()) {
            self.hand = if self.hand + 1 < self.places.places() { self.hand + 1 } else { 0 };
            let place = self.places.get(self.hand);
            if place.mac != WILD && place.expires != 0 && !place.is_live(now) {
                self.end(self.hand);
            }
        }
    }

    pub(crate) fn view(&self, mac: MacAddr, now: Duration) -> Option<RadioView> {
        let at = self.find(mac)?;
        let place = self.places.get(at);
        let registration = RadioRegistration {
            mac,
            endpoint: place.endpoint(),
            band: place.band,
            channel: place.channel,
            bssids: place.bssids,
            up_kbps: place.up_kbps,
            down_kbps: place.down_kbps,
            load_permille: place.load_permille,
            capabilities: place.capabilities,
            location: place.location(),
            neighbours: self.neighbours(at).map(|at| self.places.get(at).mac).collect(),
        };
        let owner = Peer { account: place.account, key: place.key };
        let until = Duration::from_secs(place.expires.into());
        Some(RadioView {
            registration,
            owner,
            registered: place.is_live(now),
            until,
            recorded: place.recorded,
        })
    }

    /// Every radio has a place below this.
    pub(crate) fn places(&self) -> u32 {
        self.places.places()
    }

    /// The addresses of those within a range of places.
    pub(crate) fn within(&self, places: std::ops::Range<u32>) -> impl Iterator<Item = MacAddr> {
        (places.start..places.end.min(self.places.places()))
            .map(|at| self.places.get(at).mac)
            .filter(|&mac| mac != WILD)
    }

    /// Those that there is a record of.
    pub(crate) fn recorded_within(&self, places: std::ops::Range<u32>) -> impl Iterator<Item = MacAddr> {
        (places.start..places.end.min(self.places.places()))
            .map(|at| self.places.get(at))
            .filter(|place| place.recorded && place.mac != WILD)
            .map(|place| place.mac)
    }

    /// Its account, its band and how many BSSes fit.
    #[inline]
    pub(crate) fn at(&self, at: u32) -> (AccountRef, Band, usize) {
        let place = self.places.get(at);
        (place.account, place.band, usize::from(place.bssids))
    }

    /// Whose it is.
    pub(crate) fn scope(&self, at: u32) -> Scope {
        let place = self.places.get(at);
        match place.account {
            AccountRef::POOL => Scope::Key(place.key),
            account => Scope::Account(account),
        }
    }

    pub(crate) fn mac(&self, at: u32) -> MacAddr {
        self.places.get(at).mac
    }

    pub(crate) fn endpoint(&self, at: u32) -> SocketAddr {
        self.places.get(at).endpoint()
    }

    pub(crate) fn moved(&mut self, mac: MacAddr, endpoint: SocketAddr) {
        if let Some(at) = self.find(mac) {
            self.places.get_mut(at).set_endpoint(endpoint);
        }
    }

    pub(crate) fn location(&self, at: u32) -> Option<Location> {
        self.places.get(at).location()
    }

    pub(crate) fn is_owner(&self, at: u32, peer: Peer) -> bool {
        let place = self.places.get(at);
        is_owner(place.account, place.key, peer)
    }

    /// Whether the radio may ask now; if not, for how long not.
    pub(crate) fn admit(&mut self, at: u32, rate: Rate, now: Duration) -> Result<(), Duration> {
        let place = self.places.get_mut(at);
        let mut next = Duration::from_millis(place.rate);
        let admitted = rate.admit(&mut next, now);
        place.rate = next.as_millis() as u64;
        admitted
    }

    /// Radios near it that work in another band than 2.4 GHz: of those that it hears, and the one that heard a device that it heard.
    pub(crate) fn other_bands_near(&self, at: u32, now: Duration) -> impl Iterator<Item = u32> {
        let noted = self.places.get(at).recent.as_ref().and_then(|recent| recent.other_band(now));
        let noted = noted.filter(|&(other, mark)| self.mark(other) == mark).map(|(other, _)| other);
        self.neighbours(at).chain(noted).filter(move |&other| self.is_other_band(other, now))
    }

    /// Whether a radio is there that works in another band than 2.4 GHz.
    pub(crate) fn is_other_band(&self, at: u32, now: Duration) -> bool {
        let place = self.places.get(at);
        place.is_live(now) && place.band != Band::Ghz2_4
    }

    /// One of another band hears what this radio hears.
    pub(crate) fn note_other_band(&mut self, at: u32, other: u32, now: Duration) {
        let mark = self.mark(other);
        self.places.get_mut(at).recent.get_or_insert_default().note_other_band((other, mark), now);
    }

    /// A client of a service is, or was, at this radio.
    pub(crate) fn note(&mut self, at: u32, client: MacAddr, service: u32, now: Duration) {
        self.places.get_mut(at).recent.get_or_insert_default().note(client, service, now);
    }

    /// The service is shown because it is predicted here.
    pub(crate) fn note_predicted(&mut self, at: u32, service: u32, now: Duration) {
        self.places.get_mut(at).recent.get_or_insert_default().note_predicted(service, now);
    }

    /// Whether it was predicted here lately.
    pub(crate) fn was_predicted(&self, at: u32, service: u32, now: Duration) -> bool {
        self.places.get(at).recent.as_ref().is_some_and(|recent| recent.was_predicted(service, now))
    }

    /// Clients lately at the radio and at its neighbours, with which of them.
    pub(crate) fn recent(&self, at: u32) -> impl Iterator<Item = (&RecentClient, u32)> {
        let of = |at: u32| {
            let recent = self.places.get(at).recent.iter();
            recent.flat_map(|recent| recent.clients()).map(move |client| (client, at))
        };
        of(at).chain(self.neighbours(at).flat_map(of))
    }

    /// Touches what is known of these radios: first where they are found, then they themselves, then who was there lately. At most
    /// [`FETCHED`] of them.
    pub(crate) fn fetch(&self, radios: impl Iterator<Item = MacAddr>) {
        let (mut hashes, mut asked) = ([0; FETCHED], 0);
        for mac in radios.take(FETCHED) {
            hashes[asked] = hash(self.seed, mac);
            asked += 1;
        }
        let hashes = &hashes[..asked];
        touched(hashes.iter().fold(0, |all, &hash| all ^ self.index.touch(hash)));
        // Any will do.
        let places =
            || hashes.iter().filter_map(|&hash| self.index.candidate(hash)).map(|at| self.places.get(at));
        touched(places().fold(0, |all, place| all ^ place.touch()));
        let recent = || places().filter_map(|place| place.recent.as_deref());
        touched(recent().fold(0, |all, recent| all ^ recent.len() as u64));
        touched(recent().fold(0, |all, recent| all ^ recent.touch()));
    }

    pub(crate) fn memory(&self) -> RadiosMemory {
        RadiosMemory { places: self.places.memory(), index: self.index.memory() }
    }

    #[inline]
    pub(crate) fn find(&self, mac: MacAddr) -> Option<u32> {
        self.index.find(hash(self.seed, mac), |at| self.places.get(at).mac == mac)
    }

    /// The radio that has this address, or a BSS of this address as far as can be told.
    fn find_bss(&self, bssid: MacAddr) -> Option<u32> {
        let like = |at| self.places.get(at).mac.0[1..] == bssid.0[1..];
        self.find(bssid).or_else(|| self.index.find(hash(self.seed, bssid), like))
    }

    fn neighbours(&self, at: u32) -> impl Iterator<Item = u32> {
        let place = self.places.get(at);
        let known = place.neighbours.into_iter().zip(place.marks).filter(|&(at, _)| at != NONE);
        known.filter(|&(at, mark)| self.places.get(at).mac != WILD && self.mark(at) == mark).map(|(at, _)| at)
    }

    /// Tells who is at a place from most others.
    fn mark(&self, at: u32) -> u8 {
        (hash(self.seed, self.places.get(at).mac) >> 24) as u8
    }

    fn insert(&mut self, mac: MacAddr, account: AccountRef, key: KeyId) -> u32 {
        let at = self.places.insert(RadioPlace::new(mac, account, key));
        let Radios { seed, places, index, .. } = self;
        index.put(hash(*seed, mac), at, |_| false, |at| hash(*seed, places.get(at).mac));
        self.len += 1;
        at
    }

    /// It is not registered any more, and is forgotten unless there is a record of it.
    fn end(&mut self, at: u32) {
        let place = self.places.get_mut(at);
        place.expires = 0;
        if place.recorded {
            place.recent = None;
        } else {
            let mac = place.mac;
            self.index.remove(hash(self.seed, mac), |other| other == at);
            self.places.remove(at, RadioPlace::gone());
            self.len -= 1;
        }
    }
}

/// An account's radio is that of any peer of the account, another that of the one key.
pub(super) fn is_owner(account: AccountRef, key: KeyId, peer: Peer) -> bool {
    peer.account == account && (account != AccountRef::POOL || peer.key == key)
}

#[inline]
fn hash(seed: Seed, mac: MacAddr) -> u64 {
    // Not the first octet: a radio is to be found by the address of a BSS too.
    let [_, b, c, d, e, f] = mac.0;
    hash_pair(seed, u64::from_be_bytes([0, 0, 0, b, c, d, e, f]), 1 << 61)
}
