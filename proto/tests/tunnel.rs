//! The tunnel's wire format and reassembly: byte forms from RFC 5415 §4.3/§4.4.1 and RFC 5416 §4, hostile fragments,
//! bounds of memory and age, and properties over arbitrary octets.

use std::time::Duration;

use dot11::MacAddr;
use proptest::prelude::*;
use proto::tunnel::*;

const NOW: Duration = Duration::from_secs(1000);

fn frame(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

fn offer<'a>(
    reassembler: &'a mut Reassembler<u8>,
    source: u8,
    datagram: &'a [u8],
    now: Duration,
) -> Result<Option<Vec<u8>>, Rejected> {
    let (header, payload) = DataHeader::parse(datagram).unwrap();
    Ok(reassembler.push(source, &header, payload, now)?.map(|whole| whole.frame.to_vec()))
}

/// A fragment of a frame that is nothing but `fill`.
fn piece(id: u16, offset: u16, len: usize, last: bool, fill: u8) -> Vec<u8> {
    let header = Header { fragment: Some(FragmentField { id, offset, last }), ..Header::DATA };
    [header.encode().as_bytes(), &vec![fill; len]].concat()
}

#[test]
fn data_header_has_the_octets_of_the_rfc() {
    // HLEN 2, RID 1, WBID 1, T
    assert_eq!(Header::DATA.encode().as_bytes(), [0x00, 0x10, 0x43, 0x00, 0, 0, 0, 0]);
    let up = Header::received(FrameInfo { rssi: -61, snr: 34, rate: 540 });
    assert_eq!(
        up.encode().as_bytes(),
        [0x00, 0x20, 0x43, 0x20, 0, 0, 0, 0, 4, 0xc3, 34, 0x02, 0x1c, 0, 0, 0],
        "HLEN 4, flag W, RSSI, SNR, rate in network order"
    );
    let all = Header {
        radio_id: 31,
        radio_mac: Some(MacAddr([2, 0xaa, 0, 0, 0, 1])),
        wireless: Some(Wireless::DestinationWlans(0x8001)),
        fragment: Some(FragmentField { id: 0xbeef, offset: 1408, last: true }),
        ..Header::DATA
    };
    assert_eq!(
        all.encode().as_bytes(),
        [
            0x00, 0x37, 0xc3, 0xf0, 0xbe, 0xef, 0x05, 0x80, 6, 2, 0xaa, 0, 0, 0, 1, 0, 4, 0x80, 1, 0, 0, 0,
            0, 0
        ],
        "HLEN 6, RID 31, flags T F L W M; offset 176 × 8 in the upper 13 bits"
    );
    let octets = [all.encode().as_bytes(), b"frame"].concat();
    let (header, payload) = DataHeader::parse(&octets).unwrap();
    assert_eq!(payload, b"frame");
    assert_eq!((header.radio_id(), header.native(), header.keep_alive()), (31, true, false));
    assert_eq!(header.fragment(), all.fragment);
    assert_eq!(header.radio_mac(), all.radio_mac);
    assert_eq!(header.destination_wlans(), Some(0x8001));
}

#[test]
fn headers_that_are_not_ours_are_named() {
    let good = *b"\x00\x10\x43\x00\0\0\0\0";
    let with = |at: usize, octet: u8| {
        let mut octets = good;
        octets[at] = octet;
        DataHeader::parse(&octets).map(|_| ()).unwrap_err()
    };
    assert_eq!(DataHeader::parse(&good[..7]).unwrap_err(), HeaderError::Truncated { need: 8, have: 7 });
    assert_eq!(with(0, 1), HeaderError::Preamble(1), "a DTLS header");
    assert_eq!(with(1, 0x08), HeaderError::Length(4));
    assert_eq!(with(1, 0x18), HeaderError::Truncated { need: 12, have: 8 });
    assert_eq!(with(2, 0x47), HeaderError::Binding(3), "EPCglobal");
    assert_eq!(with(3, 0x20), HeaderError::Length(8), "flag W without room");
    let mut overlong = *b"\x00\x18\x43\x10\0\0\0\0\x08\0\0\0";
    assert_eq!(DataHeader::parse(&overlong).unwrap_err(), HeaderError::Length(12));
    overlong[8] = 3;
    assert_eq!(DataHeader::parse(&overlong).unwrap().0.radio_mac(), None, "fits, but is no EUI-48");
}

