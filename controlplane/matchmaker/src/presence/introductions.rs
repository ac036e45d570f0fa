//! Who was introduced to whom, and the tunnels that came of it.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use dot11::MacAddr;
use hashbrown::HashMap;
use zeroize::ZeroizeOnDrop;

use super::services::InstanceId;
use crate::bindings::ServiceRef;
use crate::memory::Seed;
use crate::objects::BindingId;

/// Authenticates the keep-alives of a tunnel.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct SessionKey(pub [u8; 16]);

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// How long what came of an introduction is remembered, if nothing is heard of it.
const REMEMBERED: Duration = Duration::from_secs(600);

/// A device and an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduced {
    /// To which service.
    pub service: ServiceRef,
    /// To which instance.
    pub instance: InstanceId,
    /// Through which radio.
    pub radio: MacAddr,
    /// Of the tunnel.
    pub session_id: [u8; 16],
    /// Of the tunnel.
    pub key: SessionKey,
    /// Which binding let it.
    pub binding: BindingId,
    /// The device must begin before.
    pub valid_until: Duration,
    remembered_until: Duration,
}

/// The tunnel of a virtual BSS.
#[derive(Debug, Clone)]
pub(crate) struct Tunnel {
    pub(crate) radio: MacAddr,
    /// Which run of the radio's software asked for it; 0: not known.
    pub(crate) run: u64,
    pub(crate) service: ServiceRef,
    pub(crate) instance: InstanceId,
    pub(crate) session_id: [u8; 16],
    pub(crate) key: SessionKey,
}

impl Tunnel {
    /// Whether the two are one, as far as others have to know it.
    fn is(&self, other: &Tunnel) -> bool {
        (self.radio, self.service, self.instance, self.session_id)
            == (other.radio, other.service, other.instance, other.session_id)
            && self.key == other.key
    }
}

#[derive(Debug)]
pub(crate) struct Introductions {
    by_device: HashMap<(MacAddr, MacAddr), Introduced, Seed>,
    /// With until when they are remembered, and when they were introduced first.
    tunnels: HashMap<MacAddr, (Tunnel, Duration, Duration), Seed>,
    /// Radio and BSSID of each tunnel.
    of_radio: BTreeSet<(MacAddr, MacAddr)>,
    /// The instance that a client last used of a service.
    last: HashMap<(MacAddr, ServiceRef), (InstanceId, Duration), Seed>,
    /// In the order in which they are to be looked at: BSSID and client.
    queue: VecDeque<(Duration, MacAddr, MacAddr)>,
}

