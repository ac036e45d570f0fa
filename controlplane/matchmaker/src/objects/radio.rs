//! Radios and clients as records: what is known of them when they are silent.

use dot11::MacAddr;

use super::Owner;

/// The radio of an access point. One that has a record stays its owner's when its registration ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Radio {
    /// Permanent MAC address of the chipset.
    pub mac: MacAddr,
    /// Whose it is.
    pub owner: Owner,
}

/// A device. Its address identifies it and proves nothing. One that is locally administered, as a device makes one for each
/// network, is as good as any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The address that it uses towards its service.
    pub mac: MacAddr,
    /// For people.
    pub name: String,
}
