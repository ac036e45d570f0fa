//! What each worker knows of what the others own: replicated to all of them by the [`Handle`](crate::handle::Handle).

pub mod sharded;

use dot11::MacAddr;

use crate::endpoint::Endpoint;
use sharded::Sharded;

/// A worker's number, from 0.
pub type WorkerId = usize;

/// A change to the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// A virtual BSS is served by this worker and reached at this endpoint.
    Bss {
        /// The virtual BSS.
        bssid: MacAddr,
        /// Its owner.
        worker: WorkerId,
        /// Where its tunnel ends.
        endpoint: Endpoint,
    },
    /// A virtual BSS is no longer served.
    BssGone {
        /// The virtual BSS.
        bssid: MacAddr,
    },
    /// A device on a VLAN is served by this worker.
    Station {
        /// The VLAN.
        vlan: u16,
        /// The device.
        mac: MacAddr,
        /// The owner.
        worker: WorkerId,
    },
    /// A device on a VLAN is no longer served by this worker.
    StationGone {
        /// The VLAN.
        vlan: u16,
        /// The device.
        mac: MacAddr,
        /// Who served it.
        worker: WorkerId,
    },
}

/// One worker's copy.
#[derive(Default)]
pub struct Directory {
    bss: Sharded<MacAddr, (WorkerId, Endpoint)>,
    stations: Sharded<(u16, MacAddr), WorkerId>,
    /// Endpoints that tunnels come from, with the number of tunnels.
    endpoints: Sharded<Endpoint, usize>,
}

impl Directory {
    /// Applies a change.
    pub fn apply(&mut self, route: Route) {
        match route {
            Route::Bss { bssid, worker, endpoint } => {
                let old = self.bss.insert(bssid, (worker, endpoint));
                match self.endpoints.get_mut(&endpoint) {
                    Some(count) => *count += 1,
                    None => {
                        self.endpoints.insert(endpoint, 1);
                    }
                }
                self.release(old);
            }
            Route::BssGone { bssid } => {
                let old = self.bss.remove(&bssid);
                self.release(old);
            }
            Route::Station { vlan, mac, worker } => {
                self.stations.insert((vlan, mac), worker);
            }
            Route::StationGone { vlan, mac, worker } => {
                if self.stations.get(&(vlan, mac)) == Some(&worker) {
                    self.stations.remove(&(vlan, mac));
                }
            }
        }
    }

    /// Notes that a tunnel's endpoint moved.
    pub fn moved(&mut self, bssid: MacAddr, endpoint: Endpoint) {
        if let Some(&(worker, _)) = self.bss.get(&bssid) {
            self.apply(Route::Bss { bssid, worker, endpoint });
        }
    }

    /// Who owns a virtual BSS.
    #[inline]
    pub fn owner_of_bss(&self, bssid: MacAddr) -> Option<WorkerId> {
        self.bss.get(&bssid).map(|&(worker, _)| worker)
    }

    /// Who owns a device on a VLAN.
    #[inline]
    pub fn owner_of_station(&self, vlan: u16, mac: MacAddr) -> Option<WorkerId> {
        self.stations.get(&(vlan, mac)).copied()
    }

    /// Whether any tunnel comes from this endpoint.
    #[inline]
    pub fn is_introduced(&self, endpoint: Endpoint) -> bool {
        self.endpoints.contains_key(&endpoint)
    }

    fn release(&mut self, old: Option<(WorkerId, Endpoint)>) {
        let Some((_, endpoint)) = old else { return };
        if let Some(count) = self.endpoints.get_mut(&endpoint) {
            *count -= 1;
            if *count == 0 {
                self.endpoints.remove(&endpoint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_introduced_while_a_tunnel_comes_from_them() {
        let mut directory = Directory::default();
        let [a, b] = [1, 2].map(|port| Endpoint::v4([192, 0, 2, 1], port));
        let [x, y] = [1, 2].map(|n| MacAddr([2, 0, 0, 0, 0, n]));
        directory.apply(Route::Bss { bssid: x, worker: 0, endpoint: a });
        directory.apply(Route::Bss { bssid: y, worker: 1, endpoint: a });
        directory.apply(Route::Bss { bssid: y, worker: 1, endpoint: a });
        directory.moved(x, b);
        assert!(directory.is_introduced(a) && directory.is_introduced(b));
        assert_eq!((directory.owner_of_bss(x), directory.owner_of_bss(y)), (Some(0), Some(1)));
        directory.apply(Route::BssGone { bssid: y });
        assert!(!directory.is_introduced(a) && directory.owner_of_bss(y).is_none());
        directory.moved(y, a);
        assert!(!directory.is_introduced(a));
    }

    #[test]
    fn a_device_that_moved_is_not_lost_when_its_old_owner_lets_go() {
        let mut directory = Directory::default();
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        directory.apply(Route::Station { vlan: 1, mac, worker: 0 });
        directory.apply(Route::Station { vlan: 1, mac, worker: 2 });
        directory.apply(Route::StationGone { vlan: 1, mac, worker: 0 });
        assert_eq!(directory.owner_of_station(1, mac), Some(2));
        directory.apply(Route::StationGone { vlan: 1, mac, worker: 2 });
        assert_eq!(directory.owner_of_station(1, mac), None);
    }
}
