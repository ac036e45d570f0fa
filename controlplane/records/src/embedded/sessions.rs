//! The tables of accounting.

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use super::{BATCH, File, seal};
use crate::{
    Page, Query, RecordsError, Report, Session,
    accounting::{Cursor, key_bytes},
    migrate::Batch,
    queue::FORGET,
};

/// Account, session, client → [`Session`], sealed.
const SESSIONS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("sessions");
/// When it became known, account, session, client.
const BY_TIME: TableDefinition<(u64, &[u8]), ()> = TableDefinition::new("sessions by time");

pub(super) fn make(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(SESSIONS)?;
    transaction.open_table(BY_TIME)?;
    Ok(())
}

fn read(file: &File, key: &[u8], value: &[u8]) -> Result<Session, RecordsError> {
    seal::open(key, value)
        .and_then(Session::from_bytes)
        .ok_or_else(|| file.damaged("the accounting of a session is unreadable"))
}

/// Adds reports to their sessions.
pub(super) fn merge(
    file: &File,
    transaction: &WriteTransaction,
    reports: &[Report],
) -> Result<(), RecordsError> {
    let error = |error: redb::Error| file.error(error);
    let mut sessions = transaction.open_table(SESSIONS).map_err(|e| error(e.into()))?;
    let mut by_time = transaction.open_table(BY_TIME).map_err(|e| error(e.into()))?;
    for report in reports {
        let key = key_bytes(&report.key());
        let there = sessions.get(key.as_slice()).map_err(|e| error(e.into()))?;
        let there = there.map(|value| read(file, &key, value.value())).transpose()?;
        let session = match there {
            Some(mut session) => {
                if !session.merge(report) {
                    continue;
                }
                session
            }
            None => {
                let session = Session::new(report);
                by_time.insert((session.first, key.as_slice()), ()).map_err(|e| error(e.into()))?;
                session
            }
        };
        let value = seal::close(&key, &[&session.to_bytes()]);
        sessions.insert(key.as_slice(), value.as_slice()).map_err(|e| error(e.into()))?;
    }
    Ok(())
}

/// Sessions that match, in their order.
pub(super) fn page(file: &File, transaction: &ReadTransaction, query: &Query) -> Result<Page, RecordsError> {
    let error = |error: redb::Error| file.error(error);
    let table = transaction.open_table(SESSIONS).map_err(|e| error(e.into()))?;
    let by_time = transaction.open_table(BY_TIME).map_err(|e| error(e.into()))?;
    let mut page = Page { sessions: Vec::new(), more: None };
    let after = query.after.as_ref().map(|Cursor { first, id }| (*first, key_bytes(id)));
    let (first, key) = after.unwrap_or_default();
    let from = if first >= query.from { (first, key.as_slice()) } else { (query.from, &[][..]) };
    if from.0 >= query.to {
        return Ok(page);
    }
    for row in by_time.range(from..(query.to, &[][..])).map_err(|e| error(e.into()))? {
        let (row, _) = row.map_err(|e| error(e.into()))?;
        let (_, key) = row.value();
        let session = table.get(key).map_err(|e| error(e.into()))?;
        let session = session.ok_or_else(|| file.damaged("a session is in an index, but not there"))?;
        let session = read(file, key, session.value())?;
        if !query.matches(&session) {
            continue;
        }
        if page.sessions.len() == query.limit() {
            page.more = page.sessions.last().map(Session::cursor);
            break;
        }
        page.sessions.push(session);
    }
    Ok(page)
}

/// Gives everything to `send`, in batches, until that says no.
pub(super) fn export(
    file: &File,
    transaction: &ReadTransaction,
    send: &dyn Fn(Batch) -> bool,
) -> Result<(), RecordsError> {
    let error = |error: redb::Error| file.error(error);
    let table = transaction.open_table(SESSIONS).map_err(|e| error(e.into()))?;
    let mut batch = Vec::with_capacity(BATCH);
    for item in table.iter().map_err(|e| error(e.into()))? {
        let (key, value) = item.map_err(|e| error(e.into()))?;
        batch.push(read(file, key.value(), value.value())?);
        if batch.len() == BATCH && !send(Batch::Sessions(std::mem::take(&mut batch))) {
            return Ok(());
        }
    }
    let _ = send(Batch::Sessions(batch));
    Ok(())
}

/// Removes sessions of which nothing came in since, up to [`FORGET`].
pub(super) fn forget(file: &File, transaction: &WriteTransaction, before: u64) -> Result<u64, RecordsError> {
    let error = |error: redb::Error| file.error(error);
    let mut sessions = transaction.open_table(SESSIONS).map_err(|e| error(e.into()))?;
    let mut by_time = transaction.open_table(BY_TIME).map_err(|e| error(e.into()))?;
    let mut old = Vec::new();
    for row in by_time.range((0, &[][..])..(before, &[][..])).map_err(|e| error(e.into()))? {
        let (row, _) = row.map_err(|e| error(e.into()))?;
        let (first, key) = row.value();
        let session = sessions.get(key).map_err(|e| error(e.into()))?;
        let session = session.map(|value| read(file, key, value.value())).transpose()?;
        if session.is_none_or(|session| session.last() < before) {
            old.push((first, key.to_vec()));
            if old.len() as u64 == FORGET {
                break;
            }
        }
    }
    for (first, key) in &old {
        sessions.remove(key.as_slice()).map_err(|e| error(e.into()))?;
        by_time.remove((*first, key.as_slice())).map_err(|e| error(e.into()))?;
    }
    Ok(old.len() as u64)
}
