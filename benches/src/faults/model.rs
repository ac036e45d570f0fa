//! What was asked for and acknowledged, and how what is found differs from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use matchmaker::{Binding as Stored, Uuid};
use proto::admin::{self, CreateBindingRequest};

/// Everything that a binding says, beside its identifier, as the API has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// UUID.
    pub service: String,
    /// An address, or `*`.
    pub client: String,
    /// The same.
    pub radio: String,
    /// All fields; without, a policy that says nothing.
    pub policy: admin::Policy,
}

impl From<admin::Binding> for Binding {
    fn from(binding: admin::Binding) -> Binding {
        let admin::Binding { service, client, radio, policy, .. } = binding;
        Binding { service, client, radio, policy: policy.unwrap_or_default() }
    }
}

impl From<CreateBindingRequest> for Binding {
    fn from(asked: CreateBindingRequest) -> Binding {
        let CreateBindingRequest { service, client, radio, policy, .. } = asked;
        Binding { service, client, radio, policy: policy.unwrap_or_default() }
    }
}

impl From<&Stored> for Binding {
    fn from(stored: &Stored) -> Binding {
        let policy = &stored.policy;
        let milliseconds = |time: Option<Duration>| time.map(|time| time.as_millis() as u32);
        Binding {
            service: stored.service.to_string(),
            client: stored.client.to_string(),
            radio: stored.radio.to_string(),
            policy: admin::Policy {
                min_rssi_dbm: policy.min_rssi_dbm.map(Into::into),
                min_up_kbps: policy.min_up_kbps,
                min_down_kbps: policy.min_down_kbps,
                delay_ms: milliseconds(policy.delay),
                max_mobility: policy.max_mobility,
                steer_delay_ms: milliseconds(policy.steer_delay),
                dwell_seconds: policy.dwell.map(|time| time.as_secs() as u32),
                kick_rssi_dbm: policy.kick_rssi_dbm.map(Into::into),
                suppress_rssi_dbm: policy.suppress_rssi_dbm.map(Into::into),
                max_clients: policy.max_clients,
                hidden: policy.hidden,
                yields_to_home: policy.yields_to_home,
            },
        }
    }
}

/// What one place says there is: the database, or a control process.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// By identifier.
    pub bindings: BTreeMap<u64, Binding>,
    /// Of services.
    pub services: BTreeSet<Uuid>,
}

/// What there is that should not be, and the other way round; each in words, and once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    /// Acknowledged, and without effect.
    pub lost: BTreeSet<String>,
    /// Nobody asked for it.
    pub unasked: BTreeSet<String>,
}

impl Violations {
    /// Whether all is well.
    pub fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.unasked.is_empty()
    }

    /// Those of another place as well.
    pub fn add(&mut self, other: Violations) {
        self.lost.extend(other.lost);
        self.unasked.extend(other.unasked);
    }
}

/// What the clients know. It is exact while none of them waits for an answer.
#[derive(Debug, Default)]
pub struct Model {
    there: Contents,
    deleted: BTreeSet<u64>,
    violations: Violations,
    /// Answers that should not have been given.
    pub errors: Vec<String>,
    /// Acknowledgements since they were last taken.
    pub acknowledged: u64,
    /// What one change of a binding waited for at most, since then.
    pub change: Duration,
    /// The same for registrations.
    pub registration: Duration,
}

impl Model {
    /// A binding is acknowledged.
    pub fn created(&mut self, id: u64, binding: Binding, waited: Duration) {
        self.counted_change(waited);
        if self.deleted.contains(&id) {
            self.violations
                .unasked
                .insert(format!("binding {id} was deleted, and its identifier given again"));
        }
        let client = binding.client.clone();
        if let Some(other) = self.there.bindings.insert(id, binding) {
            self.violations
                .lost
                .insert(format!("binding {id} is for {}, and then for {client}", other.client));
        }
    }

    /// A deletion is acknowledged, or answered with there being no such binding: a control process that did not hear whether it was
    /// deleted has tried again by itself, as clients do.
    pub fn deleted(&mut self, id: u64, waited: Duration) {
        self.counted_change(waited);
        self.there.bindings.remove(&id);
        self.deleted.insert(id);
    }

    /// A registration is acknowledged.
    pub fn registered(&mut self, service: Uuid, waited: Duration) {
        self.acknowledged += 1;
        self.registration = self.registration.max(waited);
        self.there.services.insert(service);
    }

    /// Nobody asked for what was said.
    pub fn unasked(&mut self, what: String) {
        self.violations.unasked.insert(what);
    }

    fn counted_change(&mut self, waited: Duration) {
        self.acknowledged += 1;
        self.change = self.change.max(waited);
    }

