//! What must hold for any octets that the parsers of `proto` are given. Each function is the body of one fuzz target;
//! `proto/tests/corpus.rs` replays the committed corpora through the same functions.

use std::time::Duration;

use prost::Message;

use ::proto::matchmaking::check;
use ::proto::matchmaking::datagram::{self, Datagram, MAX_DATAGRAM, TAG};
use ::proto::matchmaking::messages::{Answer, Push, Request};
use ::proto::tunnel::{
    DataHeader, Header, KeepAlive, Limits, MAX_FRAME, MAX_HEADER_LEN, Reassembler, Wireless, fragment,
};

/// Body of a target.
pub type Target = fn(&[u8]);

/// Name and body of every target.
pub const TARGETS: &[(&str, Target)] = &[
    ("proto_datagram", datagram),
    ("proto_keep_alive", keep_alive),
    ("proto_matchmaking", matchmaking),
    ("proto_reassembly", reassembly),
];

/// A datagram of the tunnel: its header built again says the same; its payload, cut up, comes out whole.
pub fn datagram(data: &[u8]) {
    let Ok((header, payload)) = DataHeader::parse(data) else { return };
    assert_eq!(header.header_len() + payload.len(), data.len());
    let again = Header {
        radio_id: header.radio_id(),
        native: header.native(),
        keep_alive: header.keep_alive(),
        fragment: header.fragment(),
        radio_mac: header.radio_mac(),
        wireless: header.frame_info().map(Wireless::FrameInfo),
    };
    let encoded = again.encode();
    assert_eq!(encoded.as_bytes().len(), again.encoded_len());
    assert!(encoded.as_bytes().len() <= MAX_HEADER_LEN);
    let (view, rest) = DataHeader::parse(encoded.as_bytes()).unwrap();
    assert!(rest.is_empty());
    assert_eq!(
        (view.radio_id(), view.native(), view.keep_alive()),
        (again.radio_id, again.native, again.keep_alive)
    );
    assert_eq!((view.fragment(), view.radio_mac()), (again.fragment, again.radio_mac));
    assert_eq!(
        (view.frame_info(), view.destination_wlans()),
        (header.frame_info(), header.destination_wlans())
    );
    if header.keep_alive() {
        keep_alive(payload);
    }
    let whole = Header { fragment: None, ..again };
    let Ok(parts) = fragment(whole, payload, 200, 7) else {
        assert!(payload.is_empty() || payload.len() > MAX_FRAME);
        return;
    };
    let mut reassembler = Reassembler::new(Limits::default());
    let mut got = None;
    for part in parts {
        let part = part.datagram();
        assert!(part.len() <= 200 && got.is_none());
        let (header, payload) = DataHeader::parse(&part).unwrap();
        // More than 64 fragments is more than a reassembler takes.
        let Ok(pushed) = reassembler.push((), &header, payload, Duration::ZERO) else { return };
        got = pushed.map(|whole| whole.frame.to_vec());
    }
    assert_eq!(got.as_deref(), Some(payload));
}

/// What follows the header of a keep-alive: built again it says the same.
pub fn keep_alive(data: &[u8]) {
    let Ok(keep_alive) = KeepAlive::parse(data) else { return };
    let again = keep_alive.datagram();
    let (header, payload) = DataHeader::parse(&again).unwrap();
    assert!(header.keep_alive());
    assert_eq!(KeepAlive::parse(payload), Ok(keep_alive));
}

/// A datagram of matchmaking: built again it is the same, but for what is sealed; and what it would be if it were an
/// opened request, answer or push.
pub fn matchmaking(data: &[u8]) {
    if let Ok(message) = Request::decode(data) {
        let _ = check::request(&message);
    }
    if let Ok(message) = Answer::decode(data) {
        let _ = check::answer(&message);
    }
    if let Ok(message) = Push::decode(data) {
        let _ = check::push(&message);
    }
    let Ok(parsed) = Datagram::parse(data) else { return };
    assert!(data.len() <= MAX_DATAGRAM && datagram::is_matchmaking(data[0]));
    let head = parsed.head();
    let mut again = Vec::new();
    match parsed {
        Datagram::Initiation { cookie, noise } => {
            again = datagram::initiation(cookie, noise).unwrap();
            assert_eq!(datagram::initiation_id(data), noise.first_chunk());
            let same = 2 + 16 + 2 + noise.len();
            assert_eq!(again[..same], data[..same]);
            return;
        }
        Datagram::Cookie { initiation, cookie } => datagram::cookie(initiation, cookie, &mut again),
        Datagram::Response { initiation, noise, nonce } => {
            datagram::response(initiation, noise, nonce, &mut again);
        }
        Datagram::Request(request) => {
            datagram::request(request.cookie, request.ticket, request.counter, &mut again);
        }
        Datagram::Answer { counter, nonce } => {
            datagram::downward(datagram::kind::ANSWER, &counter.to_be_bytes(), nonce, &mut again);
        }
        Datagram::NotAccepted { counter, echo, cookie } => {
            datagram::not_accepted(counter, echo, cookie, &mut again);
        }
        Datagram::Versions { versions, .. } => return assert!(!versions.is_empty()),
        Datagram::Push { session, nonce } => {
            datagram::downward(datagram::kind::PUSH, session, nonce, &mut again);
        }
        Datagram::Punch(punch) => again.extend_from_slice(&punch.datagram()),
    }
    match head {
        0 => assert_eq!(again, data),
        head => {
            assert_eq!(again, data[..head]);
            assert!(data.len() >= head + TAG);
        }
    }
}

/// A row of datagrams, each behind an octet for its source and the time since the last (4 bits each, the time in
/// 64 ms) and one for its length: whatever they are, the bounds hold and every fragment is accounted for.
pub fn reassembly(mut data: &[u8]) {
    let limits = Limits { entries: 4, octets: 0, age: Duration::from_millis(500) };
    let mut reassembler = Reassembler::new(limits);
    let mut now = Duration::ZERO;
    let (mut fragments, mut rejected) = (0, 0);
    while let Some((&[meta, len], rest)) = data.split_first_chunk::<2>() {
        let (octets, rest) = rest.split_at(rest.len().min(len.into()));
        data = rest;
        now += Duration::from_millis(u64::from(meta >> 4) * 64);
        let Ok((header, payload)) = DataHeader::parse(octets) else { continue };
        fragments += u64::from(header.fragment().is_some());
        match reassembler.push(meta & 0x0f, &header, payload, now) {
            Ok(Some(whole)) => assert!(whole.frame.len() <= MAX_FRAME),
            Ok(None) => assert!(header.fragment().is_some()),
            Err(_) => rejected += 1,
        }
        assert!(reassembler.len() <= 4 && reassembler.octets() <= MAX_FRAME);
    }
    let counters = reassembler.counters();
    let refused = counters.bad_length + counters.too_long + counters.overlapping + counters.inconsistent;
    assert_eq!((counters.fragments, refused), (fragments, rejected));
    reassembler.expire(now + Duration::from_secs(1));
    assert!(reassembler.is_empty() && reassembler.octets() == 0);
}
