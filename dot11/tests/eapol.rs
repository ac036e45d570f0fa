//! EAPOL, EAPOL-Key frames, key data and EAP.

mod common;

use common::{AP, array, hex};
use dot11::eap::{self, Code, Eap, EapError, EapType};
use dot11::eapol::kde::{KeyData, KeyDataBuilder, KeyDataItem};
use dot11::eapol::key::{DESCRIPTOR_WPA, KeyFrame, KeyFrameBuilder, KeyInfo};
use dot11::eapol::{self, EapolError, EapolFrame, PacketType};
use dot11::element::{ElementError, ElementId, Elements, Rsn};
use dot11::rsn::{Akm, Pmkid};
use proptest::prelude::*;

#[test]
fn eapol_pdu() {
    assert_eq!(eapol::build(PacketType::Start, &[]), hex("02010000"));
    let padded = hex("0101000 0 000000");
    let start = EapolFrame::parse(&padded).unwrap();
    assert_eq!(
        (start.version, start.packet_type, start.body, start.bytes().len()),
        (1, PacketType::Start, &[][..], 4)
    );
    assert_eq!(EapolFrame::parse(&hex("020300")), Err(EapolError::Truncated));
    assert_eq!(EapolFrame::parse(&hex("0203000100")[..4]), Err(EapolError::Truncated));
}

