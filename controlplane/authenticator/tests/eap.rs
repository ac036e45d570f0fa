//! 802.1X passed through to RADIUS, frame by frame.

mod common;

use std::time::Duration;

use authenticator::{
    Accept, CachedPmk, Discard, Event, Input, Limits, Msk, Output, RadiusResult, Service, State, Timings,
};
use common::peer::{Peer, eap_packet};
use common::{BSSID, Lab, MAC, Request, logged};
use dot11::eap::{self, Code, Eap, EapType};
use dot11::eapol::key::{KeyFrame, KeyInfo};
use dot11::eapol::{self, PacketType};
use dot11::rsn::{self, Akm, Pmk, Pmkid};
use dot11::{MacAddr, eapol::EapolFrame};

const SECOND: Duration = Duration::from_secs(1);
const MSK: [u8; 64] = [0x42; 64];

fn service() -> Service {
    Service::eap(common::SSID)
}

fn request() -> Request {
    Request::akm(Akm::Ieee8021x)
}

fn response(id: u8, eap_type: EapType, data: &[u8]) -> Vec<u8> {
    eapol::build(PacketType::EapPacket, &eap::packet(Code::Response, id, Some(eap_type), data))
}

fn challenge(id: u8) -> RadiusResult {
    let eap = eap::packet(Code::Request, id, Some(EapType::TLS), b"challenge");
    RadiusResult::Challenge { eap, state: Some(vec![id; 8]), timeout: None }
}

fn accept() -> Accept {
    Accept {
        eap: eap::success(9).to_vec(),
        msk: Msk(MSK.to_vec()),
        class: vec![b"gold".to_vec()],
        ..Accept::default()
    }
}

fn pmk() -> Pmk {
    Pmk::from_msk(&MSK).expect("long enough")
}

/// The RADIUS request among the outputs.
fn radius(outputs: &[Output]) -> (u32, Vec<u8>, Option<Vec<u8>>, Vec<u8>) {
    let mut requests = outputs.iter().filter_map(|output| match output {
        Output::RadiusRequest { request, eap, state, identity } => {
            Some((*request, eap.clone(), state.clone(), identity.clone()))
        }
        _ => None,
    });
    let request = requests.next().expect("a RADIUS request");
    assert!(requests.next().is_none());
    request
}

fn discards(outputs: &[Output]) -> Vec<Discard> {
    let events = logged(outputs).into_iter();
    events.filter_map(|event| if let Event::Discarded(why) = event { Some(*why) } else { None }).collect()
}

/// The EAP identifier of the request sent last. Takes the outputs.
fn sent_id(lab: &mut Lab) -> u8 {
    let (pdu, ..) = lab.sent_eapol().pop().expect("an EAPOL PDU");
    Eap::parse(&eap_packet(&pdu)).expect("an EAP packet").id
}

/// Joins and answers the identity request; returns the name of the RADIUS request.
fn identified(lab: &mut Lab, request: &Request) -> u32 {
    let pdu = lab.join(request).expect("an identity request");
    let packet = eap_packet(&pdu);
    let packet = Eap::parse(&packet).expect("an EAP packet");
    assert_eq!((packet.code, packet.eap_type), (Code::Request, Some(EapType::IDENTITY)));
    lab.eapol(&response(packet.id, EapType::IDENTITY, b"alice"), false);
    let (name, ..) = radius(&lab.take());
    name
}

fn answer(lab: &mut Lab, request: u32, result: RadiusResult) {
    lab.input(Input::Radius { request, result });
}

/// Everything from the Access-Accept to the open port. Outputs pile up from message 4 on.
fn accepted(lab: &mut Lab, name: u32, accept: Accept, request: &Request, protected: bool) -> Peer {
    answer(lab, name, RadiusResult::Accept(Box::new(accept)));
    let sent = lab.sent_eapol();
    let [(success, ..), (message1, ..)] = &sent[..] else { panic!("success and message 1, not {sent:?}") };
    assert_eq!(Eap::parse(&eap_packet(success)).map(|packet| packet.code), Ok(Code::Success));
    assert!(sent.iter().all(|(_, protect, hold)| *protect == protected && !hold));
    let akm = lab.station.info().akm.expect("an AKM");
    let mut peer = Peer::new(akm, pmk(), request);
    peer.handshake(lab, message1, protected);
    peer
}

