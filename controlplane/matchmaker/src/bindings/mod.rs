//! All bindings, and the questions asked of them. Made for ten million: a binding takes 48 octets and two entries of an index,
//! and a question costs the same whatever their number.
//!
//! Bindings are found by what they name: (client, radio), (client, *), (*, radio), and (*, *) by account. Those with the same
//! key are a chain, and so are those of a service.

mod names;
mod place;
mod policies;

use dot11::MacAddr;
use uuid::Uuid;

use crate::memory::{Index, Lines, NONE, Seed, Slab, hash_pair, touched};
use crate::objects::{Binding, BindingId, Cause, NewBinding, Origin, Pattern, WILD};
use crate::scope::{AccountRef, Reach};
use names::Names;
use place::{Key, Place};
use policies::Policies;

/// A service by its place. It holds as long as the service has a binding or is held.
pub type ServiceRef = u32;

/// Questions made ready at a time.
const FETCHED: usize = crate::MAX_AHEAD;

/// The binding exists already; its identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("binding {0} already says so")]
pub struct DuplicateBinding(pub BindingId);

/// A binding that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Which service it makes visible.
    pub service: ServiceRef,
    /// Which binding.
    pub id: BindingId,
    /// Whose it is.
    pub account: AccountRef,
    /// What it names.
    pub names: Naming,
    place: u32,
}

/// What a binding names; the first of the order decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Naming {
    /// Client and radio.
    Both,
    /// The client.
    Client,
    /// The radio.
    Radio,
    /// Neither.
    Neither,
}

/// What memory the bindings take, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindingsMemory {
    /// The bindings themselves.
    pub places: usize,
    /// What they are found by.
    pub index: usize,
    /// Names of services, and policies.
    pub others: usize,
}

/// A set of bindings.
#[derive(Debug, Default, Clone)]
pub struct Bindings {
    seed: Seed,
    places: Slab<Place>,
    by_key: Lines,
    by_id: Index,
    names: Names,
    policies: Policies,
    len: usize,
    /// The highest identifier in the pool.
    last_id: BindingId,
}

impl Bindings {
    /// None yet. The seed keeps strangers from choosing where their addresses go.
    pub fn new(seed: Seed) -> Bindings {
        Bindings { seed, names: Names::new(seed), ..Bindings::default() }
    }

    /// Adds a binding to the pool under the next free identifier. Saying the same thing twice is harmless: the set is
    /// unchanged and the error names the binding that already says so.
    pub fn add(
        &mut self,
        service: Uuid,
        client: Pattern,
        radio: Pattern,
    ) -> Result<BindingId, DuplicateBinding> {
        let new =
            NewBinding { service, client, radio, policy: Default::default(), origin: Origin::Configuration };
        if let Some(same) = self.same(AccountRef::POOL, &new) {
            return Err(DuplicateBinding(same));
        }
        let id = self.last_id + 1;
        self.put(AccountRef::POOL, &new.with_id(id));
        Ok(id)
    }

    /// Puts a binding in force, instead of the one with its identifier if there is one.
    pub fn put(&mut self, account: AccountRef, binding: &Binding) {
        self.remove(account, binding.id);
        let service = self.names.hold(binding.service);
        let place = Place::new(account, service, self.policies.hold(&binding.policy), binding);
        let key = place.key();
        let at = self.places.insert(place);
        let Bindings { seed, places, by_key, by_id, .. } = self;
        let rehash = |at| places.get(at).key().hash(*seed);
        let before = by_key.put(key.hash(*seed), at, |at| places.get(at).key() == key, rehash);
        let (hash, is) = (id_hash(*seed, account, binding.id), is_id(account, binding.id));
        by_id.put(
            hash,
            at,
            |&at| is(places.get(at)),
            |&at| {
                let place = places.get(at);
                id_hash(*seed, place.account, place.id())
            },
        );
        let entry = self.names.get_mut(service);
        let second = std::mem::replace(&mut entry.first, at);
        entry.count(&place, 1);
        let place = self.places.get_mut(at);
        (place.next, place.next_of_service) = (before.unwrap_or(NONE), second);
        if second != NONE {
            self.places.get_mut(second).previous_of_service = at;
        }
        self.len += 1;
        if account == AccountRef::POOL {
            self.last_id = self.last_id.max(binding.id);
        }
    }

