//! Frame views and header builders.

mod common;

use common::{AP, DEVICE, HOST, hex};
use dot11::build::{self, DataHeader};
use dot11::{
    ControlSubtype, DataSubtype, Frame, FrameControl, FrameError, FrameKind, MacAddr, ManagementSubtype,
    QosControl, SequenceControl,
};
use proptest::prelude::*;

const OTHER: MacAddr = MacAddr([0x02, 0xdd, 0, 0, 0, 4]);

#[test]
fn data_to_the_ap() {
    let frame = DataHeader::to_ap(AP, HOST, DEVICE, None).frame(b"body");
    assert_eq!(frame, hex("08010000 02aa00000001 02bb00000002 02cc00000003 0000 626f6479"));
    let frame = Frame::parse(&frame).unwrap();
    assert_eq!(frame.kind(), FrameKind::Data(DataSubtype::Data));
    assert_eq!((frame.bssid(), frame.source(), frame.destination()), (Some(AP), Some(DEVICE), Some(HOST)));
    assert_eq!((frame.header_len(), frame.body()), (24, &b"body"[..]));
    assert_eq!((frame.qos(), frame.addr4(), frame.ht_control()), (None, None, None));
}

#[test]
fn qos_data_from_the_ap() {
    let header = DataHeader {
        sequence: SequenceControl::new(0xabc, 2),
        ..DataHeader::from_ap(AP, DEVICE, HOST, Some(QosControl::new(6).with_eosp(true)))
    };
    let frame = header.frame(&[]);
    assert_eq!(frame, hex("88020000 02bb00000002 02aa00000001 02cc00000003 c2ab 1600"));
    let frame = Frame::parse(&frame).unwrap();
    assert_eq!((frame.bssid(), frame.source(), frame.destination()), (Some(AP), Some(HOST), Some(DEVICE)));
    let (sequence, qos) = (frame.sequence().unwrap(), frame.qos().unwrap());
    assert_eq!((sequence.number(), sequence.fragment()), (0xabc, 2));
    assert_eq!((qos.tid(), qos.eosp(), qos.ack_policy(), qos.amsdu_present()), (6, true, 0, false));
}

#[test]
fn data_within_the_bss() {
    let frame = DataHeader::direct(AP, HOST, DEVICE, None).frame(&[]);
    let frame = Frame::parse(&frame).unwrap();
    assert_eq!((frame.bssid(), frame.source(), frame.destination()), (Some(AP), Some(DEVICE), Some(HOST)));
}

#[test]
fn four_addresses_qos_and_ht_control() {
    let header = DataHeader {
        ht_control: 0x0403_0201,
        ..DataHeader::four_address(AP, OTHER, HOST, DEVICE, Some(QosControl(0x0305)))
    };
    let header = DataHeader { control: header.control.with_order(true), ..header };
    let frame = header.frame(b"x");
    assert_eq!(frame.len(), 37);
    let frame = Frame::parse(&frame).unwrap();
    assert_eq!(
        (frame.addr1(), frame.addr2(), frame.addr3(), frame.addr4()),
        (AP, Some(OTHER), Some(HOST), Some(DEVICE))
    );
    assert_eq!((frame.bssid(), frame.source(), frame.destination()), (None, Some(DEVICE), Some(HOST)));
    assert_eq!((frame.qos(), frame.ht_control()), (Some(QosControl(0x0305)), Some(0x0403_0201)));
    assert_eq!((frame.header_len(), frame.body()), (36, &b"x"[..]));
}

#[test]
fn the_order_bit_means_ht_control_only_with_qos() {
    let header = DataHeader::to_ap(AP, HOST, DEVICE, None);
    let header = DataHeader { control: header.control.with_order(true), ..header };
    let frame = header.frame(&[1; 8]);
    let frame = Frame::parse(&frame).unwrap();
    assert_eq!((frame.header_len(), frame.ht_control()), (24, None));
}

#[test]
fn null_frames_have_no_data() {
    for (control, qos) in [(0x0148, false), (0x01c8, true)] {
        let header =
            DataHeader { control: FrameControl(control), ..DataHeader::to_ap(AP, HOST, DEVICE, None) };
        let frame = header.frame(&[]);
        let FrameKind::Data(subtype) = Frame::parse(&frame).unwrap().kind() else { panic!("not data") };
        assert_eq!((subtype.has_data(), subtype.is_qos()), (false, qos));
    }
}

