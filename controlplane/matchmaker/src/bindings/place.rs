//! A binding in memory, and what it is found by.

use dot11::MacAddr;

use super::Naming;
use crate::memory::{NONE, Seed, hash_pair};
use crate::objects::{Binding, BindingId, Pattern, WILD};
use crate::scope::AccountRef;

/// 48 octets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) client: MacAddr,
    pub(super) radio: MacAddr,
    pub(super) account: AccountRef,
    /// [`NONE`] if the place is free.
    pub(super) service: u32,
    pub(super) policy: u32,
    id: [u32; 2],
    /// Of those with the same key.
    pub(super) next: u32,
    pub(super) next_of_service: u32,
    pub(super) previous_of_service: u32,
    pub(super) origin: u8,
}

const _: () = assert!(size_of::<Place>() == 48);

impl Place {
    /// Nothing is there.
    pub(super) const GONE: Place = Place {
        client: WILD,
        radio: WILD,
        account: AccountRef::POOL,
        service: NONE,
        policy: NONE,
        id: [0; 2],
        next: NONE,
        next_of_service: NONE,
        previous_of_service: NONE,
        origin: 0,
    };

    pub(super) fn new(account: AccountRef, service: u32, policy: u32, binding: &Binding) -> Place {
        Place {
            client: binding.client.address(),
            radio: binding.radio.address(),
            account,
            service,
            policy,
            id: [binding.id as u32, (binding.id >> 32) as u32],
            origin: binding.origin.code(),
            ..Place::GONE
        }
    }

    /// Reads something of each of its cache lines.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        u64::from(self.client.0[0])
            ^ u64::from(self.origin)
            ^ u64::from(self.account.0)
            ^ u64::from(self.previous_of_service)
    }

    #[inline]
    pub(super) fn id(&self) -> BindingId {
        u64::from(self.id[0]) | u64::from(self.id[1]) << 32
    }

    #[inline]
    pub(super) fn key(&self) -> Key {
        match (self.client == WILD, self.radio == WILD) {
            (false, false) => Key::Both(self.client, self.radio),
            (false, true) => Key::Client(self.client),
            (true, false) => Key::Radio(self.radio),
            (true, true) => Key::Neither(self.account),
        }
    }
}

/// What a binding is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Both(MacAddr, MacAddr),
    Client(MacAddr),
    Radio(MacAddr),
    Neither(AccountRef),
}

impl Key {
    pub(super) fn of(account: AccountRef, client: Pattern, radio: Pattern) -> Key {
        match (client, radio) {
            (Pattern::Exactly(client), Pattern::Exactly(radio)) => Key::Both(client, radio),
            (Pattern::Exactly(client), Pattern::Any) => Key::Client(client),
            (Pattern::Any, Pattern::Exactly(radio)) => Key::Radio(radio),
            (Pattern::Any, Pattern::Any) => Key::Neither(account),
        }
    }

    #[inline]
    pub(super) fn hash(&self, seed: Seed) -> u64 {
        const OTHER: u64 = 1 << 48;
        match *self {
            Key::Both(client, radio) => hash_pair(seed, number(client), number(radio)),
            Key::Client(client) => hash_pair(seed, number(client), OTHER),
            Key::Radio(radio) => hash_pair(seed, OTHER, number(radio)),
            Key::Neither(account) => hash_pair(seed, OTHER, OTHER | u64::from(account.0)),
        }
    }

    pub(super) fn naming(&self) -> Naming {
        match self {
            Key::Both(..) => Naming::Both,
            Key::Client(_) => Naming::Client,
            Key::Radio(_) => Naming::Radio,
            Key::Neither(_) => Naming::Neither,
        }
    }
}

#[inline]
fn number(address: MacAddr) -> u64 {
    let [a, b, c, d, e, f] = address.0;
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}
