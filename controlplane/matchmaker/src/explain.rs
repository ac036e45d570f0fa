//! Why a client sees a service near a radio, or does not.

use std::fmt;
use std::time::Duration;

use dot11::MacAddr;
use uuid::Uuid;
use visibility::{Band, Device, Facts, Policy, Reason, Verdict, decide};

use crate::bindings::{Match, Naming, ServiceRef};
use crate::look_up::PLAUSIBLE;
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
        /// And how that applies to the client.
        ground: Ground,
        /// Service, binding and overload merged.
        policy: Box<Policy>,
        /// What the radio makes of it, as far as is known what the radio knows.
        judged: Box<Judged>,
    },
    /// It may not.
    Not(WhyNot),
}

/// How a binding applies to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// It names the client, or anybody.
    Bound,
    /// Nothing names this address, which the client may have drawn for scanning: but a client that the binding names was lately at the
    /// radio or near it, and is expected, as far as the radio has BSSIDs left.
    Predicted,
    /// Nothing names this address, which the client may have drawn for scanning: the radio may show the service if the client asks for it
    /// by name.
    IfAsked,
}

/// What a radio makes of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// If what is not known holds.
    pub verdict: Verdict,
    /// The signal that it goes by.
    pub signal: Option<Signal>,
    /// Where the client was heard last, if not at this radio.
    pub elsewhere: Option<Elsewhere>,
    /// What is demanded that only the radio knows.
    pub unknown: Vec<Unknown>,
}

/// The signal of the client at the radio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// So strong.
    pub dbm: i8,
    /// Heard so long ago; `None`: whoever asks says so.
    pub age: Option<Duration>,
}

/// A client was heard at another radio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elsewhere {
    /// Which.
    pub radio: MacAddr,
    /// So strong, if the radio said it.
    pub dbm: Option<i8>,
    /// So long ago.
    pub age: Duration,
}