fn online(service: Service, accept: Accept) -> (Lab, Peer) {
    let mut lab = Lab::new(service);
    let name = identified(&mut lab, &request());
    let peer = accepted(&mut lab, name, accept, &request(), false);
    assert_eq!(lab.station.state(), State::Online);
    (lab, peer)
}

#[test]
fn a_device_that_radius_accepts_gets_online() {
    for akm in [Akm::Ieee8021x, Akm::Ieee8021xSha256] {
        let mut lab = Lab::new(service());
        let request = Request::akm(akm);
        let pdu = lab.join(&request).expect("an identity request");
        let id = Eap::parse(&eap_packet(&pdu)).expect("an EAP packet").id;
        let identity = response(id, EapType::IDENTITY, b"alice@example.org\0networkid=x");
        lab.eapol(&identity, false);
        let outputs = lab.take();
        let (name, eap, state, user) = radius(&outputs);
        assert_eq!(eap, eap_packet(&identity), "passed through octet by octet");
        assert_eq!((state, &user[..]), (None, &b"alice@example.org"[..]));

        answer(&mut lab, name, challenge(77));
        let (pdu, protect, _) = lab.sent_eapol().pop().expect("the challenge");
        assert!(!protect);
        assert_eq!(eap_packet(&pdu), eap::packet(Code::Request, 77, Some(EapType::TLS), b"challenge"));
        lab.eapol(&response(77, EapType::TLS, b"answer"), false);
        let (name, eap, state, user) = radius(&lab.take());
        assert_eq!(eap, eap::packet(Code::Response, 77, Some(EapType::TLS), b"answer"));
        assert_eq!((state, &user[..]), (Some(vec![77; 8]), &b"alice@example.org"[..]));

        accepted(&mut lab, name, Accept { vlan: Some(7), ..accept() }, &request, false);
        assert_eq!(lab.kinds(), ["key 0 replaces=false", "open vlan=7", "start"]);
        let info = lab.station.info();
        assert_eq!(info.identity.as_deref(), Some(&b"alice@example.org"[..]));
        assert_eq!((info.class, info.vlan, info.akm), (vec![b"gold".to_vec()], Some(7), Some(akm)));
        assert!(lab.station.next_timeout().is_none());
    }
}

#[test]
fn message_1_names_the_pmk() {
    let mut lab = Lab::new(service());
    let name = identified(&mut lab, &request());
    answer(&mut lab, name, RadiusResult::Accept(Box::new(accept())));
    let (message1, ..) = lab.sent_eapol().pop().expect("message 1");
    let frame = KeyFrame::parse(&message1).expect("a key frame");
    let pmkid = rsn::pmkid(Akm::Ieee8021x, &pmk(), BSSID, MAC).expect("a PMKID");
    let mut items = dot11::eapol::kde::KeyData::new(frame.key_data());
    assert_eq!(items.next(), Some(Ok(dot11::eapol::kde::KeyDataItem::Pmkid(pmkid))));
}

#[test]
fn the_server_may_rename_the_user() {
    let (lab, _) = online(service(), Accept { user_name: Some(b"real name".to_vec()), ..accept() });
    assert_eq!(lab.station.info().identity.as_deref(), Some(&b"real name"[..]));
}

