//! The thread that writes: what waits goes into one transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::Durability;
use tokio::sync::mpsc;

use super::{File, follow::Recent, sessions, tables};
use crate::{
    RecordsError, Step,
    queue::{self, Done, Request},
};

pub(super) fn run(file: &File, recent: &Recent, mut queue: mpsc::Receiver<Request>) {
    while let Some(first) = queue.blocking_recv() {
        let requests = queue::gather(first, &mut queue);
        // redb panics at some damage; the transaction is then undone.
        let done = catch_unwind(AssertUnwindSafe(|| transact(file, &requests)))
            .unwrap_or_else(|_| Err(file.damaged("a write had to be given up")))
            .map(|(done, steps)| {
                recent.add(steps);
                done
            });
        queue::tell_all(requests, done);
    }
}

/// All requests in one transaction, on disk when this returns.
fn transact(file: &File, requests: &[Request]) -> Result<(Vec<Done>, Vec<Step>), RecordsError> {
    let error = |error: redb::Error| file.error(error);
    let mut transaction = file.database.begin_write().map_err(|e| error(e.into()))?;
    transaction.set_durability(Durability::Immediate).map_err(|e| error(e.into()))?;
    let mut view = tables::view(file, &transaction, &queue::wants(requests).unwrap_or_default())?;
    let mut done = Vec::with_capacity(requests.len());
    for request in requests {
        done.push(match request {
            Request::Commit { drafts, .. } => Done::Committed(view.plan(drafts)),
            Request::Account { reports, .. } => {
                sessions::merge(file, &transaction, reports)?;
                Done::Accounted
            }
            Request::Forget { before, .. } => Done::Forgotten(sessions::forget(file, &transaction, *before)?),
        });
    }
    let writes = view.writes();
    let steps = writes.steps(&file.at)?;
    tables::write(&transaction, &writes).map_err(error)?;
    transaction
        .commit()
        .map_err(|error| RecordsError::UnknownOutcome { at: file.at.clone(), reason: error.to_string() })?;
    Ok((done, steps))
}
