//! The group key's generations (802.11-2020 §12.7.7) and what survives a restart.

mod common;

use std::sync::Arc;
use std::time::Duration;

use authenticator::{Bss, Environment, Input, NamedPsk, RestoreError, Service, State, Station, Time};
use common::peer::{Peer, counter};
use common::{BSSID, Lab, MAC, Request, deauthentication, named, pmk, psk_service};
use dot11::MacAddr;
use dot11::rsn::Akm;

const SECOND: Duration = Duration::from_secs(1);

fn request() -> Request {
    Request::akm(Akm::Psk)
}

fn online(service: Service) -> (Lab, Peer) {
    let mut lab = Lab::new(service);
    let message1 = lab.join(&request()).expect("message 1");
    let mut peer = Peer::new(Akm::Psk, pmk("correct horse"), &request());
    peer.handshake(&mut lab, &message1, false);
    lab.take();
    (lab, peer)
}

/// Key id and use of the group keys installed.
fn installed(lab: &Lab) -> Vec<(u8, bool)> {
    lab.group_keys.iter().map(|(key, transmit)| (key.key_id, *transmit)).collect()
}

#[test]
fn a_new_group_key_is_used_once_everybody_has_it() {
    let (mut lab, mut peer) = online(psk_service());
    lab.group_pn = 1000;
    lab.rekey_group();
    assert_eq!(installed(&lab), [(1, true), (2, false)]);
    let sent = lab.sent_eapol();
    let [(message1, true, false)] = &sent[..] else { panic!("one protected PDU, not {sent:?}") };
    let (message2, key) = peer.group_message2(message1);
    assert_eq!((key.key_id, key.rsc), (2, [0; 8]), "nothing was sent under it yet");
    assert_eq!(&key.gtk[..], lab.group_keys[1].0.gtk.as_bytes());
    assert_ne!(lab.group_keys[0].0.gtk, lab.group_keys[1].0.gtk);
    lab.eapol(&message2, true);
    assert_eq!(lab.kinds(), ["group 2"]);
    assert_eq!(installed(&lab), [(1, true), (2, false), (2, true)]);
    // Once more, and the key id is 1 again. The RSC is the gateway's.
    lab.rekey_group();
    let (message1, ..) = lab.sent_eapol().pop().expect("message 1");
    let (message2, key) = peer.group_message2(&message1);
    assert_eq!(key.key_id, 1);
    // A copy, a wrong counter, a wrong MIC, and then the right one.
    let mut wrong = message2.clone();
    wrong[90] ^= 1;
    lab.eapol(&wrong, true);
    assert!(lab.kinds().is_empty());
    lab.eapol(&message2, true);
    lab.eapol(&message2, true);
    assert_eq!(lab.kinds(), ["group 1"]);
    assert!(lab.station.next_timeout().is_none());
}

#[test]
fn who_does_not_take_the_group_key_is_sent_away() {
    let (mut lab, _) = online(psk_service());
    lab.rekey_group();
    lab.pass(Duration::from_millis(3099));
    assert_eq!(lab.kinds(), ["eapol protected"; 4]);
    assert_eq!(installed(&lab), [(1, true), (2, false)]);
    lab.pass(Duration::from_millis(1));
    assert_eq!(lab.kinds(), ["group 2 failed", "deauth 16", "remove", "stop NasRequest"]);
    assert_eq!(installed(&lab), [(1, true), (2, false), (2, true)], "nobody is left to wait for");
}

#[test]
fn an_answer_to_any_transmission_will_do() {
    let (mut lab, mut peer) = online(psk_service());
    lab.rekey_group();
    lab.pass(Duration::from_millis(2200));
    let sent = lab.sent_eapol();
    let counters: Vec<_> = sent.iter().map(|(pdu, ..)| counter(pdu)).collect();
    assert!(counters.windows(2).all(|pair| pair[0] < pair[1]) && counters.len() == 4);
    let (message2, _) = peer.group_message2(&sent[1].0);
    lab.eapol(&message2, true);
    assert_eq!(lab.kinds(), ["group 2"]);
}

