//! The tables of objects: what commits read and write there.

use tokio_postgres::{Client, Row as SqlRow, Statement, Transaction, types::ToSql};

use super::connect::Trouble;
use crate::{
    RecordsError, codec,
    key::{Key, Kind},
    plan::{self, Entry, Row, View, Wants, Writes},
};

/// Statements of a commit, known to the server.
pub(super) struct Statements {
    lock: Statement,
    by_account: Statement,
    by_key: Statement,
    by_says: Statement,
    grants: Statement,
    last: Statement,
    remove: Statement,
    put: Statement,
    put_last: Statement,
    log: Statement,
    version: Statement,
    trim: Statement,
}

/// Versions after which a change may be forgotten, if it is an hour old as well.
const KEPT: i64 = 100_000;
/// Old changes are looked for when so many versions have passed.
const TRIM: u64 = 1000;

impl Statements {
    pub(super) async fn new(client: &Client) -> Result<Self, tokio_postgres::Error> {
        const OBJECT: &str = "SELECT o.account, o.kind, o.key, o.version, o.body FROM records.object o";
        let by_account = format!(
            "{OBJECT} JOIN unnest($1::text[], $2::int2[], $3::bytea[]) w (account, kind, key)
             ON o.account = w.account AND o.kind = w.kind AND o.key = w.key"
        );
        let by_key = format!(
            "{OBJECT} JOIN unnest($1::int2[], $2::bytea[]) w (kind, key)
             ON o.kind = w.kind AND o.key = w.key AND o.kind < 6"
        );
        let by_says = format!(
            "{OBJECT} JOIN unnest($1::text[], $2::int2[], $3::bytea[]) w (account, kind, says)
             ON o.account = w.account AND o.kind = w.kind AND o.says = w.says"
        );
        let grants = format!("{OBJECT} WHERE o.kind = 2 AND (o.account = ANY ($1) OR o.key = ANY ($2))");
        let prepare = |text| client.prepare(text);
        Ok(Statements {
            lock: prepare("SELECT version FROM records.store FOR UPDATE").await?,
            by_account: prepare(&by_account).await?,
            by_key: prepare(&by_key).await?,
            by_says: prepare(&by_says).await?,
            grants: prepare(&grants).await?,
            last: prepare(
                "SELECT l.account, l.kind, l.id FROM records.last_id l
                 JOIN unnest($1::text[], $2::int2[]) w (account, kind) ON l.account = w.account AND l.kind = w.kind",
            )
            .await?,
            remove: prepare(
                "DELETE FROM records.object o USING unnest($1::text[], $2::int2[], $3::bytea[]) w (account, kind, key)
                 WHERE o.account = w.account AND o.kind = w.kind AND o.key = w.key",
            )
            .await?,
            put: prepare(PUT).await?,
            put_last: prepare(PUT_LAST).await?,
            log: prepare(
                "INSERT INTO records.change (account, version, place, kind, key, body)
                 SELECT * FROM unnest($1::text[], $2::int8[], $3::int4[], $4::int2[], $5::bytea[], $6::bytea[])",
            )
            .await?,
            // Heard when the transaction has committed.
            version: prepare("UPDATE records.store SET version = $1 RETURNING pg_notify('records', '')").await?,
            trim: prepare("DELETE FROM records.change WHERE version <= $1 AND at < now() - interval '1 hour'").await?,
        })
    }
}

/// Puts objects.
pub(super) const PUT: &str = "INSERT INTO records.object (account, kind, key, says, version, body)
    SELECT * FROM unnest($1::text[], $2::int2[], $3::bytea[], $4::bytea[], $5::int8[], $6::bytea[])
    ON CONFLICT (account, kind, key) DO UPDATE
    SET says = excluded.says, version = excluded.version, body = excluded.body";

/// Puts the last identifiers given.
pub(super) const PUT_LAST: &str = "INSERT INTO records.last_id (account, kind, id)
    SELECT * FROM unnest($1::text[], $2::int2[], $3::int8[])
    ON CONFLICT (account, kind) DO UPDATE SET id = excluded.id";

/// Accounts, kinds and keys as the arrays that statements take.
#[derive(Default)]
struct Keys<'a> {
    accounts: Vec<&'a str>,
    kinds: Vec<i16>,
    keys: Vec<&'a [u8]>,
}