#[test]
fn responses_that_answer_nothing_are_dropped() {
    let mut lab = Lab::new(service());
    let pdu = lab.join(&request()).expect("an identity request");
    let id = Eap::parse(&eap_packet(&pdu)).expect("an EAP packet").id;
    let eapol = |packet: &[u8]| eapol::build(PacketType::EapPacket, packet);
    let table = [
        (response(id.wrapping_add(1), EapType::IDENTITY, b"alice"), Discard::EapIdentifier),
        (response(id, EapType::NAK, &[25]), Discard::Unexpected),
        (eapol(&eap::identity_request(id, "")), Discard::Malformed),
        (eapol(&eap::success(id)), Discard::Malformed),
        (eapol(&[]), Discard::Malformed),
        (eapol(&[2, id, 0, 200, 1]), Discard::Malformed),
    ];
    for (pdu, why) in table {
        lab.eapol(&pdu, false);
        assert_eq!(discards(&lab.take()), [why]);
    }
    lab.eapol(&response(id, EapType::IDENTITY, b"alice"), false);
    let (name, ..) = radius(&lab.take());
    lab.eapol(&response(id, EapType::IDENTITY, b"mallory"), false);
    assert_eq!(discards(&lab.take()), [Discard::Unexpected], "a duplicate while RADIUS is asked");
    // Answers to other requests.
    for other in [name.wrapping_sub(1), name.wrapping_add(1)] {
        answer(&mut lab, other, RadiusResult::Accept(Box::new(accept())));
        assert!(lab.take().is_empty());
    }
    answer(&mut lab, name, challenge(5));
    assert_eq!(lab.kinds(), ["eapol"]);
    answer(&mut lab, name, challenge(6));
    assert!(lab.take().is_empty(), "answered once");
}

#[test]
fn requests_are_sent_again_with_growing_pauses() {
    let mut lab = Lab::new(service());
    lab.join(&request());
    for (pause, sent) in [(3, 1), (6, 1), (12, 1), (20, 1)] {
        lab.pass(pause * SECOND - Duration::from_millis(1));
        assert!(lab.kinds().is_empty());
        lab.pass(Duration::from_millis(1));
        assert_eq!(lab.kinds().len(), sent);
    }
    lab.pass(19 * SECOND);
    assert_eq!(lab.kinds(), ["deauth 23", "remove"], "a minute is all it gets");

    let timings = Timings { eap_retransmissions: 1, ..Timings::default() };
    let mut lab = Lab::new(Service { timings, ..service() });
    let name = identified(&mut lab, &request());
    let RadiusResult::Challenge { eap, state, .. } = challenge(5) else { unreachable!() };
    answer(&mut lab, name, RadiusResult::Challenge { eap, state, timeout: Some(SECOND) });
    lab.pass(SECOND);
    let ids: Vec<_> = lab.sent_eapol().iter().map(|(pdu, ..)| eap_packet(pdu)[1]).collect();
    assert_eq!(ids, [5, 5], "the server said to wait one second");
    lab.pass(2 * SECOND);
    assert_eq!(lab.kinds(), ["deauth 23", "remove"]);
    assert!(lab.failures.failed(lab.now, MAC).is_none());
}

#[test]
fn a_device_that_begins_again_and_again_gets_no_more_time() {
    let mut lab = Lab::new(service());
    identified(&mut lab, &request());
    let mut seconds = 0;
    while lab.station.state() != State::Unauthenticated {
        lab.pass(SECOND);
        seconds += 1;
        lab.eapol(&eapol::build(PacketType::Start, &[]), false);
    }
    assert_eq!(seconds, 60);
}

#[test]
fn a_start_that_crosses_the_request_gets_the_same_request() {
    let mut lab = Lab::new(service());
    let first = lab.join(&request()).expect("an identity request");
    lab.eapol(&eapol::build(PacketType::Start, &[]), false);
    assert_eq!(lab.sent_eapol(), [(first, false, false)]);
}

#[test]
fn a_start_in_the_middle_begins_again_and_late_radius_answers_are_ignored() {
    let mut lab = Lab::new(service());
    let name = identified(&mut lab, &request());
    lab.eapol(&eapol::build(PacketType::Start, &[]), false);
    let id = sent_id(&mut lab);
    answer(&mut lab, name, RadiusResult::Accept(Box::new(accept())));
    answer(&mut lab, name, RadiusResult::TimedOut);
    assert!(lab.take().is_empty());
    lab.eapol(&response(id, EapType::IDENTITY, b"bob"), false);
    let (name, _, state, user) = radius(&lab.take());
    assert_eq!((state, &user[..]), (None, &b"bob"[..]));
    accepted(&mut lab, name, accept(), &request(), false);
    assert_eq!(lab.station.state(), State::Online);
}

