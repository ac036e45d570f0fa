//! "These devices are near this radio": which services may it show, to whom, under which policy.
//!
//! In the order of rank: what bindings that name a client let it see, connected devices first; what a device with an address
//! of its own making asked for by name; what anybody may see here; what is predicted. A named binding decides for its client even
//! if the service is there for anybody too: the radio gets both offers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use dot11::MacAddr;
use dot11::element::Ssid;
use uuid::Uuid;
use visibility::Policy;

use crate::bindings::{Bindings, Match, Naming, ServiceRef};
use crate::memory::touched;
use crate::presence::{ServiceState, Services};
use crate::steering::steers;
use crate::{BindingId, Matchmaker, Refusal};

/// Devices in one look-up.
pub const MAX_DEVICES: usize = 16;

/// Devices whose look-ups can be made ready at a time.
pub const MAX_AHEAD: usize = 32;

/// With one name there may be many services within reach; if there are more than this, only those whose clients were lately near count.
const NAMESAKES: usize = 4;
/// Bindings of a service that are looked at when it is not asked which of its clients is here.
pub(crate) const PLAUSIBLE: usize = 64;

/// A device near a radio.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Near<'a> {
    /// The address that it used.
    pub client: MacAddr,
    /// Its signal, in dBm; unknown if `None`.
    pub rssi_dbm: Option<i8>,
    /// In directed probe requests.
    pub ssids: &'a [Ssid],
    /// It is connected through this radio.
    pub connected: bool,
}

/// One service, for one device or for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Which.
    pub service: Uuid,
    /// `None`: for whoever is near.
    pub client: Option<MacAddr>,
    /// Which said so.
    pub binding: BindingId,
    /// When it is shown: service, binding and overload merged.
    pub policy: Policy,
    /// Radios that the device was near in the last ten minutes.
    pub mobility: u32,
    /// The lower goes first when there are fewer BSSIDs than offers.
    pub rank: u32,
    /// Nobody said that its client is here: it lately was, or was near.
    pub predicted: bool,
    /// Its place, until something changes.
    pub(crate) at: ServiceRef,
}

impl Offer {
    /// A binding names its client.
    pub(crate) fn is_named(&self) -> bool {
        self.client.is_some() && self.rank >> 8 <= Class::Named as u32
    }
}

/// What a radio may show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offers {
    /// So long the answer holds.
    pub ttl: Duration,
    /// By rank.
    pub offers: Vec<Offer>,
    /// Of those shown: no longer to be shown to anybody.
    pub withdrawn: Vec<Uuid>,
}

/// Classes of rank; the signal orders within one.
#[derive(Clone, Copy)]
enum Class {
    Connected,
    Named,
    Asked,
    HereForAnybody,
    Broadcast,
    Predicted,
}

impl Class {
    fn rank(self, rssi_dbm: Option<i8>) -> u32 {
        let weakness = rssi_dbm.map_or(255, |rssi| (0 - i32::from(rssi)).clamp(0, 254) as u32);
        (self as u32) << 8 | weakness
    }
}

/// Somebody who may be here; the likeliest is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Likely {
    weight: u32,
    /// Where the client is was looked at.
    located: bool,
    service: Reverse<ServiceRef>,
    client: MacAddr,
    /// At which radio it was.
    seen: u32,
}