impl<'a> Keys<'a> {
    fn add(&mut self, account: &'a str, kind: Kind, key: &'a [u8]) {
        self.accounts.push(account);
        self.kinds.push(kind as i16);
        self.keys.push(key);
    }
}

/// Waits until no other process commits, and reads what commits want to know.
pub(super) async fn view(
    transaction: &Transaction<'_>,
    statements: &Statements,
    at: &str,
    wants: &Wants,
) -> Result<View, Trouble> {
    // The lock first: what is read after it is what the last writer left.
    let row = transaction.query_opt(&statements.lock, &[]).await?;
    let row = row.ok_or_else(|| damaged(at, "records.store is empty"))?;
    let mut view = View::new(at, row.get::<_, i64>(0) as u64);
    let (mut scoped, mut free, mut says) = (Keys::default(), Keys::default(), Keys::default());
    for key in &wants.keys {
        let keys = if key.kind.is_scoped() { &mut scoped } else { &mut free };
        keys.add(&key.scope, key.kind, &key.id);
    }
    for what in &wants.says {
        says.add(&what.scope, what.kind, &what.what);
    }
    let grants: Vec<&str> = wants.grants_of.iter().map(String::as_str).collect();
    let grant_keys: Vec<&[u8]> = wants.grants_of.iter().map(String::as_bytes).collect();
    let (counter_accounts, counter_kinds): (Vec<&str>, Vec<i16>) =
        wants.counters.iter().map(|(kind, scope)| (scope.as_str(), *kind as i16)).unzip();
    let ask = async |statement, wanted: &[&(dyn ToSql + Sync)], any| match any {
        true => transaction.query(statement, wanted).await,
        false => Ok(Vec::new()),
    };
    let Keys { accounts, kinds, keys } = &scoped;
    let scoped: [&(dyn ToSql + Sync); 3] = [accounts, kinds, keys];
    let any_scoped = !keys.is_empty();
    let Keys { kinds, keys, .. } = &free;
    let free: [&(dyn ToSql + Sync); 2] = [kinds, keys];
    let any_free = !keys.is_empty();
    let Keys { accounts, kinds, keys } = &says;
    let says: [&(dyn ToSql + Sync); 3] = [accounts, kinds, keys];
    let any_says = !keys.is_empty();
    let of: [&(dyn ToSql + Sync); 2] = [&grants, &grant_keys];
    let counters: [&(dyn ToSql + Sync); 2] = [&counter_accounts, &counter_kinds];
    // All are under way at a time; what nobody wants is not asked for.
    let (scoped, free, says, grants, last) = tokio::try_join!(
        ask(&statements.by_account, &scoped, any_scoped),
        ask(&statements.by_key, &free, any_free),
        ask(&statements.by_says, &says, any_says),
        ask(&statements.grants, &of, !grants.is_empty()),
        ask(&statements.last, &counters, !counter_kinds.is_empty()),
    )?;
    for row in scoped.into_iter().chain(free).chain(says).chain(grants) {
        let (key, row) = object(at, &row)?;
        view.add(key, row);
    }
    for row in last {
        let kind = kind(at, row.get(1))?;
        view.add_last((kind, row.get(0)), row.get::<_, i64>(2) as u64);
    }
    Ok(view)
}

/// Account, kind, key, version, body.
pub(super) fn object(at: &str, row: &SqlRow) -> Result<(Key, Row), RecordsError> {
    let account: String = row.get(0);
    let key = Key::placed(kind(at, row.get(1))?, account.clone(), row.get(2));
    Ok((key, Row { version: row.get::<_, i64>(3) as u64, account, body: row.get(4) }))
}

pub(super) fn kind(at: &str, code: i16) -> Result<Kind, RecordsError> {
    let kind = u8::try_from(code).ok().and_then(Kind::of);
    kind.ok_or_else(|| damaged(at, &format!("there is an object of kind {code}")))
}

pub(super) fn damaged(at: &str, reason: &str) -> RecordsError {
    RecordsError::Damaged { at: at.to_owned(), reason: reason.to_owned() }
}

