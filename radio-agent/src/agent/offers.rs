//! What the matchmaker offered: for each service who is to see it, and under which conditions.
//!
//! An offer is good until an answer says otherwise: while the matchmaker is silent, nothing changes.

use std::time::Duration;

use dot11::MacAddr;
use dot11::element::{Elements, Ssid};
use proto::matchmaking::messages;
use proto::tunnel::ServiceUuid;
use visibility::{Policy, Verdict};

use super::Event;

/// Services that are remembered.
pub const MAX_SERVICES: usize = 64;

/// Offers that are remembered.
pub const MAX_CLAIMS: usize = 512;

/// For whom a service is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    /// The device with this address.
    Device(MacAddr),
    /// Whoever is near.
    Anybody,
    /// Somebody who is not heard, but may come.
    Predicted(Option<MacAddr>),
}

/// The offer because of which something is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Because {
    pub(super) whom: Whom,
    pub(super) binding: u64,
    pub(super) policy: Policy,
}

impl Because {
    /// Beacons do not name the network.
    pub(super) fn hidden(&self) -> bool {
        self.policy.hidden == Some(true)
    }
}

/// One offer.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) whom: Whom,
    pub(super) binding: u64,
    pub(super) policy: Policy,
    pub(super) mobility: u32,
    pub(super) rank: u32,
    until: Duration,
    /// What was last told of it.
    pub(super) told: Option<Verdict>,
}

impl Claim {
    pub(super) fn why(&self) -> Because {
        Because { whom: self.whom, binding: self.binding, policy: self.policy }
    }
}

/// What is offered of one service.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) service: ServiceUuid,
    pub(super) ssid: Ssid,
    /// Elements of its beacon.
    pub(super) template: Vec<u8>,
    pub(super) claims: Vec<Claim>,
    /// The radio could not open it, or none of its gateways answers; not again before.
    pub(super) not_before: Duration,
    /// So many gateways in a row did not answer.
    pub(super) silent: u32,
}

impl Offered {
    pub(super) fn claim_of(&self, device: MacAddr) -> Option<&Claim> {
        let find = |whom| self.claims.iter().find(|claim| claim.whom == whom);
        find(Whom::Device(device))
            .or_else(|| find(Whom::Predicted(Some(device))))
            .or_else(|| find(Whom::Anybody))
    }
}

/// Everything that is offered.
#[derive(Debug, Default)]
pub(super) struct Offers(Vec<Offered>);

impl Offers {
    /// Takes an answer about `asked`. Gives the number of offers taken, and of those refused; `tell` is told of those that were not there
    /// before, or by another binding.
    pub(super) fn take(
        &mut self,
        answer: messages::Offers,
        asked: &[MacAddr],
        ttl: Duration,
        now: Duration,
        mut tell: impl FnMut(Event),
    ) -> (u64, u64) {
        let mut refused = 0;
        let (all, more) = (answer.offers.len() as u64, answer.more);
        let mut fresh: Vec<(ServiceUuid, Whom)> = Vec::new();
        let mut count: usize = self.0.iter().map(|offered| offered.claims.len()).sum();
        for offer in answer.offers {
            match self.put(offer, now + ttl, &mut count) {
                Some((service, whom, news)) => {
                    news.map(&mut tell);
                    fresh.push((service, whom));
                }
                None => refused += 1,
            }
        }
        for offered in &mut self.0 {
            let service = offered.service;
            offered.claims.retain(|claim| {
                fresh.contains(&(service, claim.whom))
                    || match claim.whom {
                        Whom::Device(device) => more || !asked.contains(&device),
                        Whom::Anybody | Whom::Predicted(_) => now < claim.until,
                    }
            });
        }
        self.0.retain(|offered| !offered.claims.is_empty());
        (all - refused, refused)
    }

