//! The 4-way handshake with passphrases (802.11-2020 §12.7.6), driven frame by frame.

mod common;

use std::time::Duration;

use authenticator::{Discard, Event, Input, Limits, NamedPsk, Output, Service, State};
use common::peer::{Peer, counter};
use common::{BSSID, Lab, MAC, Request, deauthentication, logged, named, pmk, psk_service};
use dot11::MacAddr;
use dot11::eapol::key::{KeyFrameBuilder, KeyInfo};
use dot11::rsn::Akm;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn request() -> Request {
    Request::akm(Akm::Psk)
}

fn peer() -> Peer {
    Peer::new(Akm::Psk, pmk("correct horse"), &request())
}

/// A station that has been brought online.
fn online(service: Service) -> (Lab, Peer) {
    let mut lab = Lab::new(service);
    let message1 = lab.join(&request()).expect("message 1");
    let mut peer = peer();
    peer.handshake(&mut lab, &message1, false);
    assert_eq!(lab.station.state(), State::Online);
    (lab, peer)
}

fn installed_key(outputs: &[Output]) -> Option<[u8; 16]> {
    outputs.iter().find_map(|output| match output {
        Output::InstallKey { tk, .. } => Some(*tk.as_bytes()),
        _ => None,
    })
}

fn discards(outputs: &[Output]) -> Vec<Discard> {
    logged(outputs)
        .into_iter()
        .filter_map(|event| match event {
            Event::Discarded(why) => Some(*why),
            _ => None,
        })
        .collect()
}

#[test]
fn a_device_with_the_passphrase_gets_online() {
    for akm in [Akm::Psk, Akm::PskSha256] {
        let mut lab = Lab::new(psk_service());
        let request = Request::akm(akm);
        let message1 = lab.join(&request).expect("message 1");
        let mut peer = Peer::new(akm, pmk("correct horse"), &request);
        lab.group_pn = 0x0102_0304_0506;
        let group = peer.handshake(&mut lab, &message1, false);
        let outputs = lab.take();
        assert_eq!(installed_key(&outputs), peer.ptk.as_ref().map(|ptk| *ptk.tk.as_bytes()));
        let kinds: Vec<_> = outputs.iter().filter_map(common::kind).collect();
        assert_eq!(kinds, ["key 0 replaces=false", "open", "start"]);
        assert_eq!(lab.station.state(), State::Online);
        let info = lab.station.info();
        assert_eq!((info.akm, info.psk.as_deref()), (Some(akm), Some("home")));
        // The group key is the gateway's, and its packet number the RSC.
        let (installed, transmit) = &lab.group_keys[0];
        assert!(transmit);
        assert_eq!((group.key_id, &group.gtk[..]), (installed.key_id, &installed.gtk.as_bytes()[..]));
        assert_eq!(group.rsc, [6, 5, 4, 3, 2, 1, 0, 0]);
        assert!(lab.station.next_timeout().is_none(), "nothing is left to wait for");
    }
}

#[test]
fn message_2_tells_which_passphrase_it_is() {
    let other = MacAddr([2, 0xdd, 0, 0, 0, 2]);
    let passphrases = vec![
        NamedPsk { vlan: Some(10), ..named("staff", "staff staff") },
        NamedPsk { client: Some(other), ..named("of another", "of another") },
        NamedPsk { client: Some(MAC), vlan: Some(30), ..named("of this one", "of this one") },
        named("guests", "guests guests"),
    ];
    let cases = [
        ("staff staff", Some(("staff", Some(10)))),
        ("of another", None),
        ("of this one", Some(("of this one", Some(30)))),
        ("guests guests", Some(("guests", None))),
        ("nobody's own", None),
    ];
    for (passphrase, expected) in cases {
        let mut lab = Lab::new(Service::psk(common::SSID, passphrases.clone()));
        let message1 = lab.join(&request()).expect("message 1");
        let mut peer = Peer::new(Akm::Psk, pmk(passphrase), &request());
        let Some((name, vlan)) = expected else {
            let message2 = peer.message2(&message1);
            lab.eapol(&message2, false);
            assert_eq!(discards(&lab.take()), [Discard::Mic]);
            continue;
        };
        peer.handshake(&mut lab, &message1, false);
        let info = lab.station.info();
        assert_eq!((info.psk.as_deref(), info.vlan), (Some(name), vlan));
        let open = vlan.map_or("open".to_string(), |vlan| format!("open vlan={vlan}"));
        assert!(lab.kinds().contains(&open));
    }
}

