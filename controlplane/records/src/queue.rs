//! What waits to be written: requests that go into one transaction together, and their answers.

use tokio::sync::{mpsc, oneshot};

use crate::{Committed, Draft, RecordsError, Report, plan::Wants};

/// What a writer is asked for.
pub(crate) enum Request {
    Commit { drafts: Vec<Draft>, reply: Reply<Committed> },
    Account { reports: Vec<Report>, reply: Reply<()> },
    Forget { before: u64, reply: Reply<u64> },
}

type Reply<T> = oneshot::Sender<Result<T, RecordsError>>;

/// Drafts and reports after which a transaction takes no more requests.
const ENOUGH: usize = 10_000;
/// Most sessions that one transaction forgets, so that others do not wait for long.
pub(crate) const FORGET: u64 = 20_000;
/// Requests that wait before those who make them have to.
const WAITING: usize = 1024;

/// What a request came to, to be told once it is durable.
pub(crate) enum Done {
    Committed(Result<Committed, RecordsError>),
    Accounted,
    Forgotten(u64),
}

impl Request {
    fn size(&self) -> usize {
        match self {
            Request::Commit { drafts, .. } => drafts.len(),
            Request::Account { reports, .. } => reports.len(),
            Request::Forget { .. } => ENOUGH,
        }
    }

    /// Answers. Nobody may wait for it any more.
    pub(crate) fn tell(self, done: Result<Done, RecordsError>) {
        match (self, done) {
            (Request::Commit { reply, .. }, Ok(Done::Committed(outcome))) => drop(reply.send(outcome)),
            (Request::Account { reply, .. }, Ok(Done::Accounted)) => drop(reply.send(Ok(()))),
            (Request::Forget { reply, .. }, Ok(Done::Forgotten(count))) => drop(reply.send(Ok(count))),
            (Request::Commit { reply, .. }, Err(error)) => drop(reply.send(Err(error))),
            (Request::Account { reply, .. }, Err(error)) => drop(reply.send(Err(error))),
            (Request::Forget { reply, .. }, Err(error)) => drop(reply.send(Err(error))),
            // Writers answer each request in kind.
            (request, Ok(_)) => drop(request),
        }
    }
}

/// Answers all of them.
pub(crate) fn tell_all(requests: Vec<Request>, done: Result<Vec<Done>, RecordsError>) {
    match done {
        Ok(done) => requests.into_iter().zip(done).for_each(|(request, done)| request.tell(Ok(done))),
        Err(error) => requests.into_iter().for_each(|request| request.tell(Err(error.clone()))),
    }
}

/// The first request and what waits behind it, up to a limit.
pub(crate) fn gather(first: Request, queue: &mut mpsc::Receiver<Request>) -> Vec<Request> {
    let mut size = first.size();
    let mut requests = vec![first];
    while size < ENOUGH
        && let Ok(next) = queue.try_recv()
    {
        size += next.size();
        requests.push(next);
    }
    requests
}

/// What the commits among the requests want to know; `None`: there are none.
pub(crate) fn wants(requests: &[Request]) -> Option<Wants> {
    let mut wants = None;
    for request in requests {
        if let Request::Commit { drafts, .. } = request {
            wants.get_or_insert_with(Wants::default).add(drafts);
        }
    }
    wants
}

/// The writer's other end. The writer ends when this is gone.
pub(crate) struct Writer {
    at: String,
    requests: mpsc::Sender<Request>,
}

impl Writer {
    pub(crate) fn new(at: &str) -> (Writer, mpsc::Receiver<Request>) {
        let (requests, queue) = mpsc::channel(WAITING);
        (Writer { at: at.to_owned(), requests }, queue)
    }

    /// Lets the writer do something, and waits for its answer.
    pub(crate) async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, RecordsError> {
        let closed = || RecordsError::Closed { at: self.at.clone() };
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| closed())?;
        // Without an answer the writer is gone; it answers all it takes.
        answer.await.map_err(|_| closed())?
    }

    /// Forgets sessions in as many transactions as it takes.
    pub(crate) async fn forget(&self, before: u64) -> Result<u64, RecordsError> {
        let mut all = 0;
        loop {
            let count = self.ask(|reply| Request::Forget { before, reply }).await?;
            all += count;
            if count < FORGET {
                return Ok(all);
            }
        }
    }
}
