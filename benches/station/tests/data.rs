//! The data path: fragments and A-MSDUs both ways, replay and protection rules, and input that is nonsense.

mod common;

use std::time::Duration;

use common::*;
use dot11::amsdu::{AmsduBuilder, Subframes};
use dot11::build;
use dot11::ccmp;
use dot11::llc::{self, EtherType};
use dot11::{Akm, Frame, MacAddr, ManagementSubtype, QosControl, SequenceControl, StatusCode};
use proptest::prelude::*;
use station::data::Shape;
use station::device::Counters;
use station::{Command, Event, Profile};

const SERVER: MacAddr = MacAddr([0x02, 0xcc, 0, 0, 0, 9]);

fn online() -> (Bench, TestAp) {
    let (mut bench, mut ap) = (Bench::psk(Akm::Psk), TestAp::new(Akm::Psk));
    bench.associate(&ap);
    bench.handshake(&mut ap);
    (bench, ap)
}

/// A QoS data MPDU down, in the clear.
fn mpdu(tid: u8, number: u16, fragment: u8, more: bool, body: &[u8]) -> Vec<u8> {
    let mut header = build::data_header(AP, STA, SERVER, Some(QosControl::new(tid)));
    header.sequence = SequenceControl::new(number, fragment);
    header.control = header.control.with_more_fragments(more);
    header.frame(body)
}

#[test]
fn sends_fragments_with_consecutive_packet_numbers() {
    let (mut bench, ap) = online();
    let up = ethernet(SERVER, STA, &[7; 1000]);
    bench.command(Command::Send { ethernet: up.clone(), tid: 5, shape: Shape::Fragments(400) });
    let frames = bench.frames();
    assert_eq!(frames.len(), 3);
    let (mut body, mut last) = (Vec::new(), None);
    for (index, frame) in frames.iter().enumerate() {
        let (header, plain) = ccmp::open(ap.tk.as_ref().unwrap(), frame).unwrap();
        let view = Frame::parse(&plain).unwrap();
        let sequence = view.sequence().unwrap();
        assert_eq!((sequence.number(), usize::from(sequence.fragment())), (0, index));
        assert_eq!((view.control().more_fragments(), view.qos().unwrap().tid()), (index < 2, 5));
        assert!(last.is_none_or(|last: ccmp::Pn| last.next() == Some(header.pn)));
        last = Some(header.pn);
        body.extend_from_slice(view.body());
    }
    assert_eq!(body, llc::msdu(EtherType(0x88b5), &[7; 1000]));
    bench.command(Command::Send { ethernet: up, tid: 5, shape: Shape::Fragments(1) });
    assert_eq!(bench.frames().len(), 16, "a frame has at most 16 fragments");
}

#[test]
fn sends_amsdus() {
    let (mut bench, ap) = online();
    let frames = [ethernet(SERVER, STA, b"one"), ethernet(MacAddr::BROADCAST, STA, b"two")];
    bench.command(Command::SendAmsdu { ethernet: frames.to_vec(), tid: 0 });
    bench.command(Command::Send { ethernet: frames[0].clone(), tid: 0, shape: Shape::Amsdu });
    for (sent, expected) in bench.frames().iter().zip([&frames[..], &frames[..1]]) {
        let (_, plain) = ccmp::open(ap.tk.as_ref().unwrap(), sent).unwrap();
        let view = Frame::parse(&plain).unwrap();
        assert!(view.qos().unwrap().amsdu_present());
        assert_eq!(view.addr3(), Some(AP));
        let found: Vec<_> = Subframes::new(view.body()).map(Result::unwrap).collect();
        let da: Vec<_> = found.iter().map(|subframe| subframe.da.0).collect();
        assert_eq!(da, expected.iter().map(|frame| frame[..6].try_into().unwrap()).collect::<Vec<[u8; 6]>>());
        assert!(found.iter().all(|subframe| subframe.sa == STA));
    }
}

