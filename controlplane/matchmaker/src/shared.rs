//! What several matchmakers of one name tell each other of presence: instances, tunnels, refusals. Each decides by itself; of two that
//! say different things of the same, the later word counts.

use std::net::SocketAddr;
use std::time::Duration;

use dot11::MacAddr;
use uuid::Uuid;

use crate::objects::{KeyId, Owner};
use crate::presence::{InstanceId, Load, Lost, SessionKey, Tunnel};
use crate::{BindingId, Matchmaker, Refusal};

pub use crate::gate::Struck;

/// An instance that is registered with another matchmaker, which let it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedInstance {
    /// Of which service.
    pub service: Uuid,
    /// Names it.
    pub instance: InstanceId,
    /// Who registered it.
    pub key: KeyId,
    /// Of its tunnel socket, the likeliest first.
    pub endpoints: Vec<SocketAddr>,
    /// What it said last.
    pub load: Load,
    /// When it said it.
    pub at: Duration,
}

/// The tunnel of a virtual BSS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedTunnel {
    /// Of the virtual BSS.
    pub bssid: MacAddr,
    /// Whose BSS it is.
    pub radio: MacAddr,
    /// Which run of the radio's software asked for it; 0: not known.
    pub run: u64,
    /// Which service.
    pub service: Uuid,
    /// At which instance.
    pub instance: InstanceId,
    /// Of the tunnel.
    pub session_id: [u8; 16],
    /// Authenticates keep-alives.
    pub key: SessionKey,
    /// When it was introduced first.
    pub at: Duration,
}

/// Who is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Whom {
    /// Which device.
    pub client: MacAddr,
    /// By the services of this owner; `None`: everywhere.
    pub within: Option<Owner>,
}

impl From<MacAddr> for Whom {
    /// Everywhere.
    fn from(client: MacAddr) -> Whom {
        Whom { client, within: None }
    }
}

impl Matchmaker {
    /// What an instance that is registered here is to others.
    pub fn shared_instance(&self, service: Uuid, id: InstanceId, now: Duration) -> Option<SharedInstance> {
        let found = self.instances(service).iter().find(|other| other.id == id && other.is_live(now))?;
        Some(SharedInstance {
            service,
            instance: id,
            key: found.key,
            endpoints: found.endpoints.clone(),
            load: found.load,
            at: found.expires.saturating_sub(self.settings.instance_lifetime),
        })
    }

    /// Another matchmaker says how an instance is that is registered there.
    pub fn adopt_instance(&mut self, said: &SharedInstance, now: Duration) -> Result<(), Refusal> {
        let at = self.service_at(said.service)?;
        self.services.adopt(at, said, now + self.settings.instance_lifetime)
    }

    /// The other matchmaker is there, and so is its instance. `false`: it is not known here.
    pub fn renew_instance(&mut self, service: Uuid, id: InstanceId, now: Duration) -> bool {
        let expires = now + self.settings.instance_lifetime;
        self.service_at(service).is_ok_and(|at| self.services.renew(at, id, expires))
    }

    /// So many matchmakers of this name are there beside this one: of the newcomers that an instance takes in a second each admits the same
    /// share, however many come to it, so that all together admit no more.
    pub fn set_others(&mut self, others: u32) {
        self.services.set_others(others);
    }

    /// Nobody can reach this instance at the moment: until it is heard of again, others go first.
    pub fn unreachable_instance(&mut self, service: Uuid, id: InstanceId) {
        if let Ok(at) = self.service_at(service)
            && let Some(state) = self.services.get_mut(at)
        {
            let found = state.instances.iter_mut().find(|instance| instance.id == id);
            found.into_iter().for_each(|instance| instance.lost = Lost::for_all());
        }
    }

    /// The tunnel of a virtual BSS.
    pub fn shared_tunnel(&self, bssid: MacAddr) -> Option<SharedTunnel> {
        let (tunnel, at) = self.introductions.tunnel_since(bssid)?;
        Some(self.to_share(bssid, tunnel, at))
    }

    /// The tunnels of all radios that are registered here.
    pub fn shared_tunnels(&self, now: Duration) -> Vec<SharedTunnel> {
        let here =
            self.introductions.tunnels().filter(|(_, tunnel, _)| self.radios.live(tunnel.radio, now).is_ok());
        here.map(|(bssid, tunnel, at)| self.to_share(bssid, tunnel, at)).collect()
    }

    /// A tunnel that another matchmaker introduced, unless there is a later one. `false`: its service is unknown, or there is.
    pub fn adopt_tunnel(&mut self, said: &SharedTunnel, now: Duration) -> bool {
        let Ok(service) = self.service_at(said.service) else { return false };
        self.introductions.adopt(said.bssid, own_tunnel(said, service), said.at, now)
    }

    /// Another matchmaker introduced a device to an instance that is registered here.
    pub fn adopt_introduction(
        &mut self,
        said: &SharedTunnel,
        client: MacAddr,
        binding: BindingId,
        valid: Duration,
        now: Duration,
    ) {
        let Ok(service) = self.service_at(said.service) else { return };
        self.introductions.put(said.bssid, client, own_tunnel(said, service), binding, now, now + valid);
    }

    /// What is known of a device that failed to authenticate, or was forgiven.
    pub fn struck(&self, whom: &Whom) -> Option<Struck> {
        match &whom.within {
            None => self.failures.get(whom.client),
            Some(owner) => self.failures_within.get((self.accounts.scope(owner)?, whom.client)),
        }
    }

    /// All such devices.
    pub fn all_struck(&self) -> impl Iterator<Item = (Whom, Struck)> {
        let within = self.failures_within.iter();
        let within = within.map(|((scope, client), struck)| (self.whom(scope, client), struck));
        self.failures.iter().map(|(client, struck)| (Whom::from(client), struck)).chain(within)
    }

    /// Another matchmaker says what it knows of such a device. Whether that is news.
    pub fn adopt_struck(&mut self, whom: &Whom, struck: Struck) -> bool {
        match &whom.within {
            None => self.failures.adopt(whom.client, struck),
            Some(owner) => {
                if let Owner::Account(id) = owner {
                    self.accounts.number(Some(id));
                }
                let Some(scope) = self.accounts.scope(owner) else { return false };
                self.failures_within.adopt((scope, whom.client), struck)
            }
        }
    }

    fn to_share(&self, bssid: MacAddr, tunnel: &Tunnel, at: Duration) -> SharedTunnel {
        SharedTunnel {
            bssid,
            radio: tunnel.radio,
            run: tunnel.run,
            service: self.bindings.uuid(tunnel.service),
            instance: tunnel.instance,
            session_id: tunnel.session_id,
            key: tunnel.key.clone(),
            at,
        }
    }
}

fn own_tunnel(said: &SharedTunnel, service: crate::bindings::ServiceRef) -> Tunnel {
    Tunnel {
        radio: said.radio,
        run: said.run,
        service,
        instance: said.instance,
        session_id: said.session_id,
        key: said.key.clone(),
    }
}
