//! Between the packet workers and control: translation, attaching, and attaching again.

mod link;
mod translate;

pub use link::{ConnectError, Connector};
pub use translate::{BadCommand, command, event};