#[test]
fn message_1_is_sent_four_times() {
    let mut lab = Lab::new(psk_service());
    let first = lab.join(&request()).expect("message 1");
    let mut counters = vec![counter(&first)];
    for wait in [99, 1, 999, 1, 999, 1] {
        lab.pass(wait * MILLISECOND);
        let sent = lab.sent_eapol();
        assert_eq!(sent.len(), usize::from(wait == 1));
        for (pdu, ..) in sent {
            assert_eq!(pdu[17..49], first[17..49], "the same ANonce");
            counters.push(counter(&pdu));
        }
    }
    assert_eq!(counters, [1, 2, 3, 4]);
    lab.pass(SECOND);
    assert_eq!(lab.kinds(), ["deauth 15", "remove"]);
    assert_eq!(lab.station.state(), State::Unauthenticated);
}

#[test]
fn an_answer_to_any_transmission_will_do() {
    for answered in 0..4 {
        let mut lab = Lab::new(psk_service());
        let mut sent = vec![lab.join(&request()).expect("message 1")];
        lab.pass(Duration::from_millis(2200));
        sent.extend(lab.sent_eapol().into_iter().map(|(pdu, ..)| pdu));
        assert_eq!(sent.len(), 4);
        let mut peer = peer();
        let message2 = peer.message2(&sent[answered]);
        lab.eapol(&message2, false);
        let message3 = lab.sent_eapol().pop().expect("message 3").0;
        // The same again has no effect.
        lab.eapol(&message2, false);
        assert_eq!(lab.kinds(), Vec::<String>::new());
        // Message 4 is lost until the last transmission of message 3.
        let mut message3s = vec![message3];
        lab.pass(Duration::from_millis(2200));
        message3s.extend(lab.sent_eapol().into_iter().map(|(pdu, ..)| pdu));
        assert_eq!(message3s.len(), 4);
        let counters: Vec<_> = message3s.iter().map(|pdu| counter(pdu)).collect();
        assert_eq!(counters, [5, 6, 7, 8]);
        let rsne = lab.service().rsne().expect("RSNE");
        let (message4, _) = peer.message4(&message3s[answered], &rsne);
        lab.eapol(&message4, false);
        assert_eq!(lab.kinds(), ["key 0 replaces=false", "open", "start"]);
        // A copy finds no handshake.
        lab.eapol(&message4, false);
        lab.eapol(&message4, true);
        assert_eq!(discards(&lab.take()), [Discard::Unexpected, Discard::Unexpected]);
    }
}

#[test]
fn message_3_unanswered_ends_it_and_is_not_held_against_the_device() {
    let mut lab = Lab::new(psk_service());
    let message1 = lab.join(&request()).expect("message 1");
    let message2 = peer().message2(&message1);
    lab.eapol(&message2, false);
    lab.pass(Duration::from_millis(3100));
    assert_eq!(lab.kinds(), ["eapol", "eapol", "eapol", "eapol", "deauth 15", "remove"]);
}

