//! Records: what the control plane must not forget. Objects (accounts, radios, services, clients, bindings, contracts,
//! grants) and the accounting of sessions, durable before they are acknowledged.
//!
//! One interface, [`Records`], and one set of rules (`plan`, `accounting`), which both stores obey: [`Embedded`], a file of one
//! process, and [`Postgres`], a database that control processes share. [`migrate`] moves records from the one into the other.
//!
//! A *version* counts the commits of a store that changed something, without gaps. Every object has that of the commit that
//! last changed it.
#![forbid(unsafe_code)]

mod accounting;
mod codec;
mod draft;
mod embedded;
mod error;
mod key;
mod migrate;
mod plan;
mod postgres;
mod queue;
#[cfg(feature = "testkit")]
pub mod testkit;

use std::{future::Future, pin::Pin};

pub use accounting::{Cursor, MAX_PAGE, Page, Query, Report, SLACK, Session, Side, TOLERANCE, Totals};
pub use draft::{Committed, Draft, NewContract, Object, Outcome, Step, Version};
pub use embedded::Embedded;
pub use error::RecordsError;
pub use key::Name;
pub use migrate::{Migrated, Phase, Progress, migrate};
pub use postgres::{Database, Postgres};

/// What a store answers with, once it has.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, RecordsError>> + Send + 'a>>;

/// Most drafts of one commit.
pub const MAX_DRAFTS: usize = 100_000;

/// Durable records. What is asked for happens even if nobody waits for the answer any more.
pub trait Records: Send + Sync {
    /// Makes drafts durable, in their order: all or none. It answers when they are, with one outcome for each.
    ///
    /// Repeating a commit does no harm: a [`Draft::NewBinding`] that says what a binding says already has that binding as
    /// its outcome, deleting what is not there and putting what is there already change nothing. Only commits that changed
    /// something get a version.
    fn commit(&self, drafts: Vec<Draft>) -> Answer<'_, Committed>;

    /// Gives every object to `each` (accounts, grants, radios, services and clients before bindings and contracts), as of
    /// the version that it returns, from which [`Records::follow`] goes on.
    fn load<'a>(&'a self, each: &'a mut (dyn FnMut(Object) + Send)) -> Answer<'a, Version>;

    /// One object, if it is there.
    fn get(&self, name: Name) -> Answer<'_, Option<Object>>;

    /// What was committed after a version, by anybody, in order and without gaps.
    fn follow(&self, since: Version) -> Answer<'_, Box<dyn Follow>>;

    /// Adds reports to the accounting of their sessions; durable when it answers. Repetitions and old news do no harm.
    fn account(&self, reports: Vec<Report>) -> Answer<'_, ()>;

    /// Sessions, by the time when they became known.
    fn sessions(&self, query: Query) -> Answer<'_, Page>;

    /// Forgets the sessions whose last report is older than `before` (Unix time in milliseconds); how many there were.
    fn forget_sessions(&self, before: u64) -> Answer<'_, u64>;
}

/// Commits as they come in.
pub trait Follow: Send {
    /// The next commit, once there is one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`RecordsError::LoadAgain`] when the store no longer knows what came next. After any other error the next call goes on
    /// where it was.
    fn next(&mut self) -> Answer<'_, Step>;
}
