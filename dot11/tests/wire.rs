//! Addresses, FCS, LLC, A-MSDU and radiotap.

mod common;

use common::{AP, DEVICE, HOST, hex};
use dot11::amsdu::{AmsduBuilder, AmsduError, Subframe, Subframes, is_disguised_msdu};
use dot11::llc::{self, EtherType};
use dot11::radiotap::{self, Mcs, Radiotap, RadiotapError};
use dot11::{MacAddr, fcs};
use proptest::prelude::*;

#[test]
fn addresses() {
    assert_eq!(AP.to_string(), "02:aa:00:00:00:01");
    assert_eq!("02:AA:00:00:00:01".parse(), Ok(AP));
    assert_eq!("02-aa-00-00-00-01".parse(), Ok(AP));
    for wrong in [
        "",
        "02:aa:00:00:00",
        "02:aa:00:00:00:01:02",
        "02:aa:00:00:00:1",
        "02:aa:00:00:00:0g",
        "+2:aa:00:00:00:01",
    ] {
        assert!(wrong.parse::<MacAddr>().is_err(), "{wrong}");
    }
    assert!(AP.is_local() && !AP.is_group());
    assert!(MacAddr::BROADCAST.is_group() && MacAddr::BROADCAST.is_broadcast());
    assert!(MacAddr([0x01, 0, 0x5e, 0, 0, 1]).is_group() && !MacAddr([0x01, 0, 0x5e, 0, 0, 1]).is_local());
    assert_eq!(MacAddr::from_slice(&[1; 5]), None);
    assert!(MacAddr::try_from(&[1u8; 7][..]).is_err());
}

