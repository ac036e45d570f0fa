//! Association and the handshakes of a PSK device, against messages made by hand.

mod common;

use common::*;
use dot11::eapol::key::{KeyFrame, KeyInfo};
use dot11::element::{ElementId, Elements, Ssid};
use dot11::frame::management::AssociationRequest;
use dot11::rsn;
use dot11::{Akm, Frame, MacAddr, ManagementSubtype, ReasonCode, StatusCode};
use station::data::Shape;
use station::mlme::Stage;
use station::supplicant::{Discard, RepeatedM4};
use station::{Command, Event, Profile};

const AKMS: [Akm; 2] = [Akm::Psk, Akm::PskSha256];
const SERVER: MacAddr = MacAddr([0x02, 0xcc, 0, 0, 0, 9]);

fn online(akm: Akm) -> (Bench, TestAp) {
    let (mut bench, mut ap) = (Bench::psk(akm), TestAp::new(akm));
    bench.associate(&ap);
    bench.handshake(&mut ap);
    (bench, ap)
}

#[test]
fn connects_and_exchanges_data_under_either_psk_suite() {
    for akm in AKMS {
        let (mut bench, mut ap) = online(akm);
        let up = ethernet(SERVER, STA, b"up");
        bench.command(Command::Send { ethernet: up.clone(), tid: 0, shape: Shape::Whole });
        let frame = bench.frame();
        assert_eq!(ap.open(&frame), (up, true));
        let down = ethernet(STA, SERVER, b"down");
        let frame = ap.data(&down, false);
        bench.receive(&frame);
        assert_eq!(bench.events(), [Event::Ethernet(down)]);
        bench.receive(&frame);
        assert_eq!((bench.events().len(), bench.device.counters().replays), (0, 1));
        let group = ethernet(MacAddr::BROADCAST, SERVER, b"all");
        for (pn, events, replays) in [(9, 0, 2), (10, 1, 2), (10, 0, 3)] {
            bench.receive(&ap.group_data(1, GTK, pn, &group));
            assert_eq!((bench.events().len(), bench.device.counters().replays), (events, replays));
        }
    }
}

#[test]
fn association_request_and_message_2_carry_the_same_rsne() {
    let (mut bench, mut ap) = (Bench::psk(Akm::Psk), TestAp::new(Akm::Psk));
    bench.command(Command::Connect);
    bench.receive(&ap.beacon(ManagementSubtype::Beacon));
    bench.receive(&ap.authentication(StatusCode::SUCCESS));
    let request = bench.frames().pop().unwrap();
    let body = Frame::parse(&request).unwrap();
    let request = AssociationRequest::parse(body.body()).unwrap();
    assert_eq!(request.elements.ssid(), Some(Ssid::try_from(SSID)));
    assert!(request.elements.has_wmm());
    let rsne = request.elements.rsn().unwrap().unwrap();
    assert_eq!((rsne.akms, rsne.pairwise.len()), (vec![Akm::Psk], 1));
    let sent = request.elements.find_whole(ElementId::RSN).unwrap().to_vec();
    bench.receive(&ap.association(StatusCode::SUCCESS, false));
    let m1 = ap.m1();
    let m1 = ap.eapol(&m1, true);
    bench.receive(&m1);
    let (m2, _) = bench.eapol(&mut ap);
    assert_eq!(KeyFrame::parse(&m2).unwrap().key_data(), sent);
}

#[test]
fn repeats_unanswered_requests_and_gives_up() {
    let (mut bench, ap) = (Bench::psk(Akm::Psk), TestAp::new(Akm::Psk));
    bench.command(Command::Connect);
    for _ in 0..3 {
        assert_eq!(subtype(&bench.frame()), ManagementSubtype::ProbeRequest);
        bench.next_timeout();
    }
    bench.frames();
    bench.receive(&ap.beacon(ManagementSubtype::ProbeResponse));
    for _ in 0..4 {
        assert_eq!(subtype(&bench.frame()), ManagementSubtype::Authentication);
        bench.next_timeout();
    }
    assert_eq!(bench.events(), [Event::NoAnswer(Stage::Authentication)]);
    assert_eq!(bench.device.next_timeout(), None);
}

