//! A device begins to authenticate: which instance serves it, and the introduction of both sides.
//!
//! An instance is chosen so that keys cached there are found: the one that the client used in the last ten minutes; else of the
//! two that rendezvous hashing names for it the first, unless its load is more than [`MARGIN`] above the second's. So devices
//! keep their instance while load is even, two choices keep it even, and when an instance goes only its devices move. A BSS has
//! one tunnel: where it has one, its instance serves whoever comes there, as long as it takes newcomers.

use std::net::SocketAddr;
use std::time::Duration;

use dot11::MacAddr;
use uuid::Uuid;
use visibility::{Policy, demanded_under_overload};

use crate::bindings::{Naming, ServiceRef};
use crate::gate::Rate;
use crate::memory::{Seed, hash_pair};
use crate::presence::{Instance, InstanceId, Location, Lost, ServiceState, SessionKey, Tunnel, Witness};
use crate::scope::Scope;
use crate::{BindingId, Matchmaker, Refusal};

/// The first choice is taken unless its load is so many thousandths above that of the second.
pub const MARGIN: u16 = 100;

/// What a radio says when a device begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// Which radio.
    pub radio: MacAddr,
    /// Which run of its software: a number that it drew when it started; 0: not known.
    pub run: u64,
    /// Which device.
    pub client: MacAddr,
    /// With which service.
    pub service: Uuid,
    /// Of the virtual BSS.
    pub bssid: MacAddr,
    /// Of the tunnel: that of the BSS if it has one.
    pub session_id: [u8; 16],
    /// Of the device, in dBm; unknown if `None`.
    pub rssi_dbm: Option<i8>,
    /// The other end of the BSS's tunnel, if it has one. A matchmaker that has not introduced it learns of it so: one that was
    /// restarted, or to which the radio changed.
    pub tunnel: Option<(InstanceId, SessionKey)>,
}

/// A radio and an instance are to meet for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// Which service.
    pub service: Uuid,
    /// Which instance.
    pub instance: InstanceId,
    /// Of its tunnel socket, the likeliest first.
    pub endpoints: Vec<SocketAddr>,
    /// Which radio.
    pub radio: MacAddr,
    /// Of the radio.
    pub radio_endpoint: SocketAddr,
    /// Where the radio is.
    pub location: Option<Location>,
    /// Which device.
    pub client: MacAddr,
    /// Its signal, in dBm.
    pub rssi_dbm: Option<i8>,
    /// Of the virtual BSS.
    pub bssid: MacAddr,
    /// Of the tunnel.
    pub session_id: [u8; 16],
    /// Authenticates keep-alives of the tunnel.
    pub key: SessionKey,
    /// The device must begin within this.
    pub valid: Duration,
    /// Which binding let it.
    pub binding: BindingId,
    /// The binding names the client; a gateway may wish one that does.
    pub specific: bool,
    /// The tunnel is there already.
    pub existing_tunnel: bool,
}