#[test]
fn the_group_key_grows_old() {
    let mut service = psk_service();
    service.timings.gtk_rekey = Some(Duration::from_secs(100));
    let mut lab = Lab::new(service);
    lab.pass(Duration::from_secs(250));
    let expected = [(1, true), (2, false), (2, true), (1, false), (1, true)];
    assert_eq!(installed(&lab), expected, "with nobody there it switches at once");
    let generations: Vec<_> = lab.group_keys.iter().map(|(key, _)| key.generation).collect();
    assert_eq!(generations, [1, 2, 2, 3, 3]);
}

#[test]
fn a_departure_changes_the_group_key_if_the_service_says_so() {
    for rekey_group_on_departure in [false, true] {
        let (mut lab, _) = online(Service { rekey_group_on_departure, ..psk_service() });
        lab.management(&deauthentication(3));
        assert_eq!(lab.group_keys.len(), if rekey_group_on_departure { 3 } else { 1 });
        // One that never had the key takes nothing with it.
        lab.join(&request());
        lab.management(&deauthentication(3));
        assert_eq!(lab.group_keys.len(), if rekey_group_on_departure { 3 } else { 1 });
    }
}

#[test]
fn a_change_during_a_handshake_is_made_up_for() {
    let mut lab = Lab::new(psk_service());
    let message1 = lab.join(&request()).expect("message 1");
    let mut peer = Peer::new(Akm::Psk, pmk("correct horse"), &request());
    let message2 = peer.message2(&message1);
    lab.eapol(&message2, false);
    let (message3, ..) = lab.sent_eapol().pop().expect("message 3");
    lab.rekey_group();
    let rsne = lab.service().rsne().expect("RSNE");
    let (message4, key) = peer.message4(&message3, &rsne);
    assert_eq!(key.key_id, 1, "the key of before");
    lab.eapol(&message4, false);
    assert_eq!(lab.kinds(), ["key 0 replaces=false", "open", "start", "eapol protected"]);
    // During a rekey of the pairwise key, message 3 brings it.
    let (mut lab, mut peer) = online(psk_service());
    lab.input(Input::RekeyPairwise);
    let (message1, ..) = lab.sent_eapol().pop().expect("message 1");
    lab.rekey_group();
    assert!(lab.kinds().is_empty(), "one handshake at a time");
    let key = peer.handshake(&mut lab, &message1, true);
    assert_eq!(key.key_id, 2);
    assert_eq!(lab.kinds(), ["key 0 replaces=true"]);
    assert_eq!(installed(&lab), [(1, true), (2, false), (2, true)]);
    // And a 4-way handshake that begins in the middle of the group's takes over.
    lab.rekey_group();
    lab.take();
    lab.input(Input::RekeyPairwise);
    let (message1, ..) = lab.sent_eapol().pop().expect("message 1");
    let key = peer.handshake(&mut lab, &message1, true);
    assert_eq!(key.key_id, 1);
    lab.pass(10 * SECOND);
    assert_eq!(lab.kinds(), ["key 0 replaces=true"], "the group handshake is off");
    assert_eq!(lab.station.state(), State::Online);
}

#[test]
fn who_associates_again_is_not_waited_for() {
    let (mut lab, _) = online(psk_service());
    lab.rekey_group();
    lab.input(Input::GroupKey);
    assert_eq!(lab.kinds(), ["eapol protected"], "once is enough");
    lab.associate(&request().again());
    assert_eq!(installed(&lab), [(1, true), (2, false), (2, true)]);
}

#[test]
fn the_rsc_is_that_of_the_key_in_use() {
    let mut service = psk_service();
    service.timings.group_update_count = 100;
    let (mut lab, mut peer) = online(service);
    lab.bss.note_group_pn(1000);
    lab.rekey_group();
    lab.pass(10 * SECOND);
    assert_eq!(installed(&lab), [(1, true), (2, false), (2, true)]);
    lab.take();
    // The device that did not answer is offered the key again, of which no packet number has been reported.
    restart(&mut lab);
    let (message1, ..) = lab.sent_eapol().pop().expect("message 1");
    assert_eq!(peer.group_message2(&message1).1.rsc, [0; 8]);
}

