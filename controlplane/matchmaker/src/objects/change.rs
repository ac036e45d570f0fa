//! A change of one object: the unit in which records become durable.

use dot11::MacAddr;
use uuid::Uuid;

use super::{Account, AccountId, Binding, BindingId, Client, Contract, ContractId, Grant, Radio, Service};

/// One object is there now, or is not any more. Applying a change twice is applying it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// New, or different.
    PutAccount(Account),
    /// With the grants by and to it; its other objects have changes of their own.
    DeleteAccount(AccountId),
    /// New, or different.
    PutRadio(Radio),
    /// No longer known; its registration ends too.
    DeleteRadio(MacAddr),
    /// New, or different.
    PutService(Service),
    /// No longer known; its instances are gone too, its bindings have changes of their own.
    DeleteService(Uuid),
    /// New, or different.
    PutClient(Client),
    /// No longer known.
    DeleteClient(MacAddr),
    /// New, or different.
    PutBinding {
        /// Whose it is; `None`: the pool's.
        account: Option<AccountId>,
        /// What it says.
        binding: Binding,
    },
    /// No longer in force.
    DeleteBinding {
        /// Whose it was.
        account: Option<AccountId>,
        /// Which.
        id: BindingId,
    },
    /// New, or different.
    PutContract {
        /// Whose it is; `None`: the pool's.
        account: Option<AccountId>,
        /// What it says.
        contract: Contract,
    },
    /// No longer in force.
    DeleteContract {
        /// Whose it was.
        account: Option<AccountId>,
        /// Which.
        id: ContractId,
    },
    /// The gateway of this name takes no newcomers, wherever it is attached.
    PutDrained(String),
    /// It takes newcomers again.
    DeleteDrained(String),
    /// New.
    PutGrant(Grant),
    /// No longer in force.
    DeleteGrant(Grant),
}
