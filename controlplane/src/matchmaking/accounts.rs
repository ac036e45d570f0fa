//! Accounts as handshakes need them.

use std::collections::HashMap;

use matchmaker::{Change, objects::AccountId};
use proto::matchmaking::server::{self, Accounts};

use super::convert::half;

/// By e-mail address, and by what tickets call them: a name that also the key goes into, so that nobody is known by a ticket that was had
/// with another key.
#[derive(Debug, Default)]
pub(crate) struct AccountTable {
    by_name: HashMap<String, server::Account>,
    names: HashMap<[u8; 16], AccountId>,
}

impl Accounts for AccountTable {
    fn account(&self, name: &str) -> Option<server::Account> {
        self.by_name.get(&name.to_lowercase()).cloned()
    }
}

impl AccountTable {
    /// A change is durable.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::PutAccount(account) => {
                let name = account.id.as_str();
                let key = proto::matchmaking::Key(account.key.as_ref().map_or([0; 32], |key| key.0));
                let id = server::AccountId(half(&[&key.0, name.as_bytes()].concat()));
                self.forget(&account.id);
                self.names.insert(id.0, account.id.clone());
                self.by_name.insert(name.to_owned(), server::Account { id, key });
            }
            Change::DeleteAccount(id) => self.forget(id),
            _ => {}
        }
    }

    fn forget(&mut self, id: &AccountId) {
        if let Some(before) = self.by_name.remove(id.as_str()) {
            self.names.remove(&before.id.0);
        }
    }

    /// The key of an account that there is a record of; all zeros if it has none.
    pub fn key(&self, id: &AccountId) -> Option<[u8; 32]> {
        self.by_name.get(id.as_str()).map(|account| account.key.0)
    }

    /// The account that a ticket names.
    pub fn name(&self, id: &server::AccountId) -> Option<&AccountId> {
        self.names.get(&id.0)
    }
}
