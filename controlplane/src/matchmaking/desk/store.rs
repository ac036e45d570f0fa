//! What must be durable before it is answered: handed to the store, and answered when it says what came of it.

use std::time::Duration;

use matchmaker::{Change, Refusal, presence::Peer};
use proto::matchmaking::messages::{self as pb, answer::Answer, failure::Reason, request::Request};
use records::{Committed, Draft, Version};
use tokio::sync::oneshot;

use super::{
    Asker, Desk, Output,
    waiting::{After, Waited},
};
use crate::matchmaking::{
    convert::{self, uuid},
    run::{Fault, NotDurable},
};

/// Whoever asked for what did not become durable asks again after this.
const RETRY_SECONDS: u32 = 5;
/// So many times what others change meanwhile is planned again: each time they must have been quicker.
pub(super) const PLANS: u32 = 5;

/// A commit that was refused because an object was not as the desk knew it: the desk is behind the store.
#[derive(Debug)]
pub(super) struct Behind {
    number: u64,
    why: NotDurable,
    /// Until it has come this far.
    until: Version,
    since: Duration,
}

/// Who waits longer than that for what others committed is told.
const PATIENCE: Duration = Duration::from_secs(10);
const NOT_HEARD: &str = "others changed this, and this matchmaker has not heard how; nothing was changed: try again later, or at another one; \
                         its log says what is wrong";

impl Desk {
    /// An administrator wants something durable; the answer comes when it is, or with why it is not.
    pub fn administer(&mut self, drafts: Vec<Draft>, reply: oneshot::Sender<Result<Committed, NotDurable>>) {
        let number = self.waiting.put_administrator(reply);
        self.outputs.push_back(Output::Commit { number, drafts });
    }

    /// This commit is durable; or the store says why it is not.
    pub fn committed(&mut self, number: u64, result: Result<Committed, NotDurable>, now: Duration) {
        // Whoever waits still waits, so that a repetition of what was asked is none meanwhile.
        if let Err(NotDurable { changed: Some(until), .. }) = result
            && let Err(why) = result
        {
            self.counters.conflicts += 1;
            return self.behind.push(Behind { number, why, until, since: now });
        }
        let Some(waited) = self.waiting.take(number) else { return };
        let committed = match result {
            Ok(committed) => committed,
            Err(why) => return self.not_durable(waited, why),
        };
        // What came in meanwhile, perhaps from another process and later than this, is not to be undone.
        if committed.version > self.version {
            committed.changes().for_each(|change| self.apply(change));
        }
        // Of other processes' commits before it some may still have to come, and then it comes once more behind them. One that made no
        // difference has no version of its own: that is another's, which is still to come.
        let made = committed.outcomes.iter().any(|outcome| outcome.made);
        if made && committed.version == self.version + 1 {
            self.version = committed.version;
        }
        self.counters.commits += 1;
        let (asker, after) = match waited {
            // One who went away before the answer is no reason for anything.
            Waited::Administrator(reply) => return drop(reply.send(Ok(committed))),
            Waited::Peer(job) => *job,
        };
        match after {
            After::RegisterService { peer, said, .. } => self.register_instance(&asker, peer, &said, now),
            After::AutoBind => {
                let bound = committed.outcomes.iter().find_map(|outcome| match &outcome.change {
                    Change::PutBinding { binding, .. } => {
                        Some(pb::Bound { binding: binding.id, created: outcome.made })
                    }
                    _ => None,
                });
                self.answer(&asker, Answer::Bound(bound.unwrap_or_default()));
            }
            After::Account => {}
        }
    }

    /// This report is on record; or the store says why it is not.
    pub fn accounted(&mut self, number: u64, result: Result<(), String>) {
        match (self.waiting.take(number), result) {
            (Some(Waited::Peer(job)), Ok(())) => self.answer(&job.0, Answer::Done(pb::Done {})),
            (Some(waited), Err(text)) => {
                self.not_durable(waited, NotDurable { text, changed: None, fault: Fault::Store })
            }
            _ => {}
        }
    }