#[test]
fn a_wrong_passphrase_never_opens_the_port_and_blocks_in_the_end() {
    let limits = Limits { max_failures: 3, ..Limits::default() };
    let mut lab = Lab::new(Service { limits, ..psk_service() });
    for attempt in 1..=3 {
        let mut wrong = Peer::new(Akm::Psk, pmk("incorrect"), &request());
        let mut message1s = vec![lab.join(&request()).expect("message 1")];
        for _ in 0..4 {
            let message1 = message1s.pop().expect("message 1");
            let message2 = wrong.message2(&message1);
            lab.eapol(&message2, false);
            lab.pass(SECOND);
            let outputs = lab.take();
            assert!(discards(&outputs).contains(&Discard::Mic));
            for output in outputs {
                match output {
                    Output::SendEapol { pdu, .. } => message1s.push(pdu),
                    other => lab.outputs.push_back(other),
                }
            }
        }
        let blocked = if attempt == 3 { " blocked" } else { "" };
        let expected = ["deauth 15", &format!("failed WrongPassphrase{blocked}"), "remove"];
        assert_eq!(lab.kinds(), expected, "one failure for one attempt");
    }
    lab.authenticate();
    assert_eq!(lab.kinds(), ["auth 1"]);
    let (mac, until) = lab.failures.iter_blocked(lab.now).next().expect("blocked");
    assert_eq!((mac, until - lab.now <= Duration::from_secs(60)), (MAC, true));
    lab.pass(Duration::from_secs(60));
    let message1 = lab.join(&request()).expect("message 1");
    peer().handshake(&mut lab, &message1, false);
    assert_eq!(lab.station.state(), State::Online);
}

#[test]
fn the_right_passphrase_clears_the_sheet() {
    let limits = Limits { max_failures: 2, ..Limits::default() };
    let mut lab = Lab::new(Service { limits, ..psk_service() });
    lab.failures.failed(lab.now, MAC);
    let message1 = lab.join(&request()).expect("message 1");
    peer().handshake(&mut lab, &message1, false);
    assert_eq!(lab.failures.failed(lab.now, MAC), None);
}

#[test]
fn message_4_must_be_authentic() {
    let mut lab = Lab::new(psk_service());
    let message1 = lab.join(&request()).expect("message 1");
    let mut peer = peer();
    let message2 = peer.message2(&message1);
    lab.eapol(&message2, false);
    let message3 = lab.sent_eapol().pop().expect("message 3").0;
    let rsne = lab.service().rsne().expect("RSNE");
    let (message4, _) = peer.message4(&message3, &rsne);
    for bit in [5 * 8, 20 * 8, 70 * 8, 85 * 8] {
        let mut forged = message4.clone();
        forged[bit / 8] ^= 1;
        lab.eapol(&forged, false);
        assert!(lab.kinds().is_empty());
        assert_eq!(lab.station.state(), State::Associated);
    }
    lab.eapol(&message4, false);
    assert_eq!(lab.station.state(), State::Online);
}

#[test]
fn leaving_or_asking_again_does_not_hide_a_wrong_guess() {
    let guess = |lab: &mut Lab| {
        let message1 = lab.join(&request()).expect("message 1");
        let message2 = Peer::new(Akm::Psk, pmk("incorrect"), &request()).message2(&message1);
        lab.eapol(&message2, false);
        lab.take();
    };
    let limits = Limits { max_failures: 4, ..Limits::default() };
    let mut lab = Lab::new(Service { limits, ..psk_service() });
    guess(&mut lab);
    lab.management(&deauthentication(3));
    assert_eq!(lab.kinds(), ["failed WrongPassphrase", "remove"]);
    guess(&mut lab);
    lab.management(&common::disassociation(8));
    assert_eq!(lab.kinds(), ["failed WrongPassphrase", "remove"]);
    guess(&mut lab);
    lab.associate(&request());
    let expected = ["failed WrongPassphrase", "add aid=1 qos=true protect=true", "assoc 0", "eapol"];
    assert_eq!(lab.kinds(), expected);
    guess(&mut lab);
    lab.associate(&request());
    assert_eq!(lab.kinds(), ["failed WrongPassphrase blocked", "assoc 1", "remove"]);
    assert_eq!(lab.station.state(), State::Unauthenticated);
}