/// The MAC was computed with OpenSSL: `openssl dgst -sha256 -mac HMAC -macopt hexkey:…` over the concatenation.
#[test]
fn a_proof_is_right_for_its_keep_alive_only() {
    let key = TunnelKey::new(std::array::from_fn(|i| i as u8));
    let session_id = SessionId(*b"0123456789abcdef");
    let hello = Hello {
        bssid: MacAddr([2, 0xaa, 0, 0, 0, 1]),
        radio: MacAddr([2, 0xbb, 0, 0, 0, 2]),
        service: "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap(),
    };
    let proof = Proof::new(&key, &session_id, &hello, 0x0102);
    assert_eq!(
        proof.mac,
        [0x13, 0x80, 0x58, 0x7b, 0xa3, 0xf0, 0x20, 0x2c, 0x54, 0xa0, 0x7a, 0xaa, 0xfb, 0x0f, 0xe6, 0x87]
    );
    let sent = KeepAlive { session_id, hello: Some(hello), proof: Some(proof) };
    let octets = sent.datagram();
    assert_eq!(octets.len(), 102);
    assert_eq!(octets[8..10], [0, 94]);
    assert_eq!(octets[68..78], [0, 37, 0, 30, 0, 0, 0x7e, 0xd9, 0, 2]);
    assert_eq!(KeepAlive::parse(&octets[8..]), Ok(sent));
    assert!(proof.is_right(&key, &session_id, &hello));
    assert!(!proof.is_right(&TunnelKey::new([0; 16]), &session_id, &hello));
    assert!(!proof.is_right(&key, &SessionId([0; 16]), &hello));
    assert!(!proof.is_right(&key, &session_id, &Hello { bssid: hello.radio, ..hello }));
    assert!(!Proof { counter: 0x0103, ..proof }.is_right(&key, &session_id, &hello));
}

/// The MAC was computed with Python: `hmac.new(key, b"ttg punch" + session + counter, sha256)`.
#[test]
fn a_punch_is_right_for_its_tunnel_and_counter_only() {
    let key = TunnelKey::new(std::array::from_fn(|i| i as u8));
    let session_id = SessionId(*b"0123456789abcdef");
    let punch = Punch::new(&key, session_id, 0x0102);
    assert_eq!(
        punch.mac,
        [0xe7, 0x5a, 0x10, 0xce, 0x2e, 0x46, 0x4f, 0xa2, 0x16, 0x0b, 0x93, 0x6a, 0x42, 0xf4, 0xaf, 0xbd]
    );
    let octets = punch.datagram();
    assert_eq!(Punch::parse(&octets), Some(punch));
    assert!(punch.is_right(&key) && !punch.is_right(&TunnelKey::new([0; 16])));
    assert!(!Punch { counter: 0x0103, ..punch }.is_right(&key));
    assert!(!Punch { session_id: SessionId([0; 16]), ..punch }.is_right(&key));
    for len in 0..octets.len() {
        assert_eq!(Punch::parse(&octets[..len]), None);
    }
    assert_eq!(Punch::parse(&[&octets[..], &[0]].concat()), None);
    assert_eq!(Punch::parse(&[&[0x89, 2], &octets[2..]].concat()), None, "of another version");
}