#[test]
fn puts_fragments_together_under_the_standards_rules() {
    let (mut bench, mut ap) = online();
    let msdu = llc::msdu(EtherType(0x88b5), &[9; 300]);
    let whole = vec![Event::Ethernet(ethernet(STA, SERVER, &[9; 300]))];
    let part = |number, fragment: u8| {
        let (from, to) = (usize::from(fragment) * 104, (usize::from(fragment) * 104 + 104).min(308));
        mpdu(0, number, fragment, fragment < 2, &msdu[from..to])
    };
    for index in 0..3 {
        let frame = ap.protect(&part(1, index), false);
        bench.receive(&frame);
    }
    assert_eq!(bench.events(), whole);
    // One is missing, one is of another frame, one has a gap in its packet numbers, one is in the clear, one is late.
    let orders: [&[(u16, u8)]; 2] = [&[(2, 0), (2, 2)], &[(3, 0), (4, 1), (3, 2)]];
    for order in orders {
        for (number, index) in order {
            let frame = ap.protect(&part(*number, *index), false);
            bench.receive(&frame);
        }
        assert_eq!(bench.events(), []);
    }
    for spoil in 0..3 {
        for index in 0..3 {
            if index == 1 {
                match spoil {
                    0 => ap.sent = ap.sent.next().unwrap(),
                    1 => {}
                    _ => bench.now = bench.now + Duration::from_secs(3),
                }
            }
            let frame = ap.protect(&part(5 + spoil, index), spoil == 1 && index == 1);
            bench.receive(&frame);
        }
        assert_eq!(bench.events(), [], "case {spoil}");
    }
    for index in 0..3 {
        let frame = ap.protect(&part(9, index), false);
        bench.receive(&frame);
    }
    assert_eq!(bench.events(), whole);
}

#[test]
fn takes_amsdus_apart_but_no_disguised_ones() {
    let (mut bench, mut ap) = online();
    let mut builder = AmsduBuilder::new();
    for payload in [b"one", b"two"] {
        builder.push(STA, SERVER, &llc::msdu(EtherType(0x88b5), payload)).unwrap();
    }
    let frame = ap.msdu(STA, AP, &builder.finish(), true, false);
    bench.receive(&frame);
    let frames = [b"one", b"two"].map(|payload| Event::Ethernet(ethernet(STA, SERVER, payload)));
    assert_eq!(bench.events(), frames);
    // The A-MSDU Present bit of an ordinary frame, flipped in the air, is not covered by the MIC.
    let frame = ap.msdu(STA, AP, &llc::msdu(EtherType(0x88b5), &[0; 60]), true, false);
    bench.receive(&frame);
    let mut builder = AmsduBuilder::new();
    builder.push(SERVER, STA, &llc::msdu(EtherType(0x88b5), b"not for us")).unwrap();
    let frame = ap.msdu(STA, AP, &builder.finish(), true, false);
    bench.receive(&frame);
    assert_eq!((bench.events(), bench.device.counters().malformed), (vec![], 2));
}

#[test]
fn replay_counters_are_kept_for_each_tid() {
    let (mut bench, mut ap) = online();
    let body = llc::msdu(EtherType(0x88b5), b"x");
    let early = ap.protect(&mpdu(5, 1, 0, false, &body), false);
    let late = ap.protect(&mpdu(0, 1, 0, false, &body), false);
    bench.receive(&late);
    bench.receive(&early);
    assert_eq!(bench.events().len(), 2);
    bench.receive(&early);
    let mut forged = ap.protect(&mpdu(5, 2, 0, false, &body), false);
    *forged.last_mut().unwrap() ^= 1;
    bench.receive(&forged);
    // A frame whose MIC was wrong does not move the counter.
    *forged.last_mut().unwrap() ^= 1;
    bench.receive(&forged);
    assert_eq!(bench.events().len(), 1);
    let expected = Counters { replays: 1, mic_failures: 1, ..Counters::default() };
    assert_eq!(bench.device.counters(), expected);
}

#[test]
fn what_is_not_protected_or_not_for_us_is_dropped() {
    let (mut bench, mut ap) = online();
    let clear = ap.data(&ethernet(STA, SERVER, b"clear"), true);
    bench.receive(&clear);
    let frame = ap.data(&ethernet(SERVER, SERVER, b"to another"), false);
    bench.receive(&frame);
    let frame = ap.group_data(1, GTK, 10, &ethernet(MacAddr::BROADCAST, STA, b"our own"));
    bench.receive(&frame);
    let frame = ap.group_data(3, GTK, 11, &ethernet(MacAddr::BROADCAST, SERVER, b"no such key"));
    bench.receive(&frame);
    assert_eq!(bench.events(), []);
    let expected = Counters { unprotected: 1, malformed: 1, no_key: 1, ..Counters::default() };
    assert_eq!(bench.device.counters(), expected);
}

