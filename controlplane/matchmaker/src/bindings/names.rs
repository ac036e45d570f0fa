//! Services that are bound or held, by UUID and by place.

use uuid::Uuid;

use super::place::{Key, Place};
use crate::memory::{Index, NONE, Seed, Slab, hash_pair};
use crate::objects::{Cause, Origin};
use crate::scope::AccountRef;

/// A service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) uuid: Uuid,
    /// Its youngest binding.
    pub(super) first: u32,
    /// Bindings, and others that hold it.
    held: u32,
    /// Whose it is, if that is known: only bindings of its account count then.
    pub(super) owner: Option<AccountRef>,
    /// Bindings that name no client.
    pub(super) anybody: u32,
    /// Bindings that a gateway asked for because the device was at home with it.
    pub(super) at_home: u32,
}

impl Name {
    fn new(uuid: Uuid) -> Name {
        Name { uuid, first: NONE, held: 1, owner: None, anybody: 0, at_home: 0 }
    }

    /// Reads something of each of its cache lines.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        u64::from(self.uuid.as_bytes()[0]) ^ u64::from(self.anybody) ^ u64::from(self.owner.is_some())
    }

    /// A binding comes or goes.
    pub(super) fn count(&mut self, place: &Place, one: i32) {
        if matches!(place.key(), Key::Radio(_) | Key::Neither(_)) {
            self.anybody = self.anybody.wrapping_add_signed(one);
        }
        if matches!(Origin::of(place.origin), Origin::AutoBind(Cause::Local | Cause::Wired)) {
            self.at_home = self.at_home.wrapping_add_signed(one);
        }
    }
}

#[derive(Debug, Default, Clone)]
pub(super) struct Names {
    seed: Seed,
    names: Slab<Name>,
    index: Index,
}

impl Names {
    pub(super) fn new(seed: Seed) -> Names {
        Names { seed, ..Names::default() }
    }

    pub(super) fn find(&self, uuid: Uuid) -> Option<u32> {
        self.index.find(hash(self.seed, uuid), |&at| self.names.get(at).uuid == uuid)
    }

    pub(super) fn get(&self, at: u32) -> &Name {
        self.names.get(at)
    }

    pub(super) fn get_mut(&mut self, at: u32) -> &mut Name {
        self.names.get_mut(at)
    }

    pub(super) fn hold(&mut self, uuid: Uuid) -> u32 {
        if let Some(at) = self.find(uuid) {
            self.names.get_mut(at).held += 1;
            return at;
        }
        let at = self.names.insert(Name::new(uuid));
        let Names { seed, names, index } = self;
        index.put(hash(*seed, uuid), at, |_| false, |&at| hash(*seed, names.get(at).uuid));
        at
    }

    pub(super) fn release(&mut self, at: u32) {
        let name = self.names.get_mut(at);
        name.held -= 1;
        if name.held == 0 {
            let uuid = name.uuid;
            self.index.remove(hash(self.seed, uuid), |&other| other == at);
            self.names.remove(at, Name::new(Uuid::nil()));
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.names.memory() + self.index.memory()
    }
}

fn hash(seed: Seed, uuid: Uuid) -> u64 {
    let (high, low) = uuid.as_u64_pair();
    hash_pair(seed, high, low)
}
