//! Services: networks, whoever serves them.

use std::fmt;

use dot11::element::Ssid;
use uuid::Uuid;
use visibility::Policy;

use super::Owner;

/// An extended service set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Identifies it; SSIDs are not unique.
    pub uuid: Uuid,
    /// Whose it is.
    pub owner: Owner,
    /// Its name on the air.
    pub ssid: Ssid,
    /// How devices authenticate.
    pub security: Security,
    /// Where the capture mechanism sends HTTP requests; empty: nowhere.
    pub capture_url: String,
    /// Elements of its beacon.
    pub template: Vec<u8>,
    /// When it is shown, unless a binding says otherwise.
    pub policy: Policy,
}

/// How devices authenticate with a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    Open,
    /// With a passphrase.
    Personal,
    /// With IEEE 802.1X.
    Enterprise,
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Security::Open => "open",
            Security::Personal => "personal",
            Security::Enterprise => "enterprise",
        })
    }
}
