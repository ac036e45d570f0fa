//! Who is refused where, because it failed to authenticate.
//!
//! A device that failed so often at a service is refused everywhere: by the services of all accounts. That can be said by who proves whose it
//! is: by services of an account that has a key, and by those of the matchmaker's own configuration. Anybody may register a service of no
//! account, or of one without key, have some device introduced to it, and say that it failed: what such a service says has the device refused
//! by the services of its own owner, its account or its key, and by nobody else's. So no stranger keeps a device from the networks of others.

use std::time::Duration;

use dot11::MacAddr;
use uuid::Uuid;

use crate::bindings::ServiceRef;
use crate::presence::Peer;
use crate::scope::Scope;
use crate::shared::Whom;
use crate::{Matchmaker, Refusal};

impl Matchmaker {
    /// A gateway reports that a client failed to authenticate so often in a row. It must have been introduced there, unless the gateway is
    /// `trusted`, of the matchmaker's own configuration, whose fixed bindings introduce without anybody. Gives who is to be refused, where and
    /// for how long, if it is.
    pub fn report_failures(
        &mut self,
        (peer, trusted): (Peer, bool),
        service: Uuid,
        client: MacAddr,
        failures: u32,
        now: Duration,
    ) -> Result<Option<(Whom, Duration)>, Refusal> {
        let at = self.service_at(service)?;
        let state = self.services.get(at).ok_or(Refusal::UnknownService)?;
        crate::presence::owns(state, peer)?;
        if !trusted && self.introductions.last(client, at, now).is_none() {
            return Err(Refusal::NotIntroduced);
        }
        if trusted || self.accounts.has_key(state.account) {
            let until = self.failures.report(client, failures, now);
            return Ok(until.map(|until| (Whom::from(client), until - now)));
        }
        let whom = Whom { client, within: Some(state.record.owner.clone()) };
        let until = self.failures_within.report((state.scope(), client), failures, now);
        Ok(until.map(|until| (whom, until - now)))
    }

    /// An operator knows that the client may come. Gives where it was refused, or might be.
    pub fn forgive(&mut self, client: MacAddr, now: Duration) -> Vec<Whom> {
        self.failures.forgive(client, now);
        let within = self.failures_within.iter().filter(|((_, other), _)| *other == client);
        let within: Vec<(Scope, MacAddr)> = within.map(|(key, _)| key).collect();
        within.iter().for_each(|&key| self.failures_within.forgive(key, now));
        let within = within.into_iter().map(|(scope, client)| self.whom(scope, client));
        std::iter::once(Whom::from(client)).chain(within).collect()
    }

    /// For how long more the client is refused everywhere, if it is.
    pub fn refused(&self, client: MacAddr, now: Duration) -> Option<Duration> {
        self.failures.refused(client, now).map(|until| until - now)
    }

    /// For how long more the client is refused by this service.
    pub(crate) fn refused_by(&self, service: ServiceRef, client: MacAddr, now: Duration) -> Option<Duration> {
        self.refused(client, now).max(self.refused_within(service, client, now))
    }

    /// For how long more services of this one's owner refuse the client, but not everybody.
    pub(crate) fn refused_within(
        &self,
        service: ServiceRef,
        client: MacAddr,
        now: Duration,
    ) -> Option<Duration> {
        let state = self.services.get(service)?;
        self.failures_within.refused((state.scope(), client), now).map(|until| until - now)
    }

    /// For how long more somebody refuses the client.
    pub fn refused_anywhere(&self, client: MacAddr, now: Duration) -> Option<Duration> {
        let within =
            self.failures_within.iter().filter(|((_, other), struck)| *other == client && now < struck.until);
        let within = within.map(|(_, struck)| struck.until - now).max();
        self.refused(client, now).max(within)
    }

    pub(crate) fn whom(&self, scope: Scope, client: MacAddr) -> Whom {
        Whom { client, within: self.accounts.owner(scope) }
    }
}
