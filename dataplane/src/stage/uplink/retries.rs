//! Telling retransmitted management frames: devices without an association have no state here, so a small table stands in for it
//! (802.11-2020 §10.3.2.14.3).

use dot11::{MacAddr, SequenceControl};

/// Remembers the last management frame of each of a few hundred devices. Devices that share a place forget each other, which costs no more
/// than control seeing a frame twice.
pub struct Retries {
    places: Box<[(MacAddr, MacAddr, SequenceControl); PLACES]>,
}

const PLACES: usize = 256;

impl Retries {
    /// One that remembers nothing.
    pub fn new() -> Self {
        Self { places: Box::new([(MacAddr::ZERO, MacAddr::ZERO, SequenceControl(u16::MAX)); PLACES]) }
    }

    /// Whether this frame was the last one of its device already; remembers it.
    pub fn is_repeated(
        &mut self,
        bssid: MacAddr,
        mac: MacAddr,
        sequence: SequenceControl,
        retry: bool,
    ) -> bool {
        let at = mac.0.iter().chain(&bssid.0).fold(0u8, |hash, octet| hash.wrapping_mul(31) ^ octet);
        let frame = (bssid, mac, sequence);
        let place = &mut self.places[usize::from(at)];
        std::mem::replace(place, frame) == frame && retry
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_marked_retransmission_of_the_last_frame_is_one() {
        let mut retries = Retries::new();
        let (bssid, mac) = (MacAddr([2; 6]), MacAddr([4; 6]));
        let [one, two] = [1, 2].map(|n| SequenceControl::new(n, 0));
        assert!(!retries.is_repeated(bssid, mac, one, true), "its first copy may have been lost");
        assert!(retries.is_repeated(bssid, mac, one, true));
        assert!(!retries.is_repeated(bssid, mac, one, false));
        assert!(!retries.is_repeated(bssid, mac, two, true));
        assert!(!retries.is_repeated(mac, bssid, two, true));
    }
}
