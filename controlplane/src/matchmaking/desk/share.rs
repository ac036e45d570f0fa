//! What the desk tells other processes of the matchmaker's name, and what it makes of what they tell. Each decides from its own memory.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use dot11::MacAddr;
use matchmaker::{
    Uuid,
    presence::{InstanceId, SessionKey},
    shared::{SharedInstance, SharedTunnel, Struck, Whom},
};
use proto::matchmaking::messages::{self as pb, push::Push};

use super::{
    Desk, Output, Touched,
    routes::{Route, Which},
};
use crate::matchmaking::{
    convert::{mac, sixteen},
    presence::{ProcessId, Share, Shared},
};

/// What is shared.
#[derive(Default)]
pub(super) struct Sharing {
    /// Instances that are registered here, as the others were told.
    own: HashSet<Which>,
    elsewhere: HashMap<Which, Elsewhere>,
}

/// An instance that is registered with another process.
struct Elsewhere {
    process: ProcessId,
    said: SharedInstance,
    /// The matchmaker has it: its service is known, and its process was there when it was last looked at.
    adopted: bool,
}

impl Desk {
    /// From now on what others must know goes out as [`Output::Share`].
    pub fn begin_sharing(&mut self) {
        self.sharing = Some(Sharing::default());
    }

    /// The administrator lets a client come that failed too often. Whether it was refused.
    pub fn forgive(&mut self, client: MacAddr, now: Duration) -> bool {
        let was_refused = self.matchmaker.refused_anywhere(client, now).is_some();
        for whom in self.matchmaker.forgive(client, now) {
            self.share_refusal(&whom);
            self.tell_instances(&whom, Duration::ZERO, now);
        }
        was_refused
    }

    /// Somebody else says something, or the store does.
    pub fn shared(&mut self, shared: Shared, now: Duration) {
        match shared {
            Shared::Up => {
                let tunnels = self.matchmaker.shared_tunnels(now);
                let refusals = self.matchmaker.all_struck().collect();
                self.share(Share::Everything { tunnels, refusals });
            }
            Shared::Instances { process, whole, there, gone } => {
                self.instances_elsewhere(process, whole, there, &gone, now);
            }
            Shared::Beat { alive } => self.processes(&alive.into_iter().collect(), now),
            Shared::Push { which, push } => self.pushed_elsewhere(which, push, now),
            Shared::Tunnels(tunnels) => {
                for tunnel in &tunnels {
                    self.matchmaker.adopt_tunnel(tunnel, now);
                }
            }
            Shared::Refusals(refusals) => {
                for (whom, struck) in refusals {
                    if self.matchmaker.adopt_struck(&whom, struck) && is_about_now(struck, now) {
                        self.tell_instances(&whom, struck.until.saturating_sub(now), now);
                    }
                }
            }
        }
        self.pushes(now);
    }

    /// An instance that is registered here is as it says now.
    pub(super) fn share_instance(&mut self, service: Uuid, instance: InstanceId, now: Duration) {
        let Some(sharing) = &mut self.sharing else { return };
        let Some(said) = self.matchmaker.shared_instance(service, instance, now) else { return };
        sharing.elsewhere.remove(&(service, instance));
        sharing.own.insert((service, instance));
        self.share(Share::Instance(said));
    }

    /// It is not registered here any more.
    pub(super) fn share_gone(&mut self, which: Which) {
        let Some(sharing) = &mut self.sharing else { return };
        sharing.elsewhere.remove(&which);
        if sharing.own.remove(&which) {
            let (service, instance) = which;
            self.share(Share::InstanceGone { service, instance });
        }
    }

    /// The tunnel of a virtual BSS is new.
    pub(super) fn share_tunnel(&mut self, bssid: MacAddr) {
        if self.sharing.is_some()
            && let Some(tunnel) = self.matchmaker.shared_tunnel(bssid)
        {
            self.share(Share::Tunnel(tunnel));
        }
    }

    pub(super) fn share_refusal(&mut self, whom: &Whom) {
        if let Some(struck) = self.matchmaker.struck(whom) {
            self.share(Share::Refusal(whom.clone(), struck));
        }
    }

    pub(super) fn share(&mut self, share: Share) {
        if self.sharing.is_some() {
            self.outputs.push_back(Output::Share(share));
        }
    }

    fn instances_elsewhere(
        &mut self,
        process: ProcessId,
        whole: bool,
        there: Vec<SharedInstance>,
        gone: &[Which],
        now: Duration,
    ) {
        let Some(sharing) = &mut self.sharing else { return };
        let listed: HashSet<Which> = there.iter().map(|said| (said.service, said.instance)).collect();
        let of_process = sharing.elsewhere.iter().filter(|(which, other)| {
            other.process == process && (gone.contains(which) || (whole && !listed.contains(*which)))
        });
        let over: Vec<Which> = of_process.map(|(which, _)| *which).collect();
        for which in over {
            // Its tunnels may still work, so it stays until its time is over.
            self.matchmaker.unreachable_instance(which.0, which.1);
            self.forget_elsewhere(which);
            self.touch(Touched::Network(which.0));
        }
        for said in there {
            self.instance_elsewhere(process, said, now);
        }
    }

