//! What the radio has to spare: an estimate from the configured backhaul, its interface's counters, the air's busy time
//! and the rate of the device. README.md has the formula.

use std::time::Duration;

/// Of a frame exchange's time, what carries octets of users: the rest is preambles, acknowledgements, contention.
const EFFICIENCY_PERCENT: u64 = 60;

/// Readings closer to each other than this say little.
const LEAST_INTERVAL: Duration = Duration::from_millis(500);

/// Readings of counters, each since any fixed moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measured {
    /// Octets that the backhaul's interface sent and received.
    pub octets: Option<(u64, u64)>,
    /// Milliseconds that the radio was on its channel, and that it found it busy.
    pub air: Option<(u64, u64)>,
}

/// What can be known of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// The backhaul's capacity in this direction, in kbit/s, as configured.
    pub backhaul_kbps: Option<u32>,
    /// What of it is in use.
    pub used_kbps: Option<u32>,
    /// Of 1000 parts of the time, how many the channel is busy.
    pub busy_permille: Option<u32>,
    /// Rate between device and radio, in kbit/s.
    pub rate_kbps: Option<u32>,
}

/// What a device could have of this link, in kbit/s: the least of what the backhaul has to spare and what the air has.
/// What is not known does not count; `None` if nothing is.
pub fn spare_kbps(link: &Link) -> Option<u32> {
    let backhaul = link.backhaul_kbps.map(|whole| whole.saturating_sub(link.used_kbps.unwrap_or(0)));
    let air = link.rate_kbps.zip(link.busy_permille).map(|(rate, busy)| {
        let free = u64::from(1000 - busy.min(1000));
        // Not more than the rate, which fits.
        (u64::from(rate) * EFFICIENCY_PERCENT / 100 * free / 1000) as u32
    });
    [backhaul, air].into_iter().flatten().min()
}

/// The rate, in kbit/s, at which a device of this signal can be expected to send: the highest whose demanded sensitivity
/// (802.11-2020 Table 17-18, 20 MHz) it reaches.
pub fn rate_of_signal(rssi_dbm: i8) -> u32 {
    const LEAST: [(i8, u32); 7] = [
        (-65, 54_000),
        (-66, 48_000),
        (-70, 36_000),
        (-74, 24_000),
        (-77, 18_000),
        (-79, 12_000),
        (-81, 9000),
    ];
    LEAST.iter().find(|(least, _)| rssi_dbm >= *least).map_or(6000, |(_, rate)| *rate)
}

/// What is measured, smoothed.
#[derive(Debug, Default)]
pub(super) struct Capacity {
    up_kbps: Option<u32>,
    down_kbps: Option<u32>,
    last: Option<(Duration, Measured)>,
    used_up: Option<u32>,
    used_down: Option<u32>,
    busy: Option<u32>,
}

impl Capacity {
    /// Of a backhaul with this capacity.
    pub(super) fn new(up_kbps: Option<u32>, down_kbps: Option<u32>) -> Capacity {
        Capacity { up_kbps, down_kbps, ..Capacity::default() }
    }

    pub(super) fn measured(&mut self, measured: Measured, now: Duration) {
        let Some((then, before)) = self.last else {
            self.last = Some((now, measured));
            return;
        };
        let interval = now.saturating_sub(then);
        if interval < LEAST_INTERVAL {
            return;
        }
        self.last = Some((now, measured));
        let rate = |before: u64, after: u64| {
            // Bits in a millisecond are kbit/s. A counter that went back was started again.
            let bits = u128::from(after.checked_sub(before)?) * 8;
            u32::try_from(bits / interval.as_millis()).ok()
        };
        let octets = before.octets.zip(measured.octets);
        smooth(&mut self.used_up, octets.and_then(|(before, after)| rate(before.0, after.0)));
        smooth(&mut self.used_down, octets.and_then(|(before, after)| rate(before.1, after.1)));
        let busy = before.air.zip(measured.air).and_then(|(before, after)| {
            let (active, busy) = (after.0.checked_sub(before.0)?, after.1.checked_sub(before.1)?);
            // A driver that counts only while it scans says nothing of the time between.
            let part = (u128::from(busy) * 1000).checked_div(active.into())?;
            u32::try_from(part).ok().map(|busy| busy.min(1000))
        });
        smooth(&mut self.busy, busy);
    }

    /// To spare from and to a device, given its rate and signal.
    pub(super) fn spare(&self, rate_kbps: Option<u32>, rssi_dbm: Option<i8>) -> (Option<u32>, Option<u32>) {
        let rate_kbps = rate_kbps.or(rssi_dbm.map(rate_of_signal));
        let link = |backhaul_kbps, used_kbps| {
            spare_kbps(&Link { backhaul_kbps, used_kbps, busy_permille: self.busy, rate_kbps })
        };
        (link(self.up_kbps, self.used_up), link(self.down_kbps, self.used_down))
    }

    /// Of the busiest resource, how much of 1000 parts is in use.
    pub(super) fn load_permille(&self) -> u32 {
        let part = |whole: Option<u32>, used: Option<u32>| {
            let (whole, used) = whole.zip(used)?;
            u32::try_from(u64::from(used) * 1000 / u64::from(whole.max(1))).ok().map(|load| load.min(1000))
        };
        let loads = [part(self.up_kbps, self.used_up), part(self.down_kbps, self.used_down), self.busy];
        loads.into_iter().flatten().max().unwrap_or(0)
    }
}

/// Half of the new, half of the old.
fn smooth(known: &mut Option<u32>, sample: Option<u32>) {
    if let Some(sample) = sample {
        *known = Some(known.map_or(sample, |known| known / 2 + sample / 2 + (known & sample & 1)));
    }
}