#[test]
fn rejection_is_told_counted_and_in_the_end_blocks() {
    let limits = Limits { max_failures: 2, ..Limits::default() };
    let mut lab = Lab::new(Service { limits, ..service() });
    for (attempt, eap) in [(1, eap::failure(9).to_vec()), (2, Vec::new())] {
        let name = identified(&mut lab, &request());
        let reply_message = Some("no credit".to_string());
        answer(&mut lab, name, RadiusResult::Reject { eap, reply_message: reply_message.clone() });
        let outputs = lab.take();
        assert!(logged(&outputs).contains(&&Event::Rejected(reply_message)));
        let Some(Output::SendEapol { pdu, .. }) = outputs.first() else { panic!("{outputs:?}") };
        assert_eq!(eap_packet(pdu)[0], u8::from(Code::Failure));
        let kinds: Vec<_> = outputs.iter().filter_map(common::kind).collect();
        let failed = format!("failed Rejected{}", if attempt == 2 { " blocked" } else { "" });
        assert_eq!(kinds, ["eapol", &failed, "deauth 23", "remove"]);
    }
    lab.authenticate();
    assert_eq!(lab.kinds(), ["auth 1"]);
}

#[test]
fn a_useless_answer_or_none_sends_the_device_away_without_counting() {
    let without_key = Accept { msk: Msk(vec![1; 31]), ..accept() };
    let without_success = Accept { eap: Vec::new(), ..accept() };
    let with_failure = Accept { eap: eap::failure(9).to_vec(), ..accept() };
    let request_missing = RadiusResult::Challenge { eap: Vec::new(), state: None, timeout: None };
    let results = [
        RadiusResult::TimedOut,
        RadiusResult::Accept(Box::new(without_key)),
        RadiusResult::Accept(Box::new(without_success)),
        RadiusResult::Accept(Box::new(with_failure)),
        request_missing,
    ];
    for result in results {
        let mut lab = Lab::new(service());
        let name = identified(&mut lab, &request());
        answer(&mut lab, name, result);
        assert_eq!(lab.kinds(), ["deauth 23", "remove"]);
        assert!(lab.pmks.is_empty());
    }
    let mut lab = Lab::new(service());
    identified(&mut lab, &request());
    lab.pass(30 * SECOND);
    assert_eq!(lab.kinds(), ["deauth 23", "remove"]);
}

#[test]
fn the_pmk_need_not_be_made_again() {
    let with_pmkid = |pmkids: &[Pmkid]| {
        let rsn =
            dot11::element::Rsn { pmkids: pmkids.to_vec(), ..dot11::element::Rsn::ccmp(&[Akm::Ieee8021x]) };
        Request::rsn(&rsn)
    };
    let good = rsn::pmkid(Akm::Ieee8021x, &pmk(), BSSID, MAC).expect("a PMKID");
    let (mut lab, _) = online(service(), accept());
    lab.input(Input::Disconnect {
        reason: dot11::ReasonCode::INACTIVITY,
        cause: authenticator::TerminateCause::IdleTimeout,
    });
    lab.take();

    let request = with_pmkid(&[Pmkid([1; 16]), good]);
    let message1 = lab.join(&request).expect("message 1");
    assert!(KeyFrame::parse(&message1).is_ok(), "the 4-way handshake at once");
    Peer::new(Akm::Ieee8021x, pmk(), &request).handshake(&mut lab, &message1, false);
    assert_eq!(lab.kinds(), ["key 0 replaces=false", "open", "start"]);
    let info = lab.station.info();
    assert_eq!((info.identity.as_deref(), info.class), (Some(&b"alice"[..]), vec![b"gold".to_vec()]));

    // A PMKID that is not ours, one of another BSS, or none: EAP.
    let elsewhere = rsn::pmkid(Akm::Ieee8021x, &pmk(), MacAddr([2, 0xaa, 0, 0, 0, 9]), MAC).expect("a PMKID");
    for pmkids in [&[Pmkid([1; 16])][..], &[elsewhere], &[]] {
        let pdu = lab.join(&with_pmkid(pmkids)).expect("an identity request");
        assert_eq!(EapolFrame::parse(&pdu).map(|frame| frame.packet_type), Ok(PacketType::EapPacket));
    }

    // A PMK does not outlive its time.
    lab.pass(Duration::from_secs(43_200));
    lab.take();
    let pdu = lab.join(&request).expect("an identity request");
    assert!(KeyFrame::parse(&pdu).is_err());
}

