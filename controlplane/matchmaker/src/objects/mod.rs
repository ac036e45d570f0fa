//! The objects that an operator sees and changes, and how each is identified.

mod account;
mod binding;
mod change;
mod contract;
mod pattern;
mod radio;
mod service;

pub use account::{Account, AccountId, AccountIdError, AccountKey, Grant, Grantee, KeyId, Owner};
pub(crate) use binding::WILD;
pub use binding::{Binding, BindingId, Cause, NewBinding, Origin};
pub use change::Change;
pub use contract::{Contract, ContractId, ContractKind, Subscriber};
pub use pattern::{Pattern, PatternError};
pub use radio::{Client, Radio};
pub use service::{Security, Service};
