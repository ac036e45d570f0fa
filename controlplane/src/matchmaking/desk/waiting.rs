//! Who waits for the store. If it hangs, peers repeat what they ask and new ones come: a repetition is no job of its own, and there is an end to jobs.

use std::collections::HashMap;

use matchmaker::presence::Peer;
use proto::matchmaking::messages::{self as pb, request::Request};
use records::Committed;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::{Asker, routes::Route};
use crate::matchmaking::run::NotDurable;

/// Jobs of peers.
pub(super) const MOST: usize = 16_384;
/// Jobs of one of them: a gateway accounts for its devices when the store is back.
pub(super) const MOST_OF_ONE: usize = 1024;

/// What is to be answered when the store is done with it.
#[derive(Debug)]
pub(super) enum After {
    /// If others change the service meanwhile it is planned again, at most so many times.
    RegisterService {
        peer: Peer,
        said: pb::RegisterService,
        plans: u32,
    },
    AutoBind,
    Account,
}

/// Who waited.
#[derive(Debug)]
pub(super) enum Waited {
    Peer(Box<(Asker, After)>),
    Administrator(oneshot::Sender<Result<Committed, NotDurable>>),
}

/// As many wait as may.
#[derive(Debug)]
pub(super) struct Full;

/// A peer, and a digest of what it asks.
type Asked = (Route, [u8; 32]);

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    jobs: HashMap<u64, (Waited, Option<Asked>)>,
    asked: HashMap<Asked, u64>,
    of_peer: HashMap<Route, usize>,
    last: u64,
}

impl Waiting {
    /// A number for the job of a peer; `None` if it waits for the same already: then it is answered as it asked last.
    pub fn put(&mut self, asker: &Asker, request: &Request, after: After) -> Result<Option<u64>, Full> {
        let octets = prost::Message::encode_to_vec(&pb::Request { id: 0, request: Some(request.clone()) });
        let asked = (asker.route(), Sha256::digest(octets).into());
        if let Some(number) = self.asked.get(&asked) {
            if let Some((Waited::Peer(known), _)) = self.jobs.get_mut(number) {
                known.0 = asker.clone();
            }
            return Ok(None);
        }
        let of_peer = self.of_peer.get(&asked.0).copied().unwrap_or_default();
        if self.asked.len() >= MOST || of_peer >= MOST_OF_ONE {
            return Err(Full);
        }
        self.last += 1;
        self.of_peer.insert(asked.0, of_peer + 1);
        self.asked.insert(asked, self.last);
        self.jobs.insert(self.last, (Waited::Peer(Box::new((asker.clone(), after))), Some(asked)));
        Ok(Some(self.last))
    }

    /// A number for the job of an administrator.
    pub fn put_administrator(&mut self, reply: oneshot::Sender<Result<Committed, NotDurable>>) -> u64 {
        self.last += 1;
        self.jobs.insert(self.last, (Waited::Administrator(reply), None));
        self.last
    }

    /// The store is done with it.
    pub fn take(&mut self, number: u64) -> Option<Waited> {
        let (waited, asked) = self.jobs.remove(&number)?;
        if let Some(asked) = asked {
            self.asked.remove(&asked);
            let left = self.of_peer.get(&asked.0).map_or(0, |of_peer| of_peer - 1);
            match left {
                0 => drop(self.of_peer.remove(&asked.0)),
                left => drop(self.of_peer.insert(asked.0, left)),
            }
        }
        Some(waited)
    }
}
