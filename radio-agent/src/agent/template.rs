//! What a virtual BSS says of itself: beacon and probe response, from the configuration or from an offer.

use std::borrow::Cow;

use dot11::beacon::BssTemplate;
use dot11::element::{Element, ElementId, Elements, Rsn, RsnCapabilities, Ssid};
use dot11::{MacAddr, SequenceControl};

use crate::config::{BssConfig, Channel, Security};

/// Beacon and probe response of one virtual BSS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    bss: BssTemplate,
    channel: Channel,
    hidden: bool,
}

/// Elements in which the radio speaks for itself, and for itself only (rates, channel, TIM, what it can do): they are not
/// taken from offers.
const OWN: [ElementId; 12] = [
    ElementId::SSID,
    ElementId::SUPPORTED_RATES,
    ElementId::DSSS_PARAMETER_SET,
    ElementId::TIM,
    ElementId::COUNTRY,
    ElementId::ERP,
    ElementId::EXTENDED_SUPPORTED_RATES,
    ElementId::HT_CAPABILITIES,
    ElementId::HT_OPERATION,
    ElementId::EXTENDED_CAPABILITIES,
    ElementId::VHT_CAPABILITIES,
    ElementId::VHT_OPERATION,
];

/// The like among extended elements: those of HE and EHT (802.11-2020 Table 9-92 and its successors).
const OWN_EXTENSIONS: [u8; 8] = [35, 36, 38, 39, 59, 106, 107, 108];

/// Wi-Fi Multimedia: OUI and type.
const WMM: [u8; 4] = [0x00, 0x50, 0xf2, 2];

/// Whether who says so can protect management frames (802.11-2020 §9.4.2.24.4).
pub(super) fn is_mfp_capable(rsn: &Rsn) -> bool {
    rsn.capabilities.contains(RsnCapabilities::MFPC)
}

fn is_own(element: &Element<'_>) -> bool {
    OWN.contains(&element.id)
        || element.vendor().is_some_and(|(selector, _)| selector == WMM)
        || element.extension.is_some_and(|extension| OWN_EXTENSIONS.contains(&extension))
}

impl Template {
    /// The template of an offer: its SSID, RSN and whatever else it says of the network, octet by octet, and what this
    /// radio says of itself. `None` for elements that are none, or that name no network.
    pub fn offered(bssid: MacAddr, elements: &[u8], channel: Channel, hidden: bool) -> Option<Template> {
        let elements = Elements::parse(elements).ok()?;
        let ssid = elements.ssid()?.ok().filter(|ssid| !ssid.is_wildcard())?;
        let mut bss = BssTemplate { ht: None, ..BssTemplate::new(bssid, ssid, channel.number(), None) };
        for element in elements.iter().filter(|element| !is_own(element)) {
            // Devices compare it with what the authenticator says (802.11-2020 §12.7.6.4): if it would not come out as it
            // came in, it stays as it is, at a place that is less usual.
            let rsn = (element.id == ElementId::RSN).then(|| Rsn::parse(element.body).ok()).flatten();
            match rsn.filter(|rsn| bss.rsn.is_none() && rsn.body() == element.body) {
                Some(rsn) => bss.rsn = Some(rsn),
                None => {
                    let extension = element.extension.as_slice();
                    let len = extension.len() + element.body.len();
                    bss.opaque.extend_from_slice(&[element.id.0, len as u8]);
                    bss.opaque.extend_from_slice(extension);
                    bss.opaque.extend_from_slice(element.body);
                }
            }
        }
        Some(Template { bss, channel, hidden })
    }

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
        Template { bss, channel, hidden: false }
    }

    /// To devices this is not the network that `other` is: its name is another, or one of the two is protected and the other is
    /// not. Neither can become the other while devices are associated.
    pub fn is_another_network(&self, other: &Template) -> bool {
        (self.ssid(), self.privacy()) != (other.ssid(), other.privacy())
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

    /// The BSS can protect management frames.
    pub fn is_mfp_capable(&self) -> bool {
        // An RSNE is here or there.
        let opaque = || Elements::parse(&self.bss.opaque).ok()?.rsn()?.ok();
        self.bss.rsn.clone().or_else(opaque).is_some_and(|rsn| is_mfp_capable(&rsn))
    }

    /// Data of the BSS is protected.
    pub fn privacy(&self) -> bool {
        self.bss.is_protected()
    }

    /// The beacon does not name the network.
    pub fn hidden(&self) -> bool {
        self.hidden
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
        self.beaconing().beacon_head(0)
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
        numbered(self.beaconing().quiet_beacon(timestamp, dtim_count), count as u16)
    }

    /// As beacons say it: without name if it is hidden (an SSID element of length 0).
    fn beaconing(&self) -> Cow<'_, BssTemplate> {
        if self.hidden {
            Cow::Owned(BssTemplate { ssid: Ssid::WILDCARD, ..self.bss.clone() })
        } else {
            Cow::Borrowed(&self.bss)
        }
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
