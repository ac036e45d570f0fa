//! Records as a plain map: what stores are compared with.

use std::collections::BTreeMap;

use matchmaker::{
    Pattern, Uuid,
    objects::{AccountId, Binding, Change, Contract, Grant, Grantee, Subscriber},
};
use records::{Draft, Name, Outcome, Version};

#[derive(Clone, Default)]
pub struct Model {
    pub version: Version,
    /// By name, as text.
    pub objects: BTreeMap<String, (Version, Change)>,
    ids: BTreeMap<(bool, Option<AccountId>), u64>,
}

/// What a binding or a contract says, that no other may.
#[derive(PartialEq)]
enum Says<'a> {
    Binding(&'a Option<AccountId>, Uuid, Pattern, Pattern),
    Contract(&'a Option<AccountId>, Uuid, &'a Subscriber),
}

fn says(change: &Change) -> Option<Says<'_>> {
    match change {
        Change::PutBinding { account, binding: Binding { service, client, radio, .. } } => {
            Some(Says::Binding(account, *service, *client, *radio))
        }
        Change::PutContract { account, contract: Contract { service, subscriber, .. } } => {
            Some(Says::Contract(account, *service, subscriber))
        }
        _ => None,
    }
}

pub fn text(name: &Name) -> String {
    format!("{name:?}")
}

impl Model {
    /// What becomes of the drafts; `None`: they are refused.
    pub fn commit(&mut self, drafts: &[Draft]) -> Option<Vec<Outcome>> {
        let mut next = self.clone();
        next.version += 1;
        let outcomes = drafts.iter().map(|draft| next.draft(draft)).collect::<Option<Vec<_>>>()?;
        if outcomes.iter().any(|outcome| outcome.made) {
            *self = next;
        }
        Some(outcomes)
    }

    fn draft(&mut self, draft: &Draft) -> Option<Outcome> {
        let new = match draft {
            Draft::Change(change) => return self.change(change.clone()),
            Draft::ChangeIf { change, seen } => {
                let there = self.objects.get(&text(&Name::of(change))).map(|(_, there)| there);
                let absent = Name::of(change).delete();
                let there = there.unwrap_or(&absent);
                if there != change && there != seen.as_deref().unwrap_or(&absent) {
                    return None;
                }
                return self.change(change.clone());
            }
            Draft::NewBinding { account, binding } => {
                let id = self.ids.get(&(true, account.clone())).unwrap_or(&0) + 1;
                Change::PutBinding { account: account.clone(), binding: binding.with_id(id) }
            }
            Draft::NewContract { account, contract } => {
                let id = self.ids.get(&(false, account.clone())).unwrap_or(&0) + 1;
                let contract = contract.clone().with_id(id);
                Change::PutContract { account: account.clone(), contract }
            }
        };
        if let Some((_, there)) = self.objects.values().find(|(_, there)| says(there) == says(&new)) {
            return Some(Outcome { change: there.clone(), made: false });
        }
        self.change(new)
    }

    fn change(&mut self, change: Change) -> Option<Outcome> {
        let name = Name::of(&change);
        let key = text(&name);
        if name.delete() == change {
            let mut made = self.objects.remove(&key).is_some();
            if let Change::DeleteAccount(id) = &change {
                let before = self.objects.len();
                self.objects.retain(|_, (_, object)| match object {
                    Change::PutGrant(Grant { radios_of, services_of }) => {
                        radios_of != id && *services_of != Grantee::Account(id.clone())
                    }
                    _ => true,
                });
                made |= self.objects.len() < before;
            }
            return Some(Outcome { change, made });
        }
        if self.objects.get(&key).is_some_and(|(_, there)| *there == change) {
            return Some(Outcome { change, made: false });
        }
        let same = |(other, (_, there)): (&String, &(_, Change))| {
            *other != key && says(there).is_some() && says(there) == says(&change)
        };
        if self.objects.iter().any(same) {
            return None;
        }
        let counted = match &change {
            Change::PutBinding { account, binding } => Some(((true, account.clone()), binding.id)),
            Change::PutContract { account, contract } => Some(((false, account.clone()), contract.id)),
            _ => None,
        };
        if let Some((counter, id)) = counted {
            let last = self.ids.entry(counter).or_default();
            *last = id.max(*last);
        }
        self.objects.insert(key, (self.version, change.clone()));
        Some(Outcome { change, made: true })
    }
}