    /// Whoever heard of an instance last has it.
    fn instance_elsewhere(&mut self, process: ProcessId, said: SharedInstance, now: Duration) {
        let which @ (service, instance) = (said.service, said.instance);
        let Some(sharing) = &mut self.sharing else { return };
        if sharing.own.contains(&which) {
            let ours = self.matchmaker.shared_instance(service, instance, now);
            if ours.is_some_and(|ours| ours.at >= said.at) {
                return;
            }
            sharing.own.remove(&which);
            self.forget_route(which);
            self.share(Share::InstanceGone { service, instance });
        } else if sharing
            .elsewhere
            .get(&which)
            .is_some_and(|known| known.process != process && known.said.at > said.at)
        {
            return;
        }
        let adopted = self.matchmaker.adopt_instance(&said, now).is_ok();
        if let Some(sharing) = &mut self.sharing {
            // It says when it said it, whether it says something else or not.
            let same = |known: &Elsewhere| SharedInstance { at: said.at, ..known.said.clone() } == said;
            if adopted && !sharing.elsewhere.get(&which).is_some_and(|known| known.adopted && same(known)) {
                // Nobody watching is the usual case.
                let _ = self.touched.send(Touched::Network(service));
            }
            sharing.elsewhere.insert(which, Elsewhere { process, said, adopted });
            self.put_route(which, Route::Process(process));
        }
    }

    /// Instances of processes that are there are there, and each process admits its share of newcomers.
    fn processes(&mut self, alive: &HashSet<ProcessId>, now: Duration) {
        let Some(sharing) = &mut self.sharing else { return };
        // While the store is away nobody knows better: it stays as it was.
        self.matchmaker.set_others(u32::try_from(alive.len()).unwrap_or(u32::MAX));
        for ((service, id), other) in &mut sharing.elsewhere {
            let before = other.adopted;
            if !alive.contains(&other.process) {
                if std::mem::take(&mut other.adopted) {
                    self.matchmaker.unreachable_instance(*service, *id);
                }
            } else if !other.adopted || !self.matchmaker.renew_instance(*service, *id, now) {
                other.adopted = self.matchmaker.adopt_instance(&other.said, now).is_ok();
            }
            if other.adopted != before {
                let _ = self.touched.send(Touched::Network(*service));
            }
        }
    }

    /// Another process introduced somebody to an instance of ours, or takes an introduction back.
    fn pushed_elsewhere(&mut self, which: Which, push: Push, now: Duration) {
        if let Push::Introduction(said) = &push {
            let tunnel = SharedTunnel {
                bssid: mac(&said.bssid),
                radio: mac(&said.radio),
                run: 0,
                service: which.0,
                instance: which.1,
                session_id: sixteen(&said.session_id),
                key: SessionKey(sixteen(&said.key)),
                at: now,
            };
            let valid = Duration::from_secs(said.valid_seconds.into());
            // Which binding let it matters where it was decided.
            self.matchmaker.adopt_introduction(&tunnel, mac(&said.client), 0, valid, now);
        }
        match self.routes.get(which) {
            // It came to us because we said that it is here; by now it may be elsewhere, and whoever sent it knows soon.
            Some(Route::Process(_)) | None => self.counters.pushes_lost += 1,
            Some(_) => self.push(which, push, now),
        }
    }

    /// All instances that are registered here, and that it concerns, hear for how long more the client is refused.
    pub(super) fn tell_instances(&mut self, whom: &Whom, refused: Duration, now: Duration) {
        self.touch(Touched::Client(whom.client));
        let seconds = u32::try_from(refused.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        let refusals = pb::Refusals { clients: vec![whom.client.0.to_vec()], seconds };
        let concerned = |service| match &whom.within {
            None => true,
            Some(owner) => self.matchmaker.service(service).is_some_and(|service| service.owner == *owner),
        };
        let here = self
            .routes
            .iter()
            .filter(|((service, _), route)| !matches!(route, Route::Process(_)) && concerned(*service));
        // One word for each, however many instances it has.
        let here: HashMap<Route, Which> = here.map(|(which, route)| (route, which)).collect();
        for which in here.into_values() {
            self.push(which, Push::Refusals(refusals.clone()), now);
        }
        self.pushes(now);
    }

    fn forget_elsewhere(&mut self, which: Which) {
        if let Some(sharing) = &mut self.sharing
            && sharing.elsewhere.remove(&which).is_some()
            && matches!(self.routes.get(which), Some(Route::Process(_)))
        {
            self.forget_route(which);
        }
    }
}

/// A forgiveness is news to an instance only if it may have heard of the refusal.
fn is_about_now(struck: Struck, now: Duration) -> bool {
    struck.until > now || struck.strikes == 0
}
