//! Which network which radio shows to which device. Pure: objects in, decisions out.
//!
//! A [`Binding`] says that one service is to be visible to a client, or to any, near a radio, or near any. Bindings
//! control visibility; they are no access restriction: every connection is secured end to end as its service
//! demands.
#![forbid(unsafe_code)]

mod binding;
mod pattern;

pub use binding::{Binding, BindingId, Bindings, DuplicateBinding};
pub use pattern::{Pattern, PatternError};
pub use uuid::Uuid;
