//! Which network which radio shows to which device, and which gateway serves it. Pure: objects, messages and the time in,
//! decisions out.
//!
//! A [`Binding`] says that one service is to be visible to a client, or to any, near a radio, or near any. Bindings
//! control visibility; they are no access restriction: every connection is secured end to end as its service
//! demands.
#![forbid(unsafe_code)]

pub mod bindings;
mod clients;
mod connect;
mod explain;
pub mod gate;
mod look_up;
mod matchmaker;
mod memory;
pub mod objects;
pub mod presence;
mod refusal;
mod refusals;
pub mod scope;
pub mod shared;
mod steering;
mod suggest;

pub use bindings::{Bindings, DuplicateBinding};
pub use clients::ClientView;
pub use connect::{Connect, Introduction, MARGIN};
pub use explain::{Elsewhere, Explanation, Ground, Judged, Outcome, Signal, Unknown, WhyNot};
pub use look_up::{MAX_AHEAD, MAX_DEVICES, Near, Offer, Offers};
pub use matchmaker::{AutoBind, MAX_AUTO_BOUND, MAX_SERVICES, Matchmaker, Predictions, Settings};
pub use memory::Seed;
pub use objects::{Binding, BindingId, Change, Pattern, PatternError};
pub use presence::{MAX_INSTANCES, MAX_MOBILITY};
pub use refusal::{Asker, Refusal};
pub use uuid::Uuid;