#[test]
fn transmission_switches_in_the_end_and_a_further_change_waits() {
    let mut service = psk_service();
    service.timings.group_update_count = 100;
    let (mut lab, _) = online(service);
    lab.rekey_group();
    lab.rekey_group();
    lab.rekey_group();
    assert_eq!(installed(&lab), [(1, true), (2, false)]);
    lab.pass(Duration::from_secs(10));
    assert_eq!(installed(&lab), [(1, true), (2, false), (2, true), (1, false)], "two became one");
    lab.pass(Duration::from_secs(10));
    assert_eq!(installed(&lab)[4..], [(1, true)]);
    lab.pass(Duration::from_secs(60));
    assert_eq!(lab.group_keys.len(), 5);
}

/// Puts station and BSS into their snapshots and takes them out again, as after a restart.
fn restart(lab: &mut Lab) {
    let service = lab.service();
    let (station, bss) = (lab.station.snapshot(), lab.bss.snapshot());
    assert!(station.len() < 1024 && bss.len() < 1024);
    lab.bss = Bss::restore(service.clone(), BSSID, &bss, lab.now).expect("the BSS");
    lab.station =
        Station::restore(service, BSSID, MAC, &station, lab.now, &mut lab.bss).expect("the station");
    lab.outputs.clear();
    lab.drain();
    lab.pass(Duration::ZERO);
}

#[test]
fn a_restart_goes_unnoticed() {
    let mut service = psk_service();
    service.timings.ptk_rekey = Some(Duration::from_secs(600));
    let (mut lab, mut peer) = online(service);
    let info = format!("{:?}", lab.station.info());
    let before = lab.station.next_timeout();
    restart(&mut lab);
    assert!(lab.take().is_empty());
    assert_eq!(format!("{:?}", lab.station.info()), info);
    assert_eq!(lab.station.next_timeout(), before);

    lab.rekey_group();
    let (message1, ..) = lab.sent_eapol().pop().expect("message 1");
    assert!(counter(&message1) > 1 << 16, "beyond whatever was used before");
    let (message2, key) = peer.group_message2(&message1);
    assert_eq!(key.key_id, 2);
    lab.eapol(&message2, true);
    assert_eq!(lab.kinds(), ["group 2"]);
    lab.pass(Duration::from_secs(600));
    let (message1, ..) = lab.sent_eapol().pop().expect("message 1");
    peer.handshake(&mut lab, &message1, true);
    assert_eq!(lab.kinds(), ["key 0 replaces=true"]);
    lab.management(&deauthentication(3));
    assert_eq!(lab.kinds(), ["remove", "stop UserRequest"]);
}

#[test]
fn a_restart_in_the_middle_of_something_begins_it_anew() {
    let mut lab = Lab::new(psk_service());
    lab.join(&request());
    restart(&mut lab);
    let (message1, ..) = lab.sent_eapol().pop().expect("message 1 of a new handshake");
    Peer::new(Akm::Psk, pmk("correct horse"), &request()).handshake(&mut lab, &message1, false);
    assert_eq!(lab.kinds(), ["key 0 replaces=false", "open", "start"]);

    // A change of the group key under way.
    let (mut lab, mut peer) = online(psk_service());
    lab.rekey_group();
    restart(&mut lab);
    let (message1, ..) = lab.sent_eapol().pop().expect("the group key is offered again");
    let (message2, key) = peer.group_message2(&message1);
    assert_eq!(key.key_id, 2);
    lab.eapol(&message2, true);
    assert_eq!(lab.kinds(), ["group 2"]);
    assert_eq!(lab.group_keys.last().map(|(key, transmit)| (key.key_id, *transmit)), Some((2, true)));

    let mut lab = Lab::new(psk_service());
    lab.authenticate();
    restart(&mut lab);
    assert_eq!(lab.station.state(), State::Authenticated);
    lab.pass(10 * SECOND);
    assert!(lab.station.is_disposable());

    let mut lab = Lab::new(Service::eap(common::SSID));
    lab.join(&Request::akm(Akm::Ieee8021x));
    restart(&mut lab);
    assert_eq!(lab.kinds(), ["eapol"], "the identity request");
}