impl Matchmaker {
    /// Answers a look-up of a registered radio; `out` is written anew. Devices beyond [`MAX_DEVICES`] are not looked at.
    pub fn look_up(
        &mut self,
        radio: MacAddr,
        devices: &[Near<'_>],
        shown: &[Uuid],
        now: Duration,
        out: &mut Offers,
    ) -> Result<(), Refusal> {
        (out.ttl, out.offers, out.withdrawn) =
            (self.settings.offers, std::mem::take(&mut out.offers), std::mem::take(&mut out.withdrawn));
        out.offers.clear();
        out.withdrawn.clear();
        let at = self.radios.live(radio, now)?;
        let (account, band, bssids) = self.radios.at(at);
        let devices = &devices[..devices.len().min(MAX_DEVICES)];
        let mut matches = std::mem::take(&mut self.matches);
        matches.clear();
        let (mut ends, mut unknown) = ([0; MAX_DEVICES], false);
        let reach = self.accounts.reach(account);
        if devices.len() > 1 {
            let mut ahead = [(radio, MacAddr::ZERO); MAX_DEVICES];
            ahead.iter_mut().zip(devices).for_each(|(ahead, device)| ahead.1 = device.client);
            self.fetch(&ahead[..devices.len()]);
        }
        for (device, end) in devices.iter().zip(&mut ends) {
            if !device.client.is_group() && self.failures.refused(device.client, now).is_none() {
                let before = matches.len();
                self.bindings.naming_client(reach, device.client, radio, &mut matches);
                unknown |= before == matches.len() && device.client.is_local() && !device.connected;
            }
            *end = matches.len();
        }
        let anybody = matches.len();
        self.bindings.for_anybody(reach, radio, &mut matches);

        let mut start = 0;
        for (device, &end) in devices.iter().zip(&ends) {
            let class = if device.connected { Class::Connected } else { Class::Named };
            for found in &matches[start..end] {
                if self.refused_within(found.service, device.client, now).is_some() {
                    continue;
                }
                let Some(mut offer) = offer(&self.bindings, &mut self.services, found, device.connected, now)
                else {
                    continue;
                };
                self.radios.note(at, device.client, found.service, now);
                offer.client = Some(device.client);
                offer.mobility = self.sightings.hear(device.client, at, device.rssi_dbm, now);
                offer.rank = class.rank(device.rssi_dbm);
                out.offers.push(offer);
            }
            start = end;
        }
        for found in &matches[anybody..] {
            if let Some(mut offer) = offer(&self.bindings, &mut self.services, found, false, now) {
                let class =
                    if found.names == Naming::Radio { Class::HereForAnybody } else { Class::Broadcast };
                offer.rank = class.rank(None);
                out.offers.push(offer);
            }
        }
        self.matches = matches;
        if unknown {
            self.asked_for(at, radio, devices, now, out);
            self.predict(at, radio, bssids, now, out);
        }
        if out.offers.iter().any(|offer| steers(&offer.policy)) {
            self.steer(at, band, devices, now, &mut out.offers);
        }
        out.offers.sort_by_key(|offer| offer.rank);
        for &service in shown {
            if !out.offers.iter().any(|offer| offer.service == service)
                && !self.may_be_shown(service, radio, account, now)
            {
                out.withdrawn.push(service);
            }
        }
        Ok(())
    }

    /// The beacon template of an offer that was found just now.
    pub fn template(&self, offer: &Offer) -> &[u8] {
        let state = self.services.get(offer.at).filter(|state| state.record.uuid == offer.service);
        state.map_or(&[], |state| &state.record.template)
    }

    /// Makes the processor fetch what look-ups of these radios about these clients will need, for all of them at once: with millions of each,
    /// nearly everything that a look-up reads comes from memory, one after the other. Decides nothing. At most
    /// [`MAX_AHEAD`] are looked at.
    pub fn fetch(&self, asked: &[(MacAddr, MacAddr)]) {
        let asked = &asked[..asked.len().min(MAX_AHEAD)];
        let mut services = [0; 3 * MAX_AHEAD];
        let mut bound = 0;
        touched(asked.iter().fold(0, |all, &(_, client)| all ^ self.sightings.touch(client)));
        self.bindings.fetch(asked, |service| {
            services[bound] = service;
            bound += 1;
        });
        self.radios.fetch(asked.chunk_by(|a, b| a.0 == b.0).map(|same| same[0].0));
        let services = &services[..bound];
        touched(services.iter().fold(0, |all, &service| all ^ self.services.touch(service)));
        touched(services.iter().fold(0, |all, &service| all ^ self.services.touch_text(service)));
    }

    /// Networks that devices whose scanning address says nothing asked for by name.
    fn asked_for(&mut self, at: u32, radio: MacAddr, devices: &[Near<'_>], now: Duration, out: &mut Offers) {
        let (account, ..) = self.radios.at(at);
        for device in devices.iter().filter(|device| device.client.is_local() && !device.connected) {
            if self.failures.refused(device.client, now).is_some() {
                continue;
            }
            for ssid in device.ssids.iter().filter(|ssid| !ssid.is_wildcard()).take(4) {
                let reach = self.accounts.reach(account);
                let (mut candidates, more) = self.services.named(ssid, reach, NAMESAKES);
                if more {
                    let mut near: Vec<_> = self.radios.recent(at).map(|(recent, _)| recent.service).collect();
                    near.sort_unstable();
                    near.dedup();
                    near.retain(|service| {
                        let is =
                            |state: &ServiceState| state.record.ssid == *ssid && reach.allows(state.account);
                        self.services.get(*service).is_some_and(is) && !candidates.contains(service)
                    });
                    candidates.extend(near.into_iter().take(NAMESAKES));
                }
                for service in candidates {
                    if self.refused_within(service, device.client, now).is_some() {
                        continue;
                    }
                    let reach = self.accounts.reach(account);
                    let Some(found) = self.bindings.plausible(reach, service, radio, PLAUSIBLE) else {
                        continue;
                    };
                    let Some(mut offer) = offer(&self.bindings, &mut self.services, &found, false, now)
                    else {
                        continue;
                    };
                    let there = |other: &Offer| {
                        other.service == offer.service && other.client.is_none_or(|c| c == device.client)
                    };
                    if !out.offers.iter().any(there) {
                        offer.client = Some(device.client);
                        offer.rank = Class::Asked.rank(device.rssi_dbm);
                        out.offers.push(offer);
                    }
                }
            }
        }
    }

    /// Services whose clients were lately at this radio or at its neighbours, as far as there are BSSIDs left: somebody is here
    /// whom nobody knows by this address. Visits at neighbours count half; who is known to be elsewhere does not come, except
    /// from a neighbour, which is unlikely. Where a client is takes a cache line to know, so only the likeliest are asked about.
    fn predict(&mut self, at: u32, radio: MacAddr, bssids: usize, now: Duration, out: &mut Offers) {
        let mut offered: Vec<_> = out.offers.iter().map(|offer| offer.service).collect();
        offered.sort_unstable();
        offered.dedup();
        let mut left = bssids.saturating_sub(offered.len());
        if left == 0 {
            return;
        }
        let mut likely = std::mem::take(&mut self.likely);
        likely.clear();
        likely.extend(self.radios.recent(at).filter_map(|(recent, seen)| {
            let weight = recent.weight(now) >> u32::from(seen != at);
            let (client, service) = (recent.client, Reverse(recent.service));
            (weight > 0).then_some(Likely { weight, located: false, service, client, seen })
        }));
        let mut likely = BinaryHeap::from(likely);
        let (account, ..) = self.radios.at(at);
        let mut order = 0;
        while left > 0 {
            let Some(most) = likely.pop() else { break };
            let Likely { service: Reverse(service), client, seen, .. } = most;
            if offered.contains(&self.bindings.uuid(service)) {
                continue;
            }
            let there = if most.located { None } else { self.sightings.is_at(client, now) };
            match there.filter(|&there| there != at) {
                None => {}
                Some(there) if there == seen => {
                    likely.push(Likely { weight: most.weight >> 2, located: true, ..most });
                    continue;
                }
                Some(_) => continue,
            }
            let reach = self.accounts.reach(account);
            let Some(found) = self.bindings.decides(reach, service, client, radio) else { continue };
            let Some(mut offer) = offer(&self.bindings, &mut self.services, &found, false, now) else {
                continue;
            };
            offer.predicted = true;
            offer.rank = (Class::Predicted as u32) << 8 | order;
            out.offers.push(offer);
            self.radios.note_predicted(at, service, now);
            self.predictions.offered += 1;
            offered.push(self.bindings.uuid(service));
            (left, order) = (left - 1, order + 1);
        }
        self.likely = likely.into_vec();
    }

    fn may_be_shown(
        &self,
        service: Uuid,
        radio: MacAddr,
        account: crate::scope::AccountRef,
        now: Duration,
    ) -> bool {
        let Ok(at) = self.service_at(service) else { return false };
        self.services.get(at).is_some_and(|state| state.is_live(now))
            && self.bindings.shows_somebody(self.accounts.reach(account), at, radio, PLAUSIBLE)
    }
}

/// An offer, if somebody serves the service.
fn offer(
    bindings: &Bindings,
    services: &mut Services,
    found: &Match,
    connected: bool,
    now: Duration,
) -> Option<Offer> {
    let among = services.among();
    let state = services.get_mut(found.service)?;
    if !serves(state, connected, now) {
        return None;
    }
    let level = state.level(among, now);
    let policy = bindings.policy(found).copied().unwrap_or_default();
    let policy = Policy::merge(&state.policy, &policy, level);
    let (service, binding, at) = (state.record.uuid, found.id, found.service);
    Some(Offer { service, client: None, binding, policy, mobility: 0, rank: 0, predicted: false, at })
}

fn serves(state: &ServiceState, connected: bool, now: Duration) -> bool {
    if connected { state.is_live(now) } else { state.is_open(now) }
}
