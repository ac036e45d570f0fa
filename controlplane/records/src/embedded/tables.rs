//! The tables of objects, and what commits read and write there.

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use super::{BATCH, File, seal, sessions};
use crate::{
    Name, Object, RecordsError, Version, codec,
    key::{Key, Kind, Says, placed},
    migrate::Batch,
    plan::{self, Row, View, Wants, Writes},
};

/// `format` and `version` of the store, and how many `objects` it has.
pub(super) const STORE: TableDefinition<&str, u64> = TableDefinition::new("store");
/// Key of an object → its version (8 octets) and what it says, sealed.
const OBJECTS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("objects");
/// What only one object may say → its identifier.
const SAYS: TableDefinition<&[u8], u64> = TableDefinition::new("says");
/// Kind and account → the last identifier given.
const LAST: TableDefinition<&[u8], u64> = TableDefinition::new("last");

pub(super) fn make(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    let mut store = transaction.open_table(STORE)?;
    store.insert("version", 0)?;
    store.insert("objects", 0)?;
    transaction.open_table(OBJECTS)?;
    transaction.open_table(SAYS)?;
    transaction.open_table(LAST)?;
    sessions::make(transaction)
}

pub(super) fn version(file: &File, transaction: &ReadTransaction) -> Result<Version, RecordsError> {
    let run = || -> Result<_, redb::Error> {
        Ok(transaction.open_table(STORE)?.get("version")?.map(|version| version.value()))
    };
    run().map_err(|error| file.error(error))?.ok_or_else(|| file.damaged("it has no version"))
}

pub(super) fn get(
    file: &File,
    transaction: &ReadTransaction,
    name: &Name,
) -> Result<Option<Object>, RecordsError> {
    let key = Key::of(name);
    let run = || -> Result<_, redb::Error> {
        let table = transaction.open_table(OBJECTS)?;
        Ok(table.get(key.to_bytes().as_slice())?.map(|value| value.value().to_vec()))
    };
    let value = run().map_err(|error| file.error(error))?;
    value.map(|value| object(file, &key, &value)).transpose()
}

/// Gives every object to `each` until that says no.
pub(super) fn each(
    file: &File,
    transaction: &ReadTransaction,
    each: &mut dyn FnMut(Object) -> bool,
) -> Result<(), RecordsError> {
    let error = |error: redb::Error| file.error(error);
    let table = transaction.open_table(OBJECTS).map_err(|e| error(e.into()))?;
    for row in table.iter().map_err(|e| error(e.into()))? {
        let (key, value) = row.map_err(|e| error(e.into()))?;
        let key =
            Key::from_bytes(key.value()).ok_or_else(|| file.damaged("the key of an object is unreadable"))?;
        if !each(object(file, &key, value.value())?) {
            break;
        }
    }
    Ok(())
}

/// Gives everything to `send`, in batches, until that says no.
pub(super) fn export(
    file: &File,
    transaction: &ReadTransaction,
    send: &dyn Fn(Batch) -> bool,
) -> Result<(), RecordsError> {
    let error = |error: redb::Error| file.error(error);
    let table = transaction.open_table(OBJECTS).map_err(|e| error(e.into()))?;
    let (mut batch, mut count) = (Vec::with_capacity(BATCH), 0);
    for item in table.iter().map_err(|e| error(e.into()))? {
        let (key, value) = item.map_err(|e| error(e.into()))?;
        let key =
            Key::from_bytes(key.value()).ok_or_else(|| file.damaged("the key of an object is unreadable"))?;
        let row = row(&key, value.value()).ok_or_else(|| file.damaged("an object is unreadable"))?;
        batch.push((key, row));
        count += 1;
        if batch.len() == BATCH && !send(Batch::Objects(std::mem::take(&mut batch))) {
            return Ok(());
        }
    }
    counted(file, transaction, count)?;
    let table = transaction.open_table(LAST).map_err(|e| error(e.into()))?;
    let mut last = Vec::new();
    for item in table.iter().map_err(|e| error(e.into()))? {
        let (key, id) = item.map_err(|e| error(e.into()))?;
        let key = Key::from_bytes(key.value()).ok_or_else(|| file.damaged("a counter is unreadable"))?;
        last.push(((key.kind, key.scope), id.value()));
    }
    let _ = send(Batch::Objects(batch)) && send(Batch::Last(last));
    Ok(())
}

/// Whether that is how many objects there are to be.
fn counted(file: &File, transaction: &ReadTransaction, found: u64) -> Result<(), RecordsError> {
    let run = || -> Result<_, redb::Error> {
        Ok(transaction.open_table(STORE)?.get("objects")?.map_or(0, |count| count.value()))
    };
    let count = run().map_err(|error| file.error(error))?;
    match count == found {
        true => Ok(()),
        false => Err(file.damaged(format!("it has {found} objects that can be read, of {count}"))),
    }
}

