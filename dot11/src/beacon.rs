//! The face of a BSS: beacon, probe response and association response elements from one template
//! (802.11-2020 §9.3.3.2, §9.3.3.6, §9.3.3.10; elements in the order of Tables 9-32, 9-34 and 9-39).

use crate::element::{
    ElementId, Elements, ElementsBuilder, ExtendedCapabilities, HtCapabilities, HtOperation, Rsn, Rsnx, Ssid,
    SupportedRates, Tim, Wmm, WmmParameters,
};
use crate::frame::management::Beacon;
use crate::{CapabilityInfo, MacAddr, ManagementSubtype, build};

/// What a BSS says about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BssTemplate {
    /// BSSID.
    pub bssid: MacAddr,
    /// SSID.
    pub ssid: Ssid,
    /// Primary channel; up to 14 in the 2.4 GHz band, beyond in the 5 GHz band.
    pub channel: u8,
    /// Beacon interval in time units of 1024 microseconds.
    pub interval: u16,
    /// Beacons from DTIM to DTIM.
    pub dtim_period: u8,
    /// Rates.
    pub rates: SupportedRates,
    /// RSNE; `None` for an open BSS.
    pub rsn: Option<Rsn>,
    /// RSN extension element.
    pub rsnx: Option<Rsnx>,
    /// WMM parameters; `None` for a BSS without QoS.
    pub wmm: Option<WmmParameters>,
    /// HT; `None` for a BSS without.
    pub ht: Option<(HtCapabilities, HtOperation)>,
    /// Extended capabilities.
    pub extended_capabilities: ExtendedCapabilities,
    /// VHT, HE and whatever else the radio brings, as whole elements; written after the extended capabilities.
    pub opaque: Vec<u8>,
}

impl BssTemplate {
    /// A BSS as a present-day AP shows it, with one 20 MHz channel, WMM, one HT stream and BSS transition.
    pub fn new(bssid: MacAddr, ssid: Ssid, channel: u8, rsn: Option<Rsn>) -> Self {
        Self {
            bssid,
            ssid,
            channel,
            interval: 100,
            dtim_period: 2,
            rates: if channel <= 14 { SupportedRates::bg() } else { SupportedRates::a() },
            rsn,
            rsnx: None,
            wmm: Some(WmmParameters::default()),
            ht: Some((HtCapabilities::basic_20mhz(), HtOperation::basic_20mhz(channel))),
            extended_capabilities: ExtendedCapabilities(vec![0; 8])
                .with(ExtendedCapabilities::EXTENDED_CHANNEL_SWITCHING),
            opaque: Vec::new(),
        }
    }

    /// Whether data is protected: there is an RSNE, of its own or among the opaque elements.
    pub fn is_protected(&self) -> bool {
        self.rsn.is_some() || Elements::new(&self.opaque).find(ElementId::RSN).is_some()
    }

    /// The Capability Information field.
    pub fn capabilities(&self) -> CapabilityInfo {
        let mut capabilities = CapabilityInfo::ESS;
        if self.is_protected() {
            capabilities = capabilities.with(CapabilityInfo::PRIVACY);
        }
        if self.is_2ghz() {
            capabilities =
                capabilities.with(CapabilityInfo::SHORT_PREAMBLE).with(CapabilityInfo::SHORT_SLOT_TIME);
        }
        capabilities
    }

    /// The beacon frame up to where the TIM element goes: MAC header, fixed fields, first elements. A driver that is
    /// given this and [`BssTemplate::beacon_tail`] puts the TIM between them and fills in the time.
    pub fn beacon_head(&self, timestamp: u64) -> Vec<u8> {
        self.frame(ManagementSubtype::Beacon, MacAddr::BROADCAST, timestamp, self.first_elements())
    }

    /// The elements of the beacon behind the TIM element.
    pub fn beacon_tail(&self) -> Vec<u8> {
        self.last_elements(true).build()
    }

    /// A whole beacon frame.
    pub fn beacon(&self, timestamp: u64, tim: &Tim<'_>) -> Vec<u8> {
        let elements = self.first_elements().element(ElementId::TIM, &tim.body()).raw(&self.beacon_tail());
        self.frame(ManagementSubtype::Beacon, MacAddr::BROADCAST, timestamp, elements)
    }

    /// A whole beacon frame with nothing buffered for anybody.
    pub fn quiet_beacon(&self, timestamp: u64, dtim_count: u8) -> Vec<u8> {
        let dtim_period = self.dtim_period.max(1);
        self.beacon(timestamp, &Tim { dtim_count, dtim_period, bitmap_control: 0, bitmap: &[0] })
    }

    /// A probe response frame: a beacon without TIM, to one device.
    pub fn probe_response(&self, da: MacAddr, timestamp: u64) -> Vec<u8> {
        let elements = self.first_elements().raw(&self.beacon_tail());
        self.frame(ManagementSubtype::ProbeResponse, da, timestamp, elements)
    }

    /// Whether a probe request for `ssid` asks for this BSS.
    pub fn answers(&self, ssid: &Ssid) -> bool {
        ssid.is_wildcard() || *ssid == self.ssid
    }

    /// The elements of a (re)association response: those of the beacon that the device has to know to take part.
    pub fn association_elements(&self) -> Vec<u8> {
        ElementsBuilder::new()
            .supported_rates(&self.rates)
            .extended_rates(&self.rates)
            .raw(&self.last_elements(false).build())
            .build()
    }

    fn is_2ghz(&self) -> bool {
        self.channel <= 14
    }

    fn first_elements(&self) -> ElementsBuilder {
        let elements = ElementsBuilder::new().ssid(&self.ssid).supported_rates(&self.rates);
        if self.is_2ghz() {
            elements.element(ElementId::DSSS_PARAMETER_SET, &[self.channel])
        } else {
            elements
        }
    }

    fn last_elements(&self, beacon: bool) -> ElementsBuilder {
        let mut elements = ElementsBuilder::new();
        if beacon {
            if self.is_2ghz() {
                // No device of 802.11b is there, none has to be protected from, long preambles are not needed.
                elements = elements.element(ElementId::ERP, &[0]);
            }
            elements = elements.extended_rates(&self.rates);
            if let Some(rsn) = &self.rsn {
                elements = elements.rsn(rsn);
            }
        }
        if let Some((capabilities, operation)) = &self.ht {
            elements = elements
                .element(ElementId::HT_CAPABILITIES, &capabilities.0)
                .element(ElementId::HT_OPERATION, &operation.0);
        }
        if !self.extended_capabilities.0.is_empty() {
            elements = elements.element(ElementId::EXTENDED_CAPABILITIES, &self.extended_capabilities.0);
        }
        elements = elements.raw(&self.opaque);
        if let Some(rsnx) = &self.rsnx {
            elements = elements.element(ElementId::RSNX, &rsnx.0);
        }
        if let Some(wmm) = &self.wmm {
            elements = elements.element(ElementId::VENDOR_SPECIFIC, &Wmm::Parameters(*wmm).body());
        }
        elements
    }

    fn frame(
        &self,
        subtype: ManagementSubtype,
        da: MacAddr,
        timestamp: u64,
        elements: ElementsBuilder,
    ) -> Vec<u8> {
        let body = Beacon {
            timestamp,
            interval: self.interval,
            capabilities: self.capabilities(),
            elements: elements.as_elements(),
        };
        build::management(subtype, da, self.bssid, self.bssid, &body.to_vec())
    }
}
