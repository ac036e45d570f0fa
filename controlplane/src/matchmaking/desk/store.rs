//! What must be durable before it is answered: handed to the store, and answered when it says what came of it.

use std::time::Duration;

use matchmaker::{Change, Refusal};
use proto::matchmaking::messages::{self as pb, answer::Answer, failure::Reason, request::Request};
use records::{Committed, Draft};
use tokio::sync::oneshot;

use super::{
    Asker, Desk, Output,
    waiting::{After, Waited},
};
use crate::matchmaking::run::NotDurable;

/// Whoever asked for what did not become durable asks again after this.
const RETRY_SECONDS: u32 = 5;

impl Desk {
    /// An administrator wants something durable; the answer comes when it is, or with why it is not.
    pub fn administer(&mut self, drafts: Vec<Draft>, reply: oneshot::Sender<Result<Committed, NotDurable>>) {
        let number = self.waiting.put_administrator(reply);
        self.outputs.push_back(Output::Commit { number, drafts });
    }

    /// This commit is durable; or the store says why it is not.
    pub fn committed(&mut self, number: u64, result: Result<Committed, NotDurable>, now: Duration) {
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
            After::RegisterService { peer, said } => self.register_instance(&asker, peer, &said, now),
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
            (Some(waited), Err(text)) => self.not_durable(waited, NotDurable { text, changed: false }),
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