    fn put(
        &mut self,
        offer: messages::Offer,
        until: Duration,
        count: &mut usize,
    ) -> Option<(ServiceUuid, Whom, Option<Event>)> {
        let service = ServiceUuid(offer.service.try_into().ok()?);
        let client = MacAddr::from_slice(&offer.client);
        let whom = match (offer.predicted, client) {
            (true, client) => Whom::Predicted(client),
            (false, Some(client)) => Whom::Device(client),
            (false, None) => Whom::Anybody,
        };
        let ssid = Elements::parse(&offer.template).ok()?.ssid()?.ok().filter(|ssid| !ssid.is_wildcard())?;
        let at = self.0.iter().position(|offered| offered.service == service);
        let known = at.is_some_and(|at| self.0[at].claims.iter().any(|claim| claim.whom == whom));
        if !known && *count >= MAX_CLAIMS || at.is_none() && self.0.len() >= MAX_SERVICES {
            return None;
        }
        let at = at.unwrap_or_else(|| {
            let (ssid, template, not_before) = (ssid, Vec::new(), Duration::ZERO);
            self.0.push(Offered { service, ssid, template, claims: Vec::new(), not_before, silent: 0 });
            self.0.len() - 1
        });
        let offered = &mut self.0[at];
        (offered.ssid, offered.template) = (ssid, offer.template);
        let wire = offer.policy.unwrap_or_default();
        let claim = Claim {
            whom,
            binding: offer.binding,
            policy: policy(&wire),
            mobility: wire.mobility,
            rank: offer.rank,
            until,
            told: None,
        };
        let (binding, predicted) = (claim.binding, offer.predicted);
        let said = match offered.claims.iter_mut().find(|claim| claim.whom == whom) {
            Some(known) => {
                let same = known.binding == binding;
                *known = Claim { told: known.told, ..claim };
                same
            }
            None => {
                offered.claims.push(claim);
                *count += 1;
                false
            }
        };
        let news = (!said).then_some(Event::Offered { service, whom: client, predicted, binding });
        Some((service, whom, news))
    }

    /// The service is no longer to be shown to anybody.
    pub(super) fn withdraw(&mut self, service: ServiceUuid) {
        self.0.retain(|offered| offered.service != service);
    }

    /// The device is gone.
    pub(super) fn forget(&mut self, device: MacAddr) {
        for offered in &mut self.0 {
            offered.claims.retain(|claim| claim.whom != Whom::Device(device));
        }
        self.0.retain(|offered| !offered.claims.is_empty());
    }

    /// Whether something is offered to this device by its address.
    pub(super) fn names(&self, device: MacAddr) -> bool {
        self.0.iter().flat_map(|offered| &offered.claims).any(|claim| claim.whom == Whom::Device(device))
    }

    /// Whether something is offered to devices that nobody named.
    pub(super) fn any_unnamed(&self) -> bool {
        let named = |claim: &Claim| matches!(claim.whom, Whom::Device(_));
        self.0.iter().flat_map(|offered| &offered.claims).any(|claim| !named(claim))
    }

    pub(super) fn get(&self, service: ServiceUuid) -> Option<&Offered> {
        self.0.iter().find(|offered| offered.service == service)
    }

    pub(super) fn at(&self, at: usize) -> Option<&Offered> {
        self.0.get(at)
    }

    pub(super) fn position(&self, service: ServiceUuid) -> Option<usize> {
        self.0.iter().position(|offered| offered.service == service)
    }

    pub(super) fn get_mut(&mut self, service: ServiceUuid) -> Option<&mut Offered> {
        self.0.iter_mut().find(|offered| offered.service == service)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Offered> {
        self.0.iter_mut()
    }
}

/// A policy as it comes; 0 is no condition.
fn policy(wire: &messages::Policy) -> Policy {
    let some = |value: u32| Some(value).filter(|&value| value != 0);
    let dbm = |value: i32| {
        // In range after the clamp.
        Some(value.clamp(i8::MIN.into(), i8::MAX.into()) as i8).filter(|&value| value != 0)
    };
    let milliseconds = |value| some(value).map(|value| Duration::from_millis(value.into()));
    Policy {
        min_rssi_dbm: dbm(wire.min_rssi_dbm),
        min_up_kbps: some(wire.min_up_kbps),
        min_down_kbps: some(wire.min_down_kbps),
        delay: milliseconds(wire.delay_ms),
        max_mobility: some(wire.max_mobility),
        steer_delay: milliseconds(wire.steer_delay_ms),
        dwell: some(wire.dwell_seconds).map(|value| Duration::from_secs(value.into())),
        kick_rssi_dbm: dbm(wire.kick_rssi_dbm),
        suppress_rssi_dbm: dbm(wire.suppress_rssi_dbm),
        max_clients: some(wire.max_clients),
        hidden: Some(wire.hidden),
        yields_to_home: Some(wire.yields_to_home),
    }
}
