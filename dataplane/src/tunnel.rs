//! The tunnels of one worker: one per virtual BSS, found by BSSID.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use dot11::MacAddr;

use crate::clock::Time;
use crate::command::{Blob, Gtk, SessionId, Tunnel, TunnelKey};
use crate::directory::sharded::Sharded;
use crate::station::{StationId, next_pn};
use proto::tunnel::Punch;

/// A tunnel's place in the table. Good until the tunnel is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(transparent)]
pub struct TunnelId(pub u32);

/// One accepted tunnel.
pub struct TunnelState {
    /// Session, BSSID, radio, service and present endpoint.
    pub tunnel: Tunnel,
    /// Index of its service.
    pub service: u16,
    /// Control's own.
    pub blob: Blob,
    /// Silence after which it is down.
    pub timeout: Option<Duration>,
    /// What keep-alives must prove to have.
    pub key: Option<TunnelKey>,
    /// Counter of the last proof.
    pub counter: u64,
    /// When the last keep-alive came.
    pub last_keep_alive: Time,
    /// Punches sent to its radio, and when the last was.
    pub punches: (u32, Time),
    /// Group keys with identifiers 1 and 2.
    pub group_keys: [Option<GroupKey>; 2],
    /// Index of the one to send under.
    pub transmit_key: Option<usize>,
    /// Its stations.
    pub stations: Vec<StationId>,
    sequence: u16,
}

/// A group key and the last packet number used under it.
pub struct GroupKey {
    /// The key.
    pub key: Gtk,
    /// Last packet number used.
    pub pn: u64,
}

impl TunnelState {
    /// Next sequence number for frames without one of their own counter: management, group-addressed and non-QoS frames
    /// (802.11-2020 §10.3.2.14.2, SNS1). The radio's own beacons count by themselves.
    pub fn next_sequence(&mut self) -> u16 {
        let number = self.sequence;
        self.sequence = (number + 1) & 0x0fff;
        number
    }

    /// Last packet number used under the group key that is sent under; 0 if there is none.
    pub fn group_pn(&self) -> u64 {
        self.transmit_key.and_then(|i| self.group_keys[i].as_ref()).map_or(0, |key| key.pn)
    }

    /// Identifier of the group key to send under, and the next packet number for it.
    pub fn next_group_pn(&mut self) -> Option<Result<(u8, u64), Exhausted>> {
        let index = self.transmit_key?;
        let key = self.group_keys[index].as_mut()?;
        Some(next_pn(&mut key.pn).map(|pn| (index as u8 + 1, pn)).ok_or(Exhausted))
    }

    /// Whether keep-alives are late, perhaps because a NAT on our side was started again and does not let them in.
    pub fn is_late(&self, now: Time) -> bool {
        let silence = now.since(self.last_keep_alive);
        self.key.is_some() && silence >= PUNCH_AFTER && silence < PUNCH_AFTER + PUNCH_FOR
    }

    /// The punch that is due, if one is.
    pub fn punch(&mut self, now: Time) -> Option<Punch> {
        let (count, last) = self.punches;
        if !self.is_late(now) || now.since(last) < PUNCH_INTERVAL {
            return None;
        }
        let key = self.key.as_ref()?;
        self.punches = (count.wrapping_add(1), now);
        Some(Punch::new(key, self.tunnel.session_id, CONTROLS_PUNCHES + u64::from(count)))
    }

    /// Installs a group key (identifier 1 or 2). One that is in use already goes on with its packet numbers.
    pub fn install_group_key(&mut self, key_id: u8, key: Gtk, transmit: bool) {
        let index = usize::from(key_id == 2);
        let place = &mut self.group_keys[index];
        if place.as_ref().is_none_or(|known| known.key != key) {
            *place = Some(GroupKey { key, pn: 0 });
        }
        if transmit {
            self.transmit_key = Some(index);
        }
    }
}

/// Identifiers of CAPWAP fragments. Radios put fragments together by the gateway's address (RFC 5415 §4.3), which all tunnels and all workers
/// send from: so one worker's tunnels share a counter, and the workers share the identifiers, each with its number in the top bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentIds {
    base: u16,
    mask: u16,
    last: u16,
}

/// Top bits that tell workers apart: more only if there are more than 16.
const WORKER_BITS: u32 = 4;

impl FragmentIds {
    /// Those of one worker of so many.
    pub fn new(worker: usize, workers: usize) -> Self {
        let bits = workers.next_power_of_two().trailing_zeros().clamp(WORKER_BITS, 15);
        let mask = u16::MAX >> bits;
        Self { base: (worker << (16 - bits)) as u16, mask, last: mask }
    }

    /// The identifier for the next frame that is sent in fragments.
    #[inline]
    pub fn next_id(&mut self) -> u16 {
        self.last = self.last.wrapping_add(1) & self.mask;
        self.base | self.last
    }
}

