//! What one service offers and demands: the immutable configuration behind its stations.

use std::sync::Arc;
use std::time::Duration;

use dot11::MacAddr;
use dot11::element::{Elements, MAX_SSID_LEN, Rsn, RsnCapabilities};
use dot11::rsn::{Akm, Pmk};

use crate::Limits;

/// One service: an SSID, how devices prove themselves, and what its beacons say.
#[derive(Clone, Debug)]
pub struct Service {
    /// 1 to 32 octets.
    pub ssid: Vec<u8>,
    /// How devices prove themselves.
    pub security: Security,
    /// AKM suites offered, preferred first. Empty for an open service.
    pub akms: Vec<Akm>,
    /// What the beacons say, echoed in association responses.
    pub beacon: BeaconProfile,
    /// Time-outs and retries.
    pub timings: Timings,
    /// Limits on attempts, for the service's [`FailureTable`](crate::FailureTable).
    pub limits: Limits,
    /// A PMK made on one BSS of the service is good on the others (opportunistic key caching).
    pub opportunistic_key_caching: bool,
    /// Make a new group key when a device leaves, so that it cannot read on.
    pub rekey_group_on_departure: bool,
}

/// How devices prove themselves.
#[derive(Clone, Debug)]
pub enum Security {
    /// They do not.
    Open,
    /// WPA2-Personal. Message 2's MIC tells which passphrase the device knows.
    Psk {
        /// At least one.
        passphrases: Vec<NamedPsk>,
    },
    /// WPA2-Enterprise: 802.1X, passed through to RADIUS.
    Eap,
}

/// One passphrase of a service.
#[derive(Clone, Debug)]
pub struct NamedPsk {
    /// For accounting and the log.
    pub name: Arc<str>,
    /// `dot11::rsn::pmk_from_passphrase`.
    pub pmk: Pmk,
    /// VLAN of devices that use it; the service's when `None`.
    pub vlan: Option<u16>,
    /// Only this device may use it.
    pub client: Option<MacAddr>,
}

/// What the beacons of the service say.
#[derive(Clone, Debug)]
pub struct BeaconProfile {
    /// Capability Information field (802.11-2020 §9.4.1.4), e.g. 0x0431 with, 0x0421 without privacy.
    pub capabilities: u16,
    /// Supported rates in units of 500 kbit/s, bit 7 marking the basic ones; at most 8 go into Supported Rates, the
    /// others into Extended Supported Rates.
    pub rates: Vec<u8>,
    /// Offer WMM: QoS data to the devices that ask for it.
    pub wmm: bool,
    /// Further elements for association responses (HT, VHT, HE, extended capabilities…), whole elements with id and
    /// length, in order. HT, VHT and HE ones go only to devices that have the same.
    pub elements: Vec<u8>,
    /// The RSN Extension element of the beacons, whole, if there is one: echoed in message 3.
    pub rsnx: Option<Vec<u8>>,
}

impl Default for BeaconProfile {
    /// An 802.11g BSS: 1, 2, 5.5 and 11 Mbit/s basic, the OFDM rates besides; ESS, short preamble, short slot; WMM.
    fn default() -> BeaconProfile {
        BeaconProfile {
            capabilities: 0x0421,
            rates: vec![0x82, 0x84, 0x8b, 0x96, 0x0c, 0x12, 0x18, 0x24, 0x30, 0x48, 0x60, 0x6c],
            wmm: true,
            elements: Vec::new(),
            rsnx: None,
        }
    }
}

/// Time-outs and retries, with the standards' defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timings {
    /// Wait for the answer to the first transmission of an EAPOL-Key frame: 100 ms.
    pub eapol_key_first: Duration,
    /// Wait after each further one: dot11RSNAConfigPairwiseUpdateTimeOut, 1 s.
    pub eapol_key_retry: Duration,
    /// Transmissions of messages 1 and 3: 4 (dot11RSNAConfigPairwiseUpdateCount is 3 retries).
    pub pairwise_update_count: u32,
    /// Transmissions of the group handshake's message 1: 4 (dot11RSNAConfigGroupUpdateCount is 3 retries).
    pub group_update_count: u32,
    /// Wait for the first EAP response: 3 s (RFC 3748 §4.3), doubled with each retransmission…
    pub eap_initial: Duration,
    /// …up to this: 20 s.
    pub eap_max: Duration,
    /// Retransmissions of an EAP request: 5.
    pub eap_retransmissions: u32,
    /// All of EAP, from the identity request to the result: 60 s. A device that never ends is let go.
    pub eap_total: Duration,
    /// Wait for RADIUS; longer than the client's own retries: 30 s (802.1X-2004 §8.2.9, serverTimeout).
    pub radius: Duration,
    /// Authenticated but not associated for so long: forgotten. 10 s.
    pub authenticated: Duration,
    /// Replace the pairwise key this often.
    pub ptk_rekey: Option<Duration>,
    /// Replace the group key this often: a day.
    pub gtk_rekey: Option<Duration>,
    /// Transmission switches to the new group key after this at the latest: 10 s.
    pub gtk_switch: Duration,
    /// A PMK made by EAP is good so long: dot11RSNAConfigPMKLifetime, 43200 s.
    pub pmk_lifetime: Duration,
    /// At most one deauthentication or disassociation for frames of the wrong class in this time: 1 s.
    pub class_error_interval: Duration,
}