#[test]
fn fcs_of_a_frame() {
    // The check value of CRC-32.
    assert_eq!(fcs::crc32(b"123456789"), 0xcbf4_3926);
    // 802.11-2020 Annex J.6.4: the protected frame, with the FCS that the example gives.
    let frame = hex("0848c32c0fd2e128a57c5030f1844408abaea5b8fcba80330ce70020769703b5
        f3d0a2fe9a3dbf2342a643e43246e80c3c04d0197845ce0b16f97623");
    let mut sent = frame.clone();
    fcs::append(&mut sent);
    assert_eq!(sent[frame.len()..], hex("1d99f066"));
    assert_eq!(fcs::strip(&sent), Some(&frame[..]));
    sent[3] ^= 1;
    assert_eq!(fcs::strip(&sent), None);
    assert_eq!(fcs::strip(&[0; 3]), None);
}

#[test]
fn llc_headers() {
    assert_eq!(llc::header(EtherType::EAPOL), *b"\xaa\xaa\x03\x00\x00\x00\x88\x8e");
    assert_eq!(llc::header(EtherType::IPX), *b"\xaa\xaa\x03\x00\x00\xf8\x81\x37");
    assert_eq!(llc::parse(&llc::msdu(EtherType::IPV4, b"ip")), Some((EtherType::IPV4, &b"ip"[..])));
    assert_eq!(llc::parse(&llc::msdu(EtherType::AARP, b"x")), Some((EtherType::AARP, &b"x"[..])));
    // AARP in RFC 1042 form, a spanning tree PDU, another vendor's SNAP, too short.
    for other in ["aaaa0300000080f3", "42420300000000000000", "aaaa0300000c2000", "aaaa03000000 08"] {
        assert_eq!(llc::parse(&hex(other)), None);
    }
}

#[test]
fn amsdu() {
    let mut builder = AmsduBuilder::new();
    builder.push(HOST, DEVICE, b"one").unwrap();
    builder.push(AP, DEVICE, b"twotwo").unwrap();
    assert_eq!(builder.push(AP, DEVICE, &[0; 2305]), Err(AmsduError::TooLong(2305)));
    let body = builder.finish();
    let expected = hex("02cc00000003 02bb00000002 0003 6f6e65 000000
        02aa00000001 02bb00000002 0006 74776f74776f");
    assert_eq!(body, expected);
    let subframes: Vec<_> = Subframes::new(&body).map(Result::unwrap).collect();
    let one = Subframe { da: HOST, sa: DEVICE, msdu: b"one" };
    assert_eq!(subframes, [one, Subframe { da: AP, sa: DEVICE, msdu: b"twotwo" }]);
    // Some devices pad the last one too.
    assert_eq!(Subframes::new(&body[..20]).collect::<Vec<_>>(), [Ok(one)]);
    assert_eq!(Subframes::new(&body[..30]).collect::<Vec<_>>(), [Ok(one), Err(AmsduError::TruncatedHeader)]);
    assert_eq!(
        Subframes::new(&body[..37]).collect::<Vec<_>>(),
        [Ok(one), Err(AmsduError::TruncatedMsdu { length: 6, left: 3 })]
    );
    assert_eq!(Subframes::new(&[0x7f; 40]).collect::<Vec<_>>(), [Err(AmsduError::TooLong(0x7f7f))]);
}

#[test]
fn a_disguised_msdu_is_recognised() {
    assert!(is_disguised_msdu(&llc::msdu(EtherType::IPV4, &[0x45, 0, 0, 20])));
    assert!(!is_disguised_msdu(&hex("02cc00000003 02bb00000002 0000")));
}

#[test]
fn radiotap_to_send() {
    assert_eq!(radiotap::tx_header(radiotap::TX_FLAG_NOSEQNO).to_vec(), hex("00000a00008000001000"));
    let tap = radiotap::parse(&radiotap::tx_header(0x11)).unwrap();
    assert_eq!(tap, Radiotap { len: 10, tx_flags: Some(0x11), ..Radiotap::default() });
}

#[test]
fn radiotap_received() {
    let tap = radiotap::parse(&radiotap::rx_header(12, 2437, -61)).unwrap();
    assert_eq!((tap.len, tap.rate, tap.channel_mhz, tap.signal_dbm), (15, Some(12), Some(2437), Some(-61)));
    assert_eq!((tap.rate_100kbps(), tap.fcs_present(), tap.tx_flags), (Some(60), false, None));
}

/// As mac80211 writes it with two receive chains: TSFT, flags, rate, channel, signal, RX flags, and once more signal
/// and antenna for each chain.
#[test]
fn radiotap_of_several_antennas() {
    let header = hex("0000 2600 2f4000a0 200800a0 20080000
        1122334455667788 10 02 8509 a000 d6 00 0000 d6 00 cd 01");
    let tap = radiotap::parse(&header).unwrap();
    assert_eq!(tap.tsft, Some(0x8877_6655_4433_2211));
    assert_eq!((tap.signal_dbm, tap.antenna, tap.channel_mhz), (Some(-42), Some(0), Some(2437)));
    assert!(tap.fcs_present() && !tap.bad_fcs());
}

#[test]
fn radiotap_alignment_and_mcs() {
    // Flags (1), then channel aligned to 2, then MCS.
    let tap = radiotap::parse(&hex("0000 1100 0a000800 50 00 8509 a000 07 05 0f")).unwrap();
    assert!(tap.bad_fcs() && tap.fcs_present());
    assert_eq!(tap.channel_mhz, Some(2437));
    assert_eq!(tap.mcs, Some(Mcs { known: 7, flags: 5, index: 15 }));
    // Two streams, MCS 15, 40 MHz, short guard interval.
    assert_eq!(tap.rate_100kbps(), Some(3000));
    let rate = |known, flags, index| Mcs { known, flags, index }.rate_100kbps();
    assert_eq!(
        (rate(7, 0, 0), rate(7, 4, 7), rate(7, 1, 7), rate(7, 0, 32)),
        (Some(65), Some(722), Some(1350), None)
    );
}

#[test]
fn radiotap_vendor_namespace_is_skipped() {
    // A vendor field of 3 octets behind the flags; then the default namespace again with a signal.
    let tap =
        radiotap::parse(&hex("0000 1c00 020000c0 010000a0 20000000 10 00 001122 33 0300 aaaaaa d6")).unwrap();
    assert_eq!((tap.flags, tap.signal_dbm, tap.tsft), (Some(0x10), Some(-42), None));
}

#[test]
fn radiotap_unknown_field_ends_the_fields() {
    let tap = radiotap::parse(&hex("0000 0c00 22000010 10 d6 ffff")).unwrap();
    assert_eq!((tap.flags, tap.signal_dbm, tap.len), (Some(0x10), Some(-42), 12));
}

#[test]
fn malformed_radiotap() {
    assert_eq!(radiotap::parse(&[]), Err(RadiotapError::Truncated));
    assert_eq!(radiotap::parse(&hex("0100080000000000")), Err(RadiotapError::Version(1)));
    // Length beyond the end, below the fixed part, present words that do not end, field cut off.
    for wrong in ["0000090000000000", "0000040000000000", "00000c0000000080000000 80", "0000080002000000"] {
        assert_eq!(radiotap::parse(&hex(wrong)), Err(RadiotapError::Truncated), "{wrong}");
    }
}

proptest! {
    #[test]
    fn addresses_round_trip(octets in any::<[u8; 6]>()) {
        prop_assert_eq!(MacAddr(octets).to_string().parse(), Ok(MacAddr(octets)));
    }

    #[test]
    fn amsdus_round_trip(
        items in prop::collection::vec((any::<[u8; 6]>(), any::<[u8; 6]>(), prop::collection::vec(any::<u8>(), 0..100)), 0..6)
    ) {
        let mut builder = AmsduBuilder::new();
        for (da, sa, msdu) in &items {
            builder.push(MacAddr(*da), MacAddr(*sa), msdu).unwrap();
        }
        let body = builder.finish();
        let parsed: Vec<_> =
            Subframes::new(&body).map(Result::unwrap).map(|s| (s.da.0, s.sa.0, s.msdu.to_vec())).collect();
        prop_assert_eq!(parsed, items);
    }

    #[test]
    fn fcs_round_trips(frame in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut sent = frame.clone();
        fcs::append(&mut sent);
        prop_assert_eq!(fcs::strip(&sent), Some(&frame[..]));
        let at = at.index(sent.len());
        sent[at] ^= 1u8 << bit;
        prop_assert_eq!(fcs::strip(&sent), None);
    }
}
