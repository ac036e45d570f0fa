//! The management frames that a device sends.

use dot11::element::{ElementId, Elements, ElementsBuilder, Rsn, RsnCapabilities, SupportedRates, Wmm};
use dot11::frame::management::{
    AssociationRequest, Authentication, Deauthentication, ProbeRequest, ReassociationRequest,
};
use dot11::{
    AuthenticationAlgorithm, CapabilityInfo, MacAddr, ManagementSubtype, ReasonCode, SequenceControl,
    StatusCode, build, rsn,
};

use super::{Bss, Config, Context};

/// A probe request for the network by name, to whom it may concern (802.11-2020 §9.3.3.9).
pub(super) fn probe(mac: MacAddr, sequence: u16, config: &Config) -> Vec<u8> {
    let rates = SupportedRates::bg();
    let elements =
        ElementsBuilder::new().ssid(&config.ssid).supported_rates(&rates).extended_rates(&rates).build();
    let body = ProbeRequest { elements: Elements::new(&elements) }.to_vec();
    frame(ManagementSubtype::ProbeRequest, MacAddr::BROADCAST, mac, MacAddr::BROADCAST, sequence, &body)
}

/// The first frame of open-system authentication (802.11-2020 §12.3.3.2.2).
pub(super) fn authentication(mac: MacAddr, bssid: MacAddr, sequence: u16) -> Vec<u8> {
    let body = Authentication {
        algorithm: AuthenticationAlgorithm::OPEN,
        transaction: 1,
        status: StatusCode::SUCCESS,
        elements: Elements::default(),
    };
    frame(ManagementSubtype::Authentication, bssid, mac, bssid, sequence, &body.to_vec())
}

/// A deauthentication frame to the access point.
pub(super) fn deauthentication(mac: MacAddr, bssid: MacAddr, sequence: u16, reason: ReasonCode) -> Vec<u8> {
    let body = Deauthentication { reason }.to_vec();
    frame(ManagementSubtype::Deauthentication, bssid, mac, bssid, sequence, &body)
}

/// The RSNE for the association request: the one suite of each kind that is selected, and the PMKID of a cached PMK.
pub(super) fn rsne(mac: MacAddr, bss: &Bss, context: Context<'_>) -> Option<Box<[u8]>> {
    let akm = context.config.akm?;
    let mut element = Rsn::ccmp(&[akm]);
    element.capabilities = RsnCapabilities(0).with_16_ptksa_replay_counters();
    let pmkid = context.cached_pmk.and_then(|pmk| rsn::pmkid(akm, pmk, bss.bssid, mac).ok());
    element.pmkids.extend(pmkid);
    Some(element.to_vec().into())
}

/// An association request, or the reassociation request that leaves another BSS.
pub(super) fn association(
    mac: MacAddr,
    sequence: u16,
    bss: &Bss,
    config: &Config,
    leaving: Option<MacAddr>,
    own_rsne: Option<&[u8]>,
) -> Vec<u8> {
    let rates = SupportedRates::bg();
    let mut elements =
        ElementsBuilder::new().ssid(&config.ssid).supported_rates(&rates).extended_rates(&rates);
    let mut capabilities =
        CapabilityInfo::ESS.with(CapabilityInfo::SHORT_PREAMBLE).with(CapabilityInfo::SHORT_SLOT_TIME);
    if let Some(rsne) = own_rsne {
        capabilities = capabilities.with(CapabilityInfo::PRIVACY);
        elements = elements.raw(rsne);
    }
    if config.wmm && bss.wmm {
        elements = elements.element(ElementId::VENDOR_SPECIFIC, &Wmm::Information { qos_info: 0 }.body());
    }
    let elements = elements.as_elements();
    let listen_interval = config.listen_interval;
    let (subtype, body) = match leaving {
        None => (
            ManagementSubtype::AssociationRequest,
            AssociationRequest { capabilities, listen_interval, elements }.to_vec(),
        ),
        Some(current_ap) => (
            ManagementSubtype::ReassociationRequest,
            ReassociationRequest { capabilities, listen_interval, current_ap, elements }.to_vec(),
        ),
    };
    frame(subtype, bss.bssid, mac, bss.bssid, sequence, &body)
}

fn frame(
    subtype: ManagementSubtype,
    da: MacAddr,
    sa: MacAddr,
    bssid: MacAddr,
    sequence: u16,
    body: &[u8],
) -> Vec<u8> {
    let mut frame = build::management(subtype, da, sa, bssid, body);
    frame[22..24].copy_from_slice(&SequenceControl::new(sequence, 0).0.to_le_bytes());
    frame
}
