//! The table of accounting.

use dot11::MacAddr;
use matchmaker::Uuid;
use tokio_postgres::{Client, Row, Statement, Transaction, types::ToSql};

use super::{connect::Trouble, objects::damaged};
use crate::{
    Page, Query, RecordsError, Session, Totals,
    key::{scope, unscope},
    queue::FORGET,
};

/// Columns of a session.
const OF_SESSION: [(&str, &str); 7] = [
    ("account", "text"),
    ("session", "bytea"),
    ("client", "bytea"),
    ("service", "bytea"),
    ("radio", "bytea"),
    ("radio_account", "text"),
    ("first", "int8"),
];
/// Columns of either side.
const OF_SIDE: [(&str, &str); 9] = [
    ("sequence", "int8"),
    ("up_octets", "int8"),
    ("down_octets", "int8"),
    ("up_packets", "int8"),
    ("down_packets", "int8"),
    ("seconds", "int8"),
    ("rssi_dbm", "int4"),
    ("ended", "bool"),
    ("at", "int8"),
];
/// Those that never become less.
const TOTALS: [&str; 5] = ["up_octets", "down_octets", "up_packets", "down_packets", "seconds"];
const SIDES: [&str; 2] = ["radio", "service"];

/// Names and types of all columns, in order.
fn columns() -> impl Iterator<Item = (String, &'static str)> {
    let sides =
        SIDES.into_iter().flat_map(|side| OF_SIDE.map(|(name, kind)| (format!("{side}_{name}"), kind)));
    OF_SESSION.into_iter().map(|(name, kind)| (name.to_owned(), kind)).chain(sides)
}

fn names() -> String {
    columns().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

/// All columns.
pub(super) fn select() -> String {
    format!("SELECT {} FROM records.session", names())
}

/// Adds what is known of sessions to what is there: of each side what has the larger sequence number, totals never
/// less than they were.
pub(super) fn merge_statement() -> String {
    let arrays = columns().enumerate().map(|(place, (_, kind))| format!("${}::{kind}[]", place + 1));
    let arrays = arrays.collect::<Vec<_>>().join(", ");
    let news =
        |side: &str| format!("coalesce(excluded.{side}_sequence, -1) > coalesce(s.{side}_sequence, -1)");
    let set = SIDES.into_iter().flat_map(|side| {
        OF_SIDE.map(|(name, _)| {
            let news = news(side);
            let new = match TOTALS.contains(&name) {
                true => format!("greatest(excluded.{side}_{name}, s.{side}_{name})"),
                false => format!("excluded.{side}_{name}"),
            };
            format!("{side}_{name} = CASE WHEN {news} THEN {new} ELSE s.{side}_{name} END")
        })
    });
    let set = set.collect::<Vec<_>>().join(", ");
    // Repetitions write nothing.
    let any = SIDES.map(news).join(" OR ");
    let names = names();
    format!(
        "INSERT INTO records.session AS s ({names}) SELECT * FROM unnest({arrays})
         ON CONFLICT (account, session, client) DO UPDATE SET {set} WHERE {any}"
    )
}

/// In the order of their keys, so that two who merge the same do not wait for each other in a circle; each once.
pub(super) async fn merge(
    transaction: &Transaction<'_>,
    statement: &Statement,
    sessions: impl Iterator<Item = &Session>,
) -> Result<(), tokio_postgres::Error> {
    let (mut accounts, mut ids, mut clients, mut services) = (vec![], vec![], vec![], vec![]);
    let (mut radios, mut radio_accounts, mut firsts) = (vec![], vec![], vec![]);
    let mut sides = [Side::default(), Side::default()];
    for session in sessions {
        accounts.push(scope(session.account.as_ref()));
        ids.push(&session.session[..]);
        clients.push(&session.client.0[..]);
        services.push(&session.service.as_bytes()[..]);
        radios.push(&session.radio.0[..]);
        radio_accounts.push(scope(session.radio_account.as_ref()));
        firsts.push(session.first as i64);
        sides[0].push(session.by_radio);
        sides[1].push(session.by_service);
    }
    if ids.is_empty() {
        return Ok(());
    }
    let mut values: Vec<&(dyn ToSql + Sync)> =
        vec![&accounts, &ids, &clients, &services, &radios, &radio_accounts, &firsts];
    for side in &sides {
        side.values(&mut values);
    }
    transaction.execute(statement, &values).await?;
    Ok(())
}

/// Columns of one side.
#[derive(Default)]
struct Side {
    sequence: Vec<Option<i64>>,
    up_octets: Vec<Option<i64>>,
    down_octets: Vec<Option<i64>>,
    up_packets: Vec<Option<i64>>,
    down_packets: Vec<Option<i64>>,
    seconds: Vec<Option<i64>>,
    rssi_dbm: Vec<Option<i32>>,
    ended: Vec<Option<bool>>,
    at: Vec<Option<i64>>,
}

impl Side {
    fn push(&mut self, totals: Option<Totals>) {
        // `Totals::kept` has made sure that they fit.
        self.sequence.push(totals.map(|totals| totals.sequence.into()));
        self.up_octets.push(totals.map(|totals| totals.up_octets as i64));
        self.down_octets.push(totals.map(|totals| totals.down_octets as i64));
        self.up_packets.push(totals.map(|totals| totals.up_packets as i64));
        self.down_packets.push(totals.map(|totals| totals.down_packets as i64));
        self.seconds.push(totals.map(|totals| totals.seconds.into()));
        self.rssi_dbm.push(totals.map(|totals| totals.rssi_dbm));
        self.ended.push(totals.map(|totals| totals.ended));
        self.at.push(totals.map(|totals| totals.at as i64));
    }

    /// In the order of [`OF_SIDE`].
    fn values<'a>(&'a self, values: &mut Vec<&'a (dyn ToSql + Sync)>) {
        values.extend([
            &self.sequence as &(dyn ToSql + Sync),
            &self.up_octets,
            &self.down_octets,
            &self.up_packets,
            &self.down_packets,
            &self.seconds,
            &self.rssi_dbm,
            &self.ended,
            &self.at,
        ]);
    }
}

