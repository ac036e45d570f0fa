//! The services that a gateway serves and the VLANs they use.

use crate::command::{Service, ServiceUuid};

/// The services, numbered in the order in which they were first seen.
#[derive(Default)]
pub struct ServiceTable {
    services: Vec<Service>,
    live: Vec<bool>,
}

impl ServiceTable {
    /// Replaces the set. A service that stays keeps its number; the numbers of those that are gone are returned.
    pub fn replace(&mut self, services: Vec<Service>) -> Vec<u16> {
        let mut kept = vec![false; self.services.len()];
        for service in services {
            match self.services.iter().position(|known| known.uuid == service.uuid) {
                Some(i) => {
                    self.services[i] = service;
                    kept[i] = true;
                }
                None => {
                    self.services.push(service);
                    kept.push(true);
                }
            }
        }
        let was = std::mem::replace(&mut self.live, kept);
        (0..was.len()).filter(|&i| was[i] && !self.live[i]).map(|i| i as u16).collect()
    }

    /// Number of a live service.
    pub fn find(&self, uuid: ServiceUuid) -> Option<u16> {
        let i = self.services.iter().position(|service| service.uuid == uuid)?;
        self.live[i].then_some(i as u16)
    }

    /// A service by number.
    #[inline]
    pub fn get(&self, number: u16) -> Option<&Service> {
        self.services.get(usize::from(number))
    }

    /// Whether a live service has this VLAN for its own.
    pub fn uses_vlan(&self, vlan: u16) -> bool {
        self.services.iter().zip(&self.live).any(|(service, &live)| live && service.vlan == vlan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(n: u8, vlan: u16) -> Service {
        Service { uuid: ServiceUuid([n; 16]), vlan, ..Service::default() }
    }

    #[test]
    fn numbers_last_across_replacements() {
        let mut table = ServiceTable::default();
        assert!(table.replace(vec![service(1, 10), service(2, 20)]).is_empty());
        assert_eq!(table.find(ServiceUuid([2; 16])), Some(1));
        assert_eq!(table.replace(vec![service(3, 30), service(2, 21)]), [0]);
        assert_eq!(table.find(ServiceUuid([1; 16])), None);
        assert_eq!(table.find(ServiceUuid([2; 16])), Some(1));
        assert_eq!(table.get(1).unwrap().vlan, 21);
        assert!(table.uses_vlan(30) && table.uses_vlan(21) && !table.uses_vlan(10));
        assert!(table.replace(vec![service(1, 10), service(2, 21), service(3, 30)]).is_empty());
        assert_eq!(table.find(ServiceUuid([1; 16])), Some(0));
    }
}
