//! PMKs that other processes cached, and ours for them. One is fetched when its device is introduced, which is before it asks to associate: so
//! no authenticator waits, and a PMK that does not come in time costs a full authentication.

use authenticator::{PmkChange, Time};
use dot11::MacAddr;
use matchmaker::Uuid;

use super::Core;
use crate::matchmaking::presence::{ForCore, Presence, Share};

impl Core {
    fn shares_presence(&self) -> Option<&Presence> {
        self.matchmaker.local()?.presence.as_ref()
    }

    /// A device is about to come: perhaps it was at another process.
    pub(super) fn prefetch_pmk(&self, service: Uuid, client: MacAddr) {
        let is_eap = self.services.get(&service).is_some_and(|entry| entry.config.security.is_eap());
        if let Some(presence) = self.shares_presence().filter(|_| is_eap) {
            presence.say(Share::PmkWanted { service, client });
        }
    }

    /// What authenticators of a service did to its PMKs.
    pub(super) fn share_pmks(&mut self, service: Uuid) {
        let now = self.clock.now();
        let Some(entry) = self.services.get_mut(&service) else { return };
        while let Some((client, change)) = entry.pmks.poll_change() {
            let share = match change {
                PmkChange::Made(entry) => Share::Pmk { service, client, entry: Box::new(entry) },
                PmkChange::Gone => {
                    Share::PmkGone { service, client, at: std::time::Duration::from_micros(now.0) }
                }
            };
            if let Some(presence) = self.matchmaker.local().and_then(|local| local.presence.as_ref()) {
                presence.say(share);
            }
        }
    }

    /// What processes share says something.
    pub(super) fn presence(&mut self, said: ForCore) {
        let now = self.clock.now();
        match said {
            ForCore::Up => {
                let mut all = Vec::new();
                for (service, entry) in &self.services {
                    all.extend(entry.pmks.iter(now).map(|(client, pmk)| (*service, client, pmk.clone())));
                }
                if let Some(presence) = self.shares_presence().filter(|_| !all.is_empty()) {
                    presence.say(Share::AllPmks(all));
                }
            }
            ForCore::Pmk { service, client, entry } => {
                let Some(of) = self.services.get_mut(&service) else { return };
                if of.pmks.adopt(now, client, *entry) {
                    self.counters.add("pmks_from_others", 1);
                }
            }
            ForCore::Forget { service, client, at } => {
                if let Some(of) = self.services.get_mut(&service) {
                    of.pmks.forget(client, Time::default() + at);
                }
            }
        }
    }
}
