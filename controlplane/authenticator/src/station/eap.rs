//! 802.1X: EAP passed through between device and RADIUS (RFC 3748 §2.3, RFC 3579 §2, 802.11-2020 §12.6.10).

use std::time::Duration;

use dot11::ReasonCode;
use dot11::eap::{self, Code, Eap, EapType};
use dot11::rsn::{self, Pmk, Pmkid};

use super::session::Credentials;
use super::timers::Timer;
use super::{Environment, Station};
use crate::{
    Accept, CachedPmk, Discard, Event, FailureKind, Output, RadiusResult, Security, TerminateCause, Time,
};

/// An EAP conversation under way.
#[derive(Debug)]
pub(super) struct Conversation {
    stage: Stage,
    /// The request that the device has or had to answer.
    request: Vec<u8>,
    identity: Vec<u8>,
    /// RADIUS's State, for the next request.
    state: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Stage {
    /// The device is to answer.
    Device { transmissions: u32, wait: Duration },
    /// RADIUS is to answer the request of this name.
    Radius(u32),
}

impl Conversation {
    fn waits_for_identity(&self) -> bool {
        let identity =
            Eap::parse(&self.request).is_ok_and(|request| request.eap_type == Some(EapType::IDENTITY));
        identity && matches!(self.stage, Stage::Device { .. })
    }
}

impl Station {
    /// Asks for the device's identity (RFC 3748 §5.1).
    pub(super) fn begin_eap(&mut self, now: Time, env: &mut Environment<'_>) {
        let mut id = [0];
        env.entropy.fill(&mut id);
        self.radius_request = self.radius_request.wrapping_add(1);
        let timings = &self.service.timings;
        let total = now + timings.eap_total;
        let Some(association) = &mut self.association else { return };
        association.eap = Some(Conversation {
            stage: Stage::Device { transmissions: 0, wait: timings.eap_initial },
            request: eap::identity_request(id[0], ""),
            identity: Vec::new(),
            state: None,
        });
        // A device that begins again and again has no more time for it.
        if self.timers.get(Timer::EapTotal).is_none() {
            self.timers.set(Timer::EapTotal, total);
        }
        self.timers.stop(Timer::Radius);
        self.transmit_eap(now);
    }

    /// EAPOL-Start (802.1X-2004 §8.2.4): the device wants to begin, now or again.
    pub(super) fn eapol_start(&mut self, now: Time, env: &mut Environment<'_>) {
        let Some(association) = &mut self.association else { return };
        if let Some(conversation) = &association.eap
            && conversation.waits_for_identity()
        {
            // It crossed our request. Same identifier, so one of two answers is a duplicate.
            let request = conversation.request.clone();
            return self.send_eap(&request);
        }
        if association.pairwise.is_some() {
            if association.keys.is_some() {
                return self.discard(Discard::Unexpected);
            }
            // It does not have the PMK that we took it to have.
            association.pairwise = None;
            association.pmk = None;
            self.timers.stop(Timer::Pairwise);
        }
        self.begin_eap(now, env);
    }

    /// Runs EAP again with the port open, unless the device is busy with a handshake.
    pub(super) fn reauthenticate(&mut self, now: Time, env: &mut Environment<'_>) {
        let ready =
            self.association.as_ref().is_some_and(|a| a.port_open && a.eap.is_none() && a.pairwise.is_none());
        if ready && matches!(self.service.security, Security::Eap) {
            self.begin_eap(now, env);
        }
    }

