//! Makes durable what the desk wants durable, and passes on what others made durable.

use std::{sync::Arc, time::Duration};

use records::{Records, RecordsError, Version};
use tokio::sync::mpsc;

use super::run::{Job, Message};

/// After an error of the store the next attempt is this much later.
const AGAIN: Duration = Duration::from_secs(1);
/// So many times a commit of unknown outcome is repeated before whoever wanted it is told.
const REPETITIONS: usize = 5;

/// One job after the other.
pub(super) async fn run(
    records: Arc<dyn Records>,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    answers: mpsc::WeakSender<Message>,
) {
    while let Some(job) = jobs.recv().await {
        let message = match job {
            Job::Commit { number, drafts } => {
                let mut result = records.commit(drafts.clone()).await;
                for _ in 0..REPETITIONS {
                    // Repeating finds out, and does no harm.
                    let Err(RecordsError::UnknownOutcome { .. }) = result else { break };
                    tokio::time::sleep(AGAIN).await;
                    result = records.commit(drafts.clone()).await;
                }
                Message::Committed { number, result: result.map_err(told) }
            }
            Job::Account { number, report } => {
                let result = records.account(vec![*report]).await;
                Message::Accounted { number, result: result.map_err(told) }
            }
        };
        let Some(answers) = answers.upgrade() else { return };
        if answers.send(message).await.is_err() {
            return;
        }
    }
}

/// Commits of other processes, and our own, in order.
pub(super) async fn follow(
    records: Arc<dyn Records>,
    mut since: Version,
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
                        // What was deleted meanwhile stays until the next start; nothing that is there is missing.
                        since = version;
                        let _ = changed.send(Message::Changed { version, changes }).await;
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
pub(super) async fn load(records: &dyn Records) -> Result<(Version, Vec<matchmaker::Change>), RecordsError> {
    let mut changes = Vec::new();
    let version = records.load(&mut |object| changes.push(object.change)).await?;
    Ok((version, changes))
}

/// What a peer is told, and an operator reads.
fn told(error: RecordsError) -> String {
    tracing::error!(%error, "a change is not durable");
    "the records cannot be written now; see the matchmaker's log".to_owned()
}
