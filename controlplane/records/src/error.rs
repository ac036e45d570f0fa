//! Why records cannot be read or written.

use crate::{Name, Version};

/// Why records cannot be read or written. `at` is a file, or hosts, port and database; never a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// A precondition does not hold. Nothing was changed.
    #[error("{name} has changed meanwhile; read it again and decide anew")]
    Changed {
        /// Which object.
        name: Name,
        /// Of the store. Who mirrors it and has come this far knows what the object is like.
        version: Version,
    },
    /// Another object says the same. Nothing was changed.
    #[error("{name} cannot say that, because {other} says it already; change or delete that one")]
    Duplicate {
        /// Which was to be put.
        name: Name,
        /// Which is there.
        other: Name,
    },
    /// The request is too large. Nothing was changed.
    #[error("{what} is too large: {size}, and at most {most} can be stored")]
    TooLarge {
        /// What.
        what: String,
        /// How large it is.
        size: usize,
        /// How large it may be.
        most: usize,
    },
    /// The store no longer knows what came after the version that was followed.
    #[error("the changes after version {since} are no longer kept at {at}; load all records again")]
    LoadAgain {
        /// Which store.
        at: String,
        /// The version followed.
        since: Version,
    },
    /// It is not known whether the commit took place. Repeating it finds out, and does no harm.
    #[error(
        "{at} went away while a commit was in progress ({reason}); whether it took place is unknown; repeat it"
    )]
    UnknownOutcome {
        /// Which store.
        at: String,
        /// What happened.
        reason: String,
    },
    /// The store cannot be reached. Nothing was changed.
    #[error(
        "{at} cannot be reached: {reason}; check that it runs, that one of the hosts takes writes, and who may log on"
    )]
    Unreachable {
        /// Which store.
        at: String,
        /// What happened.
        reason: String,
    },
    /// The server does not let us in.
    #[error(
        "{at} refuses us: {reason}; check user, password and database of the connection, and pg_hba.conf of the server"
    )]
    Refused {
        /// Which store.
        at: String,
        /// What it says.
        reason: String,
    },
    /// Another process has the file open.
    #[error("{at} is in use by another process; stop that, or configure another file")]
    InUse {
        /// Which file.
        at: String,
    },
    /// The file cannot be opened or created.
    #[error("{at} cannot be opened: {reason}; its directory must exist and be writable")]
    Io {
        /// Which file.
        at: String,
        /// What the system says.
        reason: String,
    },
    /// The store is not one, or is damaged. It is left as it is.
    #[error(
        "{at} does not hold these records, or is damaged: {reason}; nothing was written to it; restore a copy, or move it away to begin anew"
    )]
    Damaged {
        /// Which store.
        at: String,
        /// What was found.
        reason: String,
    },
    /// A newer version of this software made the store.
    #[error(
        "{at} has records of format {found}, and this software knows formats up to {known}; run the newer software that made it"
    )]
    Newer {
        /// Which store.
        at: String,
        /// Its format.
        found: u64,
        /// What is known.
        known: u64,
    },
    /// The store does not keep what it acknowledges.
    #[error("{at} would lose records in a crash: {reason}")]
    NotDurable {
        /// Which store.
        at: String,
        /// Which of its settings, and what it must be.
        reason: String,
    },
    /// There are records where a migration is to put some.
    #[error(
        "{at} already has other records ({objects} objects, the accounting of {sessions} sessions); migrate into an empty database, or say that these are to be replaced"
    )]
    NotEmpty {
        /// Which store.
        at: String,
        /// How many objects it has.
        objects: u64,
        /// How many sessions it knows.
        sessions: u64,
    },
    /// The configuration cannot be used.
    #[error("the records cannot be opened as configured: {reason}")]
    Configuration {
        /// What is wrong.
        reason: String,
    },
    /// A read or write failed. Nothing was changed.
    #[error("{at} fails: {reason}")]
    Failed {
        /// Which store.
        at: String,
        /// What it says.
        reason: String,
    },
    /// The store was closed.
    #[error("{at} was closed")]
    Closed {
        /// Which store.
        at: String,
    },
}
