//! Bindings that people forget to make.

use crate::Matchmaker;
use crate::objects::{AccountId, KeyId, NewBinding, Origin, Owner, Pattern, Security, Service};

impl Matchmaker {
    /// Services that nobody sees without a broadcast binding, and whose they are: enterprise services that no device is at home with, so
    /// that nobody binds devices to them, and that have no binding that names no client. They are those of accounts, and of the
    /// configuration; what anybody registers under a key of their own is not suggested to the operator.
    ///
    /// Where radios are is not asked: which are registered differs from one matchmaker to the next, and a binding holds for those to come.
    pub fn lonely_services(&self) -> impl Iterator<Item = (Option<&AccountId>, &Service)> {
        let services = self.services.iter().filter(|(at, state)| {
            state.record.security == Security::Enterprise
                && matches!(state.record.owner, Owner::Account(_) | Owner::Key(KeyId::OWN))
                && !self.bindings.has_home(*at)
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
