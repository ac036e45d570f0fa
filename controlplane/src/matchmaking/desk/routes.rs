//! Where the instances are told things: one route for each instance of a service. What an instance calls itself is no secret and others may call
//! themselves the same, so that it never counts alone.

use std::collections::HashMap;

use matchmaker::{Uuid, presence::InstanceId};
use proto::matchmaking::PublicKey;

use crate::{core::Connection, matchmaking::presence::ProcessId};

/// An instance: of which service, and what it calls itself.
pub(super) type Which = (Uuid, InstanceId);

/// Where an instance is told things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Route {
    Peer(PublicKey),
    Local(Connection),
    Process(ProcessId),
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Routes {
    routes: HashMap<Which, Route>,
    /// How many instances each peer has.
    of_peer: HashMap<PublicKey, usize>,
}

impl Routes {
    pub fn get(&self, which: Which) -> Option<Route> {
        self.routes.get(&which).copied()
    }

    /// All, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Which, Route)> {
        self.routes.iter().map(|(which, route)| (*which, *route))
    }

    /// From now on the instance is told things there. Gives the peer that has no instance any more, if that follows.
    #[must_use]
    pub fn put(&mut self, which: Which, route: Route) -> Option<PublicKey> {
        if let Route::Peer(key) = route {
            *self.of_peer.entry(key).or_default() += 1;
        }
        let before = self.routes.insert(which, route)?;
        self.less(before)
    }

    /// The instance is not told anything any more. Gives the peer that has none any more, if that follows.
    #[must_use]
    pub fn remove(&mut self, which: Which) -> Option<PublicKey> {
        let before = self.routes.remove(&which)?;
        self.less(before)
    }

    /// Whoever was told things there is not any more. Not for peers: those go one by one.
    pub fn remove_all(&mut self, there: Route) -> Vec<Which> {
        self.routes.extract_if(|_, route| *route == there).map(|(which, _)| which).collect()
    }

    fn less(&mut self, route: Route) -> Option<PublicKey> {
        let Route::Peer(key) = route else { return None };
        let left = self.of_peer.get_mut(&key)?;
        *left -= 1;
        if *left > 0 {
            return None;
        }
        self.of_peer.remove(&key);
        Some(key)
    }
}
