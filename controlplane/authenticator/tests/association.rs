//! Authentication, association, and every way they are refused (802.11-2020 §11.3).

mod common;

use std::time::Duration;

use authenticator::{Input, Limits, Output, Service, State, TerminateCause};
use common::{
    BSSID, Lab, MAC, Request, authentication, deauthentication, disassociation, kind, psk_service, up,
};
use dot11::element::{ElementId, ElementsBuilder, Rate, Rsn, RsnCapabilities, SupportedRates};
use dot11::frame::management::{AssociationResponse, Authentication};
use dot11::rsn::{Akm, CipherSuite};
use dot11::{AuthenticationAlgorithm, CapabilityInfo, Frame, MacAddr, ManagementSubtype, ReasonCode, build};

fn ccmp_psk() -> Rsn {
    Rsn::ccmp(&[Akm::Psk])
}

/// The only management frame among the outputs.
fn only_frame(outputs: &[Output]) -> Vec<u8> {
    let mut frames = outputs.iter().filter_map(|output| match output {
        Output::SendManagement(frame) => Some(frame.clone()),
        _ => None,
    });
    let frame = frames.next().expect("a management frame");
    assert!(frames.next().is_none());
    frame
}

#[test]
fn authentication_is_refused_by_the_book() {
    let cases = [
        (AuthenticationAlgorithm::OPEN, 1, 0),
        (AuthenticationAlgorithm::SHARED_KEY, 1, 13),
        (AuthenticationAlgorithm::SHARED_KEY, 3, 13),
        (AuthenticationAlgorithm::FAST_TRANSITION, 1, 13),
        (AuthenticationAlgorithm::SAE, 1, 13),
        (AuthenticationAlgorithm(0xbeef), 1, 13),
        (AuthenticationAlgorithm::OPEN, 0, 14),
        (AuthenticationAlgorithm::OPEN, 2, 14),
        (AuthenticationAlgorithm::OPEN, 0xffff, 14),
    ];
    for (algorithm, transaction, status) in cases {
        let mut lab = Lab::new(psk_service());
        lab.management(&authentication(algorithm, transaction));
        let frame = only_frame(&lab.take());
        let frame = Frame::parse(&frame).expect("a frame");
        assert_eq!((frame.addr1(), frame.addr2(), frame.addr3()), (MAC, Some(BSSID), Some(BSSID)));
        let body = Authentication::parse(frame.body()).expect("an answer");
        assert_eq!(body.algorithm, algorithm);
        assert_eq!(body.transaction, transaction.wrapping_add(1));
        assert_eq!(body.status.0, status, "{algorithm:?} {transaction}");
        let state = if status == 0 { State::Authenticated } else { State::Unauthenticated };
        assert_eq!(lab.station.state(), state);
        assert_eq!(lab.station.is_disposable(), status != 0);
    }
}

