//! All that the matchmaker knows, how records change it, and how peers register.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dot11::MacAddr;
use hashbrown::HashMap;
use uuid::Uuid;
use visibility::Policy;

use crate::Refusal;
use crate::bindings::{Bindings, BindingsMemory, Match, ServiceRef};
use crate::clients::Clients;
use crate::gate::{Failures, Rates, Sources, Strikes};
use crate::look_up::Likely;
use crate::memory::Seed;
use crate::objects::{
    AccountId, BindingId, Cause, Change, Contract, ContractId, KeyId, NewBinding, Origin, Owner, Pattern,
    Service, Subscriber,
};
use crate::presence::{
    Instance, InstanceId, Introductions, Load, Peer, RadioRegistration, RadioView, Radios, RadiosMemory,
    Services, Sightings,
};
use crate::refusal::Asker;
use crate::scope::{AccountRef, Accounts, Scope};

/// Bindings of one client with one radio pattern that gateways of an account may ask for.
pub const MAX_AUTO_BOUND: usize = 64;

/// Services of one key, or of an account that has no key: each is a record that stays.
pub const MAX_SERVICES: u32 = 64;

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A radio must register again within this.
    pub radio_lifetime: Duration,
    /// An instance must register again within this: what fail-over waits for if a gateway dies without a word.
    pub instance_lifetime: Duration,
    /// A device must begin to authenticate so soon after it was introduced.
    pub introduction: Duration,
    /// How long offers hold.
    pub offers: Duration,
    /// How devices that fail to authenticate are treated.
    pub strikes: Strikes,
    /// How much may be asked.
    pub rates: Rates,
    /// Clients of which is known where they were lately, for mobility, steering and prediction, or up to half as many; 64 octets each. Of two that
    /// come to one place the later has it, so there should be several times as many as devices within ten minutes.
    pub sightings: usize,
    /// Services of all together who prove nothing: a key or the name of an account without key costs nothing, so a limit of each is none of all.
    pub services_of_strangers: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            radio_lifetime: Duration::from_secs(300),
            instance_lifetime: Duration::from_secs(15),
            introduction: Duration::from_secs(30),
            offers: Duration::from_secs(60),
            strikes: Strikes::default(),
            rates: Rates::default(),
            sightings: 1 << 18,
            services_of_strangers: 100_000,
        }
    }
}

/// How often what was predicted came true.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Predictions {
    /// Services offered because their clients are expected.
    pub offered: u64,
    /// Devices that connected to a service that was predicted at their radio.
    pub hits: u64,
    /// Devices with an address of their own making that connected to one that was not.
    pub misses: u64,
}

/// What a gateway's wish to bind a client comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AutoBind {
    /// It is bound already.
    Existing(BindingId),
    /// This is to become durable, and then to be applied.
    Create {
        /// Whose it will be.
        account: Option<AccountId>,
        /// What it will say.
        binding: NewBinding,
    },
}

/// Objects in, decisions out.
#[derive(Debug)]
pub struct Matchmaker {
    pub(crate) settings: Settings,
    pub(crate) accounts: Accounts,
    pub(crate) bindings: Bindings,
    pub(crate) radios: Radios,
    pub(crate) services: Services,
    pub(crate) introductions: Introductions,
    pub(crate) sightings: Sightings,
    pub(crate) failures: Failures<MacAddr>,
    /// Of devices that are refused by the services of one owner only.
    pub(crate) failures_within: Failures<(Scope, MacAddr)>,
    pub(crate) predictions: Predictions,
    pub(crate) clients: Clients,
    drained: BTreeSet<String>,
    sources: Sources,
    account_rates: Vec<Duration>,
    contracts: HashMap<(AccountRef, ContractId), Contract, Seed>,
    contract_of: HashMap<(Uuid, Subscriber), (AccountRef, ContractId), Seed>,
    /// Reused by look-ups.
    pub(crate) matches: Vec<Match>,
    pub(crate) likely: Vec<Likely>,
}

