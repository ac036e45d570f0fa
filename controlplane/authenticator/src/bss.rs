//! One virtual BSS: association ids and the group key's generations (802.11-2020 §12.7.7).
//!
//! A new key is first installed at the gateway beside the one in use and offered to every device that holds the old one.
//! When none is left that has not answered, or after [`Timings::gtk_switch`](crate::Timings::gtk_switch), transmission
//! switches over. Key ids 1 and 2 take turns, so there is at most one change under way; a further one waits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use dot11::MacAddr;
use dot11::rsn::Gtk;

use crate::codec::{Reader, Writer};
use crate::{Entropy, RestoreError, Security, Service, Time};

/// The largest association id (802.11-2020 §9.4.1.8).
const MAX_AID: u16 = 2007;
const SNAPSHOT_VERSION: u8 = 1;

/// A group key.
#[derive(Clone, Debug)]
pub struct GroupKey {
    /// 1 and 2 in turn.
    pub key_id: u8,
    /// Counts up with every new key.
    pub generation: u64,
    /// The key.
    pub gtk: Gtk,
}

/// What a [`Bss`] wants done.
#[derive(Debug)]
pub enum BssOutput {
    /// Install the group key at the gateway, together with a fresh [`Bss::snapshot`].
    InstallGroupKey {
        /// The key.
        key: GroupKey,
        /// Use it for transmission from now on.
        transmit: bool,
    },
    /// Give [`Input::GroupKey`](crate::Input::GroupKey) to this device's station.
    Offer {
        /// The device.
        mac: MacAddr,
    },
}

/// One virtual BSS of a service.
#[derive(Debug)]
pub struct Bss {
    service: Arc<Service>,
    bssid: MacAddr,
    members: BTreeMap<MacAddr, Member>,
    /// One bit an association id.
    aids: [u64; 32],
    group: Option<Group>,
    outputs: VecDeque<BssOutput>,
}

#[derive(Debug)]
struct Member {
    aid: u16,
    /// The newest group key it holds.
    generation: Option<u64>,
}

#[derive(Debug)]
struct Group {
    /// The key devices are given.
    newest: GroupKey,
    /// It is not used for transmission yet; its predecessor is, until this time at the latest.
    switch_at: Option<Time>,
    /// A further new key was asked for meanwhile.
    again: bool,
    rekey_at: Option<Time>,
    /// The last packet number used under the transmitting key.
    pn: u64,
}

impl Bss {
    /// A BSS without devices. A protected one draws its first group key, which the outputs then install.
    pub fn new(service: Arc<Service>, bssid: MacAddr, now: Time, entropy: &mut dyn Entropy) -> Bss {
        let mut outputs = VecDeque::new();
        let group = (!matches!(service.security, Security::Open)).then(|| {
            let newest = GroupKey { key_id: 1, generation: 1, gtk: draw(entropy) };
            outputs.push_back(BssOutput::InstallGroupKey { key: newest.clone(), transmit: true });
            let rekey_at = service.timings.gtk_rekey.map(|interval| now + interval);
            Group { newest, switch_at: None, again: false, rekey_at, pn: 0 }
        });
        Bss { service, bssid, members: BTreeMap::new(), aids: reserved_aids(), group, outputs }
    }

