//! Authentication, association and their ends (802.11-2020 §11.3).

use std::time::Duration;

use dot11::build::management;
use dot11::element::Elements;
use dot11::frame::management::{AssociationResponse, Authentication, Deauthentication, ManagementBody};
use dot11::rsn::Pmkid;
use dot11::{AuthenticationAlgorithm, CapabilityInfo, Frame, ManagementSubtype, ReasonCode, StatusCode};

use super::association::{self, Agreement};
use super::timers::Timer;
use super::{Association, Environment, Station};
use crate::{Discard, Event, Output, Security, TerminateCause, Time};

/// How long after an answer the same request is taken for a retransmission.
const RETRANSMISSION: Duration = Duration::from_secs(1);

/// A (re)association request that was granted, kept so that its retransmission gets the same answer.
#[derive(Debug)]
pub(super) struct Answered {
    at: Time,
    request: Vec<u8>,
    response: Vec<u8>,
}

/// What association and reassociation requests have in common.
struct Request<'a> {
    subtype: ManagementSubtype,
    capabilities: CapabilityInfo,
    elements: Elements<'a>,
    /// The frame from the Sequence Control field on, which is the same in a retransmission.
    fingerprint: &'a [u8],
}

impl Station {
    pub(super) fn management(&mut self, now: Time, env: &mut Environment<'_>, bytes: &[u8]) {
        let Ok(frame) = Frame::parse(bytes) else { return self.discard(Discard::Malformed) };
        if !frame.control().is_management() {
            return self.discard(Discard::Malformed);
        }
        let addresses = (frame.addr1(), frame.addr2(), frame.addr3());
        if addresses != (self.bssid, Some(self.mac), Some(self.bssid)) {
            return self.discard(Discard::ForeignAddress);
        }
        let Ok(body) = ManagementBody::parse(&frame) else { return self.discard(Discard::Malformed) };
        let request = |capabilities, elements, subtype| Request {
            subtype,
            capabilities,
            elements,
            fingerprint: &bytes[22..],
        };
        match body {
            ManagementBody::Authentication(body) => self.authentication(now, env, &body),
            ManagementBody::AssociationRequest(body) => {
                let subtype = ManagementSubtype::AssociationResponse;
                self.association_request(now, env, request(body.capabilities, body.elements, subtype));
            }
            ManagementBody::ReassociationRequest(body) => {
                let subtype = ManagementSubtype::ReassociationResponse;
                self.association_request(now, env, request(body.capabilities, body.elements, subtype));
            }
            ManagementBody::Deauthentication(body) => {
                // 802.11-2020 §11.3.4.5.
                if self.authenticated {
                    self.log(Event::Left(body.reason));
                    self.forget(now, env, TerminateCause::UserRequest);
                }
            }
            ManagementBody::Disassociation(body) => {
                // 802.11-2020 §11.3.5.9: back to state 2.
                if self.association.is_some() {
                    self.log(Event::Left(body.reason));
                    self.leave(now, env, TerminateCause::UserRequest);
                    self.timers.set(Timer::Association, now + self.service.timings.authenticated);
                }
            }
            // The radio answers probes, and declines what actions ask for.
            _ => self.discard(Discard::Unexpected),
        }
    }

    /// A frame of a class that the device's state does not allow (802.11-2020 §11.3.3): it is told so, but not for each.
    pub(super) fn class_error(&mut self, now: Time, reason: ReasonCode) {
        self.discard(Discard::Unexpected);
        if self.timers.get(Timer::ClassError).is_some_and(|until| until > now) {
            return;
        }
        self.timers.set(Timer::ClassError, now + self.service.timings.class_error_interval);
        if self.authenticated {
            self.send_reason(ManagementSubtype::Disassociation, reason);
        } else {
            self.send_deauthentication(reason);
        }
    }

    pub(super) fn send_deauthentication(&mut self, reason: ReasonCode) {
        self.send_reason(ManagementSubtype::Deauthentication, reason);
    }

    /// Open System authentication (802.11-2020 §12.3.3.2): whoever asks rightly is authenticated.
    fn authentication(&mut self, now: Time, env: &mut Environment<'_>, request: &Authentication<'_>) {
        let status = if request.algorithm != AuthenticationAlgorithm::OPEN {
            // Shared Key above all: WEP is never offered.
            StatusCode::UNSUPPORTED_AUTH_ALGORITHM
        } else if request.transaction != 1 {
            StatusCode::TRANSACTION_SEQUENCE_ERROR
        } else if env.failures.blocked(now, self.mac).is_some() {
            StatusCode::REFUSED_UNSPECIFIED
        } else {
            StatusCode::SUCCESS
        };
        if status.is_success() {
            // From states 3 and 4 nothing changes (802.11-2020 §11.3.4.3): anybody can send this in the device's name.
            if self.association.is_none() {
                self.authenticated = true;
                self.timers.set(Timer::Association, now + self.service.timings.authenticated);
            }
            self.log(Event::Authenticated);
        } else {
            self.log(Event::AuthenticationRefused(status));
        }
        let answer = Authentication {
            algorithm: request.algorithm,
            transaction: request.transaction.wrapping_add(1),
            status,
            elements: Elements::default(),
        };
        self.send_management(ManagementSubtype::Authentication, &answer.to_vec());
    }