/// A radio sends keep-alives every second through a tunnel that it was introduced to, and when one is not answered again after
/// 600 ms, three in all. Between these there is time for some punches.
const PUNCH_AFTER: Duration = Duration::from_millis(1200);
const PUNCH_INTERVAL: Duration = Duration::from_millis(300);
/// After this the radio has given the tunnel up.
const PUNCH_FOR: Duration = Duration::from_secs(3);
/// The counters of control's punches, which come before the tunnel is there, are below.
const CONTROLS_PUNCHES: u64 = 1 << 32;

/// All packet numbers of a key were used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

/// The table.
#[derive(Default)]
pub struct TunnelTable {
    places: Vec<Option<TunnelState>>,
    free: Vec<TunnelId>,
    by_bssid: Sharded<MacAddr, TunnelId>,
    refused: HashMap<(MacAddr, SessionId), Time>,
}

/// Refusals remembered at a time.
const REFUSALS: usize = 4096;

impl TunnelTable {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Live tunnels.
    pub fn len(&self) -> usize {
        self.by_bssid.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_bssid.is_empty()
    }

    /// One more than the highest [`TunnelId`] in use.
    pub fn places(&self) -> u32 {
        self.places.len() as u32
    }

    /// The tunnel of a virtual BSS.
    #[inline]
    pub fn find(&self, bssid: MacAddr) -> Option<TunnelId> {
        self.by_bssid.get(&bssid).copied()
    }

    /// A live tunnel.
    #[inline]
    pub fn get(&self, id: TunnelId) -> Option<&TunnelState> {
        self.places.get(id.0 as usize)?.as_ref()
    }

    /// A live tunnel, to change.
    #[inline]
    pub fn get_mut(&mut self, id: TunnelId) -> Option<&mut TunnelState> {
        self.places.get_mut(id.0 as usize)?.as_mut()
    }

    /// Live tunnels in the order of their places, from place `from` on.
    pub fn iter_from(&self, from: u32) -> impl Iterator<Item = (TunnelId, &TunnelState)> {
        let places = self.places.iter().enumerate().skip(from as usize);
        places.filter_map(|(i, place)| place.as_ref().map(|tunnel| (TunnelId(i as u32), tunnel)))
    }

    /// Adds a tunnel; the caller knows that its BSSID is new.
    pub fn add(
        &mut self,
        tunnel: Tunnel,
        service: u16,
        blob: Blob,
        timeout: Option<Duration>,
        now: Time,
    ) -> TunnelId {
        self.refused.remove(&(tunnel.bssid, tunnel.session_id));
        let state = TunnelState {
            tunnel,
            service,
            blob,
            timeout,
            key: None,
            counter: 0,
            last_keep_alive: now,
            punches: (0, now),
            group_keys: [None, None],
            transmit_key: None,
            stations: Vec::new(),
            sequence: 0,
        };
        let id = self.free.pop().unwrap_or(TunnelId(self.places.len() as u32));
        match self.places.get_mut(id.0 as usize) {
            Some(place) => *place = Some(state),
            None => self.places.push(Some(state)),
        }
        self.by_bssid.insert(tunnel.bssid, id);
        id
    }

    /// Removes a tunnel; its stations are the caller's to remove before.
    pub fn remove(&mut self, id: TunnelId) -> Option<TunnelState> {
        let state = self.places.get_mut(id.0 as usize)?.take()?;
        self.by_bssid.remove(&state.tunnel.bssid);
        self.free.push(id);
        Some(state)
    }

    /// Ignores keep-alives of a session until `until`.
    pub fn refuse(&mut self, bssid: MacAddr, session: SessionId, until: Time, now: Time) {
        if self.refused.len() >= REFUSALS {
            self.refused.retain(|_, until| *until > now);
        }
        if self.refused.len() < REFUSALS {
            self.refused.insert((bssid, session), until);
        }
    }

