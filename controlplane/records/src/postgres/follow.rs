//! Following: the changes that processes committed, from their table. Notifications only say when to look.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{
    connect::{Patience, Session, Target, Trouble},
    objects::damaged,
};
use crate::{
    Answer, Follow, RecordsError, Step, Version,
    key::{Key, Kind},
    plan::{self, Entry},
};

/// Versions that are read at a time.
const BATCH: i64 = 256;
/// When to look even without a notification.
const POLL: Duration = Duration::from_secs(5);

const NEXT: &str = "SELECT s.version, c.version, c.account, c.kind, c.key, c.body FROM records.store s
    LEFT JOIN records.change c ON c.version > $1 AND c.version <= $2 ORDER BY c.version, c.place";

pub(super) struct Follower {
    target: Arc<Target>,
    session: Option<(Session, tokio_postgres::Statement)>,
    since: Version,
    steps: VecDeque<Step>,
}

impl Follower {
    pub(super) fn new(target: Arc<Target>, since: Version) -> Self {
        Follower { target, session: None, since, steps: VecDeque::new() }
    }

    /// Reads what is there after `since`; whether there is anything.
    async fn read(&mut self) -> Result<bool, Trouble> {
        let (session, next) = match &mut self.session {
            Some((session, next)) if !session.client.is_closed() => (session, next),
            slot => {
                let session = self.target.connect().await?;
                session.client.batch_execute("LISTEN records").await?;
                let next = session.client.prepare(NEXT).await?;
                let (session, next) = slot.insert((session, next));
                (session, next)
            }
        };
        let at = &self.target.at;
        let since = i64::try_from(self.since).unwrap_or(i64::MAX);
        let rows = session.client.query(&*next, &[&since, &since.saturating_add(BATCH)]).await?;
        let version = rows.first().map(|row| row.get::<_, i64>(0) as u64);
        let version = version.ok_or_else(|| damaged(at, "records.store is empty"))?;
        if version == self.since {
            return Ok(false);
        }
        let mut log = Vec::with_capacity(rows.len());
        for row in &rows {
            let Some(version) = row.get::<_, Option<i64>>(1) else { break };
            let kind = u8::try_from(row.get::<_, i16>(3)).ok().and_then(Kind::of);
            let kind = kind.ok_or_else(|| damaged(at, "a change has an unknown kind"))?;
            let account: String = row.get(2);
            let key = Key::placed(kind, account.clone(), row.get(4));
            log.push(Entry { version: version as u64, account, key, body: row.get(5) });
        }
        // Versions have no gaps: what is missing was forgotten, or the store is not the one that was followed.
        if log.first().is_none_or(|entry| entry.version != self.since + 1) {
            return Err(RecordsError::LoadAgain { at: at.clone(), since: self.since }.into());
        }
        self.steps = plan::steps(at, &log)?.into();
        Ok(true)
    }
}

impl Follow for Follower {
    fn next(&mut self) -> Answer<'_, Step> {
        Box::pin(async move {
            let mut patience = Patience::new();
            loop {
                if let Some(step) = self.steps.pop_front() {
                    self.since = step.version;
                    return Ok(step);
                }
                match self.read().await {
                    Ok(true) => {}
                    Ok(false) => {
                        if let Some((session, _)) = &self.session {
                            // Either way it is time to look.
                            let _ = tokio::time::timeout(POLL, session.news.notified()).await;
                        }
                        patience = Patience::new();
                    }
                    Err(trouble) => {
                        self.session = None;
                        patience.pause(trouble, &self.target).await?;
                    }
                }
            }
        })
    }
}