    /// An EAP packet from the device.
    pub(super) fn eap_response(&mut self, now: Time, packet: &[u8]) {
        let Some(conversation) = self.association.as_mut().and_then(|association| association.eap.as_mut())
        else {
            return self.discard(Discard::Unexpected);
        };
        let (Ok(response), Ok(request)) = (Eap::parse(packet), Eap::parse(&conversation.request)) else {
            return self.discard(Discard::Malformed);
        };
        if response.code != Code::Response {
            return self.discard(Discard::Malformed);
        }
        // RFC 3748 §4.1: the identifier must match that of the outstanding request; duplicates are dropped.
        if response.id != request.id {
            return self.discard(Discard::EapIdentifier);
        }
        if !matches!(conversation.stage, Stage::Device { .. }) {
            return self.discard(Discard::Unexpected);
        }
        if request.eap_type == Some(EapType::IDENTITY) {
            // RFC 3748 §5.1: to a request for the identity there is no other response.
            let Some(identity) = response.identity() else { return self.discard(Discard::Unexpected) };
            conversation.identity = identity.to_vec();
        }
        self.radius_request = self.radius_request.wrapping_add(1);
        let request = self.radius_request;
        conversation.stage = Stage::Radius(request);
        let output = Output::RadiusRequest {
            request,
            eap: response.bytes().to_vec(),
            state: conversation.state.take(),
            identity: conversation.identity.clone(),
        };
        self.emit(output);
        self.timers.stop(Timer::EapResponse);
        self.timers.set(Timer::Radius, now + self.service.timings.radius);
    }

    /// The device does not answer: ask again (RFC 3748 §4.3), or give up.
    pub(super) fn eap_response_missing(&mut self, now: Time, env: &mut Environment<'_>) {
        let timings = &self.service.timings;
        let Some(conversation) = self.association.as_mut().and_then(|association| association.eap.as_mut())
        else {
            return;
        };
        let Stage::Device { transmissions, wait } = &mut conversation.stage else { return };
        if *transmissions > timings.eap_retransmissions {
            return self.eap_failed(now, env);
        }
        *wait = (*wait * 2).min(timings.eap_max);
        self.transmit_eap(now);
    }

    pub(super) fn eap_too_long(&mut self, now: Time, env: &mut Environment<'_>) {
        if self.association.as_ref().is_some_and(|association| association.eap.is_some()) {
            self.eap_failed(now, env);
        }
    }

    pub(super) fn radius_missing(&mut self, now: Time, env: &mut Environment<'_>) {
        let request = self.radius_request;
        self.radius(now, env, request, RadiusResult::TimedOut);
    }

    /// An answer from RADIUS, or that none came.
    pub(super) fn radius(
        &mut self,
        now: Time,
        env: &mut Environment<'_>,
        request: u32,
        result: RadiusResult,
    ) {
        let Some(conversation) = self.association.as_mut().and_then(|association| association.eap.as_mut())
        else {
            return;
        };
        // The device may have begun again meanwhile.
        if !matches!(conversation.stage, Stage::Radius(expected) if expected == request) {
            return;
        }
        self.timers.stop(Timer::Radius);
        match result {
            RadiusResult::Challenge { eap, state, timeout } => {
                if !Eap::parse(&eap).is_ok_and(|packet| packet.code == Code::Request) {
                    return self.radius_failed(now, env, "its challenge holds no EAP request");
                }
                let wait = timeout.unwrap_or(self.service.timings.eap_initial);
                conversation.request = eap;
                conversation.state = state;
                conversation.stage = Stage::Device { transmissions: 0, wait };
                self.transmit_eap(now);
            }
            RadiusResult::Accept(accept) => self.accepted(now, env, &accept),
            RadiusResult::Reject { eap, reply_message } => {
                let failure = match Eap::parse(&eap) {
                    Ok(packet) if packet.code == Code::Failure => packet.bytes().to_vec(),
                    // RFC 3579 §2.6.3: the device is told even so.
                    _ => {
                        let id = conversation.request.get(1).copied().unwrap_or_default();
                        eap::failure(id).to_vec()
                    }
                };
                self.send_eap(&failure);
                self.log(Event::Rejected(reply_message));
                env.pmks.remove(self.mac);
                self.count_failure(now, env, FailureKind::Rejected);
                self.eap_failed(now, env);
            }
            RadiusResult::TimedOut => self.radius_failed(now, env, "no server answered"),
        }
    }

