//! Bindings that people forget to make.

use std::collections::BTreeSet;

use crate::Matchmaker;
use crate::objects::{AccountId, Grantee, NewBinding, Origin, Pattern, Security, Service};
use crate::scope::AccountRef;

impl Matchmaker {
    /// Services that nobody sees without a broadcast binding, and whose they are: enterprise services without a binding that names no
    /// client, of accounts that have radios, or that somebody who has some lets show their networks.
    pub fn lonely_services(&self) -> impl Iterator<Item = (Option<&AccountId>, &Service)> {
        let shown = self.accounts.grants().filter_map(|grant| {
            let Grantee::Account(of) = &grant.services_of else { return None };
            let radios_of = self.accounts.find(Some(&grant.radios_of))?;
            (self.radios.of_account(radios_of) > 0).then(|| self.accounts.find(Some(of)))?
        });
        let shown: BTreeSet<AccountRef> = shown.collect();
        let services = self.services.iter().filter(move |(at, state)| {
            state.record.security == Security::Enterprise
                && (self.radios.of_account(state.account) > 0 || shown.contains(&state.account))
                && !self.bindings.has_broadcast(*at)
        });
        services.map(|(_, state)| (self.accounts.id(state.account), &state.record))
    }

    /// The bindings that would show those of an account.
    pub fn broadcast_suggestions(&self, account: &AccountId) -> Vec<NewBinding> {
        let of = self.lonely_services().filter(|(owner, _)| *owner == Some(account));
        let broadcast = |service: &Service| NewBinding {
            service: service.uuid,
            client: Pattern::Any,
            radio: Pattern::Any,
            policy: Default::default(),
            origin: Origin::Administrator,
        };
        of.map(|(_, service)| broadcast(service)).collect()
    }
}
