//! What a device is told before it starts: the network, how it proves itself, and its habits.

use std::sync::Arc;
use std::time::Duration;

use dot11::element::{ElementError, Ssid};
use dot11::rsn::{self, Passphrase, PassphraseError, Pmk};
use dot11::{Akm, MacAddr};

#[cfg(feature = "eap-ttls")]
use crate::eap;
use crate::supplicant::RepeatedM4;
use crate::{host, mlme};

/// How a device gets its pairwise master key.
#[derive(Clone, Debug)]
pub enum Security {
    /// There is none: the network is open.
    Open,
    /// It is pre-shared.
    Psk(Pmk),
    /// By 802.1X with EAP-TTLS; the device has [`eap::Credentials`] of its own.
    #[cfg(feature = "eap-ttls")]
    Enterprise(eap::Config),
}

/// What any number of devices share, so that each keeps only a pointer to it.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Network and habits of the MLME. Its `akm` goes with `security`.
    pub mlme: mlme::Config,
    /// How the pairwise master key comes about.
    pub security: Security,
    /// The IPv4 host above the link; without one, received frames become
    /// [`Event::Ethernet`](crate::device::Event::Ethernet).
    pub host: Option<host::Config>,
    /// How long from association to an open port, before the device gives up.
    pub handshake_timeout: Duration,
    /// With 802.1X, how long to wait for the access point to begin before asking it to by EAPOL-Start.
    pub start_interval: Duration,
    /// How long after the end of an association, or a failed attempt, to try again; never with `None`.
    pub reconnect: Option<Duration>,
    /// How the supplicant answers a repeated message 3.
    pub repeated_m4: RepeatedM4,
    /// Offer the PMK of an earlier 802.1X authentication to every BSS of the network.
    pub key_caching: bool,
}

/// Why there is no such profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The network's name does not fit.
    #[error(transparent)]
    Ssid(#[from] ElementError),
    /// The passphrase is not one.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
}

impl Profile {
    /// An open network.
    ///
    /// # Errors
    /// The name is longer than 32 octets.
    pub fn open(ssid: &str) -> Result<Profile, ProfileError> {
        Ok(Profile::new(Ssid::try_from(ssid)?, None, Security::Open))
    }

    /// A network with a passphrase, under AKM 2 or 6. Takes milliseconds: 4096 rounds of PBKDF2.
    ///
    /// # Errors
    /// The name is longer than 32 octets, or the passphrase not 8 to 63 printable ASCII characters.
    pub fn psk(ssid: &str, passphrase: &str, akm: Akm) -> Result<Profile, ProfileError> {
        let ssid = Ssid::try_from(ssid)?;
        let pmk = rsn::pmk_from_passphrase(&Passphrase::new(passphrase)?, &ssid);
        Ok(Profile::new(ssid, Some(akm), Security::Psk(pmk)))
    }

    /// A network with 802.1X, under AKM 1 or 5.
    ///
    /// # Errors
    /// The name is longer than 32 octets.
    #[cfg(feature = "eap-ttls")]
    pub fn enterprise(ssid: &str, akm: Akm, config: eap::Config) -> Result<Profile, ProfileError> {
        Ok(Profile::new(Ssid::try_from(ssid)?, Some(akm), Security::Enterprise(config)))
    }

    /// With an IPv4 host of these settings.
    #[must_use]
    pub fn with_host(self, host: host::Config) -> Profile {
        Profile { host: Some(host), ..self }
    }

    fn new(ssid: Ssid, akm: Option<Akm>, security: Security) -> Profile {
        Profile {
            mlme: mlme::Config { ssid, akm, ..mlme::Config::default() },
            security,
            host: None,
            handshake_timeout: Duration::from_secs(15),
            start_interval: Duration::from_secs(3),
            reconnect: None,
            repeated_m4: RepeatedM4::default(),
            key_caching: true,
        }
    }
}

/// One device.
#[derive(Clone, Debug)]
pub struct DeviceConfig {
    /// Its address.
    pub mac: MacAddr,
    /// What it shares with others.
    pub profile: Arc<Profile>,
    /// Who it is, with 802.1X.
    #[cfg(feature = "eap-ttls")]
    pub credentials: Option<Arc<eap::Credentials>>,
}

impl DeviceConfig {
    /// A device that needs no credentials of its own.
    pub fn new(mac: MacAddr, profile: Arc<Profile>) -> DeviceConfig {
        DeviceConfig {
            mac,
            profile,
            #[cfg(feature = "eap-ttls")]
            credentials: None,
        }
    }

    /// With these credentials.
    #[cfg(feature = "eap-ttls")]
    #[must_use]
    pub fn with_credentials(self, credentials: Arc<eap::Credentials>) -> DeviceConfig {
        DeviceConfig { credentials: Some(credentials), ..self }
    }
}