    /// A PMK of the cache that the device names (802.11-2020 §12.6.10.3), so that EAP is not needed.
    pub(super) fn use_cached_pmk(&mut self, now: Time, env: &mut Environment<'_>, pmkids: &[Pmkid]) {
        let Some(association) = &mut self.association else { return };
        let Some(akm) = association.akm.filter(|akm| akm.is_8021x()) else { return };
        let Some(entry) = env.pmks.get(now, self.mac, akm) else { return };
        if entry.bssid != self.bssid && !self.service.opportunistic_key_caching {
            return;
        }
        // The PMKID covers the BSSID: that of another BSS of the service is a new one for the same PMK.
        let Ok(ours) = rsn::pmkid(akm, &entry.pmk, self.bssid, self.mac) else { return };
        if !pmkids.contains(&ours) {
            return;
        }
        association.pmk = Some(entry.pmk.clone());
        self.credentials = Credentials {
            psk: None,
            identity: Some(entry.identity.clone()),
            class: entry.class.clone(),
            vlan: entry.vlan,
            interim_interval: entry.interim_interval,
            session_end: entry.session_end,
        };
        self.log(Event::PmksaCached);
    }

    /// Access-Accept: the device is who it says, and both sides have the PMK.
    fn accepted(&mut self, now: Time, env: &mut Environment<'_>, accept: &Accept) {
        // RFC 3579 §2.6.3: what the device is told is the server's word, not ours.
        if !Eap::parse(&accept.eap).is_ok_and(|packet| packet.code == Code::Success) {
            return self.radius_failed(now, env, "its Access-Accept holds no EAP success");
        }
        // 802.11-2020 §12.7.1.3: the PMK is the first 256 bits of the MSK.
        let Ok(pmk) = Pmk::from_msk(&accept.msk.0) else {
            return self.radius_failed(now, env, "its Access-Accept holds no key");
        };
        let lifetime = self.service.timings.pmk_lifetime;
        let Some(association) = &mut self.association else { return };
        let (Some(akm), Some(conversation)) = (association.akm, association.eap.take()) else { return };
        association.pmk = Some(pmk.clone());
        self.timers.stop(Timer::EapTotal);
        // The next session time-out, if any, runs from when the port opens.
        self.timers.stop(Timer::Session);

        let identity = accept.user_name.clone().unwrap_or(conversation.identity);
        let session_end = accept.session_timeout.map(|timeout| (now + timeout, accept.reauthenticate));
        let expires = session_end.map_or(now + lifetime, |(at, _)| at.min(now + lifetime));
        self.credentials = Credentials {
            psk: None,
            identity: Some(identity.clone()),
            class: accept.class.clone(),
            vlan: accept.vlan,
            interim_interval: accept.interim_interval,
            session_end,
        };
        let entry = CachedPmk {
            pmk,
            akm,
            bssid: self.bssid,
            made: now,
            expires,
            identity,
            class: accept.class.clone(),
            vlan: accept.vlan,
            interim_interval: accept.interim_interval,
            session_end,
        };
        env.pmks.insert(self.mac, entry);
        self.send_eap(&accept.eap);
        self.begin_pairwise(now, env);
    }

    fn radius_failed(&mut self, now: Time, env: &mut Environment<'_>, why: &'static str) {
        self.log(Event::RadiusFailed(why));
        self.eap_failed(now, env);
    }

    fn eap_failed(&mut self, now: Time, env: &mut Environment<'_>) {
        let reason = ReasonCode::IEEE_802_1X_AUTH_FAILED;
        self.disconnect(now, env, reason, TerminateCause::ReauthenticationFailure);
    }

    fn transmit_eap(&mut self, now: Time) {
        let Some(conversation) = self.association.as_mut().and_then(|association| association.eap.as_mut())
        else {
            return;
        };
        let Stage::Device { transmissions, wait } = &mut conversation.stage else { return };
        *transmissions += 1;
        self.timers.set(Timer::EapResponse, now + *wait);
        let request = conversation.request.clone();
        self.send_eap(&request);
    }
}
