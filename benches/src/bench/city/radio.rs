//! A radio as far as it matters here: a few BSSIDs, and the agent's rules of what they show.

use std::time::Duration;

use matchmaker::{Offer, Uuid};

/// Virtual BSSes of a radio.
pub(super) const BSSIDS: usize = 8;

/// What a BSSID shows.
struct Shown {
    service: Uuid,
    /// As long as nobody asks for it again.
    until: Duration,
    /// The lower goes first.
    standing: (Need, u32),
    /// Devices that are connected.
    connected: usize,
}

/// Who needs it, as in the agent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Named,
    Anybody,
    Predicted,
}

#[derive(Default)]
pub(super) struct Radio {
    slots: Vec<Shown>,
}

impl Radio {
    /// Services on the air.
    pub fn shown(&self) -> Vec<Uuid> {
        self.slots.iter().map(|shown| shown.service).collect()
    }

    pub fn shows(&self, service: Uuid) -> bool {
        self.slots.iter().any(|shown| shown.service == service)
    }

    /// Takes an answer of the matchmaker: what is best goes first, and displaces what nobody is connected to and is worth less.
    pub fn offered(&mut self, offers: &[Offer], ttl: Duration, now: Duration) {
        self.slots.retain(|shown| shown.connected > 0 || shown.until > now);
        for offer in offers {
            let need = match (offer.predicted, offer.client) {
                (true, _) => Need::Predicted,
                (false, Some(_)) => Need::Named,
                (false, None) => Need::Anybody,
            };
            let new = Shown {
                service: offer.service,
                until: now + ttl,
                standing: (need, offer.rank >> 8),
                connected: 0,
            };
            if let Some(shown) = self.slots.iter_mut().find(|shown| shown.service == offer.service) {
                (shown.until, shown.standing) = (new.until, shown.standing.min(new.standing));
                continue;
            }
            if self.slots.len() < BSSIDS {
                self.slots.push(new);
                continue;
            }
            let free = self.slots.iter_mut().filter(|shown| shown.connected == 0);
            if let Some(worst) = free.max_by_key(|shown| shown.standing)
                && new.standing < worst.standing
            {
                *worst = new;
            }
        }
    }

    /// A device connects; gives which BSSID it is.
    pub fn connect(&mut self, service: Uuid) -> Option<usize> {
        let slot = self.slots.iter().position(|shown| shown.service == service)?;
        self.slots[slot].connected += 1;
        Some(slot)
    }

    /// A device leaves; what nobody needs any more goes soon.
    pub fn leave(&mut self, service: Uuid, now: Duration) {
        if let Some(shown) = self.slots.iter_mut().find(|shown| shown.service == service) {
            shown.connected = shown.connected.saturating_sub(1);
            shown.until = shown.until.max(now + Duration::from_secs(30));
        }
    }
}
