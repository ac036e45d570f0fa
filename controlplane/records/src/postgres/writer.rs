//! The task that writes: what waits goes into one transaction; while the server is away it waits, up to a limit.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_postgres::IsolationLevel;

use super::{
    connect::{Patience, Session, Target, Trouble},
    objects, sessions,
};
use crate::{
    RecordsError,
    accounting::Session as Accounted,
    queue::{self, Done, Request},
};

/// How long a transaction may take: a server that hangs is given up.
const LIMIT: Duration = Duration::from_secs(60);

/// A connection with its statements.
struct Ready {
    session: Session,
    objects: objects::Statements,
    merge: tokio_postgres::Statement,
}

pub(super) async fn run(target: Arc<Target>, first: Session, mut queue: mpsc::Receiver<Request>) {
    let mut ready = prepare(first).await.ok();
    while let Some(first) = queue.recv().await {
        let requests = queue::gather(first, &mut queue);
        match transact(&target, &mut ready, &requests).await {
            // One of them is at fault; the others are not to suffer.
            Err(RecordsError::Failed { .. }) if requests.len() > 1 => {
                for request in requests {
                    let one = transact(&target, &mut ready, std::slice::from_ref(&request)).await;
                    queue::tell_all(vec![request], one);
                }
            }
            done => queue::tell_all(requests, done),
        }
    }
}

async fn prepare(session: Session) -> Result<Ready, Trouble> {
    let objects = objects::Statements::new(&session.client).await?;
    let merge = session.client.prepare(&sessions::merge_statement()).await?;
    Ok(Ready { session, objects, merge })
}

/// All requests in one transaction, again while nothing has happened and it may help.
async fn transact(
    target: &Target,
    ready: &mut Option<Ready>,
    requests: &[Request],
) -> Result<Vec<Done>, RecordsError> {
    let mut patience = Patience::new();
    loop {
        let attempt = async {
            let connected = match ready.take().filter(|ready| !ready.session.client.is_closed()) {
                Some(connected) => connected,
                None => prepare(target.connect().await?).await?,
            };
            let connected = ready.insert(connected);
            let answer = tokio::time::timeout(LIMIT, once(target, connected, requests)).await;
            answer.unwrap_or_else(|_| Err(Trouble::Unknown(format!("no answer for {} s", LIMIT.as_secs()))))
        };
        let trouble = match attempt.await {
            Ok(done) => return Ok(done),
            Err(trouble) => trouble,
        };
        if matches!(trouble, Trouble::Lost(_) | Trouble::Unknown(_)) {
            *ready = None;
        }
        patience.pause(trouble, target).await?;
    }
}

async fn once(target: &Target, ready: &mut Ready, requests: &[Request]) -> Result<Vec<Done>, Trouble> {
    let begin = ready.session.client.build_transaction().isolation_level(IsolationLevel::ReadCommitted);
    let transaction = begin.start().await?;
    let mut view = match queue::wants(requests) {
        Some(wants) => objects::view(&transaction, &ready.objects, &target.at, &wants).await?,
        None => Default::default(),
    };
    let mut done = Vec::with_capacity(requests.len());
    let mut accounted = std::collections::BTreeMap::<_, Accounted>::new();
    for request in requests {
        done.push(match request {
            Request::Commit { drafts, .. } => Done::Committed(view.plan(drafts)),
            Request::Account { reports, .. } => {
                for report in reports {
                    accounted
                        .entry(report.key())
                        .and_modify(|session| {
                            session.merge(report);
                        })
                        .or_insert_with(|| Accounted::new(report));
                }
                Done::Accounted
            }
            Request::Forget { before, .. } => Done::Forgotten(sessions::forget(&transaction, *before).await?),
        });
    }
    objects::write(&transaction, &ready.objects, &target.at, &view.writes()).await?;
    sessions::merge(&transaction, &ready.merge, accounted.values()).await?;
    transaction.commit().await.map_err(|error| match Trouble::from(error) {
        // The server may have committed before it could say so.
        Trouble::Lost(reason) => Trouble::Unknown(reason),
        other => other,
    })?;
    Ok(done)
}
