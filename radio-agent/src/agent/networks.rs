//! The networks of others that are heard near. Bounded; the one not heard for longest gives way.

use std::time::Duration;

use dot11::MacAddr;
use dot11::element::Ssid;

/// Networks that are remembered.
const MAX_NETWORKS: usize = 64;

/// One that was not heard for so long is gone. Only some of the beacons reach the agent, see the monitor's filter.
const HEARD_FOR: Duration = Duration::from_secs(120);

/// Radios that a registration names.
const MAX_NEIGHBOURS: usize = 8;

#[derive(Debug)]
struct Network {
    bssid: MacAddr,
    ssid: Ssid,
    rssi: i8,
    last: Duration,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Networks(Vec<Network>);

impl Networks {
    pub(super) fn hear(&mut self, bssid: MacAddr, ssid: &Ssid, rssi: i8, now: Duration) {
        if let Some(known) = self.0.iter_mut().find(|network| network.bssid == bssid) {
            // Unknown (0) is no strong signal.
            (known.rssi, known.last) = (if rssi == 0 { known.rssi } else { rssi }, now);
            if !ssid.is_wildcard() && known.ssid != *ssid {
                known.ssid = *ssid;
            }
            return;
        }
        if self.0.len() == MAX_NETWORKS {
            let oldest = (0..self.0.len()).min_by_key(|&at| self.0[at].last);
            oldest.map(|at| self.0.swap_remove(at));
        }
        let rssi = if rssi == 0 { i8::MIN } else { rssi };
        self.0.push(Network { bssid, ssid: *ssid, rssi, last: now });
    }

    pub(super) fn expire(&mut self, now: Duration) {
        self.0.retain(|network| now < network.last + HEARD_FOR);
    }

    /// Whether an access point of this name, other than the virtual ones of radios like this, is heard. Virtual BSSes
    /// have locally administered addresses.
    pub(super) fn has(&self, ssid: &Ssid) -> bool {
        self.0.iter().any(|network| !network.bssid.is_local() && network.ssid == *ssid)
    }

    /// The BSSIDs that are heard best.
    pub(super) fn neighbours(&self) -> Vec<MacAddr> {
        let mut networks: Vec<_> = self.0.iter().collect();
        networks.sort_by_key(|network| (std::cmp::Reverse(network.rssi), network.bssid));
        networks.iter().take(MAX_NEIGHBOURS).map(|network| network.bssid).collect()
    }
}
