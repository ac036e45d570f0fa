//! Accounts as handshakes need them.

use std::collections::HashMap;

use matchmaker::{Change, objects::AccountId};
use proto::matchmaking::server::{self, Accounts};

use super::convert::half;

/// By e-mail address, and by what tickets call them.
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
                let id = half(name.as_bytes());
                let key = proto::matchmaking::Key(account.key.as_ref().map_or([0; 32], |key| key.0));
                self.by_name.insert(name.to_owned(), server::Account { id: server::AccountId(id), key });
                self.names.insert(id, account.id.clone());
            }
            Change::DeleteAccount(id) => {
                self.by_name.remove(id.as_str());
                self.names.remove(&half(id.as_str().as_bytes()));
            }
            _ => {}
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
