//! What a device at 2.4 GHz can be steered to: a radio of another band that may show it the same service.
//!
//! A radio hears beacons on its own channel only, so it hardly ever names a neighbour of another band. The matchmaker knows more: a radio
//! that asked about the same device in the last 80 seconds hears it too (radios ask again once a minute); and where one heard
//! a device that this radio heard, it is taken to be near for an hour: who comes for the first time is mostly heard at 2.4 GHz first.
//!
//! Only look-ups that are answered with a policy that steers come here.

use std::time::Duration;

use dot11::MacAddr;
use visibility::{Band, Policy};

use crate::bindings::ServiceRef;
use crate::look_up::{MAX_DEVICES, Near, PLAUSIBLE};
use crate::{Matchmaker, Offer};

/// Whether a policy steers devices to another band.
#[inline]
pub(crate) fn steers(policy: &Policy) -> bool {
    policy.steer_delay.is_some_and(|delay| !delay.is_zero())
}

impl Matchmaker {
    /// Of an answer to a look-up: leaves the delay at 2.4 GHz where there is something to steer to.
    #[inline(never)]
    pub(crate) fn steer(
        &mut self,
        at: u32,
        band: Band,
        devices: &[Near<'_>],
        now: Duration,
        offers: &mut [Offer],
    ) {
        if offers.iter().any(|offer| offer.client.is_none() && steers(&offer.policy)) {
            // No binding names them, so nobody has noted where they are.
            for device in devices.iter().filter(|device| !device.client.is_group()) {
                self.sightings.hear(device.client, at, device.rssi_dbm, now);
            }
        }
        if band != Band::Ghz2_4 {
            return;
        }
        let (mut heard, mut known) = ([(MacAddr::ZERO, 0); MAX_DEVICES], 0);
        let clients = devices.iter().map(|device| device.client);
        let elsewhere =
            clients.flat_map(|client| self.sightings.lately(client, now).map(move |other| (client, other)));
        for found in elsewhere.filter(|&(_, other)| self.radios.is_other_band(other, now)).take(heard.len()) {
            heard[known] = found;
            known += 1;
        }
        for offer in offers.iter_mut().filter(|offer| steers(&offer.policy)) {
            let named = offer.client.filter(|_| offer.is_named());
            let too = heard[..known].iter().find(|&&(client, other)| {
                offer.client.is_none_or(|of| of == client) && self.may_show(other, offer.at, named)
            });
            if let Some(&(_, other)) = too {
                self.radios.note_other_band(at, other, now);
            } else if !self.is_steered_near(at, offer.at, named, now) {
                offer.policy.steer_delay = None;
            }
        }
    }

    /// Whether the client, as far as is known now, would be steered from the radio to another band. `named`: by the binding that decides.
    pub(crate) fn is_steered(
        &self,
        at: u32,
        service: ServiceRef,
        client: MacAddr,
        named: bool,
        now: Duration,
    ) -> bool {
        let whom = named.then_some(client);
        let hears = |other| self.radios.is_other_band(other, now) && self.may_show(other, service, whom);
        self.radios.at(at).1 == Band::Ghz2_4
            && (self.sightings.lately(client, now).any(hears) || self.is_steered_near(at, service, whom, now))
    }

    fn is_steered_near(&self, at: u32, service: ServiceRef, named: Option<MacAddr>, now: Duration) -> bool {
        self.radios.other_bands_near(at, now).any(|other| self.may_show(other, service, named))
    }

    /// Whether a binding lets the radio show the service to the client that a binding names; `None`: to somebody.
    fn may_show(&self, radio: u32, service: ServiceRef, named: Option<MacAddr>) -> bool {
        let (account, ..) = self.radios.at(radio);
        let (reach, mac) = (self.accounts.reach(account), self.radios.mac(radio));
        match named {
            Some(client) => self.bindings.decides(reach, service, client, mac).is_some(),
            None => self.bindings.shows_somebody(reach, service, mac, PLAUSIBLE),
        }
    }
}
