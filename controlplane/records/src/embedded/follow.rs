//! The last commits, for those in this process who follow.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::{Answer, Follow, RecordsError, Step, Version};

/// Most changes that are kept; those who are further behind load again.
const KEPT: usize = 65_536;

/// The last commits.
pub(super) struct Recent {
    at: String,
    steps: Mutex<Steps>,
    version: watch::Sender<Version>,
}

#[derive(Default)]
struct Steps {
    steps: VecDeque<Step>,
    changes: usize,
}

impl Recent {
    pub(super) fn new(at: &str, version: Version) -> Self {
        Recent { at: at.to_owned(), steps: Mutex::default(), version: watch::Sender::new(version) }
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These came next.
    pub(super) fn add(&self, new: Vec<Step>) {
        let Some(version) = new.last().map(|step| step.version) else { return };
        let mut kept = self.steps();
        for step in new {
            kept.changes += step.changes.len();
            kept.steps.push_back(step);
        }
        while kept.changes > KEPT
            && kept.steps.len() > 1
            && let Some(oldest) = kept.steps.pop_front()
        {
            kept.changes -= oldest.changes.len();
        }
        drop(kept);
        self.version.send_replace(version);
    }

    pub(super) fn follow(recent: &Arc<Self>, since: Version) -> Box<dyn Follow> {
        Box::new(Follower { recent: Arc::clone(recent), version: recent.version.subscribe(), since })
    }

    /// The one after `since`, if it is kept.
    fn after(&self, since: Version) -> Option<Step> {
        let kept = self.steps();
        let oldest = kept.steps.front()?.version;
        let place = (since + 1).checked_sub(oldest)?;
        kept.steps.get(usize::try_from(place).ok()?).cloned()
    }
}

struct Follower {
    recent: Arc<Recent>,
    version: watch::Receiver<Version>,
    since: Version,
}

impl Follow for Follower {
    fn next(&mut self) -> Answer<'_, Step> {
        Box::pin(async move {
            let since = self.since;
            // The sender is as old as `recent`.
            let wait = self.version.wait_for(|&version| version != since).await;
            let version = wait.map(|version| *version).unwrap_or(since);
            // A version before ours: the store is not the one that was followed.
            let step = if version > since { self.recent.after(since) } else { None };
            let step = step.ok_or_else(|| RecordsError::LoadAgain { at: self.recent.at.clone(), since })?;
            self.since = step.version;
            Ok(step)
        })
    }
}
