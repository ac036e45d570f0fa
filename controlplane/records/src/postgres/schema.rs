//! The schema, in numbered steps, each taken once.

use tokio_postgres::{Client, error::SqlState};

use super::connect::Trouble;
use crate::RecordsError;

/// Each ends with the next number. A step that was released is never changed.
const STEPS: [&str; 2] = [include_str!("migrations/1.sql"), include_str!("migrations/2.sql")];

/// Held while steps are taken, so that processes that start together take each once. "ttg-rec".
const LOCK: i64 = 0x74_74_67_2d_72_65_63;

/// Takes the steps that were not taken yet. Where there are none it writes nothing, and needs no right to.
pub(super) async fn check(client: &mut Client, at: &str) -> Result<(), Trouble> {
    if taken(client, at).await? == STEPS.len() {
        return Ok(());
    }
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    let begin = "CREATE SCHEMA IF NOT EXISTS records;
        CREATE TABLE IF NOT EXISTS records.schema (number integer PRIMARY KEY, taken timestamptz NOT NULL DEFAULT now())";
    transaction.batch_execute(begin).await.map_err(|error| refused(error, at))?;
    // Somebody may have taken them while we waited for the lock.
    let done = taken(transaction.client(), at).await?;
    for (place, step) in STEPS.iter().enumerate().skip(done) {
        transaction.batch_execute(step).await.map_err(|error| refused(error, at))?;
        let number = place as i32 + 1;
        transaction.execute("INSERT INTO records.schema (number) VALUES ($1)", &[&number]).await?;
    }
    Ok(transaction.commit().await?)
}

/// How many steps were taken.
async fn taken(client: &Client, at: &str) -> Result<usize, Trouble> {
    let there = client.query_one("SELECT to_regclass('records.schema') IS NOT NULL", &[]).await?;
    if !there.get::<_, bool>(0) {
        return Ok(0);
    }
    let last = client.query_one("SELECT coalesce(max(number), 0) FROM records.schema", &[]).await?;
    let last = last.get::<_, i32>(0) as usize;
    if last > STEPS.len() {
        let (found, known) = (last as u64, STEPS.len() as u64);
        return Err(RecordsError::Newer { at: at.to_owned(), found, known }.into());
    }
    Ok(last)
}

fn refused(error: tokio_postgres::Error, at: &str) -> Trouble {
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            let reason =
                "the user may not make the schema `records`; let one who may start control once, or \
                          GRANT CREATE ON DATABASE to this one"
                    .into();
            RecordsError::Failed { at: at.to_owned(), reason }.into()
        }
        _ => error.into(),
    }
}