    /// How what a place says differs.
    pub fn compare(&self, place: &str, found: &Contents) -> Violations {
        let mut violations = Violations::default();
        for (id, asked) in &self.there.bindings {
            match found.bindings.get(id) {
                Some(said) if said == asked => {}
                Some(said) => {
                    violations.unasked.insert(format!(
                        "binding {id} says something else at {place}: {said:?}, not {asked:?}"
                    ));
                }
                None => {
                    violations.lost.insert(format!("binding {id} is not there at {place}"));
                }
            }
        }
        for id in found.bindings.keys().filter(|id| !self.there.bindings.contains_key(id)) {
            if self.deleted.contains(id) {
                violations.lost.insert(format!("the deletion of binding {id} at {place}"));
            } else {
                violations.unasked.insert(format!("binding {id} is there at {place}"));
            }
        }
        for service in self.there.services.difference(&found.services) {
            violations.lost.insert(format!("service {service} is not there at {place}"));
        }
        for service in found.services.difference(&self.there.services) {
            violations.unasked.insert(format!("service {service} is there at {place}"));
        }
        violations
    }

    /// What the answers themselves showed.
    pub fn take_violations(&mut self) -> Violations {
        std::mem::take(&mut self.violations)
    }

    /// How much there is now: bindings, services.
    pub fn size(&self) -> (usize, usize) {
        (self.there.bindings.len(), self.there.services.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;

    fn binding(client: &str) -> Binding {
        let [service, radio] = ["6f3c0f62", "*"].map(str::to_owned);
        Binding { service, client: client.to_owned(), radio, policy: admin::Policy::default() }
    }

    #[test]
    fn what_differs_is_told() {
        let mut model = Model::default();
        let service = Uuid::from_u128(1);
        for id in 1..=3 {
            model.created(id, binding(&format!("client {id}")), NONE);
        }
        model.deleted(2, NONE);
        model.registered(service, NONE);
        let right = Contents {
            bindings: [1, 3].map(|id| (id, binding(&format!("client {id}")))).into(),
            services: [service].into(),
        };
        assert!(model.compare("x", &right).is_empty() && model.take_violations().is_empty());
        assert_eq!(model.acknowledged, 5);
        let wrong = Contents {
            bindings: [(1, binding("another")), (2, binding("client 2")), (9, binding("client 9"))].into(),
            services: [Uuid::from_u128(2)].into(),
        };
        let found = model.compare("x", &wrong);
        let lost = [
            "binding 3 is not there at x".to_owned(),
            format!("service {service} is not there at x"),
            "the deletion of binding 2 at x".to_owned(),
        ];
        assert_eq!(found.lost, lost.into());
        let unasked = [
            format!(
                "binding 1 says something else at x: {:?}, not {:?}",
                binding("another"),
                binding("client 1")
            ),
            "binding 9 is there at x".to_owned(),
            format!("service {} is there at x", Uuid::from_u128(2)),
        ];
        assert_eq!(found.unasked, unasked.into());
    }

    #[test]
    fn every_word_of_a_binding_counts() {
        let stored = Stored {
            id: 1,
            service: Uuid::from_u128(1),
            client: "02:00:00:00:00:01".parse().unwrap(),
            radio: matchmaker::Pattern::Any,
            policy: visibility::Policy::default(),
            origin: matchmaker::objects::Origin::Administrator,
        };
        let mut model = Model::default();
        let asked = CreateBindingRequest {
            service: stored.service.to_string(),
            client: "02:00:00:00:00:01".into(),
            radio: "*".into(),
            ..Default::default()
        };
        model.created(1, asked.into(), NONE);
        let differs = |stored: &Stored| {
            let found = Contents { bindings: [(1, stored.into())].into(), ..Contents::default() };
            !model.compare("x", &found).is_empty()
        };
        assert!(!differs(&stored));
        let (one, second) = (Some(1), Some(Duration::from_secs(1)));
        let of = |policy| Stored { policy, ..stored };
        let none = visibility::Policy::default();
        use visibility::Policy as P;
        for wrong in [
            Stored { service: Uuid::from_u128(2), ..stored },
            Stored { client: matchmaker::Pattern::Any, ..stored },
            Stored { radio: "02:00:00:00:00:01".parse().unwrap(), ..stored },
            of(P { min_rssi_dbm: Some(-1), ..none }),
            of(P { min_up_kbps: one, ..none }),
            of(P { min_down_kbps: one, ..none }),
            of(P { delay: second, ..none }),
            of(P { max_mobility: one, ..none }),
            of(P { steer_delay: second, ..none }),
            of(P { dwell: second, ..none }),
            of(P { kick_rssi_dbm: Some(-1), ..none }),
            of(P { suppress_rssi_dbm: Some(-1), ..none }),
            of(P { max_clients: one, ..none }),
            of(P { hidden: Some(false), ..none }),
            of(P { yields_to_home: Some(true), ..none }),
        ] {
            assert!(differs(&wrong), "{wrong:?}");
        }
    }

    #[test]
    fn answers_that_cannot_be_are_violations() {
        let mut model = Model::default();
        model.created(1, binding("a"), NONE);
        model.created(1, binding("b"), NONE);
        assert_eq!(model.take_violations().lost.len(), 1);
        model.deleted(1, NONE);
        model.created(1, binding("c"), NONE);
        assert_eq!(model.take_violations().unasked.len(), 1);
    }
}