#[test]
fn one_message_1_is_good_for_one_guess() {
    let mut lab = Lab::new(psk_service());
    let message1 = lab.join(&request()).expect("message 1");
    let wrong = Peer::new(Akm::Psk, pmk("incorrect"), &request()).message2(&message1);
    lab.eapol(&wrong, false);
    let right = peer().message2(&message1);
    lab.eapol(&right, false);
    assert_eq!(discards(&lab.take()), [Discard::Mic, Discard::ReplayCounter]);
    // But a right one after it, to the next message 1, is in time.
    lab.pass(100 * MILLISECOND);
    let message1 = lab.sent_eapol().pop().expect("message 1 again").0;
    peer().handshake(&mut lab, &message1, false);
    assert_eq!(lab.kinds(), ["key 0 replaces=false", "open", "start"]);
}

#[test]
fn a_device_that_draws_a_new_snonce_for_each_message_1_gets_in() {
    let mut lab = Lab::new(psk_service());
    let first = lab.join(&request()).expect("message 1");
    lab.pass(100 * MILLISECOND);
    let second = lab.sent_eapol().pop().expect("message 1 again").0;
    let mut peer = peer();
    let answer1 = peer.message2(&first);
    peer.snonce = [0xa5; 32];
    let answer2 = peer.message2(&second);
    lab.eapol(&answer1, false);
    lab.eapol(&answer2, false);
    let sent = lab.sent_eapol();
    assert_eq!(sent.len(), 2, "message 3 for each");
    // The device can make nothing of the first.
    let rsne = lab.service().rsne().expect("RSNE");
    let (message4, _) = peer.message4(&sent[1].0, &rsne);
    // Nor do we go back to the older SNonce.
    lab.eapol(&answer1, false);
    assert_eq!(discards(&lab.take()), [Discard::ReplayCounter]);
    lab.eapol(&message4, false);
    let outputs = lab.take();
    assert_eq!(installed_key(&outputs), peer.ptk.as_ref().map(|ptk| *ptk.tk.as_bytes()));
}

#[test]
fn changed_elements_in_message_2_end_it() {
    let rsnx =
        dot11::element::ElementsBuilder::new().element(dot11::element::ElementId::RSNX, &[0x20]).build();
    let good = Request { extra: rsnx.clone(), ..request() };
    let with = |key_data: Vec<u8>| {
        let mut lab = Lab::new(psk_service());
        let message1 = lab.join(&good).expect("message 1");
        let mut peer = peer();
        peer.rsne = key_data;
        let message2 = peer.message2(&message1);
        lab.eapol(&message2, false);
        lab.kinds()
    };
    let rsne = good.rsne.clone().expect("RSNE");
    let mut changed = rsne.clone();
    changed[20] ^= 0x80;
    let kde = [0xdd, 6, 0x00, 0x0f, 0xac, 10, 0, 0];
    assert_eq!(with([&rsne[..], &rsnx].concat()), ["eapol"]);
    assert_eq!(with([&rsne[..], &rsnx, &kde].concat()), ["eapol"]);
    for bad in [rsne.clone(), rsnx.clone(), Vec::new(), [&changed[..], &rsnx].concat()] {
        assert_eq!(with(bad), ["deauth 17", "remove"]);
    }
}