#[test]
fn keep_alive_has_the_octets_of_the_rfc() {
    let session_id = SessionId(*b"0123456789abcdef");
    let echo = KeepAlive { session_id, hello: None, proof: None };
    let mut octets = b"\x00\x10\x42\x08\0\0\0\0\0\x16\0\x23\0\x10".to_vec();
    octets.extend_from_slice(&session_id.0);
    assert_eq!(echo.datagram(), octets);

    let hello = Hello {
        bssid: MacAddr([2, 0xaa, 0, 0, 0, 1]),
        radio: MacAddr([2, 0xbb, 0, 0, 0, 2]),
        service: "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap(),
    };
    let introduced = KeepAlive { session_id, hello: Some(hello), proof: None };
    let octets = introduced.datagram();
    assert_eq!(octets.len(), 68);
    assert_eq!(octets[8..10], [0, 60]);
    assert_eq!(octets[30..40], [0, 37, 0, 34, 0, 0, 0x7e, 0xd9, 0, 1]);
    let (header, payload) = DataHeader::parse(&octets).unwrap();
    assert!(header.keep_alive() && !header.native());
    assert_eq!(KeepAlive::parse(payload), Ok(introduced));
    assert_eq!(hello.service.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
}

#[test]
fn keep_alives_that_lie_are_refused() {
    let whole = KeepAlive { session_id: SessionId([7; 16]), hello: None, proof: None }.datagram();
    let good = &whole[8..];
    for len in 0..good.len() {
        assert_eq!(KeepAlive::parse(&good[..len]), Err(KeepAliveError::Length));
    }
    let body = |elements: &[u8]| [&(elements.len() as u16 + 2).to_be_bytes(), elements].concat();
    assert_eq!(KeepAlive::parse(&body(&[])), Err(KeepAliveError::NoSession));
    assert_eq!(KeepAlive::parse(&body(&[0, 35, 0, 1, 9])), Err(KeepAliveError::Element(35)));
    assert_eq!(KeepAlive::parse(&body(&[0, 99, 0, 1])), Err(KeepAliveError::Element(99)));
    let short_hello = [0, 37, 0, 7, 0, 0, 0x7e, 0xd9, 0, 1, 5];
    assert_eq!(KeepAlive::parse(&body(&short_hello)), Err(KeepAliveError::Element(37)));
    let foreign = [&[0, 37, 0, 7, 0, 0, 0, 9, 0, 1, 5, 0, 99, 0, 0], &good[2..]].concat();
    assert_eq!(KeepAlive::parse(&body(&foreign)).unwrap().hello, None, "other vendors are skipped");
}

#[test]
fn service_uuids_are_read_and_refused() {
    let uuid: ServiceUuid = "F81D4FAE-7dec-11d0-a765-00a0c91e6bf6".parse().unwrap();
    assert_eq!(uuid.to_string(), "f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
    for bad in [
        "",
        "f81d4fae7dec11d0a76500a0c91e6bf6",
        "f81d4fae-7dec-11d0-a765-00a0c91e6bfg",
        "f81d4fae+7dec-11d0-a765-00a0c91e6bf6",
        "-81d4fae-7dec-11d0-a765-00a0c91e6bf6f",
    ] {
        assert!(bad.parse::<ServiceUuid>().is_err(), "{bad}");
    }
}

#[test]
fn a_full_frame_crosses_a_full_path_in_two_datagrams() {
    let frame = frame(1500 + 26 + 8 + 8 + 8);
    let header = Header::received(FrameInfo::default());
    let datagrams: Vec<_> =
        fragment(header, &frame, max_datagram(1500, false), 9).unwrap().map(|part| part.datagram()).collect();
    let lens: Vec<_> = datagrams.iter().map(Vec::len).collect();
    assert_eq!(lens, [16 + 1456, 8 + 94]);
    assert!(DataHeader::parse(&datagrams[0]).unwrap().0.frame_info().is_some());
    assert_eq!(DataHeader::parse(&datagrams[1]).unwrap().0.wireless(), None, "optional parts only once");
    let mut reassembler = Reassembler::new(Limits::default());
    assert_eq!(offer(&mut reassembler, 1, &datagrams[1], NOW), Ok(None));
    assert_eq!(offer(&mut reassembler, 1, &datagrams[0], NOW), Ok(Some(frame)));
    assert!(reassembler.is_empty());
    assert_eq!(reassembler.octets(), 0);
    assert_eq!(reassembler.counters(), Counters { fragments: 2, completed: 1, ..Counters::default() });
}

#[test]
fn what_fits_is_not_fragmented() {
    let frame = frame(1464);
    let all: Vec<_> = fragment(Header::DATA, &frame, 1472, 9).unwrap().collect();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].header, Header::DATA.encode());
    assert_eq!(fragment(Header::DATA, &frame, 1471, 9).unwrap().count(), 2);
    assert_eq!(fragment(Header::DATA, &[], 1471, 9).unwrap_err(), FragmentError::Empty);
    assert_eq!(fragment(Header::DATA, &frame, 31, 9).unwrap_err(), FragmentError::Datagram(31));
    let long = vec![0; MAX_FRAME + 1];
    assert_eq!(fragment(Header::DATA, &long, 1472, 9).unwrap_err(), FragmentError::TooLong(MAX_FRAME + 1));
}