    /// 802.11-2020 §11.3.5.3 and §11.3.5.5. A request from an associated device begins everything anew, but for its
    /// accounting session.
    fn association_request(&mut self, now: Time, env: &mut Environment<'_>, request: Request<'_>) {
        if !self.authenticated {
            return self.class_error(now, ReasonCode::INVALID_CLASS2_FRAME);
        }
        if let Some(response) = self.answer_to_retransmission(now, request.fingerprint) {
            return self.emit(Output::SendManagement(response));
        }
        let agreement = match association::check(&self.service, request.capabilities, request.elements) {
            Ok(agreement) => agreement,
            Err(status) => return self.refuse_association(&request, status),
        };
        // An unfinished handshake may turn out to be one failure too many.
        self.abandon_handshakes(now, env);
        if env.failures.blocked(now, self.mac).is_some() {
            self.refuse_association(&request, StatusCode::REFUSED_UNSPECIFIED);
            return self.forget(now, env, TerminateCause::NasRequest);
        }
        // 802.11-2020 §11.3.5.5: the keys of the last association go.
        env.bss.forget_key(now, env.entropy, self.mac);
        let Some(aid) = env.bss.join(self.mac) else {
            return self.refuse_association(&request, StatusCode::DENIED_NO_MORE_STAS);
        };

        let elements = association::response_elements(&self.service, request.elements, agreement.qos);
        let status = StatusCode::SUCCESS;
        let response = self.association_response(request.subtype, status, aid, &elements);
        let answered =
            Answered { at: now, request: request.fingerprint.to_vec(), response: response.clone() };
        let pmkids = self.associate(now, aid, agreement, answered);
        self.emit(Output::SendManagement(response));
        self.use_cached_pmk(now, env, &pmkids);
        self.secure(now, env);
    }

    fn associate(&mut self, now: Time, aid: u16, agreement: Agreement, answered: Answered) -> Vec<Pmkid> {
        let Agreement { akm, qos, rsne, rsnx, pmkids } = agreement;
        let before = self.association.replace(Association {
            aid,
            qos,
            akm,
            rsne,
            rsnx,
            since: now,
            answered: Some(answered),
            pmk: None,
            keys: None,
            port_open: false,
            eap: None,
            pairwise: None,
            group: None,
            generation: None,
        });
        self.timers.stop_all();
        if before.as_ref().is_some_and(|before| before.port_open) {
            self.emit(Output::ClosePort);
        }
        self.log(Event::Associated { aid, again: before.is_some() });
        let protect = akm.is_some();
        self.emit(Output::AddStation { aid, qos, protect, pmf: false });
        pmkids
    }

    /// Begins whatever opens the port: nothing, the 4-way handshake, or EAP.
    pub(super) fn secure(&mut self, now: Time, env: &mut Environment<'_>) {
        let Some(association) = &self.association else { return };
        if association.port_open {
            return;
        }
        match self.service.security {
            Security::Open => {
                self.open_port(now, env.entropy);
                env.failures.clear(self.mac);
            }
            Security::Eap if association.pmk.is_none() => self.begin_eap(now, env),
            Security::Psk { .. } | Security::Eap => self.begin_pairwise(now, env),
        }
    }

    /// A device that did not hear our acknowledgement sends its request again, the same but for the Retry bit. Once it
    /// has keys it did hear, and a request is a new one.
    fn answer_to_retransmission(&self, now: Time, fingerprint: &[u8]) -> Option<Vec<u8>> {
        let association = self.association.as_ref()?;
        let answered = association.answered.as_ref()?;
        let same = answered.request == fingerprint && now - answered.at < RETRANSMISSION;
        (same && association.keys.is_none()).then(|| answered.response.clone())
    }

    fn refuse_association(&mut self, request: &Request<'_>, status: StatusCode) {
        self.log(Event::AssociationRefused(status));
        let response = self.association_response(request.subtype, status, 0, &[]);
        self.emit(Output::SendManagement(response));
    }

    fn association_response(
        &self,
        subtype: ManagementSubtype,
        status: StatusCode,
        aid: u16,
        elements: &[u8],
    ) -> Vec<u8> {
        let mut capabilities = CapabilityInfo(self.service.beacon.capabilities);
        if !matches!(self.service.security, Security::Open) {
            capabilities = capabilities.with(CapabilityInfo::PRIVACY);
        }
        let body = AssociationResponse { capabilities, status, aid, elements: Elements::new(elements) };
        management(subtype, self.mac, self.bssid, self.bssid, &body.to_vec())
    }

    fn send_reason(&mut self, subtype: ManagementSubtype, reason: ReasonCode) {
        self.send_management(subtype, &Deauthentication { reason }.to_vec());
    }

    fn send_management(&mut self, subtype: ManagementSubtype, body: &[u8]) {
        let frame = management(subtype, self.mac, self.bssid, self.bssid, body);
        self.emit(Output::SendManagement(frame));
    }
}