#[test]
fn a_device_stays_only_as_long_as_it_would_be_let_in() {
    let (lab, _) = online(psk_service());
    let (station, bss) = (lab.station.snapshot(), lab.bss.snapshot());
    let restore = |service: Service| {
        let service = Arc::new(service);
        let mut bss = Bss::restore(service.clone(), BSSID, &bss, lab.now)?;
        Station::restore(service, BSSID, MAC, &station, lab.now, &mut bss).map(|_| ())
    };
    let psk = |passphrases: Vec<NamedPsk>| Service::psk(common::SSID, passphrases);
    let home = named("home", "correct horse");
    let changed = Err(RestoreError::ServiceChanged);
    assert_eq!(restore(psk(vec![named("new", "new new new"), home.clone()])), Ok(()));
    assert_eq!(restore(psk(vec![NamedPsk { client: Some(MAC), ..home.clone() }])), Ok(()));
    assert_eq!(restore(psk(vec![NamedPsk { client: Some(BSSID), ..home.clone() }])), changed);
    assert_eq!(restore(psk(vec![NamedPsk { name: "away".into(), ..home.clone() }])), changed);
    assert_eq!(restore(psk(vec![named("home", "another one")])), changed);
    assert_eq!(restore(Service { akms: vec![Akm::PskSha256], ..psk(vec![home]) }), changed);
    assert_eq!(restore(Service::eap(common::SSID)), changed);
    assert_eq!(restore(Service::open(common::SSID)), changed);
}

#[test]
fn no_octets_make_restoring_panic() {
    let (lab, _) = online(psk_service());
    let service = lab.service();
    let (station, bss) = (lab.station.snapshot(), lab.bss.snapshot());
    let try_both = |station: &[u8], bss: &[u8]| {
        let Ok(mut bss) = Bss::restore(service.clone(), BSSID, bss, lab.now) else { return };
        let _ = Station::restore(service.clone(), BSSID, MAC, station, lab.now, &mut bss);
    };
    for length in 0..station.len() {
        let mut fresh = Bss::restore(service.clone(), BSSID, &bss, lab.now).expect("the BSS");
        let restored = Station::restore(service.clone(), BSSID, MAC, &station[..length], lab.now, &mut fresh);
        assert!(restored.is_err(), "{length} of {} octets", station.len());
    }
    for length in 0..bss.len() {
        assert!(Bss::restore(service.clone(), BSSID, &bss[..length], lab.now).is_err());
    }
    for at in 0..station.len() {
        for bit in 0..8 {
            let mut changed = station.clone();
            changed[at] ^= 1 << bit;
            try_both(&changed, &bss);
        }
    }
    for at in 0..bss.len() {
        for bit in 0..8 {
            let mut changed = bss.clone();
            changed[at] ^= 1 << bit;
            try_both(&station, &changed);
        }
    }
    let mut other_version = station.clone();
    other_version[0] = 99;
    let mut fresh = Bss::restore(service.clone(), BSSID, &bss, lab.now).expect("the BSS");
    let error = Station::restore(service.clone(), BSSID, MAC, &other_version, lab.now, &mut fresh);
    assert_eq!(error.err(), Some(RestoreError::Version(99)));
    // Two stations with one association id.
    Station::restore(service.clone(), BSSID, MAC, &station, lab.now, &mut fresh).expect("the station");
    let other = MacAddr([2, 0xdd, 0, 0, 0, 2]);
    let error = Station::restore(service.clone(), BSSID, other, &station, lab.now, &mut fresh);
    assert_eq!(error.err(), Some(RestoreError::Aid(1)));
}

#[test]
fn an_open_bss_has_no_group_key() {
    let service = Arc::new(Service::open(common::SSID));
    let mut entropy = common::Draw(1);
    let now = Time(5);
    let mut bss = Bss::new(service.clone(), BSSID, now, &mut entropy);
    bss.request_rekey(now, &mut entropy);
    assert!(bss.poll_output().is_none() && bss.group_key().is_none() && bss.next_timeout().is_none());
    let mut bss = Bss::restore(service.clone(), BSSID, &bss.snapshot(), now).expect("the BSS");
    let mut station = Station::new(service, BSSID, MAC);
    let (mut failures, mut pmks) =
        (authenticator::FailureTable::new(Default::default()), authenticator::PmkCache::new(0));
    let mut env =
        Environment { bss: &mut bss, failures: &mut failures, pmks: &mut pmks, entropy: &mut entropy };
    station.handle(now, &mut env, Input::GroupKey);
    station.handle(now, &mut env, Input::RekeyPairwise);
    station.handle(now, &mut env, Input::Reauthenticate);
    assert!(station.poll_output().is_none());
}