#[test]
fn a_pmk_of_another_bss_is_good_if_the_service_says_so() {
    let entry = CachedPmk {
        pmk: pmk(),
        akm: Akm::Ieee8021x,
        bssid: MacAddr([2, 0xaa, 0, 0, 0, 9]),
        made: authenticator::Time(0),
        expires: authenticator::Time(u64::MAX),
        identity: b"alice".to_vec(),
        class: Vec::new(),
        vlan: None,
        interim_interval: None,
        session_end: None,
    };
    let pmkids = vec![rsn::pmkid(Akm::Ieee8021x, &pmk(), BSSID, MAC).expect("a PMKID")];
    let request =
        Request::rsn(&dot11::element::Rsn { pmkids, ..dot11::element::Rsn::ccmp(&[Akm::Ieee8021x]) });
    for opportunistic_key_caching in [true, false] {
        let mut lab = Lab::new(Service { opportunistic_key_caching, ..service() });
        lab.pmks.insert(MAC, entry.clone());
        let pdu = lab.join(&request).expect("a PDU");
        assert_eq!(KeyFrame::parse(&pdu).is_ok(), opportunistic_key_caching);
        if opportunistic_key_caching {
            // The device has lost it after all.
            lab.eapol(&eapol::build(PacketType::Start, &[]), false);
            let pdu = lab.sent_eapol().pop().expect("an identity request").0;
            assert_eq!(eap_packet(&pdu)[4], EapType::IDENTITY.0);
            lab.pass(Duration::from_millis(200));
            assert!(lab.kinds().is_empty(), "and the handshake is off");
        }
    }
}

#[test]
fn authenticating_again_keeps_port_and_session() {
    let (mut lab, mut peer) = online(service(), accept());
    lab.take();
    let session = lab.station.info().session;
    lab.input(Input::Reauthenticate);
    let id = sent_id(&mut lab);
    // Not in the clear.
    lab.eapol(&response(id, EapType::IDENTITY, b"alice"), false);
    assert_eq!(discards(&lab.take()), [Discard::Unprotected]);
    lab.eapol(&response(id, EapType::IDENTITY, b"alice"), true);
    let (name, ..) = radius(&lab.take());
    assert_eq!(lab.station.state(), State::Online);
    // A key request meanwhile has to wait.
    let ask = peer.request(KeyInfo::PAIRWISE, 1);
    lab.eapol(&ask, true);
    assert!(lab.kinds().is_empty());
    peer = accepted(&mut lab, name, accept(), &request(), true);
    assert_eq!(lab.kinds(), ["key 0 replaces=true"]);
    assert_eq!(lab.station.info().session, session);

    // The device may ask for it, too; and another user is another session.
    lab.eapol(&eapol::build(PacketType::Start, &[]), true);
    let id = sent_id(&mut lab);
    lab.eapol(&response(id, EapType::IDENTITY, b"bob"), true);
    let (name, ..) = radius(&lab.take());
    accepted(&mut lab, name, accept(), &request(), true);
    assert_eq!(lab.kinds(), ["key 0 replaces=true", "open", "stop UserRequest", "start"]);
    drop(peer);

    // Failing it ends everything.
    lab.input(Input::Reauthenticate);
    let id = sent_id(&mut lab);
    lab.eapol(&response(id, EapType::IDENTITY, b"bob"), true);
    let (name, ..) = radius(&lab.take());
    answer(&mut lab, name, RadiusResult::Reject { eap: Vec::new(), reply_message: None });
    let expected =
        ["eapol protected", "failed Rejected", "deauth 23", "remove", "stop ReauthenticationFailure"];
    assert_eq!(lab.kinds(), expected);
    assert!(lab.pmks.is_empty(), "the PMK of before is void");
}