#[test]
fn fragments_that_contradict_take_their_frame_with_them() {
    // first, then the contradiction
    let cases = [
        (piece(1, 0, 16, false, 1), piece(1, 8, 16, true, 1), Rejected::Overlap),
        (piece(1, 0, 16, false, 1), piece(1, 0, 16, false, 2), Rejected::Overlap),
        (piece(1, 16, 8, true, 1), piece(1, 24, 8, false, 1), Rejected::Inconsistent),
        (piece(1, 16, 8, true, 1), piece(1, 24, 8, true, 1), Rejected::Inconsistent),
        (piece(1, 16, 8, false, 1), piece(1, 8, 8, true, 1), Rejected::Inconsistent),
    ];
    for (case, (first, second, why)) in cases.into_iter().enumerate() {
        let mut reassembler = Reassembler::new(Limits::default());
        assert_eq!(offer(&mut reassembler, 1, &first, NOW), Ok(None), "case {case}");
        assert_eq!(offer(&mut reassembler, 1, &second, NOW), Err(why), "case {case}");
        assert!(reassembler.is_empty(), "case {case}");
        assert_eq!(reassembler.octets(), 0);
        let counters = reassembler.counters();
        assert_eq!(
            (counters.overlapping, counters.inconsistent),
            if why == Rejected::Overlap { (1, 0) } else { (0, 1) }
        );
    }
}

#[test]
fn fragments_that_no_sender_makes_are_refused_alone() {
    let mut reassembler = Reassembler::new(Limits::default());
    offer(&mut reassembler, 1, &piece(1, 0, 16, false, 1), NOW).unwrap();
    assert_eq!(offer(&mut reassembler, 1, &piece(1, 16, 0, true, 1), NOW), Err(Rejected::Length));
    assert_eq!(offer(&mut reassembler, 1, &piece(1, 16, 12, false, 1), NOW), Err(Rejected::Length));
    assert_eq!(offer(&mut reassembler, 1, &piece(1, 11_520, 8, true, 1), NOW), Err(Rejected::TooLong));
    assert_eq!(offer(&mut reassembler, 1, &piece(1, 16, 12, true, 1), NOW), Ok(Some(vec![1; 28])));
    let counters = reassembler.counters();
    assert_eq!((counters.bad_length, counters.too_long, counters.completed), (2, 1, 1));
}

#[test]
fn copies_are_ignored_and_sources_kept_apart() {
    let mut reassembler = Reassembler::new(Limits::default());
    for source in [1, 2] {
        assert_eq!(offer(&mut reassembler, source, &piece(1, 0, 16, false, source), NOW), Ok(None));
        assert_eq!(offer(&mut reassembler, source, &piece(1, 0, 16, false, source), NOW), Ok(None));
    }
    for source in [1, 2] {
        let whole = offer(&mut reassembler, source, &piece(1, 16, 1, true, source), NOW);
        assert_eq!(whole, Ok(Some(vec![source; 17])));
    }
    assert_eq!(reassembler.counters().duplicates, 2);
}

#[test]
fn too_many_tiny_fragments_are_refused() {
    let mut reassembler = Reassembler::new(Limits::default());
    for at in 0..64 {
        assert_eq!(offer(&mut reassembler, 1, &piece(1, at * 8, 8, false, 1), NOW), Ok(None));
    }
    assert_eq!(offer(&mut reassembler, 1, &piece(1, 64 * 8, 8, false, 1), NOW), Err(Rejected::TooLong));
    assert!(reassembler.is_empty());
}

#[test]
fn incomplete_frames_are_given_up_by_age() {
    let limits = Limits { age: Duration::from_millis(500), ..Limits::default() };
    let mut reassembler = Reassembler::new(limits);
    offer(&mut reassembler, 1, &piece(1, 0, 16, false, 1), NOW).unwrap();
    offer(&mut reassembler, 1, &piece(2, 0, 16, false, 1), NOW + Duration::from_millis(1)).unwrap();
    reassembler.expire(NOW + Duration::from_millis(500));
    assert_eq!(reassembler.len(), 2);
    reassembler.expire(NOW + Duration::from_millis(501));
    assert_eq!((reassembler.len(), reassembler.octets(), reassembler.counters().expired), (1, 16, 1));
    // The end of a frame that is gone does not complete it.
    let late = offer(&mut reassembler, 1, &piece(1, 16, 8, true, 1), NOW + Duration::from_millis(501));
    assert_eq!(late, Ok(None));
}

