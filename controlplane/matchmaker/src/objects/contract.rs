//! Contracts: what happens after a client connects.

use dot11::MacAddr;
use uuid::Uuid;

/// Identifies a contract within its account.
pub type ContractId = u64;

/// An agreement between a subscriber and an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// Unique within the account.
    pub id: ContractId,
    /// For which service.
    pub service: Uuid,
    /// With whom.
    pub subscriber: Subscriber,
    /// What is charged.
    pub kind: ContractKind,
    /// Most from the device, in bit/s.
    pub max_bandwidth_up: Option<u64>,
    /// Most towards the device, in bit/s.
    pub max_bandwidth_down: Option<u64>,
    /// HTTP requests of the client are redirected to the service's capture URL.
    pub capture: bool,
}

/// Who connects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subscriber {
    /// A device.
    Client(MacAddr),
    /// An EAP user.
    Identity(String),
}

/// The kinds of contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContractKind {
    /// Each octet is charged.
    Data,
}