impl Matchmaker {
    /// Introduces a device. `entropy`: for the key of the tunnel, if it gets one. Asking again gives the same.
    pub fn connect(
        &mut self,
        asked: &Connect,
        now: Duration,
        entropy: [u8; 16],
    ) -> Result<Introduction, Refusal> {
        let radio = self.radios.live(asked.radio, now)?;
        let service = self.service_at(asked.service)?;
        if let Some(retry) = self.refused_by(service, asked.client, now) {
            return Err(Refusal::Refused { retry });
        }
        let (account, ..) = self.radios.at(radio);
        let reach = self.accounts.reach(account);
        let among = self.services.among();
        let state = self.services.get_mut(service).ok_or(Refusal::UnknownService)?;
        let found = self.bindings.decides(reach, service, asked.client, asked.radio);
        let found = found.ok_or(Refusal::NoBinding)?;

        let of_bss = self.introductions.tunnel(asked.bssid).filter(|tunnel| {
            tunnel.service == service && tunnel.radio == asked.radio && tunnel.session_id == asked.session_id
        });
        let told = || {
            let (instance, key) = asked.tunnel.clone()?;
            let Connect { radio, run, session_id, .. } = *asked;
            Some(Tunnel { radio, run, service, instance, session_id, key })
        };
        let existing =
            of_bss.cloned().or_else(told).filter(|tunnel| is_open(state, tunnel.instance, asked.radio, now));
        let again = self.introductions.get(asked.bssid, asked.client).is_some_and(|introduced| {
            existing.as_ref().is_some_and(|tunnel| tunnel.instance == introduced.instance)
        });
        let last = self.introductions.last(asked.client, service, now);
        // Who was here lately is no newcomer: its keys are cached, and turning away who roams helps nobody.
        let known = again || last.is_some_and(|last| is_open(state, last, asked.radio, now));
        let wait = Duration::from_millis(1000 + u64::from(entropy[0]) * 8);
        let level = state.level(among, now);
        if !known {
            admit(state, &self.bindings.policy(&found).copied().unwrap_or_default(), asked, level, wait)?;
        }
        let instance = match (&existing, last) {
            (Some(tunnel), _) => tunnel.instance,
            (None, Some(last)) if known => last,
            (None, _) => choose(state, asked.client, asked.radio, now).ok_or(Refusal::NoInstance)?,
        };
        let chosen =
            state.instances.iter_mut().find(|other| other.id == instance).ok_or(Refusal::NoInstance)?;
        if !known {
            let limit = chosen.load.admissions_per_second;
            // Of those who suffice for the level, those who suffice for the next go before the others: these get what is left.
            let next = demanded_under_overload(level.saturating_add(1));
            let first = level == 0 || asked.rssi_dbm >= next;
            let burst = if first { limit / among / 10 + 1 } else { 1 };
            let admitted = Rate { per_second: limit, burst }.admit_share(among, &mut chosen.next, now);
            admitted.map_err(|retry| Refusal::Overload { demanded_dbm: None, retry: retry.max(wait) })?;
        }
        let endpoints = chosen.endpoints.clone();
        let existing_tunnel = existing.is_some();
        let tunnel = existing.unwrap_or(Tunnel {
            radio: asked.radio,
            run: asked.run,
            service,
            instance,
            session_id: asked.session_id,
            key: SessionKey(entropy),
        });
        let key = tunnel.key.clone();
        let valid = self.settings.introduction;
        self.introductions.put(asked.bssid, asked.client, tunnel, found.id, now, now + valid);
        if !again {
            self.arrived(radio, service, asked.client, now);
        }
        Ok(Introduction {
            service: asked.service,
            instance,
            endpoints,
            radio: asked.radio,
            radio_endpoint: self.radios.endpoint(radio),
            location: self.radios.location(radio),
            client: asked.client,
            rssi_dbm: asked.rssi_dbm,
            bssid: asked.bssid,
            session_id: asked.session_id,
            key,
            valid,
            binding: found.id,
            specific: matches!(found.names, Naming::Both | Naming::Client),
            existing_tunnel,
        })
    }

    /// The radio closed a BSS. Gives what its instance is to be told: service and instance.
    pub fn release(&mut self, radio: MacAddr, bssid: MacAddr) -> Option<(Uuid, InstanceId)> {
        self.introductions.tunnel(bssid).filter(|tunnel| tunnel.radio == radio)?;
        let tunnel = self.introductions.release(bssid)?;
        Some((self.bindings.uuid(tunnel.service), tunnel.instance))
    }

    /// The radio registered, and this is the run of its software that did: of what other runs asked for nothing is left, neither BSSes nor the
    /// tunnels' keys. Gives for each such BSS what its instance is to be told: service and instance. What was seen at the radio stays: it is about
    /// devices.
    pub fn restarted(&mut self, radio: MacAddr, run: u64) -> Vec<(MacAddr, (Uuid, InstanceId))> {
        let over = self.introductions.of_other_runs(radio, run).into_iter();
        over.filter_map(|bssid| Some((bssid, self.release(radio, bssid)?))).collect()
    }