#[test]
fn a_session_time_out_ends_the_session_or_authenticates_again() {
    let timeout = Some(Duration::from_secs(300));
    let (mut lab, _) = online(service(), Accept { session_timeout: timeout, ..accept() });
    lab.take();
    lab.pass(Duration::from_secs(299));
    assert!(lab.kinds().is_empty());
    lab.pass(SECOND);
    assert_eq!(lab.kinds(), ["deauth 2", "remove", "stop SessionTimeout"]);
    assert!(lab.pmks.is_empty());

    let once = Accept { session_timeout: timeout, reauthenticate: true, ..accept() };
    let (mut lab, _) = online(service(), once);
    lab.take();
    lab.pass(Duration::from_secs(300));
    let id = sent_id(&mut lab);
    lab.pass(2 * SECOND);
    assert!(lab.kinds().is_empty(), "once is enough");
    lab.eapol(&response(id, EapType::IDENTITY, b"alice"), true);
    let (name, ..) = radius(&lab.take());
    accepted(&mut lab, name, accept(), &request(), true);
    lab.take();
    lab.pass(Duration::from_secs(3600));
    assert!(lab.kinds().is_empty(), "no time-out this time");
    assert_eq!(lab.station.state(), State::Online);
}

#[test]
fn a_session_time_out_during_a_rekey_is_not_forgotten() {
    let timeout = Some(Duration::from_secs(300));
    let accept = Accept { session_timeout: timeout, reauthenticate: true, ..accept() };
    let (mut lab, mut peer) = online(service(), accept);
    lab.pass(Duration::from_secs(300) - Duration::from_millis(50));
    lab.take();
    lab.input(Input::RekeyPairwise);
    let message1 = lab.sent_eapol().pop().expect("message 1").0;
    lab.pass(Duration::from_millis(60));
    assert!(lab.kinds().is_empty());
    peer.handshake(&mut lab, &message1, true);
    assert_eq!(lab.kinds(), ["key 0 replaces=true"]);
    lab.pass(SECOND);
    assert_eq!(lab.kinds(), ["eapol protected"], "the identity request");
}

#[test]
fn the_last_session_time_out_does_not_spoil_the_next_session() {
    let timeout = Some(Duration::from_secs(300));
    let accept_once = Accept { session_timeout: timeout, reauthenticate: true, ..accept() };
    let (mut lab, _) = online(service(), accept_once.clone());
    lab.pass(Duration::from_secs(300));
    let id = sent_id(&mut lab);
    lab.eapol(&response(id, EapType::IDENTITY, b"alice"), true);
    let (name, ..) = radius(&lab.take());
    answer(&mut lab, name, RadiusResult::Accept(Box::new(accept())));
    lab.pass(2 * SECOND);
    let message1 = lab.sent_eapol().pop().expect("message 1").0;
    Peer::new(Akm::Ieee8021x, pmk(), &request()).handshake(&mut lab, &message1, true);
    assert_eq!(lab.kinds(), ["key 0 replaces=true"]);

    let (mut lab, _) = online(service(), accept_once);
    lab.management(&common::disassociation(8));
    lab.pass(10 * SECOND);
    assert!(lab.station.next_timeout().is_none());
}

#[test]
fn logging_off_ends_it() {
    let (mut lab, _) = online(service(), accept());
    lab.take();
    lab.eapol(&eapol::build(PacketType::Logoff, &[]), false);
    assert!(lab.kinds().is_empty(), "anybody can say that in the clear");
    lab.eapol(&eapol::build(PacketType::Logoff, &[]), true);
    assert_eq!(lab.kinds(), ["deauth 3", "remove", "stop UserRequest"]);
}

#[test]
fn a_failed_handshake_with_a_known_pmk_is_no_failed_attempt() {
    let limits = Limits { max_failures: 1, ..Limits::default() };
    let mut lab = Lab::new(Service { limits, ..service() });
    let name = identified(&mut lab, &request());
    answer(&mut lab, name, RadiusResult::Accept(Box::new(accept())));
    let message1 = lab.sent_eapol().pop().expect("message 1").0;
    let wrong = Peer::new(Akm::Ieee8021x, Pmk::new([1; 32]), &request()).message2(&message1);
    lab.eapol(&wrong, false);
    lab.pass(4 * SECOND);
    assert_eq!(lab.kinds(), ["eapol", "eapol", "eapol", "deauth 15", "remove"]);
}
