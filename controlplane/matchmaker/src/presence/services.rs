//! Services with their instances: the gateways that serve them at the moment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use dot11::element::Ssid;
use hashbrown::HashMap;
use uuid::Uuid;
use visibility::Policy;

use super::Peer;
use super::lost::Lost;
use super::radios::is_owner;
use crate::Refusal;
use crate::bindings::ServiceRef;
use crate::gate::Overload;
use crate::memory::Seed;
use crate::objects::{KeyId, Owner, Service};
use crate::scope::{AccountRef, Reach, Scope};
use crate::shared::SharedInstance;

/// Drawn once per gateway and service.
pub type InstanceId = [u8; 16];

/// What an instance says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Of the busiest of its resources, in thousandths; 1000 and above: full.
    pub load_permille: u16,
    /// Devices that it serves.
    pub sessions: u32,
    /// It takes at most so many newcomers, of all matchmakers together; zero: no limit.
    pub admissions_per_second: u32,
    /// No newcomers at all.
    pub draining: bool,
}

/// A gateway that serves a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Names it.
    pub id: InstanceId,
    /// Of its tunnel socket, the likeliest first.
    pub endpoints: Vec<SocketAddr>,
    /// What it said last.
    pub load: Load,
    /// It is gone from then on.
    pub expires: Duration,
    /// Who registered it.
    pub key: KeyId,
    /// By whom it is lost, and did not speak since: others go first.
    pub(crate) lost: Lost,
    /// When the next newcomer fits its rate.
    pub(crate) next: Duration,
}

impl Instance {
    /// Whether it is there.
    pub fn is_live(&self, now: Duration) -> bool {
        self.expires > now
    }

    /// It spoke.
    pub(crate) fn heard(&mut self) {
        self.lost = Lost::default();
    }

    /// Whether it is there and takes newcomers.
    pub fn takes_newcomers(&self, now: Duration) -> bool {
        self.is_live(now) && !self.load.draining && self.load.load_permille < 1000
    }
}

/// Instances of one service.
pub const MAX_INSTANCES: usize = 1024;

/// A service: its record, and what is there of it.
#[derive(Debug)]
pub(crate) struct ServiceState {
    pub(crate) account: AccountRef,
    pub(crate) record: Service,
    /// That of the record, and what the configuration says differently.
    pub(crate) policy: Policy,
    pub(crate) instances: Vec<Instance>,
    pub(crate) overload: Overload,
    /// Until when one of the instances is there, and one that does not drain.
    live: (Duration, Duration),
}

impl ServiceState {
    /// Its owner.
    pub(crate) fn scope(&self) -> Scope {
        match &self.record.owner {
            Owner::Account(_) => Scope::Account(self.account),
            Owner::Key(key) => Scope::Key(*key),
        }
    }

    pub(crate) fn is_live(&self, now: Duration) -> bool {
        self.live.0 > now
    }

    /// Its instances changed.
    fn refresh(&mut self) {
        let last = |draining: bool| {
            let counts = |instance: &&Instance| draining || !instance.load.draining;
            self.instances.iter().filter(counts).map(|instance| instance.expires).max().unwrap_or_default()
        };
        self.live = (last(true), last(false));
    }

    /// Whether it can be shown to somebody who is not connected: full instances count, because the signal that is demanded
    /// of newcomers grows with their load.
    pub(crate) fn is_open(&self, now: Duration) -> bool {
        self.live.1 > now
    }

    /// Newcomers that all instances take in a second from one of so many matchmakers, if all have a limit; and the load of the one
    /// that has the least, in thousandths.
    pub(crate) fn capacity(&self, among: u32, now: Duration) -> (Option<u32>, u16) {
        let open =
            || self.instances.iter().filter(|instance| instance.is_live(now) && !instance.load.draining);
        let rates = open().map(|instance| Some(instance.load.admissions_per_second).filter(|&rate| rate > 0));
        let load = open().map(|instance| instance.load.load_permille).min().unwrap_or_default();
        let rate: Option<u32> = rates.sum();
        (rate.map(|rate| rate / among), load)
    }

