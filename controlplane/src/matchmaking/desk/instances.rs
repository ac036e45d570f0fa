//! Instances that come and go, and with them the routes of what they are told.

use std::{net::SocketAddr, time::Duration};

use matchmaker::{Change, Refusal, presence::Peer};
use proto::matchmaking::{
    check::MAX_ENDPOINTS,
    messages::{self as pb, answer::Answer, failure::Reason},
};

use super::{
    Asker, Desk, Touched, entropy, registered,
    routes::{Route, Which},
};
use crate::{
    core::Connection,
    matchmaking::convert::{self, sixteen, uuid},
};

/// Who cannot be told anything asks again after this.
const NO_ROOM_SECONDS: u32 = 30;

impl Desk {
    /// A gateway of this process is gone: nobody is told anything through it, and while there are others nobody is sent there.
    pub fn local_gone(&mut self, connection: Connection) {
        for (service, instance) in self.routes.remove_all(Route::Local(connection)) {
            self.matchmaker.silent(service, instance);
            self.share_gone((service, instance));
        }
    }

    /// What must be durable is: an instance is there.
    pub(super) fn register_instance(
        &mut self,
        asker: &Asker,
        peer: Peer,
        said: &pb::RegisterService,
        now: Duration,
    ) {
        let which @ (service, instance) = (uuid(&said.service), sixteen(&said.instance));
        // Where its datagrams come from is likelier to be reached than where it thinks it is.
        let seen = asker.endpoint();
        let said_endpoints = said.endpoints.iter().filter_map(|text| text.parse().ok());
        let endpoints = distinct(seen.into_iter().chain(said_endpoints));
        let load = u16::try_from(said.load_permille).unwrap_or(u16::MAX);
        let result = self.matchmaker.register_instance(peer, service, instance, &endpoints, load, now);
        if let Err(refusal) = result {
            return self.answer(asker, Answer::Failure(convert::failure(&refusal)));
        }
        self.put_route(which, asker.route());
        if let Asker::Peer { reply, .. } = asker
            && !self.server.keep(reply, &mut entropy)
        {
            // One that hears of nobody must not be chosen.
            let _ = self.matchmaker.unregister_instance(peer, service, instance, now);
            self.forget_route(which);
            self.share_gone(which);
            let text = "the matchmaker has as many instances as it can speak to".to_owned();
            let failure = pb::Failure { reason: Reason::Rate.into(), text, retry_seconds: NO_ROOM_SECONDS };
            return self.answer(asker, Answer::Failure(failure));
        }
        self.touch(Touched::Network(service));
        self.share_instance(service, instance, now);
        self.answer(asker, registered(asker, self.settings.instance_lifetime));
    }

    /// An instance is going.
    pub(super) fn unregister_instance(
        &mut self,
        asker: &Asker,
        peer: Peer,
        said: &pb::Unregister,
        now: Duration,
    ) -> Result<(), Refusal> {
        let which @ (service, instance) = (uuid(&said.service), sixteen(&said.instance));
        self.matchmaker.unregister_instance(peer, service, instance, now)?;
        // One that was over already may be another's by now.
        let route = self.routes.get(which);
        if matches!(route, Some(Route::Process(_))) || route == Some(asker.route()) {
            self.forget_route(which);
            self.touch(Touched::Network(service));
            self.share_gone(which);
        }
        Ok(())
    }

    /// What a change, which is not applied yet, takes its instances from: a service that goes, or becomes another's.
    pub(super) fn forget_instances(&mut self, change: &Change) {
        let service = match change {
            Change::DeleteService(service) => *service,
            Change::PutService(new) => match self.matchmaker.service(new.uuid) {
                Some(known) if known.owner != new.owner => new.uuid,
                _ => return,
            },
            _ => return,
        };
        let instances = self.matchmaker.instances(service).iter().map(|instance| (service, instance.id));
        for which in instances.collect::<Vec<Which>>() {
            // Those of other processes are for them to end.
            if !matches!(self.routes.get(which), None | Some(Route::Process(_))) {
                self.forget_route(which);
                self.share_gone(which);
            }
        }
    }

    pub(super) fn put_route(&mut self, which: Which, route: Route) {
        if let Some(key) = self.routes.put(which, route) {
            self.server.let_go(&key);
        }
    }

    /// An instance is not registered here any more: its peer is told nothing more, unless another of its instances is.
    pub(super) fn forget_route(&mut self, which: Which) {
        if let Some(key) = self.routes.remove(which) {
            self.server.let_go(&key);
        }
    }
}

/// Each once, and as many as a radio takes: the first ones.
fn distinct(all: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut kept = Vec::with_capacity(MAX_ENDPOINTS);
    for endpoint in all {
        if kept.len() < MAX_ENDPOINTS && !kept.contains(&endpoint) {
            kept.push(endpoint);
        }
    }
    kept
}