#[test]
fn association_to_a_protected_service_is_refused_by_the_book() {
    let good = ccmp_psk();
    let with = |change: &dyn Fn(&mut Rsn)| {
        let mut rsn = good.clone();
        change(&mut rsn);
        Request::rsn(&rsn)
    };
    let raw = |body: &[u8]| Request {
        rsne: Some(ElementsBuilder::new().element(ElementId::RSN, body).build()),
        ..Request::open()
    };
    let wpa = [0x00, 0x50, 0xf2, 1, 1, 0, 0x00, 0x50, 0xf2, 2, 1, 0, 0x00, 0x50, 0xf2, 2];
    let rates = |rates: &[u8]| SupportedRates(rates.iter().map(|&rate| Rate(rate)).collect());
    let cases: Vec<(&str, Request, u16)> = vec![
        ("as it should be", Request::rsn(&good), 0),
        ("AKM 6", Request::akm(Akm::PskSha256), 0),
        ("other SSID", Request { ssid: b"other".to_vec(), ..Request::rsn(&good) }, 1),
        ("wildcard SSID", Request { ssid: Vec::new(), ..Request::rsn(&good) }, 1),
        ("no rates", Request { rates: rates(&[]), ..Request::rsn(&good) }, 18),
        ("no 11 Mbit/s", Request { rates: rates(&[2, 4, 11]), ..Request::rsn(&good) }, 18),
        ("just the basic rates", Request { rates: rates(&[2, 4, 11, 22]), ..Request::rsn(&good) }, 0),
        ("neither RSNE nor privacy", Request::open(), 40),
        ("WEP", Request { capabilities: 0x0431, ..Request::open() }, 40),
        (
            "WPA with TKIP",
            Request {
                extra: ElementsBuilder::new().element(ElementId::VENDOR_SPECIFIC, &wpa).build(),
                ..Request::open()
            },
            40,
        ),
        ("empty RSNE", raw(&[]), 40),
        ("truncated RSNE", raw(&good.body()[..13]), 40),
        ("RSNE of a version to come", raw(&[2, 0]), 44),
        ("RSNE of defaults only: AKM 1", raw(&[1, 0]), 43),
        ("group TKIP", with(&|rsn| rsn.group = CipherSuite::Tkip), 41),
        ("group WEP", with(&|rsn| rsn.group = CipherSuite::Wep104), 41),
        ("group GCMP", with(&|rsn| rsn.group = CipherSuite::Gcmp256), 41),
        ("pairwise TKIP", with(&|rsn| rsn.pairwise = vec![CipherSuite::Tkip]), 46),
        ("pairwise WEP-40", with(&|rsn| rsn.pairwise = vec![CipherSuite::Wep40]), 46),
        ("pairwise WEP-104", with(&|rsn| rsn.pairwise = vec![CipherSuite::Wep104]), 46),
        ("pairwise GCMP", with(&|rsn| rsn.pairwise = vec![CipherSuite::Gcmp128]), 42),
        ("use group cipher", with(&|rsn| rsn.pairwise = vec![CipherSuite::UseGroup]), 42),
        (
            "two pairwise ciphers",
            with(&|rsn| rsn.pairwise = vec![CipherSuite::Ccmp128, CipherSuite::Tkip]),
            42,
        ),
        ("802.1X", Request::akm(Akm::Ieee8021x), 43),
        ("SAE", Request::akm(Akm::Sae), 43),
        ("two AKMs", Request::rsn(&Rsn::ccmp(&[Akm::Psk, Akm::PskSha256])), 43),
        ("MFP capable", with(&|rsn| rsn.capabilities = RsnCapabilities::MFPC), 0),
        (
            "MFP required",
            with(&|rsn| rsn.capabilities = RsnCapabilities::MFPC.with(RsnCapabilities::MFPR)),
            31,
        ),
        ("MFP required but not capable", with(&|rsn| rsn.capabilities = RsnCapabilities::MFPR), 45),
    ];
    for (what, request, status) in cases {
        let mut lab = Lab::new(psk_service());
        lab.authenticate();
        lab.take();
        lab.associate(&request);
        let kinds = lab.kinds();
        if status == 0 {
            assert_eq!(kinds, ["add aid=1 qos=true protect=true", "assoc 0", "eapol"], "{what}");
            assert_eq!(lab.station.state(), State::Associated);
        } else {
            assert_eq!(kinds, [format!("assoc {status}")], "{what}");
            assert_eq!(lab.station.state(), State::Authenticated, "{what}");
        }
        lab.take();
        // Nothing of this is held against the device.
        assert_eq!(lab.failures.iter_blocked(lab.now).count(), 0);
        // The same as reassociation gets a reassociation response.
        lab.associate(&request.again());
        let answers: Vec<_> = lab.kinds().into_iter().filter(|kind| kind.starts_with("reassoc")).collect();
        assert_eq!(answers, [format!("reassoc {status}")], "{what}");
    }
}

#[test]
fn an_open_service_takes_everybody_but_wep() {
    let mut lab = Lab::new(Service::open(common::SSID));
    lab.join(&Request { capabilities: 0x0431, ..Request::open() });
    assert_eq!(lab.station.state(), State::Authenticated);

    let mut lab = Lab::new(Service::open(common::SSID));
    lab.authenticate();
    lab.take();
    lab.associate(&Request { wmm: false, ..Request::open() });
    assert_eq!(lab.kinds(), ["add aid=1 qos=false protect=false", "assoc 0", "open", "start"]);
    assert_eq!(lab.station.state(), State::Online);
    assert_eq!(lab.station.info().akm, None);
    // Asking again: the session goes on.
    lab.associate(&Request { wmm: false, ..Request::open() }.again());
    assert_eq!(lab.kinds(), ["close", "add aid=1 qos=false protect=false", "reassoc 0", "open"]);
    lab.management(&deauthentication(3));
    assert_eq!(lab.kinds(), ["remove", "stop UserRequest"]);
    assert!(lab.station.is_disposable());
}

