//! What the [`Handle`](crate::handle::Handle) and the workers say to each other.

use dot11::MacAddr;

use crate::command::{Command, Event, Proof, Tunnel};
use crate::directory::{Route, WorkerId};
use crate::endpoint::Endpoint;

/// From the handle to a worker.
#[derive(Debug)]
pub enum ToWorker {
    /// Control's.
    Command(Command),
    /// A change to the directory.
    Route(Route),
    /// The tunnel goes on at another worker: drop it with its stations, without saying so.
    Release(MacAddr),
    /// Report everything that is live.
    Report,
    /// Finish.
    Stop,
}

/// What a worker says to the [`Handle`](crate::handle::Handle).
#[derive(Debug)]
pub enum FromWorker {
    /// For control.
    Event(Event),
    /// For control, with the worker that the keep-alive arrived at.
    Request(Tunnel, Option<Proof>, WorkerId),
    /// The report asked for is complete.
    Reported,
    /// A tunnel's endpoint moved.
    Moved(MacAddr, Endpoint),
}