    /// The radio hears nothing of the gateway of a BSS: the tunnel is no more, and until the gateway speaks, others go first for this radio. For all
    /// radios they do when its control says so too, or three witnesses: a radio may have a bad link, or not tell the truth. Each radio of an account
    /// with a key, or of the service's own owner, is a witness; of others all radios of one owner are one together, and all of one address.
    pub fn lost(&mut self, radio: MacAddr, bssid: MacAddr) {
        if self.introductions.tunnel(bssid).is_none_or(|tunnel| tunnel.radio != radio) {
            return;
        }
        if let Some(tunnel) = self.introductions.release(bssid)
            && let Some(state) = self.services.get_mut(tunnel.service)
            && let Some(at) = self.radios.find(radio)
        {
            let (owner, from) = (self.radios.scope(at), self.radios.endpoint(at).ip());
            let proven = matches!(owner, Scope::Account(account) if self.accounts.has_key(account));
            let witness = Witness { radio, owner, from, trusted: proven || owner == state.scope() };
            let instance = state.instances.iter_mut().find(|instance| instance.id == tunnel.instance);
            instance.into_iter().for_each(|instance| instance.lost.say(witness));
        }
    }

    /// An instance's control hears nothing of it: until it speaks, others go first. Its tunnels may live.
    pub fn silent(&mut self, service: Uuid, instance: InstanceId) {
        let Ok(at) = self.service_at(service) else { return };
        let instances = self.services.get_mut(at).map(|state| &mut state.instances);
        let found = instances.into_iter().flatten().find(|other| other.id == instance);
        found.into_iter().for_each(|instance| instance.lost = Lost::for_all());
    }

    /// Somebody is still connected: radio or gateway account for it.
    pub fn keep(&mut self, bssid: MacAddr, client: MacAddr, now: Duration) {
        self.introductions.keep(bssid, client, now);
    }

    /// Who was introduced there, if that is not long ago.
    pub fn introduced(&self, bssid: MacAddr, client: MacAddr) -> Option<&crate::presence::Introduced> {
        self.introductions.get(bssid, client)
    }

    /// Where a client is, and whether that was predicted.
    fn arrived(&mut self, radio: u32, service: ServiceRef, client: MacAddr, now: Duration) {
        if self.radios.was_predicted(radio, service, now) {
            self.predictions.hits += 1;
        } else if client.is_local() {
            self.predictions.misses += 1;
        }
        self.radios.note(radio, client, service, now);
        self.sightings.see(client, radio, now);
    }
}

/// Whether the signal of a newcomer suffices while there is overload; it counts as one who came either way.
fn admit(
    state: &mut ServiceState,
    binding: &Policy,
    asked: &Connect,
    level: u8,
    retry: Duration,
) -> Result<(), Refusal> {
    state.overload.came(asked.rssi_dbm);
    // Below what its policy demands a device is not shown the network, but it may have moved since; overload is another matter.
    let demanded = Policy::merge(&state.policy, binding, level).min_rssi_dbm;
    match demanded_under_overload(level).and(demanded) {
        Some(demanded) if asked.rssi_dbm.is_none_or(|rssi| rssi < demanded) => {
            Err(Refusal::Overload { demanded_dbm: Some(demanded), retry })
        }
        _ => Ok(()),
    }
}

fn is_open(state: &ServiceState, instance: InstanceId, radio: MacAddr, now: Duration) -> bool {
    let is = |other: &&Instance| other.id == instance;
    state
        .instances
        .iter()
        .find(is)
        .is_some_and(|found| found.takes_newcomers(now) && !found.lost.is_for(radio))
}

/// Rendezvous hashing and two choices; instances that were lost only if there is no other.
fn choose(state: &ServiceState, client: MacAddr, radio: MacAddr, now: Duration) -> Option<InstanceId> {
    let open = |lost| {
        state
            .instances
            .iter()
            .filter(move |instance| instance.takes_newcomers(now) && instance.lost.is_for(radio) == lost)
            .map(|instance| (affinity(client, instance.id), instance))
    };
    [false, true].into_iter().find_map(|lost| {
        let first = open(lost).max_by_key(|&(affinity, _)| affinity)?.1;
        let others = open(lost).filter(|(_, other)| other.id != first.id);
        let second = others.max_by_key(|&(affinity, _)| affinity).map_or(first, |(_, second)| second);
        let overtaken = first.load.load_permille > second.load.load_permille.saturating_add(MARGIN);
        Some(if overtaken { second.id } else { first.id })
    })
}

/// The same in every matchmaker, so that all of them choose alike.
fn affinity(client: MacAddr, instance: InstanceId) -> u64 {
    let [a, b, c, d, e, f] = client.0;
    let client = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    let instance = u128::from_be_bytes(instance);
    hash_pair(Seed::default(), client ^ instance as u64, (instance >> 64) as u64)
}
