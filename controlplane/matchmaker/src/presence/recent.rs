//! Who was at a radio lately: what prediction goes by.

use std::time::Duration;

use dot11::MacAddr;

/// Clients that are remembered at a radio.
const CLIENTS: usize = 32;
/// Predictions that are remembered at a radio.
const PREDICTED: usize = 8;
/// Somebody seen again after this has come again.
const AWAY: u32 = 300;
/// A visit, as it is counted.
const VISIT: u8 = 16;
/// After this a visit counts half.
const HALF: u32 = 7 * 24 * 3600;
/// Who left so long ago is half as likely to be on the way back as who just left.
const BACK: u32 = 1800;
/// Habits are known to a quarter of an hour.
const QUARTER: u32 = 900;
const QUARTERS: u32 = 24 * 3600 / QUARTER;
/// Who comes at the time of day of the last visit, or so many quarters before or after, is likelier to come.
const USUAL: u32 = 5;
/// Weights are halved for neighbours, and quartered for who is still there: neither makes them nothing.
const SHARES: u32 = 8;
/// A prediction counts as come true if somebody comes within this.
const PREDICTION: u32 = 600;
/// A radio of another band that heard a device that this one heard is near for this long.
const OTHER_BAND: u32 = 3600;

/// A client of a service, at a radio. 16 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecentClient {
    pub(crate) client: MacAddr,
    /// How often it came: [`VISIT`] for each, less for those long ago; as of `last`.
    visits: u8,
    /// The time of day at which it came last, in [`QUARTER`]s.
    came: u8,
    pub(crate) service: u32,
    /// When it was last there, in seconds.
    last: u32,
}

impl RecentClient {
    /// How much its coming again is to be expected: each visit counts, half as much with each week; more about the time of day at
    /// which it came last, and while it is not long since it left.
    pub(crate) fn weight(&self, now: Duration) -> u32 {
        let now = now.as_secs() as u32;
        let age = now.saturating_sub(self.last);
        let back = 8u32.checked_shr(age / BACK).unwrap_or_default();
        let apart = (now / QUARTER % QUARTERS).abs_diff(u32::from(self.came));
        let usual = if apart.min(QUARTERS - apart) <= USUAL { 4 } else { 1 };
        u32::from(self.visits_after(age)) * SHARES * (usual + back)
    }

    fn visits_after(&self, age: u32) -> u8 {
        let whole = u64::from(self.visits.checked_shr(age / HALF).unwrap_or_default());
        (whole - whole * u64::from(age % HALF) / u64::from(2 * HALF)) as u8
    }
}

/// At one radio.
#[derive(Debug, Default)]
pub(super) struct Recent {
    clients: Vec<RecentClient>,
    predicted: Vec<(u32, u32)>,
    /// The radio of another band that heard a device that this one heard: its place, a mark of who was there, and when that was.
    other_band: Option<(u32, u8, u32)>,
}

impl Recent {
    pub(super) fn note(&mut self, client: MacAddr, service: u32, time: Duration) {
        let now = time.as_secs() as u32;
        let quarter = (now / QUARTER % QUARTERS) as u8;
        if let Some(known) =
            self.clients.iter_mut().find(|known| known.client == client && known.service == service)
        {
            let age = now.saturating_sub(known.last);
            if age >= AWAY {
                known.visits = known.visits_after(age).saturating_add(VISIT);
                known.came = quarter;
            }
            known.last = now;
            return;
        }
        let new = RecentClient { client, visits: VISIT, came: quarter, service, last: now };
        if self.clients.len() < CLIENTS {
            self.clients.push(new);
        } else if let Some(least) = self.clients.iter_mut().min_by_key(|known| known.weight(time)) {
            *least = new;
        }
    }

    pub(super) fn note_predicted(&mut self, service: u32, now: Duration) {
        let now = now.as_secs() as u32;
        if let Some((_, at)) = self.predicted.iter_mut().find(|(known, _)| *known == service) {
            *at = now;
        } else if self.predicted.len() < PREDICTED {
            self.predicted.push((service, now));
        } else if let Some(oldest) = self.predicted.iter_mut().min_by_key(|(_, at)| *at) {
            *oldest = (service, now);
        }
    }

    pub(super) fn was_predicted(&self, service: u32, now: Duration) -> bool {
        let now = now.as_secs() as u32;
        self.predicted.iter().any(|&(known, at)| known == service && now.saturating_sub(at) <= PREDICTION)
    }

    pub(super) fn note_other_band(&mut self, (place, mark): (u32, u8), now: Duration) {
        self.other_band = Some((place, mark, now.as_secs() as u32));
    }

    /// The place of a radio of another band, and a mark of who was there.
    pub(super) fn other_band(&self, now: Duration) -> Option<(u32, u8)> {
        let is_new = |at: u32| (now.as_secs() as u32).saturating_sub(at) <= OTHER_BAND;
        self.other_band.filter(|&(.., at)| is_new(at)).map(|(place, mark, _)| (place, mark))
    }

    /// How many clients are remembered.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Reads something of each of its cache lines.
    pub(super) fn touch(&self) -> u64 {
        self.clients
            .iter()
            .step_by(64 / size_of::<RecentClient>())
            .fold(0, |all, client| all ^ u64::from(client.service))
    }

    pub(super) fn clients(&self) -> impl Iterator<Item = &RecentClient> {
        self.clients.iter()
    }
}