#[test]
fn the_oldest_gives_way_when_entries_run_out() {
    let mut reassembler = Reassembler::new(Limits { entries: 2, ..Limits::default() });
    for id in 1..=3 {
        offer(&mut reassembler, 1, &piece(id, 0, 16, false, 1), NOW).unwrap();
    }
    assert_eq!((reassembler.len(), reassembler.counters().evicted), (2, 1));
    assert!(offer(&mut reassembler, 1, &piece(2, 16, 8, true, 1), NOW).unwrap().is_some());
    assert!(offer(&mut reassembler, 1, &piece(3, 16, 8, true, 1), NOW).unwrap().is_some());
}

#[test]
fn the_oldest_gives_way_when_octets_run_out() {
    let mut reassembler = Reassembler::new(Limits { octets: 0, ..Limits::default() });
    // Raised to MAX_FRAME: one frame of the greatest length always goes through.
    offer(&mut reassembler, 1, &piece(1, 0, 8000, false, 1), NOW).unwrap();
    offer(&mut reassembler, 1, &piece(2, 0, 3000, false, 2), NOW).unwrap();
    assert_eq!((reassembler.len(), reassembler.octets()), (2, 11_000));
    offer(&mut reassembler, 1, &piece(1, 8000, 3200, false, 1), NOW).unwrap();
    assert_eq!((reassembler.len(), reassembler.octets(), reassembler.counters().evicted), (1, 11_200, 1));
    let whole = offer(&mut reassembler, 1, &piece(1, 11_200, 320, true, 1), NOW).unwrap().unwrap();
    assert_eq!(whole, vec![1; MAX_FRAME]);
}