#[test]
fn refusals_are_reported_and_tried_again_after_a_while() {
    let mut profile = psk_profile(Akm::Psk);
    profile.reconnect = Some(std::time::Duration::from_secs(2));
    let (mut bench, ap) = (Bench::new(profile), TestAp::new(Akm::Psk));
    bench.command(Command::Connect);
    bench.receive(&ap.beacon(ManagementSubtype::ProbeResponse));
    bench.receive(&ap.authentication(StatusCode::SUCCESS));
    bench.receive(&ap.association(StatusCode::DENIED_NO_MORE_STAS, false));
    let refused = Event::Refused { stage: Stage::Association, status: StatusCode::DENIED_NO_MORE_STAS };
    assert_eq!(bench.events(), [refused]);
    bench.frames();
    let began = bench.now;
    bench.next_timeout();
    assert_eq!((bench.now - began).as_secs(), 2);
    assert_eq!(subtype(&bench.frame()), ManagementSubtype::ProbeRequest);
}

#[test]
fn leaves_when_the_access_point_says_so() {
    let (mut bench, ap) = online(Akm::Psk);
    bench.receive(&ap.deauthentication(ReasonCode::INACTIVITY));
    assert_eq!(
        bench.events(),
        [Event::Disconnected { reason: ReasonCode::INACTIVITY, by_access_point: true }]
    );
    assert!(!bench.device.is_online() && bench.device.data_path().is_none());
}

#[test]
fn notices_that_beacons_stopped() {
    let (mut bench, ap) = online(Akm::Psk);
    bench.receive(&ap.beacon(ManagementSubtype::Beacon));
    bench.next_timeout();
    assert_eq!(bench.events(), [Event::BeaconsLost]);
}

#[test]
fn a_repeated_message_1_gets_the_same_snonce_and_either_message_2_may_be_answered() {
    let (mut bench, mut ap) = (Bench::psk(Akm::Psk), TestAp::new(Akm::Psk));
    bench.associate(&ap);
    let mut answers = Vec::new();
    for _ in 0..2 {
        let m1 = ap.m1();
        let m1 = ap.eapol(&m1, true);
        bench.receive(&m1);
        answers.push(bench.eapol(&mut ap).0);
    }
    let nonces: Vec<_> = answers.iter().map(|m2| KeyFrame::parse(m2).unwrap().nonce()).collect();
    assert_eq!(nonces[0], nonces[1]);
    ap.take_m2(&answers[1], STA);
    let m3 = ap.m3();
    let m3 = ap.eapol(&m3, true);
    bench.receive(&m3);
    assert!(bench.events().contains(&Event::Online));
}

#[test]
fn a_repeated_message_3_is_answered_and_installs_nothing_again() {
    for (mode, encrypted) in [(RepeatedM4::AsAsked, false), (RepeatedM4::Encrypted, true)] {
        let mut profile = psk_profile(Akm::Psk);
        profile.repeated_m4 = mode;
        let (mut bench, mut ap) = (Bench::new(profile), TestAp::new(Akm::Psk));
        bench.associate(&ap);
        bench.handshake(&mut ap);
        let up = ethernet(SERVER, STA, b"up");
        bench.command(Command::Send { ethernet: up, tid: 0, shape: Shape::Whole });
        bench.frame();
        bench.receive(&ap.group_data(1, GTK, 50, &ethernet(MacAddr::BROADCAST, SERVER, b"all")));
        let sent = bench.device.data_path().unwrap().keys().unwrap().packet_number();
        // A message 1 that anybody could forge must not spoil it.
        let forged = TestAp { anonce: [0xee; 32], replay: 40, ..TestAp::new(Akm::Psk) }.m1();
        let forged = ap.eapol(&forged, true);
        bench.receive(&forged);
        bench.frames();
        bench.events();
        let m3 = ap.m3();
        let m3 = ap.eapol(&m3, true);
        bench.receive(&m3);
        let frame = bench.frame();
        let (ethernet_m4, protected) = ap.open(&frame);
        let m4 = station::data::eapol_of(&ethernet_m4).unwrap();
        assert_eq!(protected, encrypted);
        assert!(rsn::verify_mic(Akm::Psk, &ap.ptk.as_ref().unwrap().kck, m4));
        assert_eq!(bench.events(), []);
        assert!(bench.device.data_path().unwrap().keys().unwrap().packet_number() >= sent);
        // The group key's replay counter did not go back to the RSC of message 3.
        bench.receive(&ap.group_data(1, GTK, 50, &ethernet(MacAddr::BROADCAST, SERVER, b"all")));
        assert_eq!(bench.events(), []);
    }
}

