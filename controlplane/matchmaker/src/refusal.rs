//! Why a request is not done.

use std::time::Duration;

/// The reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Of a radio or an instance.
    #[error("not registered, or not any more; register first")]
    NotRegistered,
    /// The peer names an account that there is no record of.
    #[error("there is no such account; create it, or correct the peer's configuration")]
    UnknownAccount,
    /// The object belongs to another account or key.
    #[error("the object belongs to another account or key")]
    NotYours,
    /// The service is not to be shown to this client at this radio.
    #[error("no binding makes the service visible to this client at this radio")]
    NoBinding,
    /// Nobody serves the service, or takes newcomers.
    #[error("no instance of the service takes newcomers")]
    NoInstance,
    /// The client failed to authenticate too often; until then.
    #[error("the client failed to authenticate too often and is refused for {} s more", .retry.as_secs())]
    Refused {
        /// Not again before so long.
        retry: Duration,
    },
    /// The service demands a better signal of newcomers for now, or has all that it takes in this second.
    #[error("the service is overloaded and demands {demanded_dbm:?} dBm for now")]
    Overload {
        /// If it is the signal.
        demanded_dbm: Option<i8>,
        /// Not again before so long.
        retry: Duration,
    },
    /// Too many requests.
    #[error("too many requests of {of}")]
    Rate {
        /// Of whom.
        of: Asker,
        /// Not again before so long.
        retry: Duration,
    },
    /// There is no record of it.
    #[error("there is no such service")]
    UnknownService,
    /// Nobody was introduced: what is said of the client counts for nothing.
    #[error("the client was not introduced to this service")]
    NotIntroduced,
    /// The peer's key, or its account that has no key, has as many services as one may have, or all of these together have.
    #[error(
        "a key, or an account without key, may have {} services, as long as there is room for more of such; give the account a key",
        crate::MAX_SERVICES
    )]
    TooManyServices,
    /// The service has as many instances as one may have.
    #[error("the service has {} instances, as many as one may have", crate::MAX_INSTANCES)]
    TooManyInstances,
    /// The client has as many bindings that gateways asked for as one may have.
    #[error("gateways of the account bound this client too often; remove some of its bindings")]
    TooManyBindings,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// One address.
    Source,
    /// One radio.
    Radio,
    /// One account.
    Account,
    /// Anybody, while the store has too much to do.
    Store,
}

impl std::fmt::Display for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Asker::Source => "one address",
            Asker::Radio => "one radio",
            Asker::Account => "one account",
            Asker::Store => "the records, which have not done what they were asked before",
        })
    }
}