#[test]
fn what_does_not_fit_is_dropped() {
    let mut lab = Lab::new(psk_service());
    let message1 = lab.join(&request()).expect("message 1");
    let mut peer = peer();
    let good = peer.message2(&message1);
    let ptk = peer.ptk.clone().expect("a PTK");
    let build = |info: KeyInfo, replay_counter: u64| {
        let key_data = &peer.rsne[..];
        let nonce = peer.snonce;
        peer.sign(
            KeyFrameBuilder { info, replay_counter, nonce, key_data, ..KeyFrameBuilder::default() },
            &ptk,
        )
    };
    let mut unsigned = good.clone();
    unsigned[5] &= !1;
    let mut wpa = good.clone();
    wpa[4] = 254;
    let mut version3 = good.clone();
    version3[6] |= 3;
    let table = [
        (build(KeyInfo::PAIRWISE, 0), Discard::ReplayCounter),
        (build(KeyInfo::PAIRWISE, 2), Discard::ReplayCounter),
        (build(KeyInfo::PAIRWISE, u64::MAX), Discard::ReplayCounter),
        (build(KeyInfo::PAIRWISE.with(KeyInfo::ACK), 1), Discard::Malformed),
        (build(KeyInfo(0), 1), Discard::Unexpected),
        (build(KeyInfo::PAIRWISE.with(KeyInfo::REQUEST), 1), Discard::Unexpected),
        (unsigned, Discard::Malformed),
        (wpa, Discard::Malformed),
        (version3, Discard::Malformed),
        (good[..98].to_vec(), Discard::Malformed),
        (vec![2, 3, 0, 0], Discard::Malformed),
        (vec![2, 1, 0, 0], Discard::Unexpected),
        (vec![2, 2, 0, 0], Discard::Unexpected),
        (vec![2, 9, 0, 0], Discard::Unexpected),
        (vec![], Discard::Malformed),
    ];
    for (index, (pdu, why)) in table.into_iter().enumerate() {
        lab.eapol(&pdu, false);
        assert_eq!(discards(&lab.take()), [why], "case {index}");
    }
    lab.eapol(&good, true);
    assert_eq!(discards(&lab.take()), [Discard::Unexpected], "there is no key it could be under");
    lab.eapol(&good, false);
    assert_eq!(lab.kinds(), ["eapol"]);
}

#[test]
fn the_pairwise_key_is_replaced_on_time_on_command_and_on_request() {
    let mut service = psk_service();
    service.timings.ptk_rekey = Some(Duration::from_secs(600));
    let (mut lab, mut peer) = online(service);
    let first = installed_key(&lab.take());
    let session = lab.station.info().session;

    lab.pass(Duration::from_secs(600));
    let mut sent = lab.sent_eapol();
    let (message1, protect, hold) = sent.pop().expect("message 1");
    assert!(protect && !hold);
    peer.snonce = [1; 32];
    // wpa_supplicant sends message 4 of a rekey in the clear.
    let message2 = peer.message2(&message1);
    lab.eapol(&message2, true);
    let (message3, protect, hold) = lab.sent_eapol().pop().expect("message 3");
    assert!(protect && hold);
    let rsne = lab.service().rsne().expect("RSNE");
    let (message4, _) = peer.message4(&message3, &rsne);
    lab.eapol(&message4, false);
    let outputs = lab.take();
    let second = installed_key(&outputs);
    assert_ne!(first, second);
    let kinds: Vec<_> = outputs.iter().filter_map(common::kind).collect();
    assert_eq!(kinds, ["key 0 replaces=true"], "no second session");
    assert_eq!(lab.station.info().session, session);

    lab.input(Input::RekeyPairwise);
    lab.input(Input::RekeyPairwise);
    let sent = lab.sent_eapol();
    assert_eq!(sent.len(), 1, "one at a time");
    // A forged message 2 is no obstacle to the right one.
    let mut forged = peer.message2(&sent[0].0);
    forged[20] ^= 1;
    lab.eapol(&forged, false);
    assert_eq!(discards(&lab.take()), [Discard::Mic]);
    peer.handshake(&mut lab, &sent[0].0, true);
    assert_eq!(lab.kinds(), ["key 0 replaces=true"]);

    let ask = peer.request(KeyInfo::PAIRWISE, 7);
    lab.eapol(&ask, true);
    let message1 = lab.sent_eapol().pop().expect("message 1").0;
    peer.handshake(&mut lab, &message1, true);
    assert_eq!(lab.kinds(), ["key 0 replaces=true"]);
    // Under the key that was replaced the request is worth nothing.
    lab.eapol(&ask, true);
    assert_eq!(discards(&lab.take()), [Discard::Mic]);
    for (replay_counter, why) in
        [(9, None), (9, Some(Discard::ReplayCounter)), (8, Some(Discard::ReplayCounter))]
    {
        let ask = peer.request(KeyInfo(0), replay_counter);
        lab.eapol(&ask, true);
        match why {
            Some(why) => assert_eq!(discards(&lab.take()), [why]),
            None => assert_eq!(lab.kinds(), ["eapol protected"], "the group key it is"),
        }
    }
    // A Michael failure report means nothing to CCMP, though it is the device that says so.
    let report = peer.request(KeyInfo::PAIRWISE.with(KeyInfo::ERROR), 10);
    lab.eapol(&report, true);
    assert_eq!(discards(&lab.take()), [Discard::Unexpected]);
}

