//! What sharing presence needs of a store: values and fields that go by themselves, and channels.

use std::{future::Future, time::Duration};

use tokio::sync::mpsc;

/// One operation on one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    /// A value, for some time, unless there is one.
    PutAbsent { key: String, value: Vec<u8>, ttl: Duration },
    /// [`Found::Value`].
    Get { key: String },
    /// [`Found::Flag`]: it was there.
    Delete { key: String },
    /// It stays so long from now. [`Found::Flag`]: it is there.
    Keep { key: String, ttl: Duration },
    /// One field of a key, unless there is one whose octets 1 to 8 are higher: of two values the later stays. `ttl` is the
    /// key's, which stays at least so long.
    PutField { key: String, field: Vec<u8>, value: Vec<u8>, ttl: Duration },
    /// A field.
    DeleteField { key: String, field: Vec<u8> },
    /// [`Found::Fields`].
    Fields { key: String },
    /// To whoever listens to the channel now.
    Publish { channel: String, message: Vec<u8> },
}

impl Op {
    /// What it is about.
    pub fn key(&self) -> &str {
        match self {
            Op::PutAbsent { key, .. }
            | Op::Get { key }
            | Op::Delete { key }
            | Op::Keep { key, .. }
            | Op::PutField { key, .. }
            | Op::DeleteField { key, .. }
            | Op::Fields { key } => key,
            Op::Publish { channel, .. } => channel,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing to say; or something stands there that is not of the kind expected.
    Nothing,
    Value(Vec<u8>),
    Flag(bool),
    Fields(Vec<(Vec<u8>, Vec<u8>)>),
}

/// The store does not answer, or not as it must: connect again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct StoreError(pub String);

/// A message and the channel it came by.
pub(super) type Messages = mpsc::Receiver<(String, Vec<u8>)>;

/// Connects.
pub(super) trait Store: Clone + Send + Sync + 'static {
    type Connection: Connection;

    /// A connection, and what is said on these channels from now on; the end of the messages is the end of the connection.
    fn connect(
        &self,
        channels: Vec<String>,
    ) -> impl Future<Output = Result<(Self::Connection, Messages), StoreError>> + Send;
}

pub(super) trait Connection: Send + Sync + 'static {
    /// All of them at once; what comes of each, in their order. Those on one key happen in their order.
    fn run(&self, ops: Vec<Op>) -> impl Future<Output = Result<Vec<Found>, StoreError>> + Send;
}
