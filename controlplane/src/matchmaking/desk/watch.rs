//! What changes at the desk, for those who watch it.

use std::time::Duration;

use dot11::MacAddr;
use matchmaker::{
    Change, Uuid,
    objects::{AccountId, BindingId, ContractId, Grant, Grantee},
    presence::RadioRegistration,
};
use tokio::sync::broadcast;

use super::Desk;

/// What changed, for those who watch: they ask how it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Touched {
    Account(AccountId),
    Grant(Grant),
    Binding(Option<AccountId>, BindingId),
    Network(Uuid),
    Radio(MacAddr),
    Contract(Option<AccountId>, ContractId),
    Client(MacAddr),
}

/// A watcher may be so many changes behind; then it loses some, and is told.
const BEHIND: usize = 4096;

pub(super) fn channel() -> broadcast::Sender<Touched> {
    broadcast::channel(BEHIND).0
}

impl Desk {
    /// Everything that changes from now on.
    pub fn watch(&self) -> broadcast::Receiver<Touched> {
        self.touched.subscribe()
    }

    /// How many do.
    pub fn watchers(&self) -> usize {
        self.touched.receiver_count()
    }

    /// Tells those who watch.
    pub fn touch(&self, what: Touched) {
        // Nobody watching is the usual case.
        let _ = self.touched.send(what);
    }

    /// What a change, which is not applied yet, changes; nothing if nobody wants to know.
    pub(super) fn touched_by(&self, change: &Change) -> Vec<Touched> {
        if self.watchers() == 0 {
            return Vec::new();
        }
        let mut touched: Vec<Touched> = Touched::by(change).into_iter().collect();
        // With an account go the grants by and to it.
        if let Change::DeleteAccount(id) = change {
            let of =
                |grant: &Grant| grant.radios_of == *id || grant.services_of == Grantee::Account(id.clone());
            touched.extend(self.matchmaker.accounts().grants().filter(of).map(Touched::Grant));
        }
        touched
    }

    /// What a radio said last, if somebody wants to hear of radios.
    pub(super) fn watched_radio(&self, radio: MacAddr, now: Duration) -> Option<RadioRegistration> {
        let view = (self.watchers() > 0).then(|| self.matchmaker.radio(radio, now))??;
        view.registered.then_some(view.registration)
    }
}

impl Touched {
    /// What a change is of; nothing, if it is the core's to say.
    fn by(change: &Change) -> Option<Touched> {
        Some(match change {
            Change::PutAccount(account) => Touched::Account(account.id.clone()),
            Change::DeleteAccount(id) => Touched::Account(id.clone()),
            Change::PutRadio(radio) => Touched::Radio(radio.mac),
            Change::DeleteRadio(mac) => Touched::Radio(*mac),
            Change::PutService(service) => Touched::Network(service.uuid),
            Change::DeleteService(uuid) => Touched::Network(*uuid),
            Change::PutBinding { account, binding } => Touched::Binding(account.clone(), binding.id),
            Change::DeleteBinding { account, id } => Touched::Binding(account.clone(), *id),
            Change::PutContract { account, contract } => Touched::Contract(account.clone(), contract.id),
            Change::DeleteContract { account, id } => Touched::Contract(account.clone(), *id),
            Change::PutGrant(grant) | Change::DeleteGrant(grant) => Touched::Grant(grant.clone()),
            Change::PutClient(client) => Touched::Client(client.mac),
            Change::DeleteClient(mac) => Touched::Client(*mac),
            Change::PutDrained(_) | Change::DeleteDrained(_) => return None,
        })
    }
}
