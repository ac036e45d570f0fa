//! Why a client sees a service near a radio, or does not.

use std::fmt;
use std::time::Duration;

use dot11::MacAddr;
use uuid::Uuid;
use visibility::{Facts, Policy, Verdict, decide};

use crate::bindings::{Match, ServiceRef};
use crate::objects::{AccountId, BindingId};
use crate::scope::Reach;
use crate::{Matchmaker, Refusal};

/// About one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Which.
    pub service: Uuid,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// What becomes of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The radio may show it.
    Offered {
        /// Because of this binding.
        binding: BindingId,
        /// Service, binding and overload merged.
        policy: Box<Policy>,
        /// What the radio makes of it, if it is known what the radio knows.
        verdict: Option<Verdict>,
    },
    /// It may not.
    Not(WhyNot),
}

/// Why a radio may not show a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyNot {
    /// The radio is not registered.
    NoRadio,
    /// There is no such service.
    NoService,
    /// The client is refused for so long more.
    Refused(Duration),
    /// No binding says so.
    NoBinding,
    /// One does, but the radio's account lets no services of this account be shown on its radios; `None`: of none.
    OutOfReach(BindingId, Option<AccountId>),
    /// One does, but nobody serves the service.
    NoInstance(BindingId),
}

impl Matchmaker {
    /// Explains what becomes of one service, or of all that bindings name for the client or near the radio. `facts`: what the
    /// radio knows of itself and of the client.
    pub fn explain(
        &mut self,
        client: MacAddr,
        radio: MacAddr,
        service: Option<Uuid>,
        facts: Option<&Facts>,
        now: Duration,
    ) -> Vec<Explanation> {
        let services = match service {
            Some(service) => vec![service],
            None => self.named(client, radio),
        };
        let explain =
            |service| Explanation { service, outcome: self.outcome(client, radio, service, facts, now) };
        services.into_iter().map(explain).collect()
    }

    fn outcome(
        &mut self,
        client: MacAddr,
        radio: MacAddr,
        service: Uuid,
        facts: Option<&Facts>,
        now: Duration,
    ) -> Outcome {
        self.binding_for(client, radio, service, now).map_or_else(Outcome::Not, |(at, found)| {
            let binding = self.bindings.policy(&found).copied().unwrap_or_default();
            let Some(state) = self.services.get_mut(at) else { return Outcome::Not(WhyNot::NoService) };
            let level = state.level(now);
            let policy = Policy::merge(&state.record.policy, &binding, level);
            let verdict = facts.map(|facts| decide(&policy, facts));
            Outcome::Offered { binding: found.id, policy: Box::new(policy), verdict }
        })
    }

    fn binding_for(
        &self,
        client: MacAddr,
        radio: MacAddr,
        service: Uuid,
        now: Duration,
    ) -> Result<(ServiceRef, Match), WhyNot> {
        let at = self.service_at(service).map_err(|_| WhyNot::NoService)?;
        let state = self.services.get(at).ok_or(WhyNot::NoService)?;
        let place = self.radios.live(radio, now).map_err(|_: Refusal| WhyNot::NoRadio)?;
        let (account, ..) = self.radios.at(place);
        if let Some(rest) = self.refused_by(at, client, now) {
            return Err(WhyNot::Refused(rest));
        }
        let Some(found) = self.bindings.decides(self.accounts.reach(account), at, client, radio) else {
            let whole = Reach { own: state.account, granted: &[], anybody: true };
            let elsewhere = self.bindings.decides(whole, at, client, radio);
            let elsewhere = elsewhere.map(|b| WhyNot::OutOfReach(b.id, self.accounts.id(b.account).cloned()));
            return Err(elsewhere.unwrap_or(WhyNot::NoBinding));
        };
        if !state.is_open(now) {
            return Err(WhyNot::NoInstance(found.id));
        }
        Ok((at, found))
    }

    /// Services that bindings name for the client or near the radio, whoever's they are.
    fn named(&self, client: MacAddr, radio: MacAddr) -> Vec<Uuid> {
        let own = self.radios.find(radio).map_or(crate::scope::AccountRef::POOL, |at| self.radios.at(at).0);
        let whole = Reach { anybody: true, ..self.accounts.reach(own) };
        let mut matches = Vec::new();
        self.bindings.naming_client(whole, client, radio, &mut matches);
        self.bindings.for_anybody(whole, radio, &mut matches);
        let mut services: Vec<_> = matches.iter().map(|found| self.bindings.uuid(found.service)).collect();
        services.sort_unstable();
        services.dedup();
        services
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service {}: {}", self.service, self.outcome)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Offered { binding, verdict: Some(verdict), .. } => verdict.because(*binding).fmt(f),
            Outcome::Offered { binding, policy, .. } => {
                write!(f, "offered because binding {binding}")?;
                match policy.min_rssi_dbm.filter(|&least| least != 0) {
                    Some(least) => write!(f, ", from {least} dBm"),
                    None => Ok(()),
                }
            }
            Outcome::Not(why) => write!(f, "not shown because {why}"),
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyNot::NoRadio => f.write_str("the radio is not registered"),
            WhyNot::NoService => f.write_str("there is no such service"),
            WhyNot::Refused(rest) => {
                write!(
                    f,
                    "the client failed to authenticate too often, refused for {} s more",
                    rest.as_secs()
                )
            }
            WhyNot::NoBinding => f.write_str("no binding says so"),
            WhyNot::OutOfReach(id, Some(account)) => {
                write!(f, "binding {id} is of {account}, whose services the radio's account has not granted")
            }
            WhyNot::OutOfReach(id, None) => {
                write!(f, "binding {id} is of no account, and the radio's account has not granted that")
            }
            WhyNot::NoInstance(id) => write!(f, "no instance of the service takes newcomers (binding {id})"),
        }
    }
}
