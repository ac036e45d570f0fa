//! Bindings, and the questions asked of them.

use std::collections::BTreeMap;

use dot11::MacAddr;
use uuid::Uuid;

use crate::Pattern;

/// Identifies a binding within its account.
pub type BindingId = u64;

/// "This service is visible to this client when it is near this radio", each of the last two perhaps a wildcard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Unique within the account.
    pub id: BindingId,
    /// Always one service.
    pub service: Uuid,
    /// Which devices.
    pub client: Pattern,
    /// Near which radios.
    pub radio: Pattern,
}

/// The binding exists already; its identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("binding {0} already says so")]
pub struct DuplicateBinding(pub BindingId);

/// A set of bindings, grouped by service.
#[derive(Debug, Default, Clone)]
pub struct Bindings {
    by_service: BTreeMap<Uuid, Vec<Binding>>,
    last_id: BindingId,
}

impl Bindings {
    /// Adds a binding under the next free identifier. Saying the same thing twice is harmless: the set is
    /// unchanged and the error names the binding that already says so.
    pub fn add(
        &mut self,
        service: Uuid,
        client: Pattern,
        radio: Pattern,
    ) -> Result<BindingId, DuplicateBinding> {
        let of_service = self.by_service.entry(service).or_default();
        if let Some(same) = of_service.iter().find(|b| b.client == client && b.radio == radio) {
            return Err(DuplicateBinding(same.id));
        }
        self.last_id += 1;
        of_service.push(Binding { id: self.last_id, service, client, radio });
        Ok(self.last_id)
    }

    /// Every binding, by service and then by age.
    pub fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.by_service.values().flatten()
    }

    /// Whether this radio may show the service to any device at all: what is asked when a radio opens a tunnel.
    pub fn radio_may_show(&self, service: Uuid, radio: MacAddr) -> bool {
        self.of(service).any(|b| b.radio.matches(radio))
    }

    /// The most specific binding that makes the service visible to this client near this radio: a named client
    /// before a named radio before wildcards, and the older one first.
    pub fn find(&self, service: Uuid, client: MacAddr, radio: MacAddr) -> Option<&Binding> {
        self.of(service)
            .filter(|b| b.client.matches(client) && b.radio.matches(radio))
            .min_by_key(|b| (b.client == Pattern::Any, b.radio == Pattern::Any, b.id))
    }

    fn of(&self, service: Uuid) -> impl Iterator<Item = &Binding> {
        self.by_service.get(&service).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Uuid = Uuid::from_u128(1);
    const WORK: Uuid = Uuid::from_u128(2);
    const PHONE: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const LAPTOP: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
    const KITCHEN: MacAddr = MacAddr([2, 0, 0, 0, 1, 1]);
    const OFFICE: MacAddr = MacAddr([2, 0, 0, 0, 1, 2]);

    fn set(bindings: &[(Uuid, Pattern, Pattern)]) -> Bindings {
        let mut set = Bindings::default();
        for &(service, client, radio) in bindings {
            set.add(service, client, radio).unwrap();
        }
        set
    }

    #[test]
    fn a_client_bound_to_any_radio_sees_its_network_everywhere_and_nobody_else_does() {
        let set = set(&[(HOME, Pattern::Exactly(PHONE), Pattern::Any)]);
        assert!(set.find(HOME, PHONE, KITCHEN).is_some() && set.find(HOME, PHONE, OFFICE).is_some());
        assert!(set.find(HOME, LAPTOP, KITCHEN).is_none());
        assert!(set.find(WORK, PHONE, KITCHEN).is_none());
    }

    #[test]
    fn a_radio_bound_for_any_client_shows_the_network_there_only() {
        let set = set(&[(WORK, Pattern::Any, Pattern::Exactly(OFFICE))]);
        assert!(set.find(WORK, LAPTOP, OFFICE).is_some());
        assert!(set.find(WORK, LAPTOP, KITCHEN).is_none());
        assert!(set.radio_may_show(WORK, OFFICE) && !set.radio_may_show(WORK, KITCHEN));
        assert!(!set.radio_may_show(HOME, OFFICE));
    }

    #[test]
    fn the_most_specific_binding_answers() {
        let set = set(&[
            (HOME, Pattern::Any, Pattern::Any),
            (HOME, Pattern::Any, Pattern::Exactly(OFFICE)),
            (HOME, Pattern::Exactly(PHONE), Pattern::Any),
        ]);
        assert_eq!(set.find(HOME, PHONE, OFFICE).unwrap().id, 3);
        assert_eq!(set.find(HOME, LAPTOP, OFFICE).unwrap().id, 2);
        assert_eq!(set.find(HOME, LAPTOP, KITCHEN).unwrap().id, 1);
    }

    #[test]
    fn duplicates_are_harmless() {
        let mut set = set(&[(HOME, Pattern::Any, Pattern::Any)]);
        assert_eq!(set.add(HOME, Pattern::Any, Pattern::Any), Err(DuplicateBinding(1)));
        assert_eq!(set.iter().count(), 1);
    }
}
