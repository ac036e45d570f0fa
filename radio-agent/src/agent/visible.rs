//! Which virtual BSSes are on the air: what is offered, the devices that are near and the policies decide, and there are
//! only so many.

use std::time::Duration;

use dot11::{MacAddr, ManagementSubtype, ReasonCode, build};
use visibility::{Band, Dwell, Facts, Policy, Stay, Verdict};

use super::near::Device;
use super::offers::{Because, Offered, Whom};
use super::slot::{Need, Progress, Shown, Slot, Standing};
use super::template::Template;
use super::{Agent, Event, Output, Why};

/// While somebody is near, what is shown is considered anew at least this often, and at most so often for newcomers.
const EVALUATE: Duration = Duration::from_secs(1);
const EVALUATE_LEAST: Duration = Duration::from_millis(20);

/// A service that the radio could not open is tried again after this.
const OPEN_AGAIN: Duration = Duration::from_secs(10);

/// A device that was sent away is ignored for this long.
const KICKED_FOR: Duration = Duration::from_secs(10);

/// A service that somebody needs.
pub(super) struct Needed {
    pub(super) at: usize,
    standing: Standing,
    pub(super) why: Because,
}

impl Agent {
    /// When [`Agent::evaluate`] has something to do.
    pub(super) fn visible_deadline(&self) -> Option<Duration> {
        let slots = self.slots.iter().filter_map(|slot| slot.shown.as_ref());
        slots.filter_map(Shown::deadline).chain(self.evaluate_next).min()
    }

    pub(super) fn evaluate_at(&mut self, when: Duration) {
        let when = when.max(self.evaluated + EVALUATE_LEAST);
        self.evaluate_next = Some(self.evaluate_next.map_or(when, |next| next.min(when)));
    }

    /// Considers anew what is to be on the air.
    pub(super) fn evaluate(&mut self, now: Duration) {
        if self.evaluate_next.is_none_or(|next| now < next) {
            return;
        }
        (self.evaluated, self.evaluate_next) = (now, None);
        for device in self.near.expire(now) {
            self.offers.forget(device);
        }
        self.networks.expire(now);
        self.kick(now);
        let (needed, later) = self.needed(now);
        self.renew(&needed, now);
        self.close_unneeded(&needed, now);
        for needed in &needed {
            self.show(needed, now);
        }
        let any = !self.near.is_empty() || self.slots.iter().any(|slot| slot.shown.is_some());
        let next = any.then_some(now + EVALUATE);
        if let Some(next) = [later, next].into_iter().flatten().min() {
            self.evaluate_at(next);
        }
    }

    /// Services that are to be shown now, those that go first in front, and when others may follow.
    fn needed(&mut self, now: Duration) -> (Vec<Needed>, Option<Duration>) {
        let mut all = Vec::new();
        let mut later: Option<Duration> = None;
        let mut offers = std::mem::take(&mut self.offers);
        for (at, offered) in offers.iter_mut().enumerate() {
            if now < offered.not_before {
                later = Some(later.map_or(offered.not_before, |later| later.min(offered.not_before)));
                continue;
            }
            let mut best: Option<Needed> = None;
            for claim in 0..offered.claims.len() {
                let (verdict, need, rssi) = self.verdict(offered, claim, now);
                if let Some(Verdict::Later(when, _)) = verdict {
                    later = Some(later.map_or(when, |later| later.min(when)));
                }
                self.tell_verdict(offered, claim, verdict);
                let claim = &offered.claims[claim];
                if verdict != Some(Verdict::Show) {
                    continue;
                }
                let weakness = -i16::from(rssi.unwrap_or(i8::MIN));
                let standing = Standing { need, rank: claim.rank, weakness };
                if best.as_ref().is_none_or(|best| standing < best.standing) {
                    best = Some(Needed { at, standing, why: claim.why() });
                }
            }
            all.extend(best);
        }
        self.offers = offers;
        all.sort_by_key(|needed| needed.standing);
        (all, later)
    }

    /// Whether an offer is to be followed now; `None` if nobody is near for whom it is.
    fn verdict(&self, offered: &Offered, claim: usize, now: Duration) -> (Option<Verdict>, Need, Option<i8>) {
        let claim = &offered.claims[claim];
        let of = |device: &Device| self.decide(offered, &claim.policy, claim.mobility, Some(device), now);
        match claim.whom {
            Whom::Device(address) => {
                let device = self.near.get(address);
                (device.map(of), Need::Named, device.and_then(Device::rssi))
            }
            Whom::Anybody => {
                // Whoever may see it; else whoever may see it first.
                let order = |(verdict, device): &(Verdict, &Device)| match verdict {
                    Verdict::Show => (0, Duration::ZERO, -i16::from(device.rssi().unwrap_or(i8::MIN))),
                    Verdict::Later(when, _) => (1, *when, 0),
                    Verdict::No(_) => (2, Duration::ZERO, 0),
                };
                let best = self.near.iter().map(|device| (of(device), device)).min_by_key(order);
                let rssi = best.as_ref().and_then(|(_, device)| device.rssi());
                (best.map(|(verdict, _)| verdict), Need::Anybody, rssi)
            }
            Whom::Predicted(client) => {
                // Its client may be there under another address. If it is there under its own, that counts.
                let device = client.and_then(|client| self.near.get(client));
                let verdict = match device {
                    Some(device) => Some(of(device)),
                    None => (!self.near.is_empty())
                        .then(|| self.decide(offered, &claim.policy, claim.mobility, None, now)),
                };
                (verdict, Need::Predicted, device.and_then(Device::rssi))
            }
        }
    }

