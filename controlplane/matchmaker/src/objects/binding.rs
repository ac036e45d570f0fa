//! Bindings: which network is to be visible to whom, and where.

use std::fmt;

use dot11::MacAddr;
use uuid::Uuid;
use visibility::Policy;

use super::Pattern;

/// Identifies a binding within its account.
pub type BindingId = u64;

/// "This service is visible to this client when it is near this radio", each of the last two perhaps a wildcard. It belongs
/// to the account of its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Unique within the account.
    pub id: BindingId,
    /// Always one service.
    pub service: Uuid,
    /// Which devices.
    pub client: Pattern,
    /// Near which radios.
    pub radio: Pattern,
    /// What it says differently from the service's policy.
    pub policy: Policy,
    /// Where it comes from.
    pub origin: Origin,
}

/// A binding that has no identifier yet: whoever makes it durable gives it one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewBinding {
    /// Of which service.
    pub service: Uuid,
    /// Which devices.
    pub client: Pattern,
    /// Near which radios.
    pub radio: Pattern,
    /// What it says differently from the service's policy.
    pub policy: Policy,
    /// Where it comes from.
    pub origin: Origin,
}

impl NewBinding {
    /// With its identifier.
    pub fn with_id(self, id: BindingId) -> Binding {
        let NewBinding { service, client, radio, policy, origin } = self;
        Binding { id, service, client, radio, policy, origin }
    }
}

/// Where a binding comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Somebody made it.
    Administrator,
    /// A gateway asked for it.
    AutoBind(Cause),
    /// It is in the configuration.
    Configuration,
}

/// Why a gateway asked for a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The device authenticated at home.
    Local,
    /// A frame of the device came in on a wired port.
    Wired,
    /// The device connected through a wildcard binding.
    Remote,
}

/// A MAC address that no device has: the wildcard in memory.
pub(crate) const WILD: MacAddr = MacAddr::BROADCAST;

impl Pattern {
    pub(crate) fn address(self) -> MacAddr {
        match self {
            Pattern::Any => WILD,
            Pattern::Exactly(one) => one,
        }
    }

    pub(crate) fn of(address: MacAddr) -> Pattern {
        if address == WILD { Pattern::Any } else { Pattern::Exactly(address) }
    }
}

impl Origin {
    pub(crate) fn code(self) -> u8 {
        match self {
            Origin::Administrator => 0,
            Origin::AutoBind(Cause::Local) => 1,
            Origin::AutoBind(Cause::Wired) => 2,
            Origin::AutoBind(Cause::Remote) => 3,
            Origin::Configuration => 4,
        }
    }

    pub(crate) fn of(code: u8) -> Origin {
        match code {
            1 => Origin::AutoBind(Cause::Local),
            2 => Origin::AutoBind(Cause::Wired),
            3 => Origin::AutoBind(Cause::Remote),
            4 => Origin::Configuration,
            _ => Origin::Administrator,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Administrator => "administrator",
            Origin::AutoBind(Cause::Local) => "auto-bind (local)",
            Origin::AutoBind(Cause::Wired) => "auto-bind (wired)",
            Origin::AutoBind(Cause::Remote) => "auto-bind (remote)",
            Origin::Configuration => "configuration",
        })
    }
}
