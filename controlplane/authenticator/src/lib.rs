//! The access point's side of 802.11 above the MAC: MLME, 802.1X authenticator and RSN state machines. Pure.
//!
//! Nothing here opens a socket, reads a clock or draws a random number. Time, entropy, frames and RADIUS results come
//! in as arguments; frames to send, keys to install and RADIUS requests go out as values:
//!
//! ```text
//!  Station  one device on one virtual BSS     handle(now, &mut Environment, Input)   then poll_output() until None
//!  Bss      one virtual BSS: AIDs, group key  handle_timeout(now, …), request_rekey  then poll_output() until None
//!  PmkCache, FailureTable                     one of each per service, lent to every call in the Environment
//! ```
//!
//! The driver mutates, then drains: after every call into a [`Station`] or a [`Bss`] it polls that value's outputs until
//! there are none, carries them out in order, and re-arms one timer with `next_timeout`. A call into a `Station` may
//! change its `Bss` (it allocates an AID, or the last device takes the new group key), so the `Bss` is drained as well.

#![forbid(unsafe_code)]

mod bss;
mod codec;
mod event;
mod failures;
mod input;
mod output;
mod pmk_cache;
mod service;
mod station;
mod time;

pub use bss::{Bss, BssOutput, GroupKey};
pub use dot11::rsn::{Akm, Gtk, Pmk, Tk};
pub use dot11::{MacAddr, ReasonCode, StatusCode};
pub use event::{Discard, Event};
pub use failures::{FailureTable, Limits};
pub use input::{Accept, Input, Msk, RadiusResult, TerminateCause};
pub use output::{FailureKind, Output};
pub use pmk_cache::{CachedPmk, PmkCache, PmkChange};
pub use service::{BeaconProfile, NamedPsk, Security, Service, ServiceError, Timings};
pub use station::{Environment, Info, RestoreError, SessionId, State, Station};
pub use time::{Entropy, Time};