/// A condition, and what is demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Signal, in dBm.
    Signal(i8),
    /// Radios in ten minutes.
    Mobility(u32),
    /// Clients on the radio.
    Clients(u32),
    /// Spare capacity from the device, in kbit/s.
    Up(u32),
    /// Spare capacity towards the device, in kbit/s.
    Down(u32),
    /// How long it has been near.
    Near(Duration),
    /// More of that, if it can do another band.
    Steered(Duration),
    /// Whether the client's own network is heard.
    Home,
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
    /// Explains what becomes of one service, or of all that bindings name for the client or near the radio. `signal`: of the client at
    /// the radio, in dBm; as it was heard in the last ten minutes unless said.
    pub fn explain(
        &mut self,
        client: MacAddr,
        radio: MacAddr,
        service: Option<Uuid>,
        signal: Option<i8>,
        now: Duration,
    ) -> Vec<Explanation> {
        let services = match service {
            Some(service) => vec![service],
            None => self.named(client, radio),
        };
        let explain =
            |service| Explanation { service, outcome: self.outcome(client, radio, service, signal, now) };
        services.into_iter().map(explain).collect()
    }

    fn outcome(
        &mut self,
        client: MacAddr,
        radio: MacAddr,
        service: Uuid,
        signal: Option<i8>,
        now: Duration,
    ) -> Outcome {
        self.binding_for(client, radio, service, now).map_or_else(Outcome::Not, |(at, found, ground)| {
            let binding = self.bindings.policy(&found).copied().unwrap_or_default();
            let among = self.services.among();
            let Some(state) = self.services.get_mut(at) else { return Outcome::Not(WhyNot::NoService) };
            let level = state.level(among, now);
            let mut policy = Policy::merge(&state.policy, &binding, level);
            // What only counts for whom a binding names.
            let named = ground == Ground::Bound && matches!(found.names, Naming::Both | Naming::Client);
            if !named {
                policy.max_mobility = None;
            }
            let place = self.radios.find(radio);
            if !place.is_some_and(|radio| self.is_steered(radio, at, client, named, now)) {
                policy.steer_delay = None;
            }
            let judged = Box::new(self.judge(&policy, client, radio, signal, now));
            Outcome::Offered { binding: found.id, ground, policy: Box::new(policy), judged }
        })
    }

    /// Decides as the radio would, of conditions whose facts are known here.
    fn judge(
        &self,
        policy: &Policy,
        client: MacAddr,
        radio: MacAddr,
        signal: Option<i8>,
        now: Duration,
    ) -> Judged {
        let at = self.radios.find(radio);
        let here = at.and_then(|at| self.sightings.heard_at(client, at, now));
        let last = self.sightings.heard_last(client, now);
        let elsewhere = last.filter(|heard| here.is_none() && Some(heard.radio) != at).map(|heard| {
            Elsewhere { radio: self.radios.mac(heard.radio), dbm: heard.rssi_dbm, age: heard.age }
        });
        let heard = || here.and_then(|here| Some(Signal { dbm: here.rssi_dbm?, age: Some(here.age) }));
        let signal = signal.map(|dbm| Signal { dbm, age: None }).or_else(heard);
        let mobility = self.sightings.mobility(client, now);

        let (mut known, mut unknown) = (*policy, Vec::new());
        let mut take = |is_known: bool, field: &mut Option<u32>, of: fn(u32) -> Unknown| {
            if !is_known && let Some(value) = field.take().filter(|&value| value != 0) {
                unknown.push(of(value));
            }
        };
        take(mobility > 0, &mut known.max_mobility, Unknown::Mobility);
        take(false, &mut known.max_clients, Unknown::Clients);
        take(false, &mut known.min_up_kbps, Unknown::Up);
        take(false, &mut known.min_down_kbps, Unknown::Down);
        if signal.is_none()
            && let Some(least) = known.min_rssi_dbm.take().filter(|&least| least != 0)
        {
            unknown.insert(0, Unknown::Signal(least));
        }
        unknown.extend(known.delay.take().filter(|delay| !delay.is_zero()).map(Unknown::Near));
        let steering = known.steer_delay.take().filter(|delay| !delay.is_zero());
        unknown.extend(steering.map(Unknown::Steered));
        unknown.extend(known.yields_to_home.take().filter(|&yields| yields).map(|_| Unknown::Home));
        let device = Device {
            rssi_dbm: signal.map(|signal| signal.dbm),
            near_since: now,
            can_other_band: false,
            mobility,
            home_heard: false,
        };
        let band = at.map_or(Band::Ghz2_4, |at| self.radios.at(at).1);
        let facts =
            Facts { now, band, spare_up_kbps: None, spare_down_kbps: None, clients: 0, device: Some(device) };
        Judged { verdict: decide(&known, &facts), signal, elsewhere, unknown }
    }

    fn binding_for(
        &self,
        client: MacAddr,
        radio: MacAddr,
        service: Uuid,
        now: Duration,
    ) -> Result<(ServiceRef, Match, Ground), WhyNot> {
        let at = self.service_at(service).map_err(|_| WhyNot::NoService)?;
        let state = self.services.get(at).ok_or(WhyNot::NoService)?;
        let place = self.radios.live(radio, now).map_err(|_: Refusal| WhyNot::NoRadio)?;
        let (account, ..) = self.radios.at(place);
        if let Some(rest) = self.refused_by(at, client, now) {
            return Err(WhyNot::Refused(rest));
        }
        let reach = self.accounts.reach(account);
        let bound = self.bindings.decides(reach, at, client, radio).map(|found| (found, Ground::Bound));
        let Some((found, ground)) = bound.or_else(|| self.for_nobody_known(at, client, place, now)) else {
            let whole = Reach { own: state.account, granted: &[], anybody: true };
            let elsewhere = self.bindings.decides(whole, at, client, radio);
            let elsewhere = elsewhere.map(|b| WhyNot::OutOfReach(b.id, self.accounts.id(b.account).cloned()));
            return Err(elsewhere.unwrap_or(WhyNot::NoBinding));
        };
        if !state.is_open(now) {
            return Err(WhyNot::NoInstance(found.id));
        }
        Ok((at, found, ground))
    }

    /// What look-ups find for an address that a device scans with and nobody knows.
    fn for_nobody_known(
        &self,
        service: ServiceRef,
        client: MacAddr,
        radio: u32,
        now: Duration,
    ) -> Option<(Match, Ground)> {
        let (mac, (account, ..)) = (self.radios.mac(radio), self.radios.at(radio));
        let reach = self.accounts.reach(account);
        let mut matches = Vec::new();
        self.bindings.naming_client(reach, client, mac, &mut matches);
        if !client.is_local() || client.is_group() || !matches.is_empty() {
            return None;
        }
        // As predictions go: who is known to be elsewhere does not come.
        let expected = self.radios.recent(radio).filter(|(recent, seen)| {
            let there = self.sightings.is_at(recent.client, now);
            recent.service == service
                && recent.weight(now) >> u32::from(*seen != radio) > 0
                && there.is_none_or(|there| there == radio || there == *seen)
        });
        let predicted = expected
            .filter_map(|(recent, _)| self.bindings.decides(reach, service, recent.client, mac))
            .next();
        let asked = || self.bindings.plausible(reach, service, mac, PLAUSIBLE);
        predicted
            .map(|found| (found, Ground::Predicted))
            .or_else(|| asked().map(|found| (found, Ground::IfAsked)))
    }

    /// Services that bindings name for the client or near the radio, whoever's they are, and those whose clients were lately there.
    fn named(&self, client: MacAddr, radio: MacAddr) -> Vec<Uuid> {
        let own = self.radios.find(radio).map_or(crate::scope::AccountRef::POOL, |at| self.radios.at(at).0);
        let whole = Reach { anybody: true, ..self.accounts.reach(own) };
        let mut matches = Vec::new();
        self.bindings.naming_client(whole, client, radio, &mut matches);
        self.bindings.for_anybody(whole, radio, &mut matches);
        let mut services: Vec<_> = matches.iter().map(|found| self.bindings.uuid(found.service)).collect();
        if let Some(at) = self.radios.find(radio).filter(|_| client.is_local()) {
            services.extend(self.radios.recent(at).map(|(recent, _)| self.bindings.uuid(recent.service)));
        }
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
            Outcome::Offered { binding, ground, judged, .. } => {
                judged.verdict.because(*binding).fmt(f)?;
                judged.fmt(f)?;
                f.write_str(match ground {
                    Ground::Bound => "",
                    Ground::Predicted => {
                        "; no binding names this address, but one of the network's devices was lately near, so it is expected, while BSSIDs are left"
                    }
                    Ground::IfAsked => {
                        "; no binding names this address, so only if the device asks for the network by name (hidden networks are asked for so)"
                    }
                })
            }
            Outcome::Not(why) => write!(f, "not shown because {why}"),
        }
    }
}