    /// The level of overload at this moment.
    pub(crate) fn level(&mut self, among: u32, now: Duration) -> u8 {
        if self.overload.is_due(now) {
            let (rate, load) = self.capacity(among, now);
            return self.overload.level(rate, load, now);
        }
        self.overload.last()
    }
}

/// What an owner has.
#[derive(Debug)]
struct Owned {
    services: u32,
    /// It proves nothing.
    stranger: bool,
}

/// All of them, by the place that bindings know them by.
#[derive(Debug, Default)]
pub(crate) struct Services {
    states: Vec<Option<Box<ServiceState>>>,
    by_ssid: HashMap<Ssid, BTreeMap<AccountRef, Vec<ServiceRef>>, Seed>,
    owned: HashMap<Scope, Owned, Seed>,
    /// All those of owners that prove nothing.
    strangers: u32,
    /// Policies of the configuration.
    configured: HashMap<Uuid, Policy, Seed>,
    hand: usize,
    /// Matchmakers of this name beside this one.
    others: u32,
}

impl Services {
    pub(crate) fn new(seed: Seed) -> Services {
        let (owned, configured) = (HashMap::with_hasher(seed), HashMap::with_hasher(seed));
        Services { by_ssid: HashMap::with_hasher(seed), owned, configured, ..Services::default() }
    }

    /// Among how many matchmakers what instances take in a second is shared, this one counted.
    #[inline]
    pub(crate) fn among(&self) -> u32 {
        self.others.saturating_add(1)
    }

    /// So many others are there.
    pub(crate) fn set_others(&mut self, others: u32) {
        self.others = others;
    }

    #[inline]
    pub(crate) fn get(&self, at: ServiceRef) -> Option<&ServiceState> {
        self.states.get(at as usize)?.as_deref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, at: ServiceRef) -> Option<&mut ServiceState> {
        self.states.get_mut(at as usize)?.as_deref_mut()
    }

    /// Reads something of its record and of what is there of it.
    #[inline]
    pub(crate) fn touch(&self, at: ServiceRef) -> u64 {
        self.get(at).map_or(0, |state| {
            state.live.0.as_secs()
                ^ u64::from(state.record.uuid.as_bytes()[0])
                ^ u64::from(state.overload.last())
                ^ u64::from(state.account.0)
                ^ u64::from(state.policy.hidden.is_some())
                ^ u64::from(state.policy.delay.is_some())
                ^ state.record.template.len() as u64
                ^ state.instances.len() as u64
        })
    }