/// Reads what [`select`] selects.
pub(super) fn session(at: &str, row: &Row) -> Result<Session, RecordsError> {
    let side = |from: usize| {
        let sequence: Option<i64> = row.get(from);
        let number = |place: usize| row.get::<_, Option<i64>>(from + place).unwrap_or_default() as u64;
        sequence.map(|sequence| Totals {
            sequence: sequence as u32,
            up_octets: number(1),
            down_octets: number(2),
            up_packets: number(3),
            down_packets: number(4),
            seconds: number(5) as u32,
            rssi_dbm: row.get::<_, Option<i32>>(from + 6).unwrap_or_default(),
            ended: row.get::<_, Option<bool>>(from + 7).unwrap_or_default(),
            at: number(8),
        })
    };
    let read = || {
        let octets = |place: usize| row.get::<_, &[u8]>(place);
        Some(Session {
            account: unscope(row.get(0))?,
            session: octets(1).try_into().ok()?,
            client: MacAddr(octets(2).try_into().ok()?),
            service: Uuid::from_slice(octets(3)).ok()?,
            radio: MacAddr(octets(4).try_into().ok()?),
            radio_account: unscope(row.get(5))?,
            first: row.get::<_, i64>(6) as u64,
            by_radio: side(OF_SESSION.len()),
            by_service: side(OF_SESSION.len() + OF_SIDE.len()),
        })
    };
    read().ok_or_else(|| damaged(at, "the accounting of a session is unreadable"))
}

/// Sessions that match, in their order.
pub(super) async fn page(client: &Client, at: &str, query: &Query) -> Result<Page, Trouble> {
    let bounded = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
    let (from, to) = (bounded(query.from), bounded(query.to));
    let limit = query.limit() as i64 + 1;
    let account = query.account.as_ref().map(|account| scope(account.as_ref()));
    let radio = query.radio.map(|radio| radio.0);
    let radio = radio.as_ref().map(|radio| &radio[..]);
    let service = query.service.as_ref().map(|service| &service.as_bytes()[..]);
    let after = query.after.as_ref().map(|after| {
        let (account, session, client) = &after.id;
        (after.first as i64, account.as_str(), &session[..], &client[..])
    });
    let mut text = select() + " WHERE first >= $1";
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&from];
    // Conditions that are not asked for are not in the statement, so that the server can choose the right index.
    let mut place = 1;
    let mut next = || {
        place += 1;
        place
    };
    // No time is beyond the last.
    if query.to <= i64::MAX as u64 {
        text += &format!(" AND first < ${}", next());
        values.push(&to);
    }
    if let Some(account) = &account {
        let n = next();
        text += &format!(" AND (account = ${n} OR radio_account = ${n})");
        values.push(account);
    }
    if let Some(radio) = &radio {
        text += &format!(" AND radio = ${}", next());
        values.push(radio);
    }
    if let Some(service) = &service {
        text += &format!(" AND service = ${}", next());
        values.push(service);
    }
    if let Some((first, account, session, client)) = &after {
        let (a, b, c, d) = (next(), next(), next(), next());
        text += &format!(" AND (first, account, session, client) > (${a}, ${b}, ${c}, ${d})");
        values.extend([first as &(dyn ToSql + Sync), account, session, client]);
    }
    text += &format!(" ORDER BY first, account, session, client LIMIT ${}", next());
    values.push(&limit);
    let rows = client.query(&text, &values).await?;
    let mut sessions = rows.iter().map(|row| session(at, row)).collect::<Result<Vec<_>, _>>()?;
    let more = sessions.len() > query.limit();
    sessions.truncate(query.limit());
    let more = if more { sessions.last().map(Session::cursor) } else { None };
    Ok(Page { sessions, more })
}

/// Removes sessions of which nothing came in since, up to [`FORGET`].
pub(super) async fn forget(transaction: &Transaction<'_>, before: u64) -> Result<u64, tokio_postgres::Error> {
    let before = i64::try_from(before).unwrap_or(i64::MAX);
    let text = "DELETE FROM records.session WHERE (account, session, client) IN (
        SELECT account, session, client FROM records.session
        WHERE first < $1 AND greatest(radio_at, service_at) < $1 ORDER BY first LIMIT $2)";
    transaction.execute(text, &[&before, &(FORGET as i64)]).await
}