#[test]
fn management_header() {
    let frame = build::management(ManagementSubtype::Deauthentication, DEVICE, AP, AP, &[3, 0]);
    assert_eq!(frame, hex("c0000000 02bb00000002 02aa00000001 02aa00000001 0000 0300"));
    let view = Frame::parse(&frame).unwrap();
    assert_eq!((view.bssid(), view.source(), view.destination()), (Some(AP), Some(AP), Some(DEVICE)));
    let mut with_htc = frame.clone();
    with_htc[1] |= 0x80;
    assert_eq!(Frame::parse(&with_htc), Err(FrameError::Truncated { needed: 28, got: 26 }));
    with_htc.splice(24..24, [1, 2, 3, 4]);
    let view = Frame::parse(&with_htc).unwrap();
    assert_eq!((view.ht_control(), view.body()), (Some(0x0403_0201), &[3, 0][..]));
}

#[test]
fn control_frames() {
    let poll = build::ps_poll(5, AP, DEVICE);
    let view = Frame::parse(&poll).unwrap();
    assert_eq!(view.kind(), FrameKind::Control(ControlSubtype::PsPoll));
    assert_eq!((view.ps_poll_aid(), view.bssid(), view.addr2()), (Some(5), Some(AP), Some(DEVICE)));
    assert_eq!((view.addr3(), view.sequence(), view.source()), (None, None, None));
    assert_eq!(poll[..4], [0xa4, 0x00, 0x05, 0xc0]);

    let ack = build::ack(DEVICE);
    let view = Frame::parse(&ack).unwrap();
    assert_eq!(view.kind(), FrameKind::Control(ControlSubtype::Ack));
    assert_eq!((view.addr1(), view.addr2(), view.ps_poll_aid(), view.bssid()), (DEVICE, None, None, None));

    // Control wrapper around an RTS: receiver, carried Frame Control, HT Control, then the rest.
    let wrapper = hex("74000000 02aa00000001 b400 01020304 02bb00000002");
    let view = Frame::parse(&wrapper).unwrap();
    assert_eq!((view.addr2(), view.ht_control()), (None, Some(0x0403_0201)));
}

#[test]
fn malformed_headers() {
    assert_eq!(Frame::parse(&[]), Err(FrameError::Truncated { needed: 10, got: 0 }));
    assert_eq!(Frame::parse(&[0xd4; 9]), Err(FrameError::Truncated { needed: 10, got: 9 }));
    let mut frame = DataHeader::to_ap(AP, HOST, DEVICE, None).frame(&[]);
    frame[0] |= 1;
    assert_eq!(Frame::parse(&frame), Err(FrameError::Version(1)));
    let forms = [
        (DataHeader::to_ap(AP, HOST, DEVICE, None), 24),
        (DataHeader::to_ap(AP, HOST, DEVICE, Some(QosControl(0))), 26),
        (DataHeader::four_address(AP, OTHER, HOST, DEVICE, None), 30),
        (DataHeader::four_address(AP, OTHER, HOST, DEVICE, Some(QosControl(0))), 32),
    ];
    for (header, needed) in forms {
        let frame = header.frame(&[]);
        assert!(Frame::parse(&frame).is_ok());
        let got = needed - 1;
        assert_eq!(Frame::parse(&frame[..got]), Err(FrameError::Truncated { needed, got }));
        assert_eq!(header.write(&mut vec![0; got]), None);
    }
}

#[test]
fn frame_control_prints_what_is_set() {
    let control = FrameControl(0x4188).with_retry(true);
    assert_eq!(format!("{control:?}"), "FrameControl(Data(QosData) to-ds retry protected)");
}

proptest! {
    #[test]
    fn frame_control_round_trips(value in any::<u16>()) {
        let control = FrameControl(value);
        prop_assert_eq!(FrameControl::from_bytes(control.to_bytes()), control);
        prop_assert_eq!(control.with_kind(control.kind()), control);
        let rebuilt = FrameControl(u16::from(control.version()))
            .with_kind(control.kind())
            .with_to_ds(control.to_ds())
            .with_from_ds(control.from_ds())
            .with_more_fragments(control.more_fragments())
            .with_retry(control.retry())
            .with_power_management(control.power_management())
            .with_more_data(control.more_data())
            .with_protected(control.protected())
            .with_order(control.order());
        prop_assert_eq!(rebuilt, control);
        let types = [control.is_management(), control.is_control(), control.is_data()];
        let kind = match control.kind() {
            FrameKind::Management(_) => [true, false, false],
            FrameKind::Control(_) => [false, true, false],
            FrameKind::Data(subtype) => {
                prop_assert_eq!(subtype.is_qos(), control.is_qos_data());
                [false, false, true]
            }
            FrameKind::Extension(_) => [false; 3],
        };
        prop_assert_eq!(types, kind);
    }

    #[test]
    fn sequence_control_round_trips(number in 0u16..4096, fragment in 0u8..16) {
        let sequence = SequenceControl::new(number, fragment);
        prop_assert_eq!((sequence.number(), sequence.fragment()), (number, fragment));
    }
}
