//! Accounts as handshakes need them.

use std::collections::HashMap;

use matchmaker::{Change, Seed, objects::AccountId, scope::AccountRef};
use proto::matchmaking::server::{self, Accounts};

use super::convert::half;

/// By e-mail address, and by what tickets call them: a name that also the key goes into, so that nobody is known by a ticket that was had
/// with another key.
#[derive(Debug)]
pub(crate) struct AccountTable {
    by_name: HashMap<String, server::Account>,
    numbers: HashMap<[u8; 16], AccountRef, Seed>,
}

impl Accounts for AccountTable {
    fn account(&self, name: &str) -> Option<server::Account> {
        self.by_name.get(&name.to_lowercase()).cloned()
    }
}

impl AccountTable {
    /// None yet.
    pub fn new(seed: Seed) -> AccountTable {
        AccountTable { by_name: HashMap::new(), numbers: HashMap::with_hasher(seed) }
    }

    /// A change is durable; `number`: of an account that there is a record of, as the matchmaker knows it.
    pub fn apply(&mut self, change: &Change, number: impl Fn(&AccountId) -> Option<AccountRef>) {
        match change {
            Change::PutAccount(account) => {
                let name = account.id.as_str();
                let key = proto::matchmaking::Key(account.key.as_ref().map_or([0; 32], |key| key.0));
                let id = server::AccountId(half(&[&key.0, name.as_bytes()].concat()));
                self.forget(&account.id);
                if let Some(number) = number(&account.id) {
                    self.numbers.insert(id.0, number);
                }
                self.by_name.insert(name.to_owned(), server::Account { id, key });
            }
            Change::DeleteAccount(id) => self.forget(id),
            _ => {}
        }
    }

    fn forget(&mut self, id: &AccountId) {
        if let Some(before) = self.by_name.remove(id.as_str()) {
            self.numbers.remove(&before.id.0);
        }
    }

    /// The key of an account that there is a record of; all zeros if it has none.
    pub fn key(&self, id: &AccountId) -> Option<[u8; 32]> {
        self.by_name.get(id.as_str()).map(|account| account.key.0)
    }

    /// The account that a ticket names.
    pub fn number(&self, id: &server::AccountId) -> Option<AccountRef> {
        self.numbers.get(&id.0).copied()
    }
}
