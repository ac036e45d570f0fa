//! What is on the air follows what is offered: its policy, its beacon, and where that is not enough the BSS itself.

use std::time::Duration;

use super::slot::Shown;
use super::template::Template;
use super::visible::Needed;
use super::{Agent, Event, Output, Why};

/// After a change of what a BSS shows the next one waits for so long: matchmakers, or instances of a service, may say different
/// things of it in turn.
pub const CHANGE_AGAIN: Duration = Duration::from_secs(60);

/// And one that sends devices away for so long.
pub const CHANGE_AGAIN_WITH_DEVICES: Duration = Duration::from_secs(600);

impl Agent {
    /// Brings what is on the air up to date.
    pub(super) fn renew(&mut self, needed: &[Needed], now: Duration) {
        for slot in 0..self.slots.len() {
            let bssid = self.slots[slot].bssid;
            let Some(shown) = &mut self.slots[slot].shown else { continue };
            // While nothing is offered, it stays as it is.
            let Some(at) = self.offers.position(shown.service) else { continue };
            let Some(offered) = self.offers.at(at) else { continue };
            // It goes by one offer as long as there is that one, so that it does not change with who is near.
            if let Some(claim) = offered.claims.iter().find(|claim| claim.whom == shown.why.whom) {
                shown.why = claim.why();
            } else if let Some(needed) = needed.iter().find(|needed| needed.at == at) {
                shown.why = needed.why;
            }
            let hidden = shown.why.hidden();
            let Some(template) = Template::offered(bssid, &offered.template, self.channel, hidden) else {
                continue;
            };
            if template == shown.template {
                continue;
            }
            let another = template.is_another_network(&shown.template);
            let rests = match another && shown.has_devices(now) {
                true => CHANGE_AGAIN_WITH_DEVICES,
                false => CHANGE_AGAIN,
            };
            if shown.changed.is_some_and(|changed| now < changed + rests) {
                continue;
            }
            self.counters.changed += 1;
            if another {
                self.reopen(slot, template, Why::Changed, now);
                continue;
            }
            (shown.template, shown.changed) = (template, Some(now));
            let event = Event::Changed { bssid, service: shown.service };
            self.outputs.push_back(Output::Update { bss: self.bsses.len() + slot });
            self.outputs.push_back(Output::Report(event));
        }
    }

    /// The radio could not change a beacon. It opens the BSS anew.
    pub fn update_failed(&mut self, bss: usize, now: Duration) {
        let Some(slot) = bss.checked_sub(self.bsses.len()) else { return };
        let Some(shown) = self.slots.get(slot).and_then(|slot| slot.shown.as_ref()) else { return };
        self.reopen(slot, shown.template.clone(), Why::NotChanged, now);
    }

    /// Closes a BSS, and opens it where it was: who is there begins again.
    fn reopen(&mut self, slot: usize, template: Template, why: Why, now: Duration) {
        let Some(shown) = &self.slots[slot].shown else { return };
        let mut again = Shown::new(shown.service, template, shown.why, shown.standing, now);
        again.changed = Some(now);
        self.close_slot(slot, why, now);
        self.open_slot(slot, again);
    }
}
