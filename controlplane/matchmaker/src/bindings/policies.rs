//! Policies of bindings, each kept once: most bindings have none, and of those that have, most have the same.

use hashbrown::HashMap;
use visibility::Policy;

use crate::memory::{NONE, Seed, Slab};

#[derive(Debug, Default, Clone)]
pub(super) struct Policies {
    places: Slab<(Policy, u32)>,
    by_value: HashMap<Policy, u32, Seed>,
}

impl Policies {
    /// The place of a policy, which it has until it is released as often as it was held; [`NONE`] if it says nothing.
    pub(super) fn hold(&mut self, policy: &Policy) -> u32 {
        if *policy == Policy::default() {
            return NONE;
        }
        let at = *self.by_value.entry(*policy).or_insert_with(|| self.places.insert((*policy, 0)));
        self.places.get_mut(at).1 += 1;
        at
    }

    pub(super) fn release(&mut self, at: u32) {
        if at == NONE {
            return;
        }
        let (policy, held) = self.places.get_mut(at);
        *held -= 1;
        if *held == 0 {
            let policy = *policy;
            self.by_value.remove(&policy);
            self.places.remove(at, (Policy::default(), 0));
        }
    }

    pub(super) fn get(&self, at: u32) -> Option<&Policy> {
        (at != NONE).then(|| &self.places.get(at).0)
    }

    pub(super) fn memory(&self) -> usize {
        self.places.memory() + self.by_value.allocation_size()
    }
}
