//! How each object is identified, in every store the same.

use std::fmt;

use dot11::MacAddr;
use matchmaker::{
    Uuid,
    objects::{AccountId, BindingId, Change, ContractId, Grant, Grantee, Owner},
};

/// Names an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// By its e-mail address.
    Account(AccountId),
    /// By what it says.
    Grant(Grant),
    /// By its permanent address.
    Radio(MacAddr),
    /// By its UUID.
    Service(Uuid),
    /// By its address.
    Client(MacAddr),
    /// By its identifier within its account.
    Binding(Option<AccountId>, BindingId),
    /// By its identifier within its account.
    Contract(Option<AccountId>, ContractId),
    /// By the name of the gateway.
    Drained(String),
}

impl Name {
    /// Of the object that a change is about.
    pub fn of(change: &Change) -> Name {
        match change {
            Change::PutAccount(account) => Name::Account(account.id.clone()),
            Change::DeleteAccount(id) => Name::Account(id.clone()),
            Change::PutRadio(radio) => Name::Radio(radio.mac),
            Change::DeleteRadio(mac) => Name::Radio(*mac),
            Change::PutService(service) => Name::Service(service.uuid),
            Change::DeleteService(uuid) => Name::Service(*uuid),
            Change::PutClient(client) => Name::Client(client.mac),
            Change::DeleteClient(mac) => Name::Client(*mac),
            Change::PutBinding { account, binding } => Name::Binding(account.clone(), binding.id),
            Change::DeleteBinding { account, id } => Name::Binding(account.clone(), *id),
            Change::PutContract { account, contract } => Name::Contract(account.clone(), contract.id),
            Change::DeleteContract { account, id } => Name::Contract(account.clone(), *id),
            Change::PutGrant(grant) | Change::DeleteGrant(grant) => Name::Grant(grant.clone()),
            Change::PutDrained(gateway) | Change::DeleteDrained(gateway) => Name::Drained(gateway.clone()),
        }
    }

    /// The change that deletes it.
    pub fn delete(self) -> Change {
        match self {
            Name::Account(id) => Change::DeleteAccount(id),
            Name::Grant(grant) => Change::DeleteGrant(grant),
            Name::Radio(mac) => Change::DeleteRadio(mac),
            Name::Service(uuid) => Change::DeleteService(uuid),
            Name::Client(mac) => Change::DeleteClient(mac),
            Name::Binding(account, id) => Change::DeleteBinding { account, id },
            Name::Contract(account, id) => Change::DeleteContract { account, id },
            Name::Drained(gateway) => Change::DeleteDrained(gateway),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |account: &Option<AccountId>| match account {
            Some(account) => format!("of {account}"),
            None => "of the pool".into(),
        };
        match self {
            Name::Account(id) => write!(f, "account {id}"),
            Name::Grant(Grant { radios_of, services_of: Grantee::Account(services_of) }) => {
                write!(f, "the grant of {radios_of} to {services_of}")
            }
            Name::Grant(Grant { radios_of, services_of: Grantee::Anybody }) => {
                write!(f, "the grant of {radios_of} to anybody")
            }
            Name::Radio(mac) => write!(f, "radio {mac}"),
            Name::Service(uuid) => write!(f, "service {uuid}"),
            Name::Client(mac) => write!(f, "client {mac}"),
            Name::Binding(account, id) => write!(f, "binding {id} {}", of(account)),
            Name::Contract(account, id) => write!(f, "contract {id} {}", of(account)),
            Name::Drained(gateway) => write!(f, "drained gateway {gateway}"),
        }
    }
}

/// The kinds of objects, in the order in which they are loaded. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    Account = 1,
    Grant = 2,
    Radio = 3,
    Service = 4,
    Client = 5,
    Binding = 6,
    Contract = 7,
    Drained = 8,
}

impl Kind {
    pub(crate) const ALL: [Kind; 8] = [
        Kind::Account,
        Kind::Grant,
        Kind::Radio,
        Kind::Service,
        Kind::Client,
        Kind::Binding,
        Kind::Contract,
        Kind::Drained,
    ];

    /// Whether identifiers count within an account; that of a drained gateway is the pool.
    pub(crate) fn is_scoped(self) -> bool {
        matches!(self, Kind::Grant | Kind::Binding | Kind::Contract | Kind::Drained)
    }

    pub(crate) fn of(code: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|&kind| kind as u8 == code)
    }
}