#[test]
fn an_open_network_needs_no_keys_and_drops_retransmissions() {
    let mut bench = Bench::new(Profile::open(SSID).unwrap());
    let mut ap = TestAp::new(Akm::Psk);
    bench.command(Command::Connect);
    bench.frames();
    bench.receive(&ap.beacon(ManagementSubtype::ProbeResponse));
    assert_eq!(bench.frames().len(), 0, "joined a protected network");
    ap.open = true;
    bench.receive(&ap.beacon(ManagementSubtype::ProbeResponse));
    bench.receive(&ap.authentication(StatusCode::SUCCESS));
    bench.receive(&ap.association(StatusCode::SUCCESS, false));
    assert_eq!(bench.events().last(), Some(&Event::Online));
    bench.frames();
    let down = ethernet(STA, SERVER, b"down");
    let mut frame = ap.data(&down, false);
    bench.receive(&frame);
    frame[1] |= 0x08;
    bench.receive(&frame);
    assert_eq!(bench.events(), [Event::Ethernet(down)]);
    assert_eq!(bench.device.counters().duplicates, 1);
    let up = ethernet(SERVER, STA, b"up");
    bench.command(Command::Send { ethernet: up.clone(), tid: 0, shape: Shape::Whole });
    let frame = bench.frame();
    assert_eq!(ap.open(&frame), (up, false));
}

#[test]
fn a_device_is_small() {
    let own = size_of::<station::Device>();
    let parts = [
        size_of::<station::supplicant::Supplicant>(),
        size_of::<station::data::DataPath>(),
        size_of::<station::data::Keys>(),
        size_of::<station::mlme::Bss>(),
    ];
    println!("Device {own}, Supplicant, DataPath, Keys, Bss {parts:?} octets");
    // The load generator holds millions: what a PSK device without a host keeps online, less than 64 octets of RSNEs.
    assert!(own + parts.iter().sum::<usize>() <= 1280, "{own} and {parts:?}");
}

/// How far a device has come when nonsense arrives.
fn at(stage: u8) -> (Bench, TestAp) {
    let (mut bench, mut ap) = (Bench::psk(Akm::Psk), TestAp::new(Akm::Psk));
    if stage == 0 {
        bench.command(Command::Connect);
        return (bench, ap);
    }
    bench.associate(&ap);
    if stage > 1 {
        let m1 = ap.m1();
        let m1 = ap.eapol(&m1, true);
        bench.receive(&m1);
        let (m2, _) = bench.eapol(&mut ap);
        ap.take_m2(&m2, STA);
    }
    if stage > 2 {
        let m3 = ap.m3();
        let m3 = ap.eapol(&m3, true);
        bench.receive(&m3);
        bench.frames();
        ap.tk = ap.ptk.as_ref().map(|ptk| ptk.tk.clone());
    }
    (bench, ap)
}

proptest! {
    #[test]
    fn no_frame_makes_it_panic(
        stage in 0u8..4,
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..6),
    ) {
        let (mut bench, _) = at(stage);
        frames.iter().for_each(|frame| bench.receive(frame));
        bench.device.next_timeout().into_iter().for_each(|_| bench.next_timeout());
    }

    #[test]
    fn no_damaged_frame_makes_it_panic(
        stage in 0u8..4,
        choice in 0usize..9,
        at_octet in any::<prop::sample::Index>(),
        octet in any::<u8>(),
        keep in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let (mut bench, mut ap) = at(stage);
        let down = ethernet(STA, SERVER, b"down");
        let mut frame = match choice {
            0 => ap.beacon(ManagementSubtype::Beacon),
            1 => ap.authentication(StatusCode::SUCCESS),
            2 => ap.association(StatusCode::SUCCESS, false),
            3 => ap.deauthentication(dot11::ReasonCode::UNSPECIFIED),
            4 => ap.data(&down, false),
            5 => ap.group_data(1, GTK, 60, &down),
            6 => { let m1 = ap.m1(); ap.eapol(&m1, stage < 3) }
            _ if stage < 2 => ap.data(&down, true),
            7 => { let m3 = ap.m3(); ap.eapol(&m3, stage < 3) }
            _ => { let g1 = ap.group_m1(2, GTK); ap.eapol(&g1, stage < 3) }
        };
        let index = at_octet.index(frame.len());
        frame[index] = octet;
        if cut {
            frame.truncate(keep.index(frame.len()));
        }
        bench.receive(&frame);
    }

    #[test]
    fn no_ethernet_frame_makes_it_panic(
        ethernet in prop::collection::vec(any::<u8>(), 0..3000),
        tid in any::<u8>(),
        size in 0u16..3000,
    ) {
        let (mut bench, _) = at(3);
        for shape in [Shape::Whole, Shape::Fragments(size), Shape::Amsdu] {
            bench.command(Command::Send { ethernet: ethernet.clone(), tid, shape });
        }
        bench.command(Command::SendAmsdu { ethernet: vec![ethernet], tid });
    }
}