impl Default for Timings {
    fn default() -> Timings {
        Timings {
            eapol_key_first: Duration::from_millis(100),
            eapol_key_retry: Duration::from_secs(1),
            pairwise_update_count: 4,
            group_update_count: 4,
            eap_initial: Duration::from_secs(3),
            eap_max: Duration::from_secs(20),
            eap_retransmissions: 5,
            eap_total: Duration::from_secs(60),
            radius: Duration::from_secs(30),
            authenticated: Duration::from_secs(10),
            ptk_rekey: None,
            gtk_rekey: Some(Duration::from_secs(86_400)),
            gtk_switch: Duration::from_secs(10),
            pmk_lifetime: Duration::from_secs(43_200),
            class_error_interval: Duration::from_secs(1),
        }
    }
}

/// A service that makes no sense.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ServiceError {
    /// The SSID is empty or longer than 32 octets.
    #[error("an SSID has 1 to 32 octets, this one has {0}")]
    Ssid(usize),
    /// A PSK service without a passphrase.
    #[error("a service with security \"psk\" needs at least one passphrase")]
    NoPassphrase,
    /// The AKM suites and the kind of security do not go together.
    #[error("AKM suite {0:?} does not go with the service's security")]
    Akm(Akm),
    /// A protected service without AKM suites.
    #[error("a protected service needs at least one AKM suite")]
    NoAkm,
    /// No supported rates, or no basic one among them.
    #[error("a BSS needs at least one basic rate")]
    Rates,
    /// The beacon's elements do not parse.
    #[error("the beacon's further elements are malformed")]
    Elements,
}

impl Service {
    /// An open service with every default.
    pub fn open(ssid: &[u8]) -> Service {
        Service::new(ssid, Security::Open, Vec::new())
    }

    /// A WPA2-Personal service with every default.
    pub fn psk(ssid: &[u8], passphrases: Vec<NamedPsk>) -> Service {
        Service::new(ssid, Security::Psk { passphrases }, vec![Akm::Psk, Akm::PskSha256])
    }

    /// A WPA2-Enterprise service with every default.
    pub fn eap(ssid: &[u8]) -> Service {
        Service::new(ssid, Security::Eap, vec![Akm::Ieee8021x, Akm::Ieee8021xSha256])
    }

    /// Checks that the parts go together. The machines take this for granted.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub fn check(&self) -> Result<(), ServiceError> {
        if self.ssid.is_empty() || self.ssid.len() > MAX_SSID_LEN {
            return Err(ServiceError::Ssid(self.ssid.len()));
        }
        let fits: fn(Akm) -> bool = match &self.security {
            Security::Open => |_| false,
            Security::Psk { passphrases } if passphrases.is_empty() => {
                return Err(ServiceError::NoPassphrase);
            }
            Security::Psk { .. } => |akm| matches!(akm, Akm::Psk | Akm::PskSha256),
            Security::Eap => |akm| matches!(akm, Akm::Ieee8021x | Akm::Ieee8021xSha256),
        };
        if let Some(&other) = self.akms.iter().find(|&&akm| !fits(akm)) {
            return Err(ServiceError::Akm(other));
        }
        if self.akms.is_empty() && !matches!(self.security, Security::Open) {
            return Err(ServiceError::NoAkm);
        }
        if !self.beacon.rates.iter().any(|rate| rate & 0x80 != 0) {
            return Err(ServiceError::Rates);
        }
        Elements::parse(&self.beacon.elements).map_err(|_| ServiceError::Elements)?;
        let rsnx = Elements::parse(self.beacon.rsnx.as_deref().unwrap_or_default());
        rsnx.map_err(|_| ServiceError::Elements)?;
        Ok(())
    }

    /// The RSN element of the service's beacons, whole; `None` for an open service. The beacons on the air must carry
    /// exactly these octets: devices compare them with message 3 (802.11-2020 §12.7.6.4).
    pub fn rsne(&self) -> Option<Vec<u8>> {
        match self.security {
            Security::Open => None,
            Security::Psk { .. } | Security::Eap => Some(self.rsn().to_vec()),
        }
    }

    fn rsn(&self) -> Rsn {
        let none = RsnCapabilities::default();
        // With QoS the gateway keeps a replay counter for each TID.
        let capabilities = if self.beacon.wmm { none.with_16_ptksa_replay_counters() } else { none };
        Rsn { capabilities, ..Rsn::ccmp(&self.akms) }
    }

    fn new(ssid: &[u8], security: Security, akms: Vec<Akm>) -> Service {
        Service {
            ssid: ssid.to_vec(),
            security,
            akms,
            beacon: BeaconProfile::default(),
            timings: Timings::default(),
            limits: Limits::default(),
            opportunistic_key_caching: true,
            rekey_group_on_departure: false,
        }
    }
}
