//! Who was at a radio lately: what prediction goes by.

use std::time::Duration;

use dot11::MacAddr;

/// Clients that are remembered at a radio.
const CLIENTS: usize = 16;
/// Predictions that are remembered at a radio.
const PREDICTED: usize = 8;
/// Somebody seen again after this has come again.
const AWAY: u32 = 300;
/// A prediction counts as come true if somebody comes within this.
const PREDICTION: u32 = 600;

/// A client of a service, at a radio. 16 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecentClient {
    pub(crate) client: MacAddr,
    /// How often it came.
    visits: u16,
    pub(crate) service: u32,
    /// When it was last there, in seconds.
    last: u32,
}

impl RecentClient {
    /// How much its coming again is to be expected: each visit counts, up to eight, and half as much with each half hour.
    pub(crate) fn weight(&self, now: Duration) -> u32 {
        let age = (now.as_secs() as u32).saturating_sub(self.last);
        (u32::from(self.visits.min(8)) * 4096).checked_shr(age / 1800).unwrap_or_default()
    }
}

/// At one radio.
#[derive(Debug, Default)]
pub(super) struct Recent {
    clients: Vec<RecentClient>,
    predicted: Vec<(u32, u32)>,
}

impl Recent {
    pub(super) fn note(&mut self, client: MacAddr, service: u32, now: Duration) {
        let now = now.as_secs() as u32;
        if let Some(known) =
            self.clients.iter_mut().find(|known| known.client == client && known.service == service)
        {
            if now.saturating_sub(known.last) >= AWAY {
                known.visits = known.visits.saturating_add(1);
            }
            known.last = now;
            return;
        }
        let new = RecentClient { client, visits: 1, service, last: now };
        if self.clients.len() < CLIENTS {
            self.clients.push(new);
        } else if let Some(oldest) = self.clients.iter_mut().min_by_key(|known| known.last) {
            *oldest = new;
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

    pub(super) fn clients(&self) -> impl Iterator<Item = &RecentClient> {
        self.clients.iter()
    }
}