/// Writes what commits came to.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    statements: &Statements,
    at: &str,
    writes: &Writes,
) -> Result<(), Trouble> {
    if writes.is_empty() {
        return Ok(());
    }
    let mut gone = Keys::default();
    let mut put = Put::default();
    for (key, before, now) in &writes.rows {
        let says = |row: &Option<Row>| match row {
            Some(row) => says(at, key, row),
            None => Ok(None),
        };
        let (said, saying) = (says(before)?, says(now)?);
        // What says something else goes first: two may exchange what they say.
        if let Some(before) = before
            && (now.as_ref().is_none_or(|now| now.account != before.account) || said != saying)
        {
            gone.add(&before.account, key.kind, &key.id);
        }
        if let Some(now) = now {
            put.add(key, now, saying);
        }
    }
    if !gone.keys.is_empty() {
        transaction.execute(&statements.remove, &[&gone.accounts, &gone.kinds, &gone.keys]).await?;
    }
    if !put.keys.is_empty() {
        put.execute(transaction, &statements.put).await?;
    }
    if !writes.last.is_empty() {
        put_last(
            transaction,
            &statements.put_last,
            writes.last.iter().map(|((kind, scope), id)| (*kind, scope.as_str(), *id)),
        )
        .await?;
    }
    log(transaction, statements, &writes.log).await?;
    transaction.query(&statements.version, &[&(writes.version as i64)]).await?;
    let before = writes.log.first().map_or(writes.version, |entry| entry.version - 1);
    if before / TRIM != writes.version / TRIM {
        transaction.execute(&statements.trim, &[&(writes.version as i64 - KEPT)]).await?;
    }
    Ok(())
}

/// What no other object may say, if it is of such a kind.
pub(super) fn says(at: &str, key: &Key, row: &Row) -> Result<Option<Vec<u8>>, RecordsError> {
    if key.number().is_none() {
        return Ok(None);
    }
    let change = plan::read(at, key, Some(&row.body))?;
    Ok(codec::says(key, &change).map(|says| says.what))
}

/// Objects to be put.
#[derive(Default)]
pub(super) struct Put<'a> {
    accounts: Vec<&'a str>,
    kinds: Vec<i16>,
    keys: Vec<&'a [u8]>,
    says: Vec<Option<Vec<u8>>>,
    versions: Vec<i64>,
    bodies: Vec<&'a [u8]>,
}

impl<'a> Put<'a> {
    pub(super) fn add(&mut self, key: &'a Key, row: &'a Row, says: Option<Vec<u8>>) {
        self.accounts.push(&row.account);
        self.kinds.push(key.kind as i16);
        self.keys.push(&key.id);
        self.says.push(says);
        self.versions.push(row.version as i64);
        self.bodies.push(&row.body);
    }

    pub(super) async fn execute(
        &self,
        transaction: &Transaction<'_>,
        put: &Statement,
    ) -> Result<u64, tokio_postgres::Error> {
        let Put { accounts, kinds, keys, says, versions, bodies } = self;
        transaction.execute(put, &[accounts, kinds, keys, says, versions, bodies]).await
    }
}

pub(super) async fn put_last(
    transaction: &Transaction<'_>,
    statement: &Statement,
    last: impl Iterator<Item = (Kind, &str, u64)>,
) -> Result<(), tokio_postgres::Error> {
    let (mut accounts, mut kinds, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, account, id) in last {
        accounts.push(account);
        kinds.push(kind as i16);
        ids.push(id as i64);
    }
    transaction.execute(statement, &[&accounts, &kinds, &ids]).await?;
    Ok(())
}

async fn log(
    transaction: &Transaction<'_>,
    statements: &Statements,
    log: &[Entry],
) -> Result<(), tokio_postgres::Error> {
    let accounts: Vec<&str> = log.iter().map(|entry| entry.account.as_str()).collect();
    let versions: Vec<i64> = log.iter().map(|entry| entry.version as i64).collect();
    let places: Vec<i32> = (0..log.len() as i32).collect();
    let kinds: Vec<i16> = log.iter().map(|entry| entry.key.kind as i16).collect();
    let keys: Vec<&[u8]> = log.iter().map(|entry| entry.key.id.as_slice()).collect();
    let bodies: Vec<Option<&[u8]>> = log.iter().map(|entry| entry.body.as_deref()).collect();
    transaction.execute(&statements.log, &[&accounts, &versions, &places, &kinds, &keys, &bodies]).await?;
    Ok(())
}