#[test]
fn handshake_messages_that_do_not_fit_are_discarded() {
    let (mut bench, mut ap) = (Bench::psk(Akm::Psk), TestAp::new(Akm::Psk));
    bench.associate(&ap);
    let m1 = ap.m1();
    let m1 = ap.eapol(&m1, true);
    bench.receive(&m1);
    let (m2, _) = bench.eapol(&mut ap);
    ap.take_m2(&m2, STA);
    let m3 = ap.m3();
    let mut discarded = |bench: &mut Bench, pdu: &[u8], why: Discard| {
        let frame = ap.eapol(pdu, true);
        bench.receive(&frame);
        assert_eq!((bench.frames().len(), bench.events()), (0, vec![Event::Discarded(why)]));
    };
    let mut mic = m3.clone();
    mic[81] ^= 1;
    discarded(&mut bench, &mic, Discard::Mic);
    let mut nonce = m3.clone();
    nonce[17] ^= 1;
    discarded(&mut bench, &nonce, Discard::NonceMismatch);
    let mut version = m3.clone();
    version[6] ^= 1;
    discarded(&mut bench, &version, Discard::Unexpected);
    let mut length = m3.clone();
    length[97] = 0xff;
    discarded(&mut bench, &length, Discard::Malformed);
    discarded(&mut bench, &m2, Discard::Unexpected);
    let good = ap.eapol(&m3, true);
    bench.receive(&good);
    bench.frame();
    assert!(bench.events().contains(&Event::Online));
    bench.receive(&good);
    assert_eq!(bench.events(), [Event::Discarded(Discard::Replay)]);
}

#[test]
fn an_rsne_other_than_the_beacons_ends_the_association() {
    for with_rsnxe in [false, true] {
        let (mut bench, mut ap) = (Bench::psk(Akm::Psk), TestAp::new(Akm::Psk));
        ap.rsnxe = with_rsnxe;
        bench.associate(&ap);
        let m1 = ap.m1();
        let m1 = ap.eapol(&m1, true);
        bench.receive(&m1);
        let (m2, _) = bench.eapol(&mut ap);
        ap.take_m2(&m2, STA);
        let mut elements = ap.rsne();
        if !with_rsnxe {
            *elements.last_mut().unwrap() ^= 1;
        }
        let m3 = ap.m3_with(&elements, 1, GTK);
        let m3 = ap.eapol(&m3, true);
        bench.receive(&m3);
        let reason = ReasonCode::HANDSHAKE_ELEMENT_MISMATCH;
        assert_eq!(bench.events(), [Event::Disconnected { reason, by_access_point: false }]);
        assert_eq!(subtype(&bench.frame()), ManagementSubtype::Deauthentication);
    }
}

#[test]
fn an_rsnxe_that_is_repeated_is_accepted() {
    let (mut bench, mut ap) = (Bench::psk(Akm::PskSha256), TestAp::new(Akm::PskSha256));
    ap.rsnxe = true;
    assert!(Elements::new(&ap.rsnxe_bytes()).find(ElementId::RSNX).is_some());
    bench.associate(&ap);
    bench.handshake(&mut ap);
}

#[test]
fn a_wrong_passphrase_ends_in_a_time_out() {
    let mut bench = Bench::new(Profile::psk(SSID, "wrong horse", Akm::Psk).unwrap());
    let mut ap = TestAp::new(Akm::Psk);
    bench.associate(&ap);
    let m1 = ap.m1();
    let m1 = ap.eapol(&m1, true);
    bench.receive(&m1);
    let (m2, _) = bench.eapol(&mut ap);
    let nonce = KeyFrame::parse(&m2).unwrap().nonce();
    let ptk = rsn::derive_ptk(ap.akm, &ap.pmk, AP, STA, &ap.anonce, &nonce).unwrap();
    assert!(!rsn::verify_mic(ap.akm, &ptk.kck, &m2));
    bench.next_timeout();
    let reason = ReasonCode::FOURWAY_HANDSHAKE_TIMEOUT;
    assert_eq!(bench.events(), [Event::Disconnected { reason, by_access_point: false }]);
}