#[test]
fn the_response_says_what_the_beacon_says() {
    let mut service = psk_service();
    let ht_capabilities = ElementsBuilder::new().element(ElementId::HT_CAPABILITIES, &[1; 26]).build();
    let ht_operation = ElementsBuilder::new().element(ElementId::HT_OPERATION, &[2; 22]).build();
    let he = ElementsBuilder::new().extension(35, &[3; 20]).build();
    let extended = ElementsBuilder::new().element(ElementId::EXTENDED_CAPABILITIES, &[0, 0, 4]).build();
    service.beacon.elements = [&ht_capabilities[..], &ht_operation[..], &extended[..], &he[..]].concat();
    let response = |request: &Request| {
        let mut lab = Lab::new(service.clone());
        lab.authenticate();
        lab.take();
        lab.associate(request);
        let frame = only_frame(&lab.take());
        let frame = Frame::parse(&frame).expect("a frame");
        let body = AssociationResponse::parse(frame.body()).expect("a response");
        assert!(body.capabilities.contains(CapabilityInfo::PRIVACY));
        assert_eq!(body.aid, 1);
        assert_eq!(body.elements.rates(), SupportedRates::bg());
        let ids: Vec<u8> = body.elements.iter().map(|element| element.id.0).collect();
        (ids, body.elements.has_wmm())
    };
    let plain = Request { wmm: false, ..Request::akm(Akm::Psk) };
    assert_eq!(response(&plain), (vec![1, 50, 127], false));
    let wmm = Request::akm(Akm::Psk);
    assert_eq!(response(&wmm), (vec![1, 50, 127, 221], true));
    let ht = Request { extra: ht_capabilities.clone(), ..plain };
    assert_eq!(response(&ht), (vec![1, 50, 45, 61, 127, 221], true));
}

#[test]
fn frames_of_the_wrong_class_are_answered_once_a_second() {
    let mut lab = Lab::new(psk_service());
    let associate = Request::akm(Akm::Psk);
    lab.associate(&associate);
    assert_eq!(lab.kinds(), ["deauth 6"]);
    assert!(!lab.station.is_disposable(), "or the limit would be forgotten");
    for _ in 0..10 {
        lab.associate(&associate);
        lab.input(Input::Class3Frame);
        lab.eapol(&[2, 1, 0, 0], false);
    }
    assert!(lab.kinds().is_empty());
    lab.pass(Duration::from_secs(1));
    assert!(lab.station.is_disposable());
    lab.input(Input::Class3Frame);
    assert_eq!(lab.kinds(), ["deauth 7"]);
    lab.pass(Duration::from_secs(1));
    lab.authenticate();
    lab.take();
    lab.eapol(&[2, 1, 0, 0], false);
    assert_eq!(lab.kinds(), ["disassoc 7"]);
    assert_eq!(lab.station.state(), State::Authenticated);
}

#[test]
fn an_authenticated_device_that_goes_no_further_is_forgotten() {
    let mut lab = Lab::new(psk_service());
    lab.authenticate();
    lab.pass(Duration::from_secs(9));
    assert_eq!(lab.station.state(), State::Authenticated);
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.station.state(), State::Unauthenticated);
    assert_eq!(lab.kinds(), ["auth 0"]);
}

#[test]
fn a_retransmitted_request_gets_the_same_answer_and_changes_nothing() {
    let mut lab = Lab::new(psk_service());
    lab.authenticate();
    lab.authenticate();
    assert_eq!(lab.kinds(), ["auth 0", "auth 0"]);
    let mut frame = lab.association_frame(&Request::akm(Akm::Psk));
    lab.management(&frame);
    let first = lab.take();
    frame[1] |= 0x08; // Retry
    lab.management(&frame);
    let second = lab.take();
    assert_eq!(only_frame(&first), only_frame(&second));
    assert_eq!(second.iter().filter_map(kind).collect::<Vec<_>>(), ["assoc 0"], "no second message 1");
    // With another sequence number it is a new request.
    lab.associate(&Request::akm(Akm::Psk));
    assert_eq!(lab.kinds(), ["add aid=1 qos=true protect=true", "assoc 0", "eapol"]);
}