fn object(file: &File, key: &Key, value: &[u8]) -> Result<Object, RecordsError> {
    let (version, body) = split(key, value).ok_or_else(|| {
        let name = key.name().map(|name| name.to_string());
        file.damaged(format!("{} is not as it was written", name.as_deref().unwrap_or("an object")))
    })?;
    Ok(Object { version, change: plan::read(&file.at, key, Some(body))? })
}

fn split<'a>(key: &Key, value: &'a [u8]) -> Option<(Version, &'a [u8])> {
    let (version, body) = seal::open(&key.to_bytes(), value)?.split_first_chunk()?;
    Some((u64::from_be_bytes(*version), body))
}

/// What commits want to know.
pub(super) fn view(file: &File, transaction: &WriteTransaction, wants: &Wants) -> Result<View, RecordsError> {
    let run = || -> Result<(View, Option<&'static str>), redb::Error> {
        let store = transaction.open_table(STORE)?;
        let objects = transaction.open_table(OBJECTS)?;
        let says = transaction.open_table(SAYS)?;
        let last = transaction.open_table(LAST)?;
        let Some(version) = store.get("version")?.map(|version| version.value()) else {
            return Ok((View::default(), Some("it has no version")));
        };
        let mut view = View::new(&file.at, version);
        let mut damage = None;
        let mut add = |view: &mut View, key: Key, value: &[u8]| match row(&key, value) {
            Some(row) => view.add(key, row),
            None => damage = Some("an object is unreadable"),
        };
        for key in &wants.keys {
            if let Some(value) = objects.get(key.to_bytes().as_slice())? {
                add(&mut view, key.clone(), value.value());
            }
        }
        for what in &wants.says {
            if let Some(id) = says.get(says_bytes(what).as_slice())? {
                let key = Key::numbered(what.kind, what.scope.clone(), id.value());
                if let Some(value) = objects.get(key.to_bytes().as_slice())? {
                    add(&mut view, key, value.value());
                }
            }
        }
        if !wants.grants_of.is_empty() {
            let (from, to) = ([Kind::Grant as u8], [Kind::Grant as u8 + 1]);
            for grant in objects.range::<&[u8]>(&from[..]..&to[..])? {
                let (key, value) = grant?;
                match Key::from_bytes(key.value()) {
                    Some(key) if wants.grants_of.iter().any(|account| key.grant_of(account)) => {
                        add(&mut view, key, value.value());
                    }
                    _ => {}
                }
            }
        }
        for (kind, scope) in &wants.counters {
            if let Some(id) = last.get(codec::scoped(*kind, scope, &[]).as_slice())? {
                view.add_last((*kind, scope.clone()), id.value());
            }
        }
        Ok((view, damage))
    };
    match run().map_err(|error| file.error(error))? {
        (view, None) => Ok(view),
        (_, Some(damage)) => Err(file.damaged(damage)),
    }
}

fn row(key: &Key, value: &[u8]) -> Option<Row> {
    let (version, body) = split(key, value)?;
    let account = placed(key, &codec::decode(key, Some(body))?);
    Some(Row { version, account, body: body.to_vec() })
}

/// Writes what commits came to.
pub(super) fn write(transaction: &WriteTransaction, writes: &Writes) -> Result<(), redb::Error> {
    if writes.is_empty() {
        return Ok(());
    }
    let mut store = transaction.open_table(STORE)?;
    let mut objects = transaction.open_table(OBJECTS)?;
    let mut says = transaction.open_table(SAYS)?;
    let mut last = transaction.open_table(LAST)?;
    store.insert("version", writes.version)?;
    let count = store.get("objects")?.map_or(0, |count| count.value());
    let new = writes.rows.iter().filter(|(_, before, now)| before.is_none() && now.is_some()).count() as u64;
    let gone = writes.rows.iter().filter(|(_, before, now)| before.is_some() && now.is_none()).count() as u64;
    store.insert("objects", (count + new).saturating_sub(gone))?;
    for (key, _, now) in &writes.rows {
        match now {
            Some(row) => {
                let key = key.to_bytes();
                let value = seal::close(&key, &[&row.version.to_be_bytes(), &row.body]);
                objects.insert(key.as_slice(), value.as_slice())?;
            }
            None => {
                objects.remove(key.to_bytes().as_slice())?;
            }
        }
    }
    for (what, id) in &writes.says {
        match id {
            Some(id) => says.insert(says_bytes(what).as_slice(), id)?,
            None => says.remove(says_bytes(what).as_slice())?,
        };
    }
    for ((kind, scope), id) in &writes.last {
        last.insert(codec::scoped(*kind, scope, &[]).as_slice(), id)?;
    }
    Ok(())
}

fn says_bytes(says: &Says) -> Vec<u8> {
    codec::scoped(says.kind, &says.scope, &says.what)
}