/// What identifies an object in a store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    /// The account within which `id` identifies; empty: the pool, or everywhere.
    pub(crate) scope: String,
    pub(crate) id: Vec<u8>,
}

/// What only one object of a kind may say within an account.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Says {
    pub(crate) kind: Kind,
    pub(crate) scope: String,
    pub(crate) what: Vec<u8>,
}

/// Where the identifiers of a kind are counted.
pub(crate) type Counter = (Kind, String);

/// How the pool is written.
pub(crate) fn scope(account: Option<&AccountId>) -> String {
    account.map(|account| account.as_str().to_owned()).unwrap_or_default()
}

/// Reads what [`scope`] wrote.
pub(crate) fn unscope(text: &str) -> Option<Option<AccountId>> {
    if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
}

/// How [`Grantee::Anybody`] is written; no address of an account.
const ANYBODY: &str = "*";

impl Key {
    pub(crate) fn of(name: &Name) -> Key {
        let everywhere = |kind, id: &[u8]| Key { kind, scope: String::new(), id: id.to_vec() };
        match name {
            Name::Account(id) => everywhere(Kind::Account, id.as_str().as_bytes()),
            Name::Grant(Grant { radios_of, services_of }) => {
                let to = match services_of {
                    Grantee::Account(account) => account.as_str(),
                    Grantee::Anybody => ANYBODY,
                };
                Key { kind: Kind::Grant, scope: radios_of.as_str().into(), id: to.as_bytes().to_vec() }
            }
            Name::Radio(mac) => everywhere(Kind::Radio, &mac.0),
            Name::Service(uuid) => everywhere(Kind::Service, uuid.as_bytes()),
            Name::Client(mac) => everywhere(Kind::Client, &mac.0),
            Name::Binding(account, id) => Key::numbered(Kind::Binding, scope(account.as_ref()), *id),
            Name::Contract(account, id) => Key::numbered(Kind::Contract, scope(account.as_ref()), *id),
            Name::Drained(gateway) => everywhere(Kind::Drained, gateway.as_bytes()),
        }
    }

    pub(crate) fn numbered(kind: Kind, scope: String, id: u64) -> Key {
        Key { kind, scope, id: id.to_be_bytes().to_vec() }
    }

    /// Of an object that is stored under an account.
    pub(crate) fn placed(kind: Kind, account: String, id: Vec<u8>) -> Key {
        let scope = if kind.is_scoped() { account } else { String::new() };
        Key { kind, scope, id }
    }

    /// The identifier of a numbered object.
    pub(crate) fn number(&self) -> Option<u64> {
        matches!(self.kind, Kind::Binding | Kind::Contract).then_some(())?;
        Some(u64::from_be_bytes(self.id.as_slice().try_into().ok()?))
    }

    /// What it identifies; `None` if no object can be called so.
    pub(crate) fn name(&self) -> Option<Name> {
        let text = || std::str::from_utf8(&self.id).ok();
        let mac = || Some(MacAddr(self.id.as_slice().try_into().ok()?));
        Some(match self.kind {
            Kind::Account => Name::Account(text()?.parse().ok()?),
            Kind::Grant => {
                let services_of = match text()? {
                    ANYBODY => Grantee::Anybody,
                    account => Grantee::Account(account.parse().ok()?),
                };
                Name::Grant(Grant { radios_of: self.scope.parse().ok()?, services_of })
            }
            Kind::Radio => Name::Radio(mac()?),
            Kind::Service => Name::Service(Uuid::from_slice(&self.id).ok()?),
            Kind::Client => Name::Client(mac()?),
            Kind::Binding => Name::Binding(unscope(&self.scope)?, self.number()?),
            Kind::Contract => Name::Contract(unscope(&self.scope)?, self.number()?),
            Kind::Drained => Name::Drained(text()?.to_owned()),
        })
    }

    /// Whether it is a grant by or to the account.
    pub(crate) fn grant_of(&self, account: &str) -> bool {
        self.kind == Kind::Grant && (self.scope == account || self.id == account.as_bytes())
    }
}

/// The account under which an object is stored: its owner, or where its identifier counts.
pub(crate) fn placed(key: &Key, change: &Change) -> String {
    match change {
        Change::PutAccount(account) => account.id.as_str().into(),
        Change::PutRadio(radio) => scope(Owner::account(&radio.owner)),
        Change::PutService(service) => scope(service.owner.account()),
        _ => key.scope.clone(),
    }
}