impl Matchmaker {
    /// Knows nothing yet. The seed is drawn when the process starts.
    pub fn new(settings: Settings, seed: Seed) -> Matchmaker {
        Matchmaker {
            settings,
            accounts: Accounts::default(),
            bindings: Bindings::new(seed),
            radios: Radios::new(seed),
            services: Services::new(seed),
            introductions: Introductions::new(seed),
            sightings: Sightings::new(seed, settings.sightings),
            failures: Failures::new(seed, settings.strikes),
            failures_within: Failures::new(seed, settings.strikes),
            predictions: Predictions::default(),
            clients: Clients::default(),
            drained: BTreeSet::new(),
            sources: Sources::new(seed, settings.rates.sources),
            account_rates: Vec::new(),
            contracts: HashMap::with_hasher(seed),
            contract_of: HashMap::with_hasher(seed),
            matches: Vec::new(),
            likely: Vec::new(),
        }
    }

    /// A change became durable.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::PutAccount(account) => {
                self.accounts.put(account);
                self.account_changed(&account.id);
            }
            Change::DeleteAccount(id) => {
                self.accounts.forget(id);
                self.account_changed(id);
            }
            Change::PutRadio(radio) => {
                let (account, key) = self.owner(&radio.owner);
                self.radios.record(radio.mac, account, key);
            }
            Change::DeleteRadio(mac) => self.radios.forget(*mac),
            Change::PutService(service) => {
                let (account, _) = self.owner(&service.owner);
                let scope = self.accounts.scope(&service.owner);
                let stranger = scope.is_none_or(|owner| self.is_stranger(owner));
                let at = match self.bindings.service(service.uuid) {
                    Some(at) if self.services.get(at).is_some() => at,
                    _ => self.bindings.hold(service.uuid),
                };
                self.services.put(at, account, service, stranger);
                self.bindings.set_owner(at, Some(account));
            }
            Change::DeleteService(uuid) => {
                if let Some(at) = self.bindings.service(*uuid)
                    && self.services.remove(at)
                {
                    self.bindings.set_owner(at, None);
                    self.bindings.release(at);
                }
            }
            Change::PutClient(_) | Change::DeleteClient(_) => self.clients.apply(change),
            Change::PutDrained(gateway) => {
                self.drained.insert(gateway.clone());
            }
            Change::DeleteDrained(gateway) => {
                self.drained.remove(gateway);
            }
            Change::PutBinding { account, binding } => {
                let account = self.accounts.number(account.as_ref());
                self.bindings.put(account, binding);
            }
            Change::DeleteBinding { account, id } => {
                if let Some(account) = self.accounts.find(account.as_ref()) {
                    self.bindings.remove(account, *id);
                }
            }
            Change::PutContract { account, contract } => {
                let key = (self.accounts.number(account.as_ref()), contract.id);
                self.delete_contract(key);
                self.contract_of.insert((contract.service, contract.subscriber.clone()), key);
                self.contracts.insert(key, contract.clone());
            }
            Change::DeleteContract { account, id } => {
                if let Some(account) = self.accounts.find(account.as_ref()) {
                    self.delete_contract((account, *id));
                }
            }
            Change::PutGrant(grant) => self.accounts.put_grant(grant),
            Change::DeleteGrant(grant) => self.accounts.delete_grant(grant),
        }
    }

    /// Who speaks: a peer without account, or of one that there is a record of.
    pub fn peer(&self, account: Option<&AccountId>, key: KeyId) -> Result<Peer, Refusal> {
        self.peer_of(self.accounts.find(account).ok_or(Refusal::UnknownAccount)?, key)
    }

    /// The same by the account's number.
    pub fn peer_of(&self, account: AccountRef, key: KeyId) -> Result<Peer, Refusal> {
        if self.accounts.is_known(account) { Ok(Peer { account, key }) } else { Err(Refusal::UnknownAccount) }
    }

    /// Whether a request may be answered at all.
    pub fn admit(&mut self, source: IpAddr, peer: Peer, now: Duration) -> Result<(), Refusal> {
        let limited = |of| move |retry| Refusal::Rate { of, retry };
        let rates = self.settings.rates;
        self.sources.admit(source, rates.source, now).map_err(limited(Asker::Source))?;
        if peer.account != AccountRef::POOL {
            let number = peer.account.0 as usize;
            if self.account_rates.len() <= number {
                self.account_rates.resize(number + 1, Duration::ZERO);
            }
            rates.account.admit(&mut self.account_rates[number], now).map_err(limited(Asker::Account))?;
        }
        Ok(())
    }

    /// A radio is there.
    pub fn register_radio(
        &mut self,
        peer: Peer,
        said: &RadioRegistration,
        now: Duration,
    ) -> Result<(), Refusal> {
        self.radios.register(peer, said, self.settings.radio_lifetime, now).map(drop)
    }

    /// A radio is going.
    pub fn unregister_radio(&mut self, peer: Peer, mac: MacAddr) -> Result<(), Refusal> {
        self.radios.unregister(peer, mac)
    }

    /// A radio that is registered, or that there is a record of.
    pub fn radio(&self, mac: MacAddr, now: Duration) -> Option<RadioView> {
        self.radios.view(mac, now)
    }

    /// Whether the radio is registered, and by whom it may be spoken for.
    pub fn is_radio_of(&self, peer: Peer, mac: MacAddr, now: Duration) -> Result<(), Refusal> {
        self.radio_of(peer, mac, now).map(drop)
    }

    fn radio_of(&self, peer: Peer, mac: MacAddr, now: Duration) -> Result<u32, Refusal> {
        let at = self.radios.live(mac, now)?;
        if self.radios.is_owner(at, peer) { Ok(at) } else { Err(Refusal::NotYours) }
    }

    /// Whether the peer may speak for the radio, which has not asked too much. Who may not uses nothing up of what it may.
    pub fn admit_radio(&mut self, peer: Peer, mac: MacAddr, now: Duration) -> Result<(), Refusal> {
        let at = self.radio_of(peer, mac, now)?;
        let admitted = self.radios.admit(at, self.settings.rates.radio, now);
        admitted.map_err(|retry| Refusal::Rate { of: Asker::Radio, retry })
    }

    /// Whether the peer may speak for the service.
    pub fn is_service_of(&self, peer: Peer, service: Uuid) -> Result<(), Refusal> {
        crate::presence::owns(
            self.services.get(self.service_at(service)?).ok_or(Refusal::UnknownService)?,
            peer,
        )
    }

    /// Whether the radio's account lets the service be shown on its radios, by some binding. A radio that is unknown is nobody's.
    pub fn is_within_reach(&self, service: Uuid, radio: MacAddr) -> bool {
        let state = self.service_at(service).ok().and_then(|at| self.services.get(at));
        let account = self.radios.find(radio).map(|at| self.radios.at(at).0);
        let allows = |account| state.is_some_and(|state| self.accounts.reach(account).allows(state.account));
        account.is_none_or(allows)
    }

    /// The radio's datagrams come from here now.
    pub fn radio_at(&mut self, mac: MacAddr, endpoint: SocketAddr) {
        self.radios.moved(mac, endpoint);
    }

    /// A gateway describes a service: what is to become durable before an instance can register, if anything. The policy of a
    /// service and its capture URL are its operator's: what a gateway says of them counts when the service is new.
    pub fn plan_service(&self, peer: Peer, said: &Service) -> Result<Option<Change>, Refusal> {
        let owner = match self.accounts.id(peer.account) {
            Some(account) => Owner::Account(account.clone()),
            None => Owner::Key(peer.key),
        };
        let known = self.bindings.service(said.uuid).and_then(|at| self.services.get(at));
        let Some(known) = known else {
            let scope = self.accounts.scope(&owner).ok_or(Refusal::UnknownAccount)?;
            let full = || {
                self.services.of_owner(scope) >= MAX_SERVICES
                    || self.services.of_strangers() >= self.settings.services_of_strangers
            };
            if peer.key != KeyId::OWN && self.is_stranger(scope) && full() {
                return Err(Refusal::TooManyServices);
            }
            return Ok(Some(Change::PutService(Service { owner, ..said.clone() })));
        };
        crate::presence::owns(known, peer)?;
        let (policy, capture_url) = (known.record.policy, known.record.capture_url.clone());
        let record = Service { owner: known.record.owner.clone(), policy, capture_url, ..said.clone() };
        Ok((record != known.record).then_some(Change::PutService(record)))
    }

    /// An instance of a service is there.
    pub fn register_instance(
        &mut self,
        peer: Peer,
        service: Uuid,
        id: InstanceId,
        endpoints: &[SocketAddr],
        load_permille: u16,
        now: Duration,
    ) -> Result<(), Refusal> {
        let at = self.service_at(service)?;
        let until = (now, now + self.settings.instance_lifetime);
        self.services.register(at, peer, id, endpoints, load_permille, until)
    }

    /// An instance says how it is.
    pub fn load(
        &mut self,
        peer: Peer,
        service: Uuid,
        id: InstanceId,
        load: Load,
        now: Duration,
    ) -> Result<(), Refusal> {
        let at = self.service_at(service)?;
        let expires = now + self.settings.instance_lifetime;
        self.services.change(at, peer, id, now, |instance| {
            (instance.load, instance.expires) = (load, expires);
            instance.heard();
        })
    }

    /// The instance's datagrams come from here now: a hole in its NAT may be another one than when it registered.
    pub fn instance_at(
        &mut self,
        peer: Peer,
        service: Uuid,
        id: InstanceId,
        endpoint: SocketAddr,
        now: Duration,
    ) -> Result<(), Refusal> {
        let at = self.service_at(service)?;
        self.services.change(at, peer, id, now, |instance| {
            let mut rest = std::mem::take(&mut instance.endpoints).into_iter();
            rest.next();
            instance.endpoints = std::iter::once(endpoint).chain(rest.filter(|&at| at != endpoint)).collect();
        })
    }

    /// An instance is going.
    pub fn unregister_instance(
        &mut self,
        peer: Peer,
        service: Uuid,
        id: InstanceId,
        now: Duration,
    ) -> Result<(), Refusal> {
        let at = self.service_at(service)?;
        match self.services.change(at, peer, id, now, |instance| instance.expires = now) {
            Err(Refusal::NotRegistered) => Ok(()),
            done => done,
        }
    }

    /// The record of a service.
    pub fn service(&self, uuid: Uuid) -> Option<&Service> {
        self.services.get(self.bindings.service(uuid)?).map(|state| &state.record)
    }

    /// The configuration says when a service is shown: it has the last word, field by field, over the record. It is of this process only, and
    /// not on record.
    pub fn configure_policy(&mut self, service: Uuid, policy: Policy) {
        self.services.configure(self.bindings.service(service), service, policy);
    }

    /// What the configuration says of when a service is shown.
    pub fn configured_policy(&self, service: Uuid) -> Option<&Policy> {
        self.services.configured(service)
    }

    /// When a service is shown, unless a binding says otherwise: its record's policy and the configuration's.
    pub fn policy_of(&self, service: Uuid) -> Option<&Policy> {
        self.services.get(self.bindings.service(service)?).map(|state| &state.policy)
    }

    /// The instances of a service.
    pub fn instances(&self, service: Uuid) -> &[Instance] {
        let state = self.bindings.service(service).and_then(|at| self.services.get(at));
        state.map_or(&[], |state| &state.instances)
    }

    /// The level of overload of a service: the signal that it demands of newcomers.
    pub fn overload(&mut self, service: Uuid, now: Duration) -> u8 {
        let (at, among) = (self.bindings.service(service), self.services.among());
        at.and_then(|at| self.services.get_mut(at)).map_or(0, |state| state.level(among, now))
    }

    /// A gateway asks for a binding. Asking again is harmless.
    pub fn plan_auto_bind(
        &self,
        peer: Peer,
        service: Uuid,
        client: MacAddr,
        radio: Option<MacAddr>,
        cause: Cause,
    ) -> Result<AutoBind, Refusal> {
        let state = self.services.get(self.service_at(service)?).ok_or(Refusal::UnknownService)?;
        crate::presence::owns(state, peer)?;
        let binding = NewBinding {
            service,
            client: Pattern::Exactly(client),
            radio: radio.map_or(Pattern::Any, Pattern::Exactly),
            policy: Default::default(),
            origin: Origin::AutoBind(cause),
        };
        if let Some(id) = self.bindings.same(state.account, &binding) {
            return Ok(AutoBind::Existing(id));
        }
        if self.bindings.auto_bound(state.account, binding.client, binding.radio) >= MAX_AUTO_BOUND {
            return Err(Refusal::TooManyBindings);
        }
        Ok(AutoBind::Create { account: self.accounts.id(state.account).cloned(), binding })
    }

    /// A gateway forgets whom it asked to bind: the changes that do it.
    pub fn plan_reset(&self, peer: Peer, service: Uuid) -> Result<Vec<Change>, Refusal> {
        let state = self.services.get(self.service_at(service)?).ok_or(Refusal::UnknownService)?;
        crate::presence::owns(state, peer)?;
        let delete =
            |(account, id)| Change::DeleteBinding { account: self.accounts.id(account).cloned(), id };
        Ok(self.bindings.asked_for(service, None).map(delete).collect())
    }

    /// The contract of a subscriber with a service.
    pub fn contract(&self, service: Uuid, subscriber: &Subscriber) -> Option<&Contract> {
        self.contracts.get(self.contract_of.get(&(service, subscriber.clone()))?)
    }

    /// Forgets what is over, a part at a time; to be called often, about every second. Gives the instances that are gone. Nothing
    /// depends on it: what is over is not used even before it is forgotten.
    pub fn expire(&mut self, now: Duration) -> Vec<(Uuid, InstanceId)> {
        let mut gone = Vec::new();
        let all = self.radios.len() as u32;
        self.radios.sweep(all / 32 + 64, now);
        self.services.sweep(65_536, now, &mut gone);
        self.introductions.sweep(65_536, now);
        gone.into_iter().map(|(at, id)| (self.bindings.uuid(at), id)).collect()
    }

    /// The bindings.
    pub fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// The accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Radios that are registered or that there is a record of.
    pub fn radios(&self) -> usize {
        self.radios.len()
    }

    /// Every radio has a place below this, and keeps it.
    pub fn radio_places(&self) -> u32 {
        self.radios.places()
    }

    /// Radios within a range of places: for going through all of them a part at a time.
    pub fn radios_within(
        &self,
        places: std::ops::Range<u32>,
        now: Duration,
    ) -> impl Iterator<Item = RadioView> {
        self.radios.within(places).filter_map(move |mac| self.radios.view(mac, now))
    }

    /// The addresses of those among them that there is a record of.
    pub fn recorded_radios_within(&self, places: std::ops::Range<u32>) -> impl Iterator<Item = MacAddr> {
        self.radios.recorded_within(places)
    }

    /// All contracts, with whose they are.
    pub fn contracts(&self) -> impl Iterator<Item = (Option<&AccountId>, &Contract)> {
        self.contracts.iter().map(|(&(account, _), contract)| (self.accounts.id(account), contract))
    }

    /// All services that there is a record of, with their instances.
    pub fn services(&self) -> impl Iterator<Item = (&Service, &[Instance])> {
        self.services.iter().map(|(_, state)| (&state.record, &state.instances[..]))
    }

    /// Gateways that are to take no newcomers, by name.
    pub fn drained(&self) -> &BTreeSet<String> {
        &self.drained
    }

    /// Services of those who prove nothing.
    pub fn services_of_strangers(&self) -> u32 {
        self.services.of_strangers()
    }

    /// Introductions that are remembered.
    pub fn introductions(&self) -> usize {
        self.introductions.len()
    }

    /// How often what was predicted came true.
    pub fn predictions(&self) -> Predictions {
        self.predictions
    }

    /// What memory the bindings and the radios take; for a radio that is not silent, who was there lately is not counted.
    pub fn memory(&self) -> (BindingsMemory, RadiosMemory) {
        (self.bindings.memory(), self.radios.memory())
    }

    pub(crate) fn service_at(&self, uuid: Uuid) -> Result<ServiceRef, Refusal> {
        let at = self.bindings.service(uuid).filter(|&at| self.services.get(at).is_some());
        at.ok_or(Refusal::UnknownService)
    }

    fn owner(&mut self, owner: &Owner) -> (AccountRef, KeyId) {
        match owner {
            Owner::Account(account) => (self.accounts.number(Some(account)), KeyId([0; 16])),
            Owner::Key(key) => (AccountRef::POOL, *key),
        }
    }

    /// Who proves nothing: a key that anybody may have made, or somebody who names an account that has no key.
    fn is_stranger(&self, owner: Scope) -> bool {
        match owner {
            Scope::Account(account) => !self.accounts.has_key(account),
            Scope::Key(key) => key != KeyId::OWN,
        }
    }

    /// The account has a key now, or has none any more.
    fn account_changed(&mut self, account: &AccountId) {
        if let Some(account) = self.accounts.find(Some(account)) {
            let scope = Scope::Account(account);
            self.services.judge(scope, self.is_stranger(scope));
        }
    }

    fn delete_contract(&mut self, key: (AccountRef, ContractId)) {
        if let Some(contract) = self.contracts.remove(&key) {
            let of = (contract.service, contract.subscriber);
            if self.contract_of.get(&of) == Some(&key) {
                self.contract_of.remove(&of);
            }
        }
    }
}