    fn decide(
        &self,
        offered: &Offered,
        policy: &Policy,
        mobility: u32,
        device: Option<&Device>,
        now: Duration,
    ) -> Verdict {
        let known = device.map(|device| self.facts_of(offered, device, mobility));
        let rate = device.and_then(Device::rate_kbps);
        visibility::decide(policy, &self.facts(offered, rate, known, now))
    }

    fn facts(
        &self,
        offered: &Offered,
        rate_kbps: Option<u32>,
        device: Option<visibility::Device>,
        now: Duration,
    ) -> Facts {
        let shown = self.slots.iter().filter_map(|slot| slot.shown.as_ref());
        let shown = shown.into_iter().find(|shown| shown.service == offered.service);
        let rssi = device.and_then(|device| device.rssi_dbm);
        let (spare_up_kbps, spare_down_kbps) = self.capacity.spare(rate_kbps, rssi);
        Facts {
            now,
            band: if self.channel.is_2ghz() { Band::Ghz2_4 } else { Band::Ghz5 },
            spare_up_kbps,
            spare_down_kbps,
            clients: shown.map_or(0, |shown| shown.stations.len() as u32),
            device,
        }
    }

    /// The client's own network is near if an access point of the service's name is, or of a name that the device asked for.
    fn facts_of(&self, offered: &Offered, device: &Device, mobility: u32) -> visibility::Device {
        visibility::Device {
            rssi_dbm: device.rssi(),
            near_since: device.first,
            can_other_band: device.other_band,
            mobility,
            home_heard: self.networks.has(&offered.ssid)
                || device.ssids.iter().any(|ssid| self.networks.has(ssid)),
        }
    }

    /// Says once why a device does not see its network.
    fn tell_verdict(&mut self, offered: &mut Offered, claim: usize, verdict: Option<Verdict>) {
        let (service, claim) = (offered.service, &mut offered.claims[claim]);
        let (Whom::Device(device), Some(verdict)) = (claim.whom, verdict) else { return };
        let kind = |verdict: &Verdict| match verdict {
            Verdict::Show => None,
            Verdict::Later(..) => Some(None),
            Verdict::No(reason) => Some(Some(std::mem::discriminant(reason))),
        };
        let same = claim.told.is_some_and(|told| kind(&told) == kind(&verdict));
        if !same && verdict != Verdict::Show {
            let event = Event::NotShown { service, device, binding: claim.binding, verdict };
            self.outputs.push_back(Output::Report(event));
        }
        claim.told = Some(verdict);
    }

    /// Takes off the air what nobody needs any more, after its dwell time.
    fn close_unneeded(&mut self, needed: &[Needed], now: Duration) {
        for slot in 0..self.slots.len() {
            let Some(shown) = &mut self.slots[slot].shown else { continue };
            let service = self.offers.position(shown.service);
            let need = needed.iter().find(|needed| Some(needed.at) == service);
            shown.standing = need.map(|needed| needed.standing);
            let idle = shown.expire(now);
            let stays = shown.standing.is_some() || shown.has_devices(now);
            let dwell = visibility::dwell(&shown.why.policy, shown.since, now);
            if idle {
                shown.unlink();
                let bssid = self.slots[slot].bssid;
                self.outputs.push_back(Output::Report(Event::TunnelDown { bssid }));
            }
            if !stays && dwell == Dwell::Over {
                self.close_slot(slot, Why::NobodyNeedsIt, now);
            }
        }
    }

    /// Puts a service on the air, if it is not and there is a place for it or one that it may take.
    fn show(&mut self, needed: &Needed, now: Duration) {
        let Some(offered) = self.offers.at(needed.at) else { return };
        let service = offered.service;
        let shows = |shown: &Shown| shown.service == service;
        if self.slots.iter().any(|slot| slot.shown.as_ref().is_some_and(shows)) {
            return;
        }
        let free = (0..self.slots.len()).filter(|&slot| self.slots[slot].shown.is_none());
        let order = |&slot: &usize| {
            let Slot { last, free_since, .. } = &self.slots[slot];
            (*last != Some(service), *free_since, slot)
        };
        let slot = match free.min_by_key(order) {
            Some(slot) => slot,
            None => {
                let Some(slot) = self.victim(&needed.standing, now) else { return };
                self.counters.evicted += 1;
                self.close_slot(slot, Why::Evicted, now);
                slot
            }
        };
        let Some(offered) = self.offers.at(needed.at) else { return };
        let (bssid, hidden) = (self.slots[slot].bssid, needed.why.hidden());
        // What is offered was checked when it came.
        let Some(template) = Template::offered(bssid, &offered.template, self.channel, hidden) else {
            return;
        };
        self.open_slot(slot, Shown::new(service, template, needed.why, Some(needed.standing), now));
    }