proptest! {
    #[test]
    fn any_octets_are_parsed_or_refused(octets in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut reassembler = Reassembler::new(Limits::default());
        if let Ok((header, payload)) = DataHeader::parse(&octets) {
            prop_assert_eq!(header.header_len() + payload.len(), octets.len());
            let _ = (header.radio_mac(), header.frame_info(), header.destination_wlans(), header.fragment());
            let _ = KeepAlive::parse(payload);
            let _ = reassembler.push(0u8, &header, payload, NOW);
        }
        let _ = KeepAlive::parse(&octets);
    }

    #[test]
    fn the_short_way_agrees_with_the_long_one(
        radio_id: u8, flips in prop::collection::vec((0usize..16, 0u8..8), 0..3), rssi: i8, snr: i8, rate: u16, len in 0usize..30,
    ) {
        let info = FrameInfo { rssi, snr, rate };
        let mut octets = Header { radio_id, ..Header::received(info) }.encode().as_bytes().to_vec();
        for (at, bit) in flips {
            octets[at] ^= 1 << bit;
        }
        octets.resize(len, 0x88);
        let long = DataHeader::parse(&octets).ok().map(|(header, _)| header).filter(|header| {
            header.native() && !header.keep_alive() && header.fragment().is_none() && header.radio_mac().is_none()
        });
        match DataHeader::received(&octets) {
            Some(short) => {
                let long = long.expect("a header");
                prop_assert_eq!((Some(short), RECEIVED_LEN), (long.frame_info(), long.header_len()));
            }
            // The other direction holds as well, but for the L flag, which means nothing without F.
            None => {
                let missed = long.is_some_and(|header| {
                    header.header_len() == RECEIVED_LEN && header.frame_info().is_some() && octets[3] & 0x40 == 0
                });
                prop_assert!(!missed);
            }
        }
    }

    #[test]
    fn headers_survive_the_wire(
        radio_id in 0u8..32,
        flags in any::<(bool, bool)>(),
        fragment in prop::option::of((any::<u16>(), 0u16..8192, any::<bool>())),
        mac in prop::option::of(any::<[u8; 6]>()),
        info in prop::option::of(any::<(i8, i8, u16)>()),
        payload in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let sent = Header {
            radio_id,
            native: flags.0,
            keep_alive: flags.1,
            fragment: fragment.map(|(id, units, last)| FragmentField { id, offset: units * 8, last }),
            radio_mac: mac.map(MacAddr),
            wireless: info.map(|(rssi, snr, rate)| Wireless::FrameInfo(FrameInfo { rssi, snr, rate })),
        };
        let octets = [sent.encode().as_bytes(), &payload].concat();
        let (header, rest) = DataHeader::parse(&octets).unwrap();
        let got = Header {
            radio_id: header.radio_id(),
            native: header.native(),
            keep_alive: header.keep_alive(),
            fragment: header.fragment(),
            radio_mac: header.radio_mac(),
            wireless: header.frame_info().map(Wireless::FrameInfo),
        };
        prop_assert_eq!(got, sent);
        prop_assert_eq!(rest, &payload[..]);
    }

    #[test]
    fn keep_alives_survive_the_wire(session in any::<[u8; 16]>(), hello in prop::option::of(any::<([u8; 6], [u8; 6], [u8; 16])>()), proof in prop::option::of(any::<(u64, [u8; 16])>())) {
        let sent = KeepAlive {
            session_id: SessionId(session),
            hello: hello.map(|(bssid, radio, service)| Hello {
                bssid: MacAddr(bssid),
                radio: MacAddr(radio),
                service: ServiceUuid(service),
            }),
            proof: proof.map(|(counter, mac)| Proof { counter, mac }),
        };
        let octets = sent.datagram();
        prop_assert_eq!(KeepAlive::parse(&octets[8..]), Ok(sent));
    }

    #[test]
    fn frames_survive_fragmentation_in_any_order(
        len in 1usize..4000,
        max in 200usize..1500,
        order in any::<u64>(),
        copies in any::<u64>(),
    ) {
        let frame = frame(len);
        let mut parts: Vec<_> =
            fragment(Header::DATA, &frame, max, 7).unwrap().map(|part| part.datagram()).collect();
        prop_assert!(parts.iter().all(|part| part.len() <= max));
        let count = parts.len();
        let mut state = order;
        for at in (1..count).rev() {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            parts.swap(at, (state >> 33) as usize % (at + 1));
        }
        let mut reassembler = Reassembler::new(Limits::default());
        let mut got = None;
        for (at, part) in parts.iter().enumerate() {
            prop_assert!(got.is_none(), "complete before the last part");
            got = offer(&mut reassembler, 1, part, NOW).unwrap();
            if at + 1 < count && copies >> (at % 64) & 1 == 1 {
                prop_assert_eq!(offer(&mut reassembler, 1, part, NOW), Ok(None));
            }
        }
        prop_assert_eq!(got, Some(frame));
        prop_assert!(reassembler.is_empty());
    }

    /// Whatever comes, the bounds hold and a frame that comes out is one that some offsets really covered.
    #[test]
    fn hostile_fragments_stay_within_the_bounds(
        parts in prop::collection::vec((0u8..3, 0u16..4, 0u16..40, 0usize..80, any::<bool>(), 0u64..400), 1..300),
    ) {
        let limits = Limits { entries: 5, octets: MAX_FRAME, age: Duration::from_millis(900) };
        let mut reassembler = Reassembler::new(limits);
        let mut now = NOW;
        let mut rejected = 0;
        for (source, id, units, len, last, wait) in parts {
            now += Duration::from_millis(wait);
            match offer(&mut reassembler, source, &piece(id, units * 8, len, last, source), now) {
                Ok(Some(whole)) => prop_assert!(!whole.is_empty() && whole.iter().all(|&octet| octet == source)),
                Ok(None) => {}
                Err(_) => rejected += 1,
            }
            prop_assert!(reassembler.len() <= 5 && reassembler.octets() <= MAX_FRAME);
        }
        let counters = reassembler.counters();
        prop_assert_eq!(
            counters.bad_length + counters.too_long + counters.overlapping + counters.inconsistent,
            rejected
        );
        reassembler.expire(now + Duration::from_secs(1));
        prop_assert!(reassembler.is_empty() && reassembler.octets() == 0);
    }
}