    /// Reads something of what an offer says of it, line by line; after [`touch`](Self::touch).
    #[inline]
    pub(crate) fn touch_text(&self, at: ServiceRef) -> u64 {
        self.get(at).map_or(0, |state| {
            state.record.template.iter().step_by(64).fold(0, |all, &octet| all ^ u64::from(octet))
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ServiceRef, &ServiceState)> {
        self.states.iter().enumerate().filter_map(|(at, state)| Some((at as ServiceRef, state.as_deref()?)))
    }

    /// Services with this name that are within reach: those of the radio's account and of accounts that it granted something, unless they are
    /// more than `most`; and those of others, if anybody's are and they are not too many either. Whether there are more.
    pub(crate) fn named(&self, ssid: &Ssid, reach: Reach<'_>, most: usize) -> (Vec<ServiceRef>, bool) {
        let (mut found, mut more) = (Vec::new(), false);
        let Some(accounts) = self.by_ssid.get(ssid) else { return (found, more) };
        let by_name = |account: &AccountRef| *account == reach.own || reach.granted.contains(account);
        let mut add = |found: &mut Vec<ServiceRef>, services: &[ServiceRef]| {
            more |= found.len() + services.len() > most;
            if !more {
                found.extend_from_slice(services);
            }
            !more
        };
        let named = reach.by_name().filter_map(|account| accounts.get(&account));
        for services in named {
            if !add(&mut found, services) {
                found.clear();
                break;
            }
        }
        if reach.anybody {
            let own = found.len();
            for (_, services) in accounts.iter().filter(|(account, _)| !by_name(account)) {
                if !add(&mut found, services) {
                    found.truncate(own);
                    break;
                }
            }
        }
        (found, more)
    }

    /// `stranger`: its owner proves nothing.
    pub(crate) fn put(&mut self, at: ServiceRef, account: AccountRef, record: &Service, stranger: bool) {
        if let Some(state) = self.get(at) {
            let (ssid, account, scope) = (state.record.ssid, state.account, state.scope());
            self.unname(at, ssid, account);
            self.disown(scope);
        }
        self.by_ssid.entry(record.ssid).or_default().entry(account).or_default().push(at);
        if self.states.len() <= at as usize {
            self.states.resize_with(at as usize + 1, || None);
        }
        let policy = self.merged(record);
        match &mut self.states[at as usize] {
            Some(state) => {
                if state.record.owner != record.owner {
                    state.instances.clear();
                    state.refresh();
                }
                (state.account, state.policy, state.record) = (account, policy, record.clone());
            }
            state @ None => {
                let (record, overload) = (record.clone(), Overload::default());
                *state = Some(Box::new(ServiceState {
                    account,
                    record,
                    policy,
                    instances: Vec::new(),
                    overload,
                    live: Default::default(),
                }));
            }
        }
        if let Some(owner) = self.get(at).map(ServiceState::scope) {
            let owned = self.owned.entry(owner).or_insert(Owned { services: 0, stranger });
            owned.services += 1;
            self.strangers += u32::from(owned.stranger);
            self.judge(owner, stranger);
        }
    }

    /// What the configuration says of when a service is shown; it need not be there yet.
    pub(crate) fn configure(&mut self, at: Option<ServiceRef>, uuid: Uuid, policy: Policy) {
        self.configured.insert(uuid, policy);
        if let Some(state) = at.and_then(|at| self.get_mut(at)) {
            state.policy = state.record.policy.overridden_by(&policy);
        }
    }

    pub(crate) fn configured(&self, uuid: Uuid) -> Option<&Policy> {
        self.configured.get(&uuid)
    }

    fn merged(&self, record: &Service) -> Policy {
        let of_record = record.policy;
        self.configured(record.uuid).map_or(of_record, |policy| of_record.overridden_by(policy))
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, at: ServiceRef) -> bool {
        let Some(state) = self.states.get_mut(at as usize).and_then(Option::take) else { return false };
        self.unname(at, state.record.ssid, state.account);
        self.disown(state.scope());
        true
    }

    /// An instance is there, for `lifetime`. An instance belongs to the key that registered it while it is there.
    pub(crate) fn register(
        &mut self,
        at: ServiceRef,
        peer: Peer,
        id: InstanceId,
        endpoints: &[SocketAddr],
        load_permille: u16,
        until: (Duration, Duration),
    ) -> Result<(), Refusal> {
        let (now, expires) = until;
        let state = self.get_mut(at).ok_or(Refusal::UnknownService)?;
        owns(state, peer)?;
        let full = state.instances.len() >= MAX_INSTANCES;
        match state.instances.iter_mut().find(|instance| instance.id == id) {
            Some(instance) if instance.is_live(now) && instance.key != peer.key => {
                return Err(Refusal::NotYours);
            }
            Some(instance) => {
                instance.endpoints = endpoints.to_vec();
                (instance.load.load_permille, instance.expires, instance.key) =
                    (load_permille, expires, peer.key);
                instance.heard();
            }
            None if full => return Err(Refusal::TooManyInstances),
            None => {
                let load = Load { load_permille, ..Load::default() };
                let endpoints = endpoints.to_vec();
                state.instances.push(Instance {
                    id,
                    endpoints,
                    load,
                    expires,
                    key: peer.key,
                    lost: Lost::default(),
                    next: Duration::ZERO,
                });
            }
        }
        state.refresh();
        Ok(())
    }

    /// Another matchmaker says how an instance is that it let register.
    pub(crate) fn adopt(
        &mut self,
        at: ServiceRef,
        said: &SharedInstance,
        expires: Duration,
    ) -> Result<(), Refusal> {
        let state = self.get_mut(at).ok_or(Refusal::UnknownService)?;
        let (endpoints, load, key) = (said.endpoints.clone(), said.load, said.key);
        let known = state.instances.iter().find(|instance| instance.id == said.instance);
        let next = known.map_or(Duration::ZERO, |known| known.next);
        state.instances.retain(|instance| instance.id != said.instance);
        state.instances.push(Instance {
            id: said.instance,
            endpoints,
            load,
            expires,
            key,
            lost: Lost::default(),
            next,
        });
        state.refresh();
        Ok(())
    }

    /// The instance is there for longer, if it is known at all.
    pub(crate) fn renew(&mut self, at: ServiceRef, id: InstanceId, expires: Duration) -> bool {
        let Some(state) = self.get_mut(at) else { return false };
        let Some(found) = state.instances.iter_mut().find(|instance| instance.id == id) else { return false };
        found.expires = expires;
        state.refresh();
        true
    }

    /// Changes the instance of this peer.
    pub(crate) fn change(
        &mut self,
        at: ServiceRef,
        peer: Peer,
        id: InstanceId,
        now: Duration,
        change: impl FnOnce(&mut Instance),
    ) -> Result<(), Refusal> {
        let state = self.get_mut(at).ok_or(Refusal::UnknownService)?;
        owns(state, peer)?;
        let live = state.instances.iter_mut().find(|instance| instance.id == id && instance.is_live(now));
        let instance = live.ok_or(Refusal::NotRegistered)?;
        if instance.key != peer.key {
            return Err(Refusal::NotYours);
        }
        change(instance);
        state.refresh();
        Ok(())
    }

    /// Looks at the next `most` services, and removes the instances that are gone.
    pub(crate) fn sweep(&mut self, most: usize, now: Duration, gone: &mut Vec<(ServiceRef, InstanceId)>) {
        for _ in 0..most.min(self.states.len()) {
            self.hand = (self.hand + 1) % self.states.len();
            if let Some(state) = &mut self.states[self.hand] {
                let over = state.instances.extract_if(.., |instance| !instance.is_live(now));
                gone.extend(over.map(|instance| (self.hand as ServiceRef, instance.id)));
            }
        }
    }

    /// How many services an owner has.
    pub(crate) fn of_owner(&self, owner: Scope) -> u32 {
        self.owned.get(&owner).map_or(0, |owned| owned.services)
    }

    /// How many all owners have together that prove nothing.
    pub(crate) fn of_strangers(&self) -> u32 {
        self.strangers
    }

    /// Whether this owner proves nothing, from now on.
    pub(crate) fn judge(&mut self, owner: Scope, stranger: bool) {
        let Some(owned) = self.owned.get_mut(&owner).filter(|owned| owned.stranger != stranger) else {
            return;
        };
        owned.stranger = stranger;
        match stranger {
            true => self.strangers += owned.services,
            false => self.strangers -= owned.services,
        }
    }

    fn disown(&mut self, owner: Scope) {
        if let Some(owned) = self.owned.get_mut(&owner) {
            owned.services -= 1;
            self.strangers -= u32::from(owned.stranger);
            if owned.services == 0 {
                self.owned.remove(&owner);
            }
        }
    }

    fn unname(&mut self, at: ServiceRef, ssid: Ssid, account: AccountRef) {
        let Some(accounts) = self.by_ssid.get_mut(&ssid) else { return };
        if let Some(named) = accounts.get_mut(&account) {
            named.retain(|&other| other != at);
            if named.is_empty() {
                accounts.remove(&account);
            }
        }
        if accounts.is_empty() {
            self.by_ssid.remove(&ssid);
        }
    }
}

pub(crate) fn owns(state: &ServiceState, peer: Peer) -> Result<(), Refusal> {
    let key = match &state.record.owner {
        Owner::Key(key) => *key,
        Owner::Account(_) => peer.key,
    };
    if is_owner(state.account, key, peer) { Ok(()) } else { Err(Refusal::NotYours) }
}