impl Introductions {
    pub(crate) fn new(seed: Seed) -> Introductions {
        Introductions {
            by_device: HashMap::with_hasher(seed),
            tunnels: HashMap::with_hasher(seed),
            of_radio: BTreeSet::new(),
            last: HashMap::with_hasher(seed),
            queue: VecDeque::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_device.len()
    }

    pub(crate) fn get(&self, bssid: MacAddr, client: MacAddr) -> Option<&Introduced> {
        self.by_device.get(&(bssid, client))
    }

    pub(crate) fn tunnel(&self, bssid: MacAddr) -> Option<&Tunnel> {
        self.tunnels.get(&bssid).map(|(tunnel, ..)| tunnel)
    }

    /// The same, with when it was introduced first.
    pub(crate) fn tunnel_since(&self, bssid: MacAddr) -> Option<(&Tunnel, Duration)> {
        self.tunnels.get(&bssid).map(|(tunnel, _, since)| (tunnel, *since))
    }

    /// All of them.
    pub(crate) fn tunnels(&self) -> impl Iterator<Item = (MacAddr, &Tunnel, Duration)> {
        self.tunnels.iter().map(|(bssid, (tunnel, _, since))| (*bssid, tunnel, *since))
    }

    /// A tunnel that somebody else introduced, unless there is a later one.
    pub(crate) fn adopt(&mut self, bssid: MacAddr, tunnel: Tunnel, since: Duration, now: Duration) -> bool {
        match self.tunnels.get_mut(&bssid) {
            Some((known, ..)) if known.is(&tunnel) => {
                // What another matchmaker passed on did not say it.
                known.run = if known.run == 0 { tunnel.run } else { known.run };
                return false;
            }
            Some((.., other)) if *other >= since => return false,
            Some(_) => {}
            // No device of it is known, so it is looked at on its own.
            None => self.queue.push_back((now + REMEMBERED, bssid, MacAddr::ZERO)),
        }
        self.put_tunnel(bssid, (tunnel, now + REMEMBERED, since));
        true
    }

    fn put_tunnel(&mut self, bssid: MacAddr, (tunnel, until, since): (Tunnel, Duration, Duration)) {
        let known =
            self.tunnel(bssid).map(|known| (known.radio, if known.is(&tunnel) { known.run } else { 0 }));
        let (before, run) = known.unwrap_or((tunnel.radio, 0));
        self.of_radio.remove(&(before, bssid));
        self.of_radio.insert((tunnel.radio, bssid));
        // An introduction that another matchmaker passes on does not say it.
        let run = if tunnel.run == 0 { run } else { tunnel.run };
        self.tunnels.insert(bssid, (Tunnel { run, ..tunnel }, until, since));
    }

    /// BSSIDs of the radio's tunnels that other runs of its software than this one asked for.
    pub(crate) fn of_other_runs(&self, radio: MacAddr, run: u64) -> Vec<MacAddr> {
        let all = self.of_radio.range((radio, MacAddr::ZERO)..=(radio, MacAddr::BROADCAST));
        let other =
            |bssid: &MacAddr| self.tunnel(*bssid).is_some_and(|known| known.run != 0 && known.run != run);
        all.map(|(_, bssid)| *bssid).filter(other).collect()
    }

    /// The instance that the client last used, if that is not long ago.
    pub(crate) fn last(&self, client: MacAddr, service: ServiceRef, now: Duration) -> Option<InstanceId> {
        self.last.get(&(client, service)).filter(|(_, until)| *until > now).map(|(instance, _)| *instance)
    }

    pub(crate) fn put(
        &mut self,
        bssid: MacAddr,
        client: MacAddr,
        tunnel: Tunnel,
        binding: BindingId,
        now: Duration,
        valid_until: Duration,
    ) {
        let until = now + REMEMBERED;
        let Tunnel { radio, service, instance, session_id, ref key, .. } = tunnel;
        let introduced = Introduced {
            service,
            instance,
            radio,
            session_id,
            key: key.clone(),
            binding,
            valid_until,
            remembered_until: until,
        };
        self.last.insert((client, service), (instance, until));
        let since =
            self.tunnels.get(&bssid).filter(|(known, ..)| known.is(&tunnel)).map_or(now, |known| known.2);
        self.put_tunnel(bssid, (tunnel, until, since));
        // One that is renewed is in the queue already.
        match self.by_device.insert((bssid, client), introduced) {
            None => self.queue.push_back((until, bssid, client)),
            Some(before) if before.service != service => drop(self.last.remove(&(client, before.service))),
            Some(_) => {}
        }
    }

    /// The client is still connected through this BSS: what was introduced is remembered longer.
    pub(crate) fn keep(&mut self, bssid: MacAddr, client: MacAddr, now: Duration) {
        let until = now + REMEMBERED;
        if let Some(introduced) = self.by_device.get_mut(&(bssid, client)) {
            introduced.remembered_until = until;
            self.last.insert((client, introduced.service), (introduced.instance, until));
        }
        if let Some((_, remembered, _)) = self.tunnels.get_mut(&bssid) {
            *remembered = until;
        }
    }

    /// The BSS is closed.
    pub(crate) fn release(&mut self, bssid: MacAddr) -> Option<Tunnel> {
        let (tunnel, ..) = self.tunnels.remove(&bssid)?;
        self.of_radio.remove(&(tunnel.radio, bssid));
        Some(tunnel)
    }

    /// Forgets what is over, at most `most` at a time.
    pub(crate) fn sweep(&mut self, most: usize, now: Duration) {
        for _ in 0..most {
            let Some(&(at, bssid, client)) = self.queue.front() else { return };
            if at > now {
                return;
            }
            self.queue.pop_front();
            let Some(introduced) = self.by_device.get(&(bssid, client)) else {
                match self.tunnels.get(&bssid) {
                    Some((_, until, _)) if *until > now => self.queue.push_back((*until, bssid, client)),
                    _ => drop(self.release(bssid)),
                }
                continue;
            };
            if introduced.remembered_until > now {
                self.queue.push_back((introduced.remembered_until, bssid, client));
                continue;
            }
            let service = introduced.service;
            self.by_device.remove(&(bssid, client));
            if self.last.get(&(client, service)).is_some_and(|(_, until)| *until <= now) {
                self.last.remove(&(client, service));
            }
            if self.tunnels.get(&bssid).is_some_and(|(_, until, _)| *until <= now) {
                self.release(bssid);
            }
        }
    }
}
