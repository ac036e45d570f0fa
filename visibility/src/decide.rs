//! Policy and facts to verdict.

use std::time::Duration;

use crate::verdict::{Dwell, Probe, Reason, Stay, Verdict, Wait};
use crate::{Band, Device, Facts, Policy};

/// Whether the network is shown. Of several reasons against it the first of this order is given: the client's own network,
/// clients, signal, mobility, capacity up, capacity down; delays come last. What is demanded and not known does not hold.
pub fn decide(policy: &Policy, facts: &Facts) -> Verdict {
    match refusal(policy, facts) {
        Some(reason) => Verdict::No(reason),
        None => facts.device.map_or(Verdict::Show, |device| wait(policy, facts, &device)),
    }
}

/// Whether a connected device stays. Its signal counts if it is known; capacity, delays, mobility and the number of clients
/// are conditions of coming, not of staying.
pub fn stay(policy: &Policy, device: &Device) -> Stay {
    if policy.yields_to_home == Some(true) && device.home_heard {
        return Stay::Kick(Reason::Home);
    }
    match below(device.rssi_dbm, policy.kick_rssi_dbm) {
        Some(reason) => Stay::Kick(reason),
        None => Stay::Stay,
    }
}

/// Whether a probe request for a network that is shown is answered: `named` if it has the network's SSID, with the wildcard
/// SSID otherwise (IEEE 802.11-2020 section 11.1.4.3.4).
pub fn probe(policy: &Policy, rssi_dbm: Option<i8>, named: bool) -> Probe {
    if policy.hidden == Some(true) && !named {
        return Probe::Suppress(Reason::Hidden);
    }
    below(rssi_dbm, policy.suppress_rssi_dbm).map_or(Probe::Answer, Probe::Suppress)
}

/// Whether a network that has been shown since `since` may be taken away.
pub fn dwell(policy: &Policy, since: Duration, now: Duration) -> Dwell {
    let until = since.saturating_add(policy.dwell.unwrap_or_default());
    if now < until { Dwell::Until(until) } else { Dwell::Over }
}

fn refusal(policy: &Policy, facts: &Facts) -> Option<Reason> {
    if let Some(device) = facts.device
        && policy.yields_to_home == Some(true)
        && device.home_heard
    {
        return Some(Reason::Home);
    }
    if let Some(most) = demand(policy.max_clients)
        && facts.clients >= most
    {
        return Some(Reason::Clients(facts.clients, most));
    }
    if let Some(reason) = facts.device.and_then(|device| of_device(policy, &device)) {
        return Some(reason);
    }
    lacking(facts.spare_up_kbps, policy.min_up_kbps, Reason::Up, Reason::UpUnknown)
        .or_else(|| lacking(facts.spare_down_kbps, policy.min_down_kbps, Reason::Down, Reason::DownUnknown))
}

fn of_device(policy: &Policy, device: &Device) -> Option<Reason> {
    if let Some(least) = policy.min_rssi_dbm.filter(|&least| least != 0) {
        match device.rssi_dbm {
            None => return Some(Reason::SignalUnknown(least)),
            Some(found) if found < least => return Some(Reason::Signal(found, least)),
            Some(_) => {}
        }
    }
    let most = demand(policy.max_mobility)?;
    (device.mobility > most).then_some(Reason::Mobility(device.mobility, most))
}

fn wait(policy: &Policy, facts: &Facts, device: &Device) -> Verdict {
    let steering = policy.steer_delay.unwrap_or_default();
    let steered = facts.band == Band::Ghz2_4 && device.can_other_band && !steering.is_zero();
    let demanded = policy.delay.unwrap_or_default();
    let demanded = if steered { demanded.saturating_add(steering) } else { demanded };
    let at = device.near_since.saturating_add(demanded);
    if facts.now < at {
        let near = facts.now.saturating_sub(device.near_since);
        Verdict::Later(at, Wait { near, demanded, steering: steered })
    } else {
        Verdict::Show
    }
}

fn below(found: Option<i8>, threshold: Option<i8>) -> Option<Reason> {
    let (found, least) = (found?, threshold.filter(|&least| least != 0)?);
    (found < least).then_some(Reason::Signal(found, least))
}

fn lacking(
    found: Option<u32>,
    least: Option<u32>,
    few: impl Fn(u32, u32) -> Reason,
    unknown: impl Fn(u32) -> Reason,
) -> Option<Reason> {
    let least = demand(least)?;
    match found {
        None => Some(unknown(least)),
        Some(found) => (found < least).then(|| few(found, least)),
    }
}

/// Zero is no condition.
fn demand(field: Option<u32>) -> Option<u32> {
    field.filter(|&value| value != 0)
}