    /// Removes a binding, and gives what it said.
    pub fn remove(&mut self, account: AccountRef, id: BindingId) -> Option<Binding> {
        let at = self.at(account, id)?;
        let binding = self.binding(at);
        let place = *self.places.get(at);
        let key = place.key();
        let Bindings { seed, places, by_key, by_id, .. } = self;
        by_id.remove(id_hash(*seed, account, id), |&other| other == at);
        let first = by_key.find(key.hash(*seed), |at| places.get(at).key() == key)?;
        if first != at {
            let mut before = first;
            while places.get(before).next != at {
                before = places.get(before).next;
            }
            places.get_mut(before).next = place.next;
        } else if place.next != NONE {
            let rehash = |at| places.get(at).key().hash(*seed);
            by_key.put(key.hash(*seed), place.next, |at| places.get(at).key() == key, rehash);
        } else {
            by_key.remove(key.hash(*seed), |other| other == at);
        }
        if place.next_of_service != NONE {
            places.get_mut(place.next_of_service).previous_of_service = place.previous_of_service;
        }
        let entry = self.names.get_mut(place.service);
        entry.count(&place, -1);
        match place.previous_of_service {
            NONE => entry.first = place.next_of_service,
            before => self.places.get_mut(before).next_of_service = place.next_of_service,
        }
        self.places.remove(at, Place::GONE);
        self.policies.release(place.policy);
        self.names.release(place.service);
        self.len -= 1;
        Some(binding)
    }