    /// Whether keep-alives of a session are ignored now.
    pub fn is_refused(&mut self, bssid: MacAddr, session: SessionId, now: Time) -> bool {
        match self.refused.entry((bssid, session)) {
            Entry::Occupied(entry) if *entry.get() > now => true,
            Entry::Occupied(entry) => {
                entry.remove();
                false
            }
            Entry::Vacant(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::ServiceUuid;
    use crate::endpoint::Endpoint;

    fn tunnel(n: u8) -> Tunnel {
        Tunnel {
            session_id: SessionId([n; 16]),
            bssid: MacAddr([2, 0, 0, 0, 0, n]),
            radio: MacAddr::default(),
            service: ServiceUuid::default(),
            endpoint: Endpoint::v4([127, 0, 0, 1], 1000),
        }
    }

    #[test]
    fn places_are_used_again_and_bssids_found() {
        let mut table = TunnelTable::new();
        let ids: Vec<_> = (0..3).map(|n| table.add(tunnel(n), 0, Vec::new(), None, Time::ZERO)).collect();
        assert!(table.remove(ids[1]).is_some() && table.remove(ids[1]).is_none());
        assert_eq!(table.find(tunnel(1).bssid), None);
        assert_eq!(table.add(tunnel(4), 0, Vec::new(), None, Time::ZERO), ids[1]);
        assert_eq!(table.find(tunnel(4).bssid), Some(ids[1]));
        assert_eq!(table.iter_from(1).map(|(id, _)| id).collect::<Vec<_>>(), [ids[1], ids[2]]);
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn a_radio_that_is_late_is_sent_punches_for_a_while() {
        let at = |milliseconds: u64| Time::from_micros(milliseconds * 1000);
        let mut table = TunnelTable::new();
        let id = table.add(tunnel(0), 0, Vec::new(), None, at(0));
        let key = TunnelKey::new([7; 16]);
        let sent = |state: &mut TunnelState| {
            let punches = (0..10_000).step_by(100).filter_map(|ms| Some((ms, state.punch(at(ms))?)));
            punches.collect::<Vec<_>>()
        };
        let state = table.get_mut(id).unwrap();
        assert_eq!(sent(state), [], "without a key there is nothing to prove");
        state.key = Some(key.clone());
        let without: Vec<_> = sent(state);
        assert_eq!((without[0].0, without.last().unwrap().0, without.len()), (1200, 3900, 10));
        state.punches.1 = at(0);
        state.stations.push(StationId(0));
        let with = sent(state);
        assert_eq!(
            (with[0].0, with.last().unwrap().0, with.len()),
            (1200, 3900, 10),
            "with devices or without"
        );
        let all: Vec<_> = without.iter().chain(&with).map(|(_, punch)| *punch).collect();
        assert!(all.iter().all(|punch| punch.is_right(&key) && punch.session_id == tunnel(0).session_id));
        assert!(all.windows(2).all(|pair| pair[0].counter < pair[1].counter));
    }

    #[test]
    fn a_group_key_installed_again_goes_on_with_its_numbers() {
        let mut table = TunnelTable::new();
        let id = table.add(tunnel(0), 0, Vec::new(), None, Time::ZERO);
        let state = table.get_mut(id).unwrap();
        assert_eq!(state.next_group_pn(), None);
        state.install_group_key(1, Gtk::new([1; 16]), true);
        assert_eq!(state.next_group_pn(), Some(Ok((1, 1))));
        state.install_group_key(1, Gtk::new([1; 16]), true);
        assert_eq!(state.next_group_pn(), Some(Ok((1, 2))));
        state.install_group_key(2, Gtk::new([2; 16]), false);
        assert_eq!((state.next_group_pn(), state.group_pn()), (Some(Ok((1, 3))), 3));
        state.install_group_key(2, Gtk::new([2; 16]), true);
        assert_eq!((state.group_pn(), state.next_group_pn()), (0, Some(Ok((2, 1)))));
        state.install_group_key(1, Gtk::new([3; 16]), true);
        assert_eq!(state.next_group_pn(), Some(Ok((1, 1))));
        state.group_keys[0].as_mut().unwrap().pn = crate::station::LAST_PN;
        assert_eq!(state.next_group_pn(), Some(Err(Exhausted)));
    }

    #[test]
    fn workers_never_use_the_same_fragment_identifier() {
        for (workers, each) in [(1, 4096), (16, 4096), (17, 2048), (64, 1024)] {
            let mut seen = std::collections::HashSet::new();
            for worker in 0..workers {
                let mut ids = FragmentIds::new(worker, workers);
                let first = ids.next_id();
                assert!(seen.insert(first));
                assert!((1..each).all(|_| seen.insert(ids.next_id())), "{worker} of {workers}");
                assert_eq!(ids.next_id(), first, "then it starts again");
            }
        }
        assert_eq!(FragmentIds::new(3, 4).next_id(), 0x3000);
    }

    #[test]
    fn refusals_end_and_are_bounded() {
        let mut table = TunnelTable::new();
        let until = Time::from_nanos(10);
        table.refuse(tunnel(1).bssid, tunnel(1).session_id, until, Time::ZERO);
        assert!(table.is_refused(tunnel(1).bssid, tunnel(1).session_id, Time::from_nanos(9)));
        assert!(!table.is_refused(tunnel(1).bssid, tunnel(2).session_id, Time::from_nanos(9)));
        assert!(!table.is_refused(tunnel(1).bssid, tunnel(1).session_id, until));
        for n in 0..=REFUSALS as u32 {
            let [a, b, c, d] = n.to_be_bytes();
            table.refuse(MacAddr([2, 0, a, b, c, d]), SessionId::default(), until, Time::ZERO);
        }
        assert_eq!(table.refused.len(), REFUSALS);
    }
}
