//! What a virtual BSS says of itself: beacon and probe response, from the configuration.

use dot11::beacon::BssTemplate;
use dot11::element::{Rsn, RsnCapabilities, Ssid};
use dot11::{MacAddr, SequenceControl};

use crate::config::{BssConfig, Channel, Security};

/// Beacon and probe response of one virtual BSS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    bss: BssTemplate,
    channel: Channel,
}

impl Template {
    /// The template of `bss` on `channel`: an 802.11g or 802.11a BSS with WMM. It offers no HT, since the frames of
    /// the gateway leave at legacy rates and the radio knows its devices without HT capabilities.
    pub fn new(bss: &BssConfig, channel: Channel) -> Template {
        // The configuration refuses an SSID that is too long.
        let ssid = Ssid::parse(&bss.ssid).unwrap_or(Ssid::WILDCARD);
        let rsn = match &bss.security {
            Security::Open => None,
            // With QoS the gateway keeps a replay counter for each TID.
            Security::Rsn(akms) => Some(Rsn {
                capabilities: RsnCapabilities::default().with_16_ptksa_replay_counters(),
                ..Rsn::ccmp(akms)
            }),
        };
        let bss = BssTemplate { ht: None, ..BssTemplate::new(bss.bssid, ssid, channel.number(), rsn) };
        Template { bss, channel }
    }

    /// The BSSID.
    pub fn bssid(&self) -> MacAddr {
        self.bss.bssid
    }

    /// The SSID.
    pub fn ssid(&self) -> &Ssid {
        &self.bss.ssid
    }

    /// The channel.
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// Data of the BSS is protected.
    pub fn privacy(&self) -> bool {
        self.bss.rsn.is_some()
    }

    /// Time units (1024 µs) from beacon to beacon.
    pub fn interval(&self) -> u16 {
        self.bss.interval
    }

    /// Beacons from DTIM to DTIM.
    pub fn dtim_period(&self) -> u8 {
        self.bss.dtim_period
    }

    /// A probe request for this SSID asks for this BSS.
    pub fn answers(&self, ssid: &Ssid) -> bool {
        self.bss.answers(ssid)
    }

    /// The beacon up to its TIM element, which the driver makes.
    pub fn beacon_head(&self) -> Vec<u8> {
        self.bss.beacon_head(0)
    }

    /// The beacon's elements behind the TIM element.
    pub fn beacon_tail(&self) -> Vec<u8> {
        self.bss.beacon_tail()
    }

    /// A whole beacon with nothing buffered, for air without a MAC of its own. `timestamp` in µs; `count` counts the
    /// beacons and makes sequence number and DTIM count.
    pub fn beacon(&self, timestamp: u64, count: u64) -> Vec<u8> {
        let period = u64::from(self.bss.dtim_period.max(1));
        let dtim_count = (period - 1 - count % period) as u8;
        numbered(self.bss.quiet_beacon(timestamp, dtim_count), count as u16)
    }

    /// A probe response to `device`. `timestamp` in µs; a real radio puts its own. `sequence` modulo 4096.
    pub fn probe_response(&self, device: MacAddr, timestamp: u64, sequence: u16) -> Vec<u8> {
        numbered(self.bss.probe_response(device, timestamp), sequence)
    }
}

/// A management frame with its sequence number.
fn numbered(mut frame: Vec<u8>, number: u16) -> Vec<u8> {
    if let Some(octets) = frame.get_mut(22..24) {
        octets.copy_from_slice(&SequenceControl::new(number & 0xfff, 0).0.to_le_bytes());
    }
    frame
}