#[test]
fn a_rekey_without_answer_ends_the_session() {
    let (mut lab, _) = online(psk_service());
    lab.take();
    lab.input(Input::RekeyPairwise);
    lab.pass(Duration::from_millis(3100));
    let expected = ["eapol protected"; 4].into_iter().chain(["deauth 15", "remove", "stop NasRequest"]);
    assert_eq!(lab.kinds(), expected.collect::<Vec<_>>());
}

#[test]
fn associating_again_keeps_the_session_and_makes_new_keys() {
    let (mut lab, _) = online(psk_service());
    let before = installed_key(&lab.take());
    let session = lab.station.info().session;
    assert!(session.is_some());
    lab.associate(&request().again());
    let sent = lab.take();
    let kinds: Vec<_> = sent.iter().filter_map(common::kind).collect();
    assert_eq!(kinds, ["close", "add aid=1 qos=true protect=true", "reassoc 0", "eapol"]);
    assert_eq!(lab.station.state(), State::Associated);
    assert_eq!(lab.station.info().session, session);
    let message1 = sent.iter().find_map(|output| match output {
        Output::SendEapol { pdu, .. } => Some(pdu.clone()),
        _ => None,
    });
    let message1 = message1.expect("message 1");
    assert!(counter(&message1) > 2, "the replay counter goes on");
    peer().handshake(&mut lab, &message1, false);
    let outputs = lab.take();
    assert_ne!(installed_key(&outputs), before);
    let kinds: Vec<_> = outputs.iter().filter_map(common::kind).collect();
    assert_eq!(kinds, ["key 0 replaces=false", "open"], "no second start");
    assert_eq!(lab.station.info().session, session);
}

#[test]
fn another_passphrase_is_another_session() {
    let passphrases = vec![named("home", "correct horse"), named("guests", "guests guests")];
    let (mut lab, _) = online(Service::psk(common::SSID, passphrases));
    lab.take();
    let message1 = lab.join(&request()).expect("message 1");
    Peer::new(Akm::Psk, pmk("guests guests"), &request()).handshake(&mut lab, &message1, false);
    assert_eq!(lab.kinds(), ["key 0 replaces=false", "open", "stop UserRequest", "start"]);
}

#[test]
fn authentication_in_the_name_of_a_device_online_does_it_no_harm() {
    let (mut lab, _) = online(psk_service());
    lab.take();
    lab.authenticate();
    assert_eq!(lab.kinds(), ["auth 0"]);
    assert_eq!(lab.station.state(), State::Online);
    lab.pass(Duration::from_secs(3600));
    assert_eq!(lab.station.state(), State::Online);
}

#[test]
fn keys_do_not_show_in_debug_output() {
    let (mut lab, peer) = online(psk_service());
    let outputs = lab.take();
    let shown = format!("{:?} {:?} {outputs:?}", lab.station, lab.bss);
    let ptk = peer.ptk.expect("a key");
    let gtk = lab.bss.group_key().expect("a key").gtk.clone();
    for secret in
        [&ptk.kck.as_bytes()[..], ptk.kek.as_bytes(), ptk.tk.as_bytes(), gtk.as_bytes(), peer.pmk.as_bytes()]
    {
        let plain = format!("{secret:?}");
        assert!(!shown.contains(plain.trim_matches(['[', ']'])));
    }
    assert!(shown.contains(&BSSID.to_string()));
}