    /// The peer asks again by itself; saying the same again is harmless.
    fn not_durable(&mut self, waited: Waited, why: NotDurable) {
        match waited {
            Waited::Administrator(reply) => drop(reply.send(Err(why))),
            Waited::Peer(job) => {
                let failure =
                    pb::Failure { reason: Reason::Rate.into(), text: why.text, retry_seconds: RETRY_SECONDS };
                self.answer(&job.0, Answer::Failure(failure));
            }
        }
    }

    /// What was refused because the desk was behind: now that it is not it decides anew, or lets decide.
    pub fn plan_again(&mut self, now: Duration) {
        let version = self.version;
        let over = |behind: &Behind| behind.until <= version || now.saturating_sub(behind.since) >= PATIENCE;
        while let Some(place) = self.behind.iter().position(over) {
            let Behind { number, mut why, until, .. } = self.behind.remove(place);
            let knows = until <= version;
            if !knows {
                why = NotDurable { text: NOT_HEARD.to_owned(), changed: None, fault: Fault::Store };
            }
            match self.waiting.take(number) {
                Some(Waited::Peer(job)) => match *job {
                    (asker, After::RegisterService { said, plans, .. }) if knows && plans > 1 => {
                        // It may no longer be who it was.
                        let peer = self.peer(&asker);
                        let planned =
                            peer.and_then(|peer| self.register_service(&asker, peer, said, plans - 1, now));
                        if let Err(refusal) = planned {
                            let failure = self.refused(&refusal);
                            self.answer(&asker, failure);
                        }
                    }
                    job => self.not_durable(Waited::Peer(Box::new(job)), why),
                },
                Some(waited) => self.not_durable(waited, why),
                None => {}
            }
        }
    }

    /// Everything is known anew, of a store that may have another history.
    pub(super) fn loaded_again(&mut self, version: Version) {
        if version > 0 {
            self.behind.iter_mut().for_each(|behind| behind.until = behind.until.min(version));
        }
    }

    /// A gateway describes a service: on record what it says of it, and then an instance is there.
    pub(super) fn register_service(
        &mut self,
        asker: &Asker,
        peer: Peer,
        said: pb::RegisterService,
        plans: u32,
        now: Duration,
    ) -> Result<(), Refusal> {
        let service = uuid(&said.service);
        let mut drafts = Vec::new();
        if said.reset {
            let changes = self.matchmaker.plan_reset(peer, service);
            // A service that is new has nothing to forget.
            drafts.extend(changes.unwrap_or_default().into_iter().map(Draft::Change));
        }
        if let Some(change) = self.matchmaker.plan_service(peer, &convert::service(&said))? {
            // What its operator says of it is kept as it is known here, so it must be so.
            let seen = self.matchmaker.service(service).cloned().map(Change::PutService);
            drafts.push(Draft::change_if(seen, change));
        }
        if drafts.is_empty() {
            self.register_instance(asker, peer, &said, now);
            return Ok(());
        }
        let request = Request::RegisterService(said.clone());
        self.commit_for(asker, &request, drafts, After::RegisterService { peer, said, plans })
    }

    /// Commits what a peer wants.
    pub(super) fn commit_for(
        &mut self,
        asker: &Asker,
        request: &Request,
        drafts: Vec<Draft>,
        after: After,
    ) -> Result<(), Refusal> {
        if let Some(number) = self.wait_for(asker, request, after)? {
            self.outputs.push_back(Output::Commit { number, drafts });
        }
        Ok(())
    }

    /// The number of a job of the store; `None` if it is at it already.
    pub(super) fn wait_for(
        &mut self,
        asker: &Asker,
        request: &Request,
        after: After,
    ) -> Result<Option<u64>, Refusal> {
        let full =
            Refusal::Rate { of: matchmaker::Asker::Store, retry: Duration::from_secs(RETRY_SECONDS.into()) };
        self.waiting.put(asker, request, after).map_err(|_| full)
    }
}