#[test]
fn the_group_key_is_renewed_and_a_repetition_does_not_reinstall_it() {
    let (mut bench, mut ap) = online(Akm::PskSha256);
    let group = ethernet(MacAddr::BROADCAST, SERVER, b"all");
    let fresh = [0x48; 16];
    for accepted in [true, false] {
        let g1 = ap.group_m1(2, fresh);
        let g1 = ap.eapol(&g1, false);
        bench.receive(&g1);
        let (g2, protected) = bench.eapol(&mut ap);
        assert!(protected && rsn::verify_mic(ap.akm, &ap.ptk.as_ref().unwrap().kck, &g2));
        let info = KeyFrame::parse(&g2).unwrap().info();
        assert!(!info.pairwise() && info.secure() && !info.ack());
        assert_eq!(bench.events(), [Event::GroupRekeyed]);
        bench.receive(&ap.group_data(2, fresh, 10, &group));
        assert_eq!(!bench.events().is_empty(), accepted);
    }
    // The key before it still serves frames under way.
    bench.receive(&ap.group_data(1, GTK, 11, &group));
    assert_eq!(bench.events(), [Event::Ethernet(group)]);
}

#[test]
fn the_pairwise_key_is_renewed_in_place() {
    let (mut bench, mut ap) = online(Akm::Psk);
    ap.anonce = [0xa1; 32];
    let m1 = ap.m1();
    let m1 = ap.eapol(&m1, false);
    bench.receive(&m1);
    let (m2, protected) = bench.eapol(&mut ap);
    assert!(protected && KeyFrame::parse(&m2).unwrap().info().contains(KeyInfo::SECURE));
    ap.take_m2(&m2, STA);
    let m3 = ap.m3();
    let m3 = ap.eapol(&m3, false);
    bench.receive(&m3);
    // Message 4 still travels under the old key.
    assert!(bench.eapol(&mut ap).1);
    assert_eq!(bench.events(), [Event::Rekeyed]);
    ap.tk = ap.ptk.as_ref().map(|ptk| ptk.tk.clone());
    (ap.sent, ap.last_heard) = Default::default();
    let down = ethernet(STA, SERVER, b"down");
    let frame = ap.data(&down, false);
    bench.receive(&frame);
    assert_eq!(bench.events(), [Event::Ethernet(down)]);
    let up = ethernet(SERVER, STA, b"up");
    bench.command(Command::Send { ethernet: up.clone(), tid: 0, shape: Shape::Whole });
    let frame = bench.frame();
    assert_eq!(ap.open(&frame).0, up);
    assert_eq!(ap.last_heard.value(), 1);
    // The group key was the same and kept its replay counter.
    bench.receive(&ap.group_data(1, GTK, 9, &ethernet(MacAddr::BROADCAST, SERVER, b"all")));
    assert_eq!(bench.events(), []);
}

#[test]
fn the_device_asks_for_a_new_key() {
    let (mut bench, mut ap) = online(Akm::Psk);
    for (pairwise, counter) in [(true, 0), (false, 1)] {
        bench.command(Command::RequestRekey { pairwise });
        let (request, protected) = bench.eapol(&mut ap);
        let frame = KeyFrame::parse(&request).unwrap();
        assert!(protected && frame.info().request() && frame.info().pairwise() == pairwise);
        assert_eq!(frame.replay_counter(), counter);
        assert!(rsn::verify_mic(ap.akm, &ap.ptk.as_ref().unwrap().kck, &request));
    }
}

#[test]
fn roams_by_reassociation() {
    let (mut bench, mut ap) = online(Akm::Psk);
    let other = MacAddr([0x02, 0xaa, 0, 0, 0, 2]);
    bench.command(Command::Roam(None));
    bench.frames();
    bench.receive(&ap.beacon(ManagementSubtype::Beacon));
    assert_eq!(bench.frames().len(), 0, "took the BSS it wants to leave");
    ap = TestAp { bssid: other, ..TestAp::new(Akm::Psk) };
    bench.receive(&ap.beacon(ManagementSubtype::Beacon));
    bench.receive(&ap.authentication(StatusCode::SUCCESS));
    let request = bench.frames().pop().unwrap();
    assert_eq!(subtype(&request), ManagementSubtype::ReassociationRequest);
    assert_eq!(request[24 + 4..24 + 10], AP.0);
    bench.receive(&ap.association(StatusCode::SUCCESS, true));
    assert!(matches!(bench.events()[..], [Event::Associated { reassociated: true, .. }]));
    bench.handshake(&mut ap);
}