    /// The BSS as [`Bss::snapshot`] left it, without devices: they come back with
    /// [`Station::restore`](crate::Station::restore), each of which must be called with this `Bss`.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn restore(
        service: Arc<Service>,
        bssid: MacAddr,
        bytes: &[u8],
        now: Time,
    ) -> Result<Bss, RestoreError> {
        let mut reader = Reader::new(bytes, SNAPSHOT_VERSION)?;
        let group = reader.option(|r| {
            let key_id = r.u8()?;
            if !matches!(key_id, 1 | 2) {
                return Err(RestoreError::Malformed);
            }
            let newest = GroupKey { key_id, generation: r.counter()?, gtk: Gtk::new(*r.secret()?) };
            let switching = r.bool()?;
            let again = r.bool()?;
            let rekey_at = r.option(Reader::time)?;
            let pn = r.u64()?;
            let switch_at = switching.then(|| now + service.timings.gtk_switch);
            // A service that only now has an interval, or a shorter one.
            let rekey_at = service.timings.gtk_rekey.map(|i| rekey_at.unwrap_or(now + i).min(now + i));
            Ok(Group { newest, switch_at, again, rekey_at, pn })
        })?;
        reader.end()?;
        if group.is_some() == matches!(service.security, Security::Open) {
            return Err(RestoreError::ServiceChanged);
        }
        Ok(Bss {
            service,
            bssid,
            members: BTreeMap::new(),
            aids: reserved_aids(),
            group,
            outputs: VecDeque::new(),
        })
    }

    /// What [`Bss::restore`] needs: the group key. Secret.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut writer = Writer::new(SNAPSHOT_VERSION);
        writer.option(self.group.as_ref(), |w, group| {
            w.u8(group.newest.key_id);
            w.u64(group.newest.generation);
            w.raw(group.newest.gtk.as_bytes());
            w.bool(group.switch_at.is_some());
            w.bool(group.again);
            w.option(group.rekey_at, Writer::time);
            w.u64(group.pn);
        });
        writer.finish()
    }

    /// The service it belongs to.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// The BSSID.
    pub fn bssid(&self) -> MacAddr {
        self.bssid
    }

    /// The group key that devices are given now; `None` on an open service.
    pub fn group_key(&self) -> Option<&GroupKey> {
        self.group.as_ref().map(|group| &group.newest)
    }

    /// The devices that have an association id, in the order of their addresses.
    pub fn members(&self) -> impl Iterator<Item = MacAddr> + '_ {
        self.members.keys().copied()
    }

    /// Makes a new group key now, or as soon as the change under way is done.
    pub fn request_rekey(&mut self, now: Time, entropy: &mut dyn Entropy) {
        let Some(group) = &mut self.group else { return };
        if group.switch_at.is_some() {
            group.again = true;
            return;
        }
        group.newest = GroupKey {
            key_id: 3 - group.newest.key_id,
            generation: group.newest.generation + 1,
            gtk: draw(entropy),
        };
        group.again = false;
        group.switch_at = Some(now + self.service.timings.gtk_switch);
        group.rekey_at = self.service.timings.gtk_rekey.map(|interval| now + interval);
        let key = group.newest.clone();
        self.outputs.push_back(BssOutput::InstallGroupKey { key, transmit: false });
        let holders = self.members.iter().filter(|(_, member)| member.generation.is_some());
        self.outputs.extend(holders.map(|(&mac, _)| BssOutput::Offer { mac }));
        self.switch_when_all_have_it(now, entropy);
    }

    /// The gateway reported the last packet number used under the transmitting group key.
    /// [`Input::Eapol`](crate::Input::Eapol) does this too.
    pub fn note_group_pn(&mut self, pn: u64) {
        if let Some(group) = &mut self.group {
            // Not the maximum: a report that crossed a change of keys counts in the old key's numbers.
            group.pn = pn;
        }
    }

    /// When to call [`Bss::handle_timeout`].
    pub fn next_timeout(&self) -> Option<Time> {
        let group = self.group.as_ref()?;
        group.switch_at.into_iter().chain(group.rekey_at).min()
    }

    /// Does what has come due. Early or spurious calls do no harm.
    pub fn handle_timeout(&mut self, now: Time, entropy: &mut dyn Entropy) {
        let Some(group) = &mut self.group else { return };
        let rekey = group.rekey_at.is_some_and(|at| at <= now);
        if rekey {
            group.rekey_at = self.service.timings.gtk_rekey.map(|interval| now + interval);
        }
        if group.switch_at.is_some_and(|at| at <= now) {
            self.switch(now, entropy);
        }
        if rekey {
            self.request_rekey(now, entropy);
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<BssOutput> {
        self.outputs.pop_front()
    }

    /// The association id of a device: the one it has, or the lowest that is free.
    pub(crate) fn join(&mut self, mac: MacAddr) -> Option<u16> {
        if let Some(member) = self.members.get_mut(&mac) {
            member.generation = None;
            return Some(member.aid);
        }
        let aid = (1..=MAX_AID).find(|&aid| !self.is_taken(aid))?;
        self.take(aid);
        self.members.insert(mac, Member { aid, generation: None });
        Some(aid)
    }

    /// Takes back a device that [`Station::restore`](crate::Station::restore) brings. It is offered the newest group key
    /// when it holds an older one.
    pub(crate) fn adopt(
        &mut self,
        mac: MacAddr,
        aid: u16,
        generation: Option<u64>,
    ) -> Result<(), RestoreError> {
        if aid == 0 || aid > MAX_AID {
            return Err(RestoreError::Malformed);
        }
        if self.is_taken(aid) {
            return Err(RestoreError::Aid(aid));
        }
        self.take(aid);
        self.members.insert(mac, Member { aid, generation });
        self.offer_if_stale(mac);
        Ok(())
    }

    /// The device is gone.
    pub(crate) fn leave(&mut self, now: Time, entropy: &mut dyn Entropy, mac: MacAddr) {
        let Some(member) = self.members.remove(&mac) else { return };
        self.aids[usize::from(member.aid / 64)] &= !(1 << (member.aid % 64));
        if member.generation.is_some() && self.service.rekey_group_on_departure {
            self.request_rekey(now, entropy);
        }
        self.switch_when_all_have_it(now, entropy);
    }

    /// The device lost its keys, and will be given the newest with message 3.
    pub(crate) fn forget_key(&mut self, now: Time, entropy: &mut dyn Entropy, mac: MacAddr) {
        if let Some(member) = self.members.get_mut(&mac) {
            member.generation = None;
        }
        self.switch_when_all_have_it(now, entropy);
    }

    /// The device has confirmed a group key.
    pub(crate) fn delivered(&mut self, now: Time, entropy: &mut dyn Entropy, mac: MacAddr, generation: u64) {
        if let Some(member) = self.members.get_mut(&mac) {
            member.generation = Some(generation);
        }
        self.offer_if_stale(mac);
        self.switch_when_all_have_it(now, entropy);
    }

    /// The newest group key a device has confirmed.
    pub(crate) fn generation_of(&self, mac: MacAddr) -> Option<u64> {
        self.members.get(&mac)?.generation
    }

    /// The RSC to hand out with the newest key: the last packet number sent under it (802.11-2020 §12.7.2).
    pub(crate) fn receive_sequence_counter(&self) -> u64 {
        self.group.as_ref().filter(|group| group.switch_at.is_none()).map_or(0, |group| group.pn)
    }

    fn offer_if_stale(&mut self, mac: MacAddr) {
        let Some(group) = &self.group else { return };
        if self.generation_of(mac).is_some_and(|generation| generation != group.newest.generation) {
            self.outputs.push_back(BssOutput::Offer { mac });
        }
    }

    fn switch_when_all_have_it(&mut self, now: Time, entropy: &mut dyn Entropy) {
        let Some(group) = &self.group else { return };
        let newest = group.newest.generation;
        let waiting = self.members.values().any(|m| m.generation.is_some_and(|held| held != newest));
        if group.switch_at.is_some() && !waiting {
            self.switch(now, entropy);
        }
    }

    fn switch(&mut self, now: Time, entropy: &mut dyn Entropy) {
        let Some(group) = &mut self.group else { return };
        group.switch_at = None;
        group.pn = 0;
        let again = std::mem::take(&mut group.again);
        let key = group.newest.clone();
        self.outputs.push_back(BssOutput::InstallGroupKey { key, transmit: true });
        if again {
            self.request_rekey(now, entropy);
        }
    }

    fn is_taken(&self, aid: u16) -> bool {
        self.aids[usize::from(aid / 64)] & (1 << (aid % 64)) != 0
    }

    fn take(&mut self, aid: u16) {
        self.aids[usize::from(aid / 64)] |= 1 << (aid % 64);
    }
}

/// Association id 0 means group traffic (802.11-2020 §9.4.2.5).
fn reserved_aids() -> [u64; 32] {
    let mut aids = [0; 32];
    aids[0] = 1;
    aids
}

fn draw(entropy: &mut dyn Entropy) -> Gtk {
    let mut gtk = zeroize::Zeroizing::new([0; 16]);
    entropy.fill(&mut *gtk);
    Gtk::new(*gtk)
}