/// What a verdict goes by, and what it leaves open.
impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decides = match self.verdict {
            Verdict::No(Reason::Signal(..)) => true,
            Verdict::No(_) => return Ok(()),
            _ => false,
        };
        match self.signal {
            Some(Signal { age: Some(age), .. }) if decides => {
                return write!(f, " (heard {} s ago)", age.as_secs());
            }
            Some(_) if decides => return Ok(()),
            Some(Signal { dbm, age: Some(age) }) => {
                write!(f, " ({dbm} dBm, heard {} s ago)", age.as_secs())?;
            }
            _ => {}
        }
        for (n, unknown) in self.unknown.iter().enumerate() {
            let before = if n == 0 { ", if what only the radio knows holds: " } else { ", " };
            write!(f, "{before}{unknown}")?;
            if let Unknown::Signal(_) = unknown {
                match self.elsewhere {
                    None => f.write_str(" (not heard in the last ten minutes)")?,
                    Some(Elsewhere { radio, dbm, age }) => {
                        write!(f, " (last heard at {radio}, ")?;
                        dbm.map_or(Ok(()), |dbm| write!(f, "{dbm} dBm, "))?;
                        write!(f, "{} s ago)", age.as_secs())?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::Signal(least) => write!(f, "a signal of {least} dBm"),
            Unknown::Mobility(most) => write!(f, "at most {most} radios in ten minutes"),
            Unknown::Clients(most) => write!(f, "fewer than {most} clients"),
            Unknown::Up(least) => write!(f, "{least} kbit/s up to spare"),
            Unknown::Down(least) => write!(f, "{least} kbit/s down to spare"),
            Unknown::Near(delay) => write!(f, "near for {} ms", delay.as_millis()),
            Unknown::Steered(delay) => {
                write!(f, "near for {} ms more if it can do another band", delay.as_millis())
            }
            Unknown::Home => f.write_str("the client's own network is not near"),
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
