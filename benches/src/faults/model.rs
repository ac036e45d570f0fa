//! What was asked for and acknowledged, and how what is found differs from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use matchmaker::Uuid;

/// What one place says there is: the database, or a control process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// The clients of bindings, by identifier.
    pub bindings: BTreeMap<u64, String>,
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
    pub fn created(&mut self, id: u64, client: String, waited: Duration) {
        self.counted_change(waited);
        if self.deleted.contains(&id) {
            self.violations
                .unasked
                .insert(format!("binding {id} was deleted, and its identifier given again"));
        }
        if let Some(other) = self.there.bindings.insert(id, client.clone()) {
            self.violations.lost.insert(format!("binding {id} is for {other}, and then for {client}"));
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
        for (id, client) in &self.there.bindings {
            match found.bindings.get(id) {
                Some(said) if said == client => {}
                Some(_) => {
                    violations.unasked.insert(format!("binding {id} says something else at {place}"));
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

    #[test]
    fn what_differs_is_told() {
        let mut model = Model::default();
        let service = Uuid::from_u128(1);
        for id in 1..=3 {
            model.created(id, format!("client {id}"), NONE);
        }
        model.deleted(2, NONE);
        model.registered(service, NONE);
        let right = Contents {
            bindings: [1, 3].map(|id| (id, format!("client {id}"))).into(),
            services: [service].into(),
        };
        assert!(model.compare("x", &right).is_empty() && model.take_violations().is_empty());
        assert_eq!(model.acknowledged, 5);
        let wrong = Contents {
            bindings: [(1, "another".to_owned()), (2, "client 2".to_owned()), (9, "client 9".to_owned())]
                .into(),
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
            "binding 1 says something else at x".to_owned(),
            "binding 9 is there at x".to_owned(),
            format!("service {} is there at x", Uuid::from_u128(2)),
        ];
        assert_eq!(found.unasked, unasked.into());
    }

    #[test]
    fn answers_that_cannot_be_are_violations() {
        let mut model = Model::default();
        model.created(1, "a".to_owned(), NONE);
        model.created(1, "b".to_owned(), NONE);
        assert_eq!(model.take_violations().lost.len(), 1);
        model.deleted(1, NONE);
        model.created(1, "c".to_owned(), NONE);
        assert_eq!(model.take_violations().unasked.len(), 1);
    }
}
