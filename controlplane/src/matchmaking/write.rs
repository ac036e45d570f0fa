//! Makes durable what the desk wants durable, and passes on what others made durable.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesOrdered};
use matchmaker::Change;
use records::{Records, RecordsError, Version};
use tokio::sync::mpsc;

use super::{
    reload,
    run::{Fault, Job, Message, NotDurable},
};

/// After an error of the store the next attempt is this much later.
const AGAIN: Duration = Duration::from_secs(1);
/// So many times a commit of unknown outcome is repeated before whoever wanted it is told.
const REPETITIONS: usize = 5;

/// Jobs that the store has at a time: those that wait share its transactions.
const AT_A_TIME: usize = 1024;

/// All jobs, answered in the order in which they came.
pub(super) async fn run(
    records: Arc<dyn Records>,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    answers: mpsc::WeakSender<Message>,
) {
    let mut running = FuturesOrdered::new();
    loop {
        let message = tokio::select! {
            job = jobs.recv(), if running.len() < AT_A_TIME => match job {
                Some(job) => {
                    running.push_back(done(&*records, job));
                    continue;
                }
                None if running.is_empty() => return,
                None => running.next().await,
            },
            Some(message) = running.next() => Some(message),
        };
        let (Some(message), Some(answers)) = (message, answers.upgrade()) else { return };
        if answers.send(message).await.is_err() {
            return;
        }
    }
}

async fn done(records: &dyn Records, job: Job) -> Message {
    match job {
        Job::Commit { number, drafts } => {
            let mut result = records.commit(drafts.clone()).await;
            for _ in 0..REPETITIONS {
                // Repeating finds out, and does no harm.
                let Err(RecordsError::UnknownOutcome { .. }) = result else { break };
                tokio::time::sleep(AGAIN).await;
                result = records.commit(drafts.clone()).await;
            }
            Message::Committed { number, result: result.map_err(not_durable) }
        }
        Job::Account { number, report } => {
            let result = records.account(vec![*report]).await;
            Message::Accounted { number, result: result.map_err(told) }
        }
    }
}

fn not_durable(error: RecordsError) -> NotDurable {
    let changed = match error {
        RecordsError::Changed { version, .. } => Some(version),
        _ => None,
    };
    let fault = match error {
        RecordsError::Changed { .. } => Fault::Others,
        RecordsError::Duplicate { .. } => Fault::Duplicate,
        RecordsError::TooLarge { .. } => Fault::Request,
        RecordsError::UnknownOutcome { .. } | RecordsError::Unreachable { .. } | RecordsError::Io { .. } => {
            Fault::Store
        }
        _ => Fault::Broken,
    };
    NotDurable { changed, fault, text: told(error) }
}

/// Commits of other processes, and our own, in order. `configured` stays in force whatever is on record.
pub(super) async fn follow(
    records: Arc<dyn Records>,
    mut since: Version,
    configured: Vec<Change>,
    changed: mpsc::WeakSender<Message>,
) {
    loop {
        let mut steps = match records.follow(since).await {
            Ok(steps) => steps,
            Err(error) => {
                tracing::warn!(%error, "cannot follow the records");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        loop {
            let step = steps.next().await;
            let Some(changed) = changed.upgrade() else { return };
            match step {
                Ok(step) => {
                    if changed
                        .send(Message::Changed { version: step.version, changes: step.changes })
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
                Err(RecordsError::LoadAgain { .. }) => match load(&*records).await {
                    Ok((version, changes)) => {
                        tracing::warn!(version, "the records were loaded again");
                        let changes = changes.into_iter().chain(configured.iter().cloned());
                        if reload::replace(&changed, version, changes.collect()).await.is_none() {
                            return;
                        }
                        since = version;
                        break;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot load the records again");
                        tokio::time::sleep(AGAIN).await;
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot follow the records");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

/// All records.
pub(super) async fn load(records: &dyn Records) -> Result<(Version, Vec<Change>), RecordsError> {
    let mut changes = Vec::new();
    let version = records.load(&mut |object| changes.push(object.change)).await?;
    Ok((version, changes))
}

/// What a peer is told, and an operator reads.
fn told(error: RecordsError) -> String {
    // Somebody who was not the first is no trouble of the store.
    if !matches!(error, RecordsError::Changed { .. }) {
        tracing::error!(%error, "a change is not durable");
    }
    match error {
        RecordsError::UnknownOutcome { .. } => {
            "the records went away while this was written, so it may be on record or not: do it again, which does no harm".to_owned()
        }
        RecordsError::Unreachable { .. } => {
            "the records cannot be reached now, and nothing was changed: try again later; the matchmaker's log says where it looks for them".to_owned()
        }
        RecordsError::Duplicate { .. } | RecordsError::TooLarge { .. } | RecordsError::Changed { .. } => error.to_string(),
        _ => "the records cannot be written now; see the matchmaker's log".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_told_knows_whether_to_ask_again() {
        let at = || "the records".to_owned();
        let large = RecordsError::TooLarge { what: "a commit".to_owned(), size: 9, most: 8 };
        let away = RecordsError::Unreachable { at: at(), reason: "no route".to_owned() };
        let damaged = RecordsError::Damaged { at: at(), reason: "unreadable".to_owned() };
        let name = || records::Name::Client(dot11::MacAddr([2, 0, 0, 0, 0, 7]));
        let changed = RecordsError::Changed { name: name(), version: 7 };
        let duplicate = RecordsError::Duplicate { name: name(), other: name() };
        let all = [large, away, damaged, changed, duplicate].map(not_durable);
        let faults = all.each_ref().map(|why| why.fault);
        assert_eq!(faults, [Fault::Request, Fault::Store, Fault::Broken, Fault::Others, Fault::Duplicate]);
        assert_eq!(all.each_ref().map(|why| why.changed), [None, None, None, Some(7), None]);
        assert_eq!(all[0].text, "a commit is too large: 9, and at most 8 can be stored");
    }
}
