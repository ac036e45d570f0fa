//! Accounts by number, and what is within reach of a radio: bindings of its own account, and of those that have a grant.

use std::collections::BTreeMap;

use crate::objects::{Account, AccountId, Grant, Grantee, KeyId, Owner};

/// An account by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountRef(pub u32);

impl AccountRef {
    /// What belongs to no account.
    pub const POOL: AccountRef = AccountRef(0);
}

/// An owner, by number if it is an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Account(AccountRef),
    Key(KeyId),
}

/// Whose bindings can show something on a radio.
#[derive(Debug, Clone, Copy)]
pub struct Reach<'a> {
    /// The radio's account.
    pub own: AccountRef,
    /// Accounts whose services may be shown on its radios.
    pub granted: &'a [AccountRef],
    /// Anybody's services may, by bindings that name client or radio.
    pub anybody: bool,
}

impl Reach<'_> {
    /// Of radios without account.
    pub const POOL: Reach<'static> = Reach { own: AccountRef::POOL, granted: &[], anybody: false };

    /// Whether this account's bindings are within reach if they name client or radio.
    #[inline]
    pub fn allows(&self, account: AccountRef) -> bool {
        account == self.own || self.anybody || self.granted.contains(&account)
    }

    /// The accounts whose broadcast bindings are within reach.
    pub fn by_name(&self) -> impl Iterator<Item = AccountRef> {
        std::iter::once(self.own).chain(self.granted.iter().copied())
    }
}

/// What is known of an account.
#[derive(Debug, Default)]
struct AccountEntry {
    id: Option<AccountId>,
    /// There is a record of it.
    known: bool,
    /// Its peers prove that they are.
    has_key: bool,
    granted: Vec<AccountRef>,
    anybody: bool,
}

/// All accounts.
#[derive(Debug)]
pub struct Accounts {
    entries: Vec<AccountEntry>,
    by_id: BTreeMap<AccountId, AccountRef>,
}

impl Default for Accounts {
    fn default() -> Accounts {
        Accounts { entries: vec![AccountEntry::default()], by_id: BTreeMap::new() }
    }
}

impl Accounts {
    /// The number of an account, which it keeps; `None` is the pool.
    pub fn number(&mut self, id: Option<&AccountId>) -> AccountRef {
        let Some(id) = id else { return AccountRef::POOL };
        if let Some(&number) = self.by_id.get(id) {
            return number;
        }
        let number = AccountRef(self.entries.len() as u32);
        self.entries.push(AccountEntry { id: Some(id.clone()), ..AccountEntry::default() });
        self.by_id.insert(id.clone(), number);
        number
    }

    /// The number of an account that was named before.
    pub fn find(&self, id: Option<&AccountId>) -> Option<AccountRef> {
        id.map_or(Some(AccountRef::POOL), |id| self.by_id.get(id).copied())
    }

    /// Which account has this number; `None` for the pool.
    pub fn id(&self, account: AccountRef) -> Option<&AccountId> {
        self.get(account).id.as_ref()
    }

    /// Whether there is a record of the account, or it is the pool.
    pub fn is_known(&self, account: AccountRef) -> bool {
        account == AccountRef::POOL || self.get(account).known
    }

    /// What a radio of the account can show.
    pub fn reach(&self, radios_of: AccountRef) -> Reach<'_> {
        let entry = self.get(radios_of);
        Reach { own: radios_of, granted: &entry.granted, anybody: entry.anybody }
    }

    /// The grant holds from now on.
    pub fn put_grant(&mut self, grant: &Grant) {
        let radios_of = self.number(Some(&grant.radios_of));
        match &grant.services_of {
            Grantee::Anybody => self.get_mut(radios_of).anybody = true,
            Grantee::Account(account) => {
                let account = self.number(Some(account));
                let granted = &mut self.get_mut(radios_of).granted;
                if account != radios_of && !granted.contains(&account) {
                    granted.push(account);
                }
            }
        }
    }

    /// The grant does not hold any more.
    pub fn delete_grant(&mut self, grant: &Grant) {
        let Some(radios_of) = self.find(Some(&grant.radios_of)) else { return };
        match &grant.services_of {
            Grantee::Anybody => self.get_mut(radios_of).anybody = false,
            Grantee::Account(account) => {
                let account = self.find(Some(account));
                self.get_mut(radios_of).granted.retain(|&granted| Some(granted) != account);
            }
        }
    }

    /// There is a record of it.
    pub fn put(&mut self, account: &Account) {
        let number = self.number(Some(&account.id));
        let entry = self.get_mut(number);
        // A key of zeros is that of whoever has none.
        (entry.known, entry.has_key) = (true, account.key.as_ref().is_some_and(|key| key.0 != [0; 32]));
    }

    /// Whether who speaks for the account has proved it.
    pub fn has_key(&self, account: AccountRef) -> bool {
        self.get(account).has_key
    }

    /// An owner that was named before.
    pub(crate) fn scope(&self, owner: &Owner) -> Option<Scope> {
        match owner {
            Owner::Account(id) => self.find(Some(id)).map(Scope::Account),
            Owner::Key(key) => Some(Scope::Key(*key)),
        }
    }

    /// The same the other way round.
    pub(crate) fn owner(&self, scope: Scope) -> Option<Owner> {
        match scope {
            Scope::Account(account) => self.id(account).cloned().map(Owner::Account),
            Scope::Key(key) => Some(Owner::Key(key)),
        }
    }

    /// The accounts that there is a record of, ordered.
    pub fn known(&self) -> impl Iterator<Item = &AccountId> {
        self.by_id.iter().filter(|&(_, &number)| self.is_known(number)).map(|(id, _)| id)
    }

    /// All grants.
    pub fn grants(&self) -> impl Iterator<Item = Grant> {
        self.by_id.iter().flat_map(|(id, &number)| {
            let entry = self.get(number);
            let anybody = entry.anybody.then_some(Grantee::Anybody);
            let accounts = entry.granted.iter().filter_map(|&of| self.id(of).cloned().map(Grantee::Account));
            anybody
                .into_iter()
                .chain(accounts)
                .map(|services_of| Grant { radios_of: id.clone(), services_of })
        })
    }

    /// There is no record of it any more, and no grant by or to it.
    pub fn forget(&mut self, id: &AccountId) {
        let Some(number) = self.find(Some(id)) else { return };
        let entry = self.get_mut(number);
        (entry.known, entry.has_key) = (false, false);
        entry.anybody = false;
        entry.granted.clear();
        self.entries.iter_mut().for_each(|entry| entry.granted.retain(|&granted| granted != number));
    }

    fn get(&self, account: AccountRef) -> &AccountEntry {
        &self.entries[account.0 as usize]
    }

    fn get_mut(&mut self, account: AccountRef) -> &mut AccountEntry {
        &mut self.entries[account.0 as usize]
    }
}
