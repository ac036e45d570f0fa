//! A BSS as its beacon or probe response describes it, and whether it is one to join.

use dot11::element::ElementId;
use dot11::frame::management::Beacon;
use dot11::{CapabilityInfo, CipherSuite, Frame, MacAddr};

use super::Config;

/// What a device remembers of a BSS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bss {
    /// Its identifier.
    pub bssid: MacAddr,
    /// Signal strength in dBm; the weakest possible where it was not told.
    pub signal: i8,
    /// Whether it offers WMM.
    pub wmm: bool,
    /// Its RSNE, header included.
    pub rsne: Option<Box<[u8]>>,
    /// Its RSNXE, header included.
    pub rsnxe: Option<Box<[u8]>>,
}

impl Bss {
    /// The sender of a beacon or probe response, if it is of the network of `config` and offers what that asks for.
    pub(super) fn of_beacon(frame: &Frame<'_>, signal: Option<i8>, config: &Config) -> Option<Bss> {
        let beacon = Beacon::parse(frame.body()).ok()?;
        let elements = beacon.elements;
        if elements.ssid()?.ok()? != config.ssid || !beacon.capabilities.contains(CapabilityInfo::ESS) {
            return None;
        }
        let rsn = elements.rsn().transpose().ok()?;
        let suitable = match (config.akm, rsn) {
            (None, rsn) => rsn.is_none() && !beacon.capabilities.contains(CapabilityInfo::PRIVACY),
            (Some(akm), Some(rsn)) => {
                rsn.akms.contains(&akm)
                    && rsn.pairwise.contains(&CipherSuite::Ccmp128)
                    && rsn.group == CipherSuite::Ccmp128
            }
            (Some(_), None) => false,
        };
        suitable.then_some(Bss {
            bssid: frame.addr3()?,
            signal: signal.unwrap_or(i8::MIN),
            wmm: elements.has_wmm(),
            rsne: elements.find_whole(ElementId::RSN).map(Into::into),
            rsnxe: elements.find_whole(ElementId::RSNX).map(Into::into),
        })
    }
}