    /// Puts a service on the air in a slot that is free.
    pub(super) fn open_slot(&mut self, slot: usize, shown: Shown) {
        let (bssid, service, binding) = (self.slots[slot].bssid, shown.service, shown.why.binding);
        self.slots[slot].last = Some(service);
        self.slots[slot].shown = Some(shown);
        self.counters.opened += 1;
        self.outputs.push_back(Output::Open { bss: self.bsses.len() + slot });
        self.outputs.push_back(Output::Report(Event::Shown { bssid, service, binding }));
    }

    /// The BSS that gives its place to a service of this standing: without devices, after its dwell time, and of lower
    /// standing; of several the last in the order.
    fn victim(&self, standing: &Standing, now: Duration) -> Option<usize> {
        let may_go = |&slot: &usize| {
            self.slots[slot].shown.as_ref().is_some_and(|shown| {
                !shown.has_devices(now)
                    && visibility::dwell(&shown.why.policy, shown.since, now) == Dwell::Over
                    && shown.standing.is_none_or(|other| standing.outranks(&other))
            })
        };
        let order = |&slot: &usize| {
            let standing = self.slots[slot].shown.as_ref().and_then(|shown| shown.standing);
            (standing.is_none(), standing)
        };
        (0..self.slots.len()).filter(may_go).max_by_key(order)
    }

    /// Sends connected devices away that the policy does not let stay: over the air, and out of the gateway's tables.
    fn kick(&mut self, now: Duration) {
        for slot in 0..self.slots.len() {
            let bssid = self.slots[slot].bssid;
            let Some(shown) = &self.slots[slot].shown else { continue };
            let Some(offered) = self.offers.get(shown.service) else { continue };
            let mut leaving = Vec::new();
            for address in shown.stations.addresses() {
                let (policy, mobility) = offered
                    .claim_of(address)
                    .map_or((&shown.why.policy, 0), |claim| (&claim.policy, claim.mobility));
                let Some(device) = self.near.get(address) else { continue };
                if let Stay::Kick(why) = visibility::stay(policy, &self.facts_of(offered, device, mobility)) {
                    leaving.push((address, why));
                }
            }
            for (station, why) in leaving {
                self.counters.kicked += 1;
                self.outputs.push_back(Output::Report(Event::Kicked { bssid, station, why }));
                let reason = ReasonCode::LEAVING_NETWORK_DISASSOC.0.to_le_bytes();
                let subtype = ManagementSubtype::Disassociation;
                let frame = build::management(subtype, station, bssid, bssid, &reason);
                self.outputs.push_back(Output::Inject { frame });
                let frame = build::management(subtype, bssid, station, bssid, &reason);
                self.up(self.bsses.len() + slot, &frame, Default::default());
                self.departed(self.bsses.len() + slot, station);
                if let Some(shown) = &mut self.slots[slot].shown
                    && let Some(client) = shown.client(station)
                {
                    client.progress = Progress::Refused { until: now + KICKED_FOR };
                }
            }
        }
    }

    /// Whether the policy lets a device begin on what the slot shows. Who is not offered anything by its address is for the
    /// matchmaker to decide.
    pub(super) fn may_begin(&self, slot: usize, device: MacAddr, now: Duration) -> bool {
        let Some(shown) = &self.slots[slot].shown else { return false };
        let Some(offered) = self.offers.get(shown.service) else { return true };
        let Some(claim) = offered.claim_of(device) else { return true };
        if let Some(device) = self.near.get(device) {
            return self.decide(offered, &claim.policy, claim.mobility, Some(device), now) == Verdict::Show;
        }
        // There was no place for it among those near: nothing is known of it, and it came just now.
        let unknown = visibility::Device {
            rssi_dbm: None,
            near_since: now,
            can_other_band: true,
            mobility: claim.mobility,
            home_heard: self.networks.has(&offered.ssid),
        };
        visibility::decide(&claim.policy, &self.facts(offered, None, Some(unknown), now)) == Verdict::Show
    }

    /// The policy for a device on what is shown.
    pub(super) fn policy_for(&self, shown: &Shown, device: MacAddr) -> Policy {
        let claim = self.offers.get(shown.service).and_then(|offered| offered.claim_of(device));
        claim.map_or(shown.why.policy, |claim| claim.policy)
    }

    /// The radio could not open what the slot shows.
    pub(super) fn slot_failed(&mut self, slot: usize, now: Duration) {
        let Some(shown) = self.slots.get_mut(slot).and_then(|slot| slot.shown.take()) else { return };
        self.slots[slot].free_since = now;
        if let Some(offered) = self.offers.get_mut(shown.service) {
            offered.not_before = now + OPEN_AGAIN;
        }
        let (bssid, service) = (self.slots[slot].bssid, shown.service);
        self.outputs.push_back(Output::Report(Event::Hidden { bssid, service, why: Why::RadioFailed }));
        self.evaluate_at(now);
    }
}
