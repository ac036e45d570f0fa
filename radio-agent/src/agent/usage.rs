//! What devices use of a tunnel, as the radio counts it, and when the matchmaker is told.
//!
//! Counted are data frames that are protected: their MSDUs' octets with LLC header, without the encryption's own. That is what
//! the gateway counts, except that in an A-MSDU it counts each MSDU, and here the whole is one.

use std::collections::VecDeque;
use std::time::Duration;

use dot11::{Frame, MacAddr};
use proto::matchmaking::messages::Accounting;
use proto::tunnel::FrameInfo;

use super::stations::Stations;

/// The first report comes so long after a device associated, the others at this interval: the matchmaker forgets after ten
/// minutes.
pub const FIRST: Duration = Duration::from_secs(60);
pub const INTERVAL: Duration = Duration::from_secs(240);

/// Devices of one tunnel, and those that have left and may come back: then their totals go on. Of these the one that left first
/// is forgotten for one more; if it does come back, its totals count from there on as far as they are more than before.
const MAX_DEVICES: usize = 256;
const MAX_LEFT: usize = 512;

/// Octets of a CCMP or GCMP header and of the MIC (802.11-2020 §12.5.3.2, §12.5.5.2); that of the 256-bit ciphers is 8 longer.
const PROTECTION: u64 = 16;

#[derive(Debug)]
struct Used {
    device: MacAddr,
    /// Associated since then.
    since: Option<Duration>,
    /// How long it was associated before.
    before: Duration,
    up: (u64, u64),
    down: (u64, u64),
    rssi: i8,
    next: Duration,
}

/// On one tunnel.
#[derive(Debug, Default)]
pub(super) struct Usage {
    here: Vec<Used>,
    /// The one that left first in front.
    left: VecDeque<Used>,
    /// Of the last report, whoever it was of: so it is news for any device.
    sequence: u32,
}

impl Usage {
    /// Whether the device is, or was, associated.
    pub(super) fn knows(&self, device: MacAddr) -> bool {
        self.here.iter().chain(&self.left).any(|used| used.device == device)
    }

    /// A frame from a device, or to it, passes.
    pub(super) fn count(
        &mut self,
        stations: &Stations,
        frame: &Frame<'_>,
        up: Option<FrameInfo>,
        now: Duration,
    ) {
        let device = if up.is_some() { frame.addr2() } else { Some(frame.addr1()) };
        let (true, true, Some(device)) = (frame.control().is_data(), frame.control().protected(), device)
        else {
            return;
        };
        let octets = (frame.body().len() as u64).saturating_sub(PROTECTION);
        if octets == 0 || !stations.contains(device) {
            return;
        }
        let Some(used) = self.begin(device, now) else { return };
        let whole = u64::from(!frame.control().more_fragments());
        let (all, packets) = if up.is_some() { &mut used.up } else { &mut used.down };
        *all += octets;
        *packets += whole;
        if let Some(FrameInfo { rssi, .. }) = up.filter(|info| info.rssi != 0) {
            used.rssi = rssi;
        }
    }

    fn begin(&mut self, device: MacAddr, now: Duration) -> Option<&mut Used> {
        let at = match self.here.iter().position(|used| used.device == device) {
            Some(at) => at,
            None => {
                if self.here.len() >= MAX_DEVICES {
                    return None;
                }
                let known = self.left.iter().position(|used| used.device == device);
                let known = known.and_then(|at| self.left.remove(at));
                self.here.push(known.unwrap_or_else(|| Used::new(device)));
                self.here.len() - 1
            }
        };
        let used = &mut self.here[at];
        if used.since.is_none() {
            (used.since, used.next) = (Some(now), now + FIRST);
        }
        Some(used)
    }

    /// What the matchmaker is to be told now. `stations`: who is associated; nobody if the tunnel goes.
    pub(super) fn reports(&mut self, stations: Option<&Stations>, now: Duration) -> Vec<Accounting> {
        for device in stations.into_iter().flat_map(Stations::addresses) {
            self.begin(device, now);
        }
        let mut reports = Vec::new();
        for used in &mut self.here {
            let Some(since) = used.since else { continue };
            let ended = !stations.is_some_and(|stations| stations.contains(used.device));
            if !ended && now < used.next {
                continue;
            }
            let lasted = used.before + now.saturating_sub(since);
            self.sequence += 1;
            used.next = now + INTERVAL;
            if ended {
                (used.since, used.before) = (None, lasted);
            }
            reports.push(used.report(self.sequence, lasted, ended));
        }
        self.left.extend(self.here.extract_if(.., |used| used.since.is_none()));
        let too_many = self.left.len().saturating_sub(MAX_LEFT);
        self.left.drain(..too_many);
        reports
    }
}

impl Used {
    fn new(device: MacAddr) -> Used {
        let (since, before, next) = (None, Duration::ZERO, Duration::ZERO);
        Used { device, since, before, up: (0, 0), down: (0, 0), rssi: 0, next }
    }

    /// Without what says where.
    fn report(&self, sequence: u32, lasted: Duration, ended: bool) -> Accounting {
        let ((up_octets, up_packets), (down_octets, down_packets)) = (self.up, self.down);
        Accounting {
            client: self.device.0.to_vec(),
            sequence,
            up_octets,
            down_octets,
            up_packets,
            down_packets,
            seconds: lasted.as_secs() as u32,
            rssi_dbm: self.rssi.into(),
            ended,
            side: proto::matchmaking::messages::accounting::Side::Radio.into(),
            ..Accounting::default()
        }
    }
}