#[test]
fn leaving_ends_the_association_or_more() {
    for (frame, after) in
        [(disassociation(8), State::Authenticated), (deauthentication(3), State::Unauthenticated)]
    {
        let mut lab = Lab::new(psk_service());
        lab.join(&Request::akm(Akm::Psk));
        lab.management(&frame);
        assert_eq!(lab.kinds(), ["remove"]);
        assert_eq!(lab.station.state(), after);
        assert_eq!(lab.bss.members().count(), 0, "the association id is free again");
        lab.pass(Duration::from_secs(60));
        assert!(lab.kinds().is_empty(), "no timer is left behind");
        assert!(lab.station.is_disposable());
        lab.management(&frame);
        assert!(lab.kinds().is_empty());
    }
}

#[test]
fn the_administrator_and_the_gateway_end_it_too() {
    let mut lab = Lab::new(Service::open(common::SSID));
    lab.join(&Request::open());
    lab.input(Input::Disconnect { reason: ReasonCode::INACTIVITY, cause: TerminateCause::IdleTimeout });
    assert_eq!(lab.kinds(), ["deauth 4", "remove", "stop IdleTimeout"]);
    lab.input(Input::Disconnect { reason: ReasonCode::INACTIVITY, cause: TerminateCause::IdleTimeout });
    assert!(lab.kinds().is_empty());

    lab.join(&Request::open());
    lab.input(Input::Removed { cause: TerminateCause::LostCarrier });
    assert_eq!(lab.kinds(), ["remove", "stop LostCarrier"]);
}

#[test]
fn a_blocked_device_is_refused_at_authentication() {
    let limits = Limits { max_failures: 1, ..Limits::default() };
    let mut lab = Lab::new(Service { limits, ..psk_service() });
    let until = lab.failures.failed(lab.now, MAC).expect("one is enough");
    lab.authenticate();
    assert_eq!(lab.kinds(), ["auth 1"]);
    lab.now = until;
    lab.authenticate();
    assert_eq!(lab.kinds(), ["auth 0"]);
    // Blocked between authentication and association.
    lab.failures.failed(lab.now, MAC);
    lab.associate(&Request::akm(Akm::Psk));
    assert_eq!(lab.kinds(), ["assoc 1"]);
    assert_eq!(lab.station.state(), State::Unauthenticated);
}

#[test]
fn association_ids_run_out_and_come_back() {
    let mut lab = Lab::new(Service::open(common::SSID));
    let service = lab.service();
    let mut others = Vec::new();
    for n in 1..=2007_u16 {
        let [high, low] = n.to_be_bytes();
        let mac = MacAddr([2, 0, 0, 1, high, low]);
        let mut other = authenticator::Station::new(service.clone(), BSSID, mac);
        std::mem::swap(&mut lab.station, &mut other);
        let rewrite = |mut frame: Vec<u8>| {
            frame[10..16].copy_from_slice(&mac.0);
            frame
        };
        lab.management(&rewrite(authentication(AuthenticationAlgorithm::OPEN, 1)));
        lab.management(&rewrite(Request::open().frame()));
        std::mem::swap(&mut lab.station, &mut other);
        assert_eq!(other.info().aid, Some(n));
        others.push(other);
        lab.take();
    }
    lab.authenticate();
    lab.take();
    lab.associate(&Request::open());
    assert_eq!(lab.kinds(), ["assoc 17"]);
    std::mem::swap(&mut lab.station, &mut others[41]);
    lab.input(Input::Removed { cause: TerminateCause::LostCarrier });
    std::mem::swap(&mut lab.station, &mut others[41]);
    lab.take();
    lab.associate(&Request::open());
    assert_eq!(lab.station.info().aid, Some(42));
}

#[test]
fn what_is_not_from_this_device_to_this_bss_is_dropped() {
    let good = authentication(AuthenticationAlgorithm::OPEN, 1);
    let mut lab = Lab::new(psk_service());
    for at in [4, 10, 16] {
        let mut frame = good.clone();
        frame[at + 5] ^= 1;
        lab.management(&frame);
    }
    for length in 0..good.len() {
        lab.management(&good[..length]);
    }
    let data = build::data_header(BSSID, MAC, BSSID, None).frame(&[]);
    lab.management(&data);
    lab.management(&up(ManagementSubtype::Beacon, &[0; 12]));
    lab.management(&up(ManagementSubtype::Action, &[3, 0, 1]));
    assert!(lab.kinds().is_empty());
    assert!(lab.station.is_disposable());
}
