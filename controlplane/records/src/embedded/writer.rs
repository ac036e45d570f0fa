//! The thread that writes: what waits goes into one transaction.

use redb::Durability;
use tokio::sync::{mpsc, oneshot};

use super::{File, follow::Recent, sessions, tables};
use crate::{Committed, Draft, RecordsError, Report, Step, plan::Wants};

/// What the writer is asked for.
pub(super) enum Request {
    Commit { drafts: Vec<Draft>, reply: Reply<Committed> },
    Account { reports: Vec<Report>, reply: Reply<()> },
    Forget { before: u64, reply: Reply<u64> },
}

type Reply<T> = oneshot::Sender<Result<T, RecordsError>>;

/// Drafts and reports after which a transaction takes no more requests.
const ENOUGH: usize = 10_000;

impl Request {
    fn size(&self) -> usize {
        match self {
            Request::Commit { drafts, .. } => drafts.len(),
            Request::Account { reports, .. } => reports.len(),
            Request::Forget { .. } => ENOUGH,
        }
    }

    /// Nobody may wait for the answer any more.
    fn fail(self, error: RecordsError) {
        match self {
            Request::Commit { reply, .. } => drop(reply.send(Err(error))),
            Request::Account { reply, .. } => drop(reply.send(Err(error))),
            Request::Forget { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}

/// What a request came to, to be told once it is durable.
enum Done {
    Committed(Result<Committed, RecordsError>),
    Accounted,
    Forgotten(u64),
}

pub(super) fn run(file: &File, recent: &Recent, mut queue: mpsc::Receiver<Request>) {
    while let Some(first) = queue.blocking_recv() {
        let mut size = first.size();
        let mut requests = vec![first];
        while size < ENOUGH
            && let Ok(next) = queue.try_recv()
        {
            size += next.size();
            requests.push(next);
        }
        match transact(file, &requests) {
            Ok((done, steps)) => {
                recent.add(steps);
                requests.into_iter().zip(done).for_each(tell);
            }
            Err(error) => requests.into_iter().for_each(|request| request.fail(error.clone())),
        }
    }
}

fn tell(both: (Request, Done)) {
    match both {
        (Request::Commit { reply, .. }, Done::Committed(outcome)) => drop(reply.send(outcome)),
        (Request::Account { reply, .. }, Done::Accounted) => drop(reply.send(Ok(()))),
        (Request::Forget { reply, .. }, Done::Forgotten(count)) => drop(reply.send(Ok(count))),
        // `transact` answers each request in kind.
        (request, _) => drop(request),
    }
}

/// All requests in one transaction, on disk when this returns.
fn transact(file: &File, requests: &[Request]) -> Result<(Vec<Done>, Vec<Step>), RecordsError> {
    let error = |error: redb::Error| file.error(error);
    let mut transaction = file.database.begin_write().map_err(|e| error(e.into()))?;
    transaction.set_durability(Durability::Immediate).map_err(|e| error(e.into()))?;
    let mut wants = Wants::default();
    for request in requests {
        if let Request::Commit { drafts, .. } = request {
            wants.add(drafts);
        }
    }
    let mut view = tables::view(file, &transaction, &wants)?;
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