    /// One binding.
    pub fn get(&self, account: AccountRef, id: BindingId) -> Option<Binding> {
        self.at(account, id).map(|at| self.binding(at))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every binding.
    pub fn iter(&self) -> impl Iterator<Item = Binding> {
        let taken = |&at: &u32| self.places.get(at).service != NONE;
        (0..self.places.places()).filter(taken).map(|at| self.binding(at))
    }

    /// Every binding has a place below this, and keeps it while it says the same.
    pub fn places(&self) -> u32 {
        self.places.places()
    }

    /// Those within a range of places, with whose they are: for going through all of them a part at a time.
    pub fn within(&self, places: std::ops::Range<u32>) -> impl Iterator<Item = (AccountRef, Binding)> {
        let taken = |&at: &u32| self.places.get(at).service != NONE;
        (places.start..places.end.min(self.places.places()))
            .filter(taken)
            .map(|at| (self.places.get(at).account, self.binding(at)))
    }

    /// Those of one service, the youngest first.
    pub fn of_service(&self, service: Uuid) -> impl Iterator<Item = (AccountRef, Binding)> {
        let first = self.names.find(service).map_or(NONE, |service| self.names.get(service).first);
        let follow = |&at: &u32| Some(self.places.get(at).next_of_service).filter(|&at| at != NONE);
        std::iter::successors(Some(first).filter(|&at| at != NONE), follow)
            .map(|at| (self.places.get(at).account, self.binding(at)))
    }

    /// The identifier of the oldest binding of the account that says the same of the same, whatever its policy.
    pub fn same(&self, account: AccountRef, new: &NewBinding) -> Option<BindingId> {
        let service = self.names.find(new.service)?;
        let same = |place: &&Place| place.service == service && place.account == account;
        let key = Key::of(account, new.client, new.radio);
        self.chain(key).map(|at| self.places.get(at)).filter(same).map(Place::id).min()
    }

    /// How many bindings of the account with this client and radio gateways asked for.
    pub fn auto_bound(&self, account: AccountRef, client: Pattern, radio: Pattern) -> usize {
        let asked = |place: &&Place| {
            place.account == account && matches!(Origin::of(place.origin), Origin::AutoBind(_))
        };
        self.chain(Key::of(account, client, radio)).map(|at| self.places.get(at)).filter(asked).count()
    }

    /// Those that gateways asked for, of one service, for one of the causes or for any.
    pub fn asked_for(
        &self,
        service: Uuid,
        cause: Option<Cause>,
    ) -> impl Iterator<Item = (AccountRef, BindingId)> {
        let asked = move |origin| match origin {
            Origin::AutoBind(why) => cause.is_none_or(|cause| cause == why),
            _ => false,
        };
        self.of_service(service)
            .filter(move |(_, binding)| asked(binding.origin))
            .map(|(account, binding)| (account, binding.id))
    }

    /// Whether a radio of the pool may show the service to any device at all: what is asked when a radio opens a tunnel.
    pub fn radio_may_show(&self, service: Uuid, radio: MacAddr) -> bool {
        self.names
            .find(service)
            .is_some_and(|service| self.shows_somebody(Reach::POOL, service, radio, usize::MAX))
    }

    /// The most specific binding of the pool that makes the service visible to this client near this radio: a named client
    /// before a named radio before wildcards, and the older one first.
    pub fn find(&self, service: Uuid, client: MacAddr, radio: MacAddr) -> Option<Binding> {
        let service = self.names.find(service)?;
        self.decides(Reach::POOL, service, client, radio).map(|found| self.binding(found.place))
    }

    /// The same within reach.
    pub fn decides(
        &self,
        reach: Reach<'_>,
        service: ServiceRef,
        client: MacAddr,
        radio: MacAddr,
    ) -> Option<Match> {
        // Broadcast bindings are found by account.
        let keys = [Key::Both(client, radio), Key::Client(client), Key::Radio(radio)];
        let named = keys.into_iter().find_map(|key| self.oldest(key, reach, service));
        named.or_else(|| {
            reach
                .by_name()
                .filter_map(|account| self.oldest(Key::Neither(account), reach, service))
                .min_by_key(|found| found.id)
        })
    }

    fn oldest(&self, key: Key, reach: Reach<'_>, service: ServiceRef) -> Option<Match> {
        self.matches(key, reach).filter(|found| found.service == service).min_by_key(|found| found.id)
    }

    /// For each service that bindings naming this client make visible to it near this radio, the one that decides; put behind
    /// what is in `out`.
    #[inline]
    pub fn naming_client(&self, reach: Reach<'_>, client: MacAddr, radio: MacAddr, out: &mut Vec<Match>) {
        let start = out.len();
        out.extend(self.matches(Key::Both(client, radio), reach));
        out.extend(self.matches(Key::Client(client), reach));
        keep_deciding(out, start);
    }

    /// For each (radio, client) touches what questions about them will need, for all of them at once, and gives what comes to light:
    /// services that are probably bound to one of them. Reads memory and decides nothing.
    pub(crate) fn fetch(&self, asked: &[(MacAddr, MacAddr)], mut bound: impl FnMut(ServiceRef)) {
        for some in asked.chunks(FETCHED) {
            let mut hashes = [[0; 3]; FETCHED];
            for (hashes, &(radio, client)) in hashes.iter_mut().zip(some) {
                *hashes = [Key::Both(client, radio), Key::Client(client), Key::Radio(radio)]
                    .map(|key| key.hash(self.seed));
            }
            let hashes = hashes[..some.len()].as_flattened();
            touched(hashes.iter().fold(0, |all, &hash| all ^ self.by_key.touch(hash)));
            // Places, where there may be one: any will do.
            let (mut places, mut found) = ([0; 3 * FETCHED], 0);
            for at in hashes.iter().filter_map(|&hash| self.by_key.candidate(hash)) {
                places[found] = at;
                found += 1;
            }
            let places = || places[..found].iter().map(|&at| self.places.get(at));
            touched(places().fold(0, |all, place| all ^ place.touch()));
            let services = || places().map(|place| place.service).filter(|&service| service != NONE);
            touched(services().fold(0, |all, service| all ^ self.names.get(service).touch()));
            services().for_each(&mut bound);
        }
    }

    /// As [`Bindings::naming_client`], for bindings that make services visible to anybody near this radio.
    pub fn for_anybody(&self, reach: Reach<'_>, radio: MacAddr, out: &mut Vec<Match>) {
        let start = out.len();
        out.extend(self.matches(Key::Radio(radio), reach));
        for account in reach.by_name() {
            out.extend(self.matches(Key::Neither(account), reach));
        }
        keep_deciding(out, start);
    }

    /// Whether there may be a client to which the service is visible near this radio. Of bindings that name a client only
    /// the youngest `most` of the service are looked at.
    pub fn shows_somebody(&self, reach: Reach<'_>, service: ServiceRef, radio: MacAddr, most: usize) -> bool {
        self.plausible(reach, service, radio, most).is_some()
    }

    /// A binding that makes the service visible to some client near this radio; of those that name a client the youngest `most`
    /// of the service are looked at.
    pub fn plausible(
        &self,
        reach: Reach<'_>,
        service: ServiceRef,
        radio: MacAddr,
        most: usize,
    ) -> Option<Match> {
        // For a client that no binding names.
        let anybody = self.decides(reach, service, MacAddr::ZERO, radio);
        anybody.or_else(|| {
            let mut at = self.names.get(service).first;
            for _ in 0..most {
                if at == NONE {
                    break;
                }
                let place = self.places.get(at);
                if (place.radio == radio || place.radio == WILD)
                    && reach.allows(place.account)
                    && self.is_of_service(place)
                    && place.client != WILD
                {
                    let names = place.key().naming();
                    return Some(Match { service, id: place.id(), account: place.account, names, place: at });
                }
                at = place.next_of_service;
            }
            None
        })
    }

    /// Whether any binding makes the service visible to whoever is near some radio.
    pub fn has_broadcast(&self, service: ServiceRef) -> bool {
        self.names.get(service).anybody > 0
    }

    /// Whether devices are at home with the service: a gateway asked for a binding of one that it heard itself, by radio or wire.
    pub fn has_home(&self, service: ServiceRef) -> bool {
        self.names.get(service).at_home > 0
    }

    /// What a binding that was found says.
    pub fn of_match(&self, found: &Match) -> Binding {
        self.binding(found.place)
    }

    /// What a binding that was found says differently from its service's policy.
    pub fn policy(&self, found: &Match) -> Option<&visibility::Policy> {
        self.policies.get(self.places.get(found.place).policy)
    }

    /// The place of a service that is bound or held.
    pub fn service(&self, uuid: Uuid) -> Option<ServiceRef> {
        self.names.find(uuid)
    }

    /// Which service has this place.
    pub fn uuid(&self, service: ServiceRef) -> Uuid {
        self.names.get(service).uuid
    }

    /// Keeps a service's place, bound or not.
    pub fn hold(&mut self, uuid: Uuid) -> ServiceRef {
        self.names.hold(uuid)
    }

    /// Whose a held service is: bindings of other accounts do not count for it. As long as that is `None`, all do.
    pub fn set_owner(&mut self, service: ServiceRef, owner: Option<AccountRef>) {
        self.names.get_mut(service).owner = owner;
    }

    /// Ends [`Bindings::hold`].
    pub fn release(&mut self, service: ServiceRef) {
        self.names.release(service);
    }

    /// What memory they take.
    pub fn memory(&self) -> BindingsMemory {
        BindingsMemory {
            places: self.places.memory(),
            index: self.by_key.memory() + self.by_id.memory(),
            others: self.names.memory() + self.policies.memory(),
        }
    }

    #[inline]
    fn chain(&self, key: Key) -> impl Iterator<Item = u32> {
        let first = self.by_key.find(key.hash(self.seed), |at| self.places.get(at).key() == key);
        std::iter::successors(first, |&at| Some(self.places.get(at).next).filter(|&at| at != NONE))
    }

    #[inline]
    fn matches(&self, key: Key, reach: Reach<'_>) -> impl Iterator<Item = Match> {
        let names = key.naming();
        self.chain(key).filter_map(move |at| {
            let place = self.places.get(at);
            let found =
                Match { service: place.service, id: place.id(), account: place.account, names, place: at };
            (reach.allows(place.account) && self.is_of_service(place)).then_some(found)
        })
    }

    #[inline]
    fn is_of_service(&self, place: &Place) -> bool {
        self.names.get(place.service).owner.is_none_or(|owner| owner == place.account)
    }

    fn at(&self, account: AccountRef, id: BindingId) -> Option<u32> {
        let is = is_id(account, id);
        self.by_id.find(id_hash(self.seed, account, id), |&at| is(self.places.get(at)))
    }

    fn binding(&self, at: u32) -> Binding {
        let place = self.places.get(at);
        Binding {
            id: place.id(),
            service: self.names.get(place.service).uuid,
            client: Pattern::of(place.client),
            radio: Pattern::of(place.radio),
            policy: self.policies.get(place.policy).copied().unwrap_or_default(),
            origin: Origin::of(place.origin),
        }
    }
}

/// Of several for one service, the most specific and then the oldest.
fn keep_deciding(matches: &mut Vec<Match>, start: usize) {
    if matches.len() - start > 1 {
        matches[start..].sort_unstable_by_key(|found| (found.service, found.names, found.id));
        let mut last = None;
        let mut at = 0;
        matches.retain(|found| {
            at += 1;
            at <= start || last.replace(found.service) != Some(found.service)
        });
    }
}

fn id_hash(seed: Seed, account: AccountRef, id: BindingId) -> u64 {
    hash_pair(seed, id, u64::from(account.0) | 1 << 62)
}

fn is_id(account: AccountRef, id: BindingId) -> impl Fn(&Place) -> bool {
    move |place| place.id() == id && place.account == account
}

#[cfg(test)]
mod tests;