/// Message 1 of a 4-way handshake, octet by octet (802.11-2020 §12.7.6.2).
#[test]
fn message_1() {
    let nonce: [u8; 32] = std::array::from_fn(|i| i as u8);
    let frame = KeyFrameBuilder {
        info: KeyInfo::PAIRWISE.with(KeyInfo::ACK).with_descriptor_version(2),
        key_length: 16,
        replay_counter: 1,
        nonce,
        ..Default::default()
    }
    .build();
    let expected = hex("0203005f 02 008a 0010 0000000000000001
        000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
        00000000000000000000000000000000 0000000000000000 0000000000000000
        00000000000000000000000000000000 0000");
    assert_eq!(frame, expected);
    let key = KeyFrame::parse(&frame).unwrap();
    assert_eq!(
        (key.nonce(), key.key_length(), key.replay_counter(), key.key_data()),
        (nonce, 16, 1, &[][..])
    );
    let info = key.info();
    assert_eq!((info.pairwise(), info.ack(), info.mic(), info.descriptor_version()), (true, true, false, 2));
    assert!(
        !info.install() && !info.secure() && !info.error() && !info.request() && !info.encrypted_key_data()
    );
}

/// Key Information as the four messages have it on the air with CCMP and AKM 2.
#[test]
fn key_information_of_the_handshake() {
    use KeyInfo as K;
    let version = |info: K| info.with_descriptor_version(2).0;
    assert_eq!(version(K::PAIRWISE.with(K::ACK)), 0x008a);
    assert_eq!(version(K::PAIRWISE.with(K::MIC)), 0x010a);
    let message_3 =
        K::PAIRWISE.with(K::INSTALL).with(K::ACK).with(K::MIC).with(K::SECURE).with(K::ENCRYPTED_KEY_DATA);
    assert_eq!(version(message_3), 0x13ca);
    assert_eq!(version(K::PAIRWISE.with(K::MIC).with(K::SECURE)), 0x030a);
    // Group key handshake.
    assert_eq!(version(K::ACK.with(K::MIC).with(K::SECURE).with(K::ENCRYPTED_KEY_DATA)), 0x1382);
    assert_eq!(version(K::MIC.with(K::SECURE)), 0x0302);
}

#[test]
fn malformed_key_frames() {
    let frame = KeyFrameBuilder { key_data: &[1, 2, 3], ..Default::default() }.build();
    for len in 0..frame.len() {
        assert_eq!(KeyFrame::parse(&frame[..len]), Err(EapolError::Truncated));
        // The same, with the EAPOL length to match.
        let mut short = frame[..len].to_vec();
        if let Some(length) = len.checked_sub(4) {
            short[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            assert_eq!(KeyFrame::parse(&short), Err(EapolError::Truncated));
        }
    }
    let mut other = frame.clone();
    other[4] = 1;
    assert_eq!(KeyFrame::parse(&other), Err(EapolError::Descriptor(1)));
    other[4] = DESCRIPTOR_WPA;
    assert!(KeyFrame::parse(&other).is_ok());
    other[1] = 0;
    assert_eq!(KeyFrame::parse(&other), Err(EapolError::NotKey(PacketType::EapPacket)));
}

#[test]
fn key_data_of_message_3() {
    let rsn = Rsn::ccmp(&[Akm::Psk]).to_vec();
    let gtk: [u8; 16] = array("000102030405060708090a0b0c0d0e0f");
    let data = KeyDataBuilder::new()
        .elements(Elements::new(&rsn))
        .gtk(1, false, &gtk)
        .igtk(4, [6, 5, 4, 3, 2, 1], &[0x77; 16])
        .build();
    let expected = hex("30140100000fac040100000fac040100000fac020000
        dd16 000fac01 0100 000102030405060708090a0b0c0d0e0f
        dd1c 000fac09 0400 060504030201 77777777777777777777777777777777");
    assert_eq!(*data, expected);
    let items: Vec<_> = KeyData::new(&data).map(Result::unwrap).collect();
    let [KeyDataItem::Element(element), gtk_item, igtk_item] = items[..] else { panic!("{items:?}") };
    assert_eq!(element.id, ElementId::RSN);
    assert!(gtk_item == KeyDataItem::Gtk { key_id: 1, tx: false, gtk: &gtk });
    assert!(igtk_item == KeyDataItem::Igtk { key_id: 4, ipn: [6, 5, 4, 3, 2, 1], igtk: &[0x77; 16] });
    assert!(!format!("{items:?}").contains("119"), "a key was printed");
}

#[test]
fn other_key_data() {
    let data = KeyDataBuilder::new().mac(AP).pmkid(&Pmkid([9; 16])).key_id(1).build();
    let items: Vec<_> = KeyData::new(&data).map(Result::unwrap).collect();
    assert!(items == [KeyDataItem::Mac(AP), KeyDataItem::Pmkid(Pmkid([9; 16])), KeyDataItem::KeyId(1)]);
    // Too short for its type; WPA's element, which shares the identifier; padding.
    let data = hex("dd04000fac01 dd050050f20101 dd00000000");
    let items: Vec<_> = KeyData::new(&data).map(Result::unwrap).collect();
    let [KeyDataItem::OtherKde { selector, data: [] }, KeyDataItem::Element(wpa)] = items[..] else {
        panic!("{items:?}")
    };
    assert_eq!(selector, [0x00, 0x0f, 0xac, 1]);
    assert_eq!(wpa.vendor().unwrap().0, [0x00, 0x50, 0xf2, 1]);
    assert_eq!(KeyData::new(&hex("dd")).count(), 0);
    let truncated = Err(ElementError::Truncated { id: 221 });
    assert!(KeyData::new(&hex("dd16000fac01")).next() == Some(truncated));
}

#[test]
fn eap_packets() {
    assert_eq!(eap::identity_request(7, ""), hex("01 07 0005 01"));
    assert_eq!((eap::success(7), eap::failure(8)), ([3, 7, 0, 4], [4, 8, 0, 4]));
    let response = eap::identity_response(7, b"user@example.org\0networkid=x");
    let parsed = Eap::parse(&response).unwrap();
    assert_eq!((parsed.code, parsed.id, parsed.eap_type), (Code::Response, 7, Some(EapType::IDENTITY)));
    assert_eq!(parsed.identity(), Some(&b"user@example.org"[..]));
    let padded = hex("03 09 0004 0000");
    let success = Eap::parse(&padded).unwrap();
    assert_eq!((success.code, success.eap_type, success.bytes().len()), (Code::Success, None, 4));
    assert_eq!(Eap::parse(&hex("010900")), Err(EapError::Truncated));
    assert_eq!(Eap::parse(&hex("0109000601")), Err(EapError::Truncated));
    assert_eq!(Eap::parse(&hex("01090004")), Err(EapError::Length(4)));
    assert_eq!(Eap::parse(&hex("03090003")), Err(EapError::Length(3)));
}

proptest! {
    #[test]
    fn key_frames_round_trip(
        info in any::<u16>(), key_length in any::<u16>(), replay_counter in any::<u64>(),
        nonce in any::<[u8; 32]>(), iv in any::<[u8; 16]>(), rsc in any::<[u8; 8]>(),
        key_data in prop::collection::vec(any::<u8>(), 0..300), padding in 0usize..20,
    ) {
        let builder = KeyFrameBuilder {
            info: KeyInfo(info), key_length, replay_counter, nonce, iv, rsc, key_data: &key_data, ..Default::default()
        };
        let mut frame = builder.build();
        frame.resize(frame.len() + padding, 0);
        let key = KeyFrame::parse(&frame).unwrap();
        let again = KeyFrameBuilder {
            protocol_version: key.protocol_version(), descriptor: key.descriptor(), info: key.info(),
            key_length: key.key_length(), replay_counter: key.replay_counter(), nonce: key.nonce(), iv: key.iv(),
            rsc: key.rsc(), key_data: key.key_data(),
        };
        prop_assert_eq!(again, builder);
    }

    #[test]
    fn eap_round_trips(code in 1u8..3, id in any::<u8>(), eap_type in any::<u8>(), data in prop::collection::vec(any::<u8>(), 0..2000)) {
        let packet = eap::packet(code.into(), id, Some(EapType(eap_type)), &data);
        let parsed = Eap::parse(&packet).unwrap();
        prop_assert_eq!((u8::from(parsed.code), parsed.id, parsed.eap_type, parsed.data), (code, id, Some(EapType(eap_type)), &data[..]));
    }
}
