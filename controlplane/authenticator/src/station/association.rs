//! Whether a (re)association request is acceptable, and what to answer. No state.

use dot11::element::{
    ElementId, Elements, ElementsBuilder, Rsn, RsnCapabilities, SupportedRates, Wmm, extension,
};
use dot11::rsn::{Akm, CipherSuite, Pmkid};
use dot11::{CapabilityInfo, StatusCode};

use crate::{Security, Service};

/// What an acceptable request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Agreement {
    pub akm: Option<Akm>,
    /// The device does QoS, and so do we.
    pub qos: bool,
    /// RSNE and RSNX, whole; empty when there is none.
    pub rsne: Vec<u8>,
    pub rsnx: Vec<u8>,
    pub pmkids: Vec<Pmkid>,
}

/// Checks a request (802.11-2020 §11.3.5.3, §12.6.3). The error is the status code to refuse it with.
pub(super) fn check(
    service: &Service,
    capabilities: CapabilityInfo,
    elements: Elements<'_>,
) -> Result<Agreement, StatusCode> {
    match elements.find(ElementId::SSID) {
        Some(ssid) if ssid == service.ssid => {}
        _ => return Err(StatusCode::REFUSED_UNSPECIFIED),
    }
    check_rates(service, elements)?;
    let qos =
        service.beacon.wmm && (elements.has_wmm() || elements.find(ElementId::HT_CAPABILITIES).is_some());
    let rsne = elements.find(ElementId::RSN);
    let (akm, pmkids) = match (&service.security, rsne) {
        // Privacy without an RSNE is WEP (802.11-2020 §9.4.1.4), which no service offers.
        (Security::Open, None) if capabilities.contains(CapabilityInfo::PRIVACY) => {
            return Err(StatusCode::REFUSED_CAPABILITIES_MISMATCH);
        }
        (Security::Open, _) => (None, Vec::new()),
        // Neither the WPA element that preceded RSN (TKIP) nor none at all (WEP, or no security) will do.
        (_, None) => return Err(StatusCode::INVALID_ELEMENT),
        (_, Some(body)) => check_rsn(service, body).map(|(akm, pmkids)| (Some(akm), pmkids))?,
    };
    let whole = |id| match akm {
        Some(_) => elements.find_whole(id).unwrap_or_default().to_vec(),
        None => Vec::new(),
    };
    Ok(Agreement { akm, qos, rsne: whole(ElementId::RSN), rsnx: whole(ElementId::RSNX), pmkids })
}

/// Elements of a response that accepts (802.11-2020 §9.3.3.6).
pub(super) fn response_elements(service: &Service, request: Elements<'_>, qos: bool) -> Vec<u8> {
    let rates = SupportedRates(service.beacon.rates.iter().map(|&rate| dot11::element::Rate(rate)).collect());
    let mut out = ElementsBuilder::new().supported_rates(&rates).extended_rates(&rates);
    let ours = Elements::new(&service.beacon.elements);
    for element in ours.iter() {
        let wanted = match (element.id, element.extension) {
            (ElementId::HT_CAPABILITIES | ElementId::HT_OPERATION, _) => {
                request.find(ElementId::HT_CAPABILITIES).is_some()
            }
            (ElementId::VHT_CAPABILITIES | ElementId::VHT_OPERATION, _) => {
                request.find(ElementId::VHT_CAPABILITIES).is_some()
            }
            (_, Some(extension::HE_CAPABILITIES | extension::HE_OPERATION)) => {
                request.find_extension(extension::HE_CAPABILITIES).is_some()
            }
            _ => true,
        };
        if !wanted {
            continue;
        }
        out = match element.extension {
            Some(extension) => out.extension(extension, element.body),
            None => out.element(element.id, element.body),
        };
    }
    if qos {
        out = out.element(ElementId::VENDOR_SPECIFIC, &Wmm::Parameters(Default::default()).body());
    }
    out.build()
}

/// The device must support every basic rate (802.11-2020 §11.3.5.3).
fn check_rates(service: &Service, elements: Elements<'_>) -> Result<(), StatusCode> {
    let supported = elements.rates();
    let basic = service.beacon.rates.iter().filter(|&&rate| rate & 0x80 != 0);
    let all = basic.into_iter().all(|ours| supported.0.iter().any(|rate| rate.0 & 0x7f == ours & 0x7f));
    if all { Ok(()) } else { Err(StatusCode::REFUSED_BASIC_RATES_MISMATCH) }
}

/// The RSNE of the request against ours (802.11-2020 §12.6.3).
fn check_rsn(service: &Service, body: &[u8]) -> Result<(Akm, Vec<Pmkid>), StatusCode> {
    if body.first_chunk().is_some_and(|version| u16::from_le_bytes(*version) != 1) {
        return Err(StatusCode::UNSUPPORTED_RSNE_VERSION);
    }
    let rsn = Rsn::parse(body).map_err(|_| StatusCode::INVALID_ELEMENT)?;
    if rsn.group != CipherSuite::Ccmp128 {
        return Err(StatusCode::INVALID_GROUP_CIPHER);
    }
    match rsn.pairwise[..] {
        [CipherSuite::Ccmp128] => {}
        [CipherSuite::Wep40 | CipherSuite::Wep104 | CipherSuite::Tkip] => {
            return Err(StatusCode::CIPHER_REJECTED_PER_POLICY);
        }
        // Also when it names several: a device chooses one.
        _ => return Err(StatusCode::INVALID_PAIRWISE_CIPHER),
    }
    let akm = match rsn.akms[..] {
        [akm] if service.akms.contains(&akm) => akm,
        _ => return Err(StatusCode::INVALID_AKMP),
    };
    let requires_mfp = rsn.capabilities.contains(RsnCapabilities::MFPR);
    if requires_mfp && !rsn.capabilities.contains(RsnCapabilities::MFPC) {
        return Err(StatusCode::INVALID_RSNE_CAPABILITIES);
    }
    if requires_mfp {
        // We offer no management frame protection (802.11-2020 §12.6.3).
        return Err(StatusCode::ROBUST_MANAGEMENT_POLICY_VIOLATION);
    }
    Ok((akm, rsn.pmkids))
}
