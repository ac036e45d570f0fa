//! The outer form of datagrams: built, parsed, refused.

use proptest::prelude::*;
use proto::matchmaking::datagram::*;
use proto::tunnel::{Punch, SessionId};

const PUNCH: Punch = Punch { session_id: SessionId([10; 16]), counter: 11, mac: [12; 16] };

fn sealed(mut head: Vec<u8>) -> Vec<u8> {
    head.extend([9; TAG]);
    head
}

/// One of each kind, with what it must parse to.
fn samples() -> Vec<Vec<u8>> {
    let mut all = vec![initiation(&[1; 16], &[2; 100]).unwrap()];
    let mut out = Vec::new();
    cookie(&[3; 8], &[4; 16], &mut out);
    all.push(out.clone());
    response(&[3; 8], &[5; NOISE_2], &[6; 12], &mut out);
    all.push(sealed(out.clone()));
    for cookie in [None, Some(&[4; 16])] {
        request(cookie, &[7; MAX_TICKET], 8, &mut out);
        all.push(sealed(out.clone()));
    }
    for kind in [kind::ANSWER, kind::PUSH] {
        downward(kind, &[0, 0, 0, 0, 0, 0, 0, 8], &[6; 12], &mut out);
        all.push(sealed(out.clone()));
    }
    not_accepted(8, &[9; 8], &NO_COOKIE, &mut out);
    all.push(out.clone());
    versions(&[3; 8], &mut out);
    all.push(out.clone());
    all.push(PUNCH.datagram().to_vec());
    all
}

#[test]
fn each_kind_is_read_as_it_was_written() {
    let samples = samples();
    let parsed: Vec<_> = samples.iter().map(|octets| Datagram::parse(octets).unwrap()).collect();
    let ticket = &[7; MAX_TICKET][..];
    let expected = [
        Datagram::Initiation { cookie: &[1; 16], noise: &[2; 100] },
        Datagram::Cookie { initiation: &[3; 8], cookie: &[4; 16] },
        Datagram::Response { initiation: &[3; 8], noise: &[5; NOISE_2], nonce: &[6; 12] },
        Datagram::Request(SealedRequest { cookie: None, ticket, counter: 8 }),
        Datagram::Request(SealedRequest { cookie: Some(&[4; 16]), ticket, counter: 8 }),
        Datagram::Answer { counter: 8, nonce: &[6; 12] },
        Datagram::Push { session: &[0, 0, 0, 0, 0, 0, 0, 8], nonce: &[6; 12] },
        Datagram::NotAccepted { counter: 8, echo: &[9; 8], cookie: &NO_COOKIE },
        Datagram::Versions { initiation: &[3; 8], versions: VERSIONS },
        Datagram::Punch(PUNCH),
    ];
    assert_eq!(parsed, expected);
    assert_eq!(samples[0].len(), MIN_INITIATION);
    assert_eq!(initiation_id(&samples[0]), Some(&[2; 8]));
    for (octets, datagram) in samples.iter().zip(&parsed) {
        assert!(is_matchmaking(octets[0]));
        match datagram.head() {
            0 => (),
            head => assert_eq!(octets[head..], [9; TAG]),
        }
    }
}

#[test]
fn a_datagram_that_is_cut_off_or_goes_on_is_refused() {
    for whole in samples() {
        let padded = whole[0] == kind::INITIATION;
        let open_ended = matches!(Datagram::parse(&whole).unwrap().head(), 1..) || whole[0] == kind::VERSIONS;
        let least = if padded { 20 + 100 } else { whole.len() };
        for length in 0..least {
            let parsed = Datagram::parse(&whole[..length]);
            assert_eq!(parsed, Err(DatagramError::Length), "{:02x} of {length}", whole[0]);
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert_eq!(Datagram::parse(&longer).is_ok(), padded || open_ended, "{:02x}", whole[0]);
        longer.resize(MAX_DATAGRAM + 1, 0);
        assert_eq!(Datagram::parse(&longer), Err(DatagramError::Length));
    }
}

#[test]
fn the_shortest_request_is_longer_than_its_refusal() {
    let (mut request_, mut refusal) = (Vec::new(), Vec::new());
    not_accepted(0, &[0; 8], &NO_COOKIE, &mut refusal);
    for length in 0..=MAX_TICKET + 1 {
        request(None, &vec![1; length], 0, &mut request_);
        let request = sealed(request_.clone());
        let fits = (MIN_TICKET..=MAX_TICKET).contains(&length);
        assert_eq!(Datagram::parse(&request).is_ok(), fits, "{length}");
        assert!(!fits || request.len() > refusal.len());
    }
}

#[test]
fn other_kinds_and_versions_are_named() {
    for first in (0..=0x80).chain(0x8b..=0xff) {
        assert!(!is_matchmaking(first));
        assert_eq!(Datagram::parse(&[first, 1, 0, 0]), Err(DatagramError::Kind));
    }
    for mut octets in samples() {
        octets[1] = 2;
        let parsed = Datagram::parse(&octets);
        match octets[0] {
            // Whoever is to learn that its version is not spoken must be able to read that.
            kind::VERSIONS => assert!(parsed.is_ok()),
            _ => assert_eq!(parsed, Err(DatagramError::Version { version: 2 })),
        }
    }
    assert_eq!(initiation(&NO_COOKIE, &[0; MAX_DATAGRAM - 19]), None);
    assert_eq!(initiation(&NO_COOKIE, &[0; MAX_DATAGRAM - 20]).unwrap().len(), MAX_DATAGRAM);
}

proptest! {
    #[test]
    fn arbitrary_octets_are_harmless(
        first in 0x80u8..0x8c,
        version in 0u8..3,
        rest in prop::collection::vec(any::<u8>(), 0..1300),
        short in any::<bool>(),
    ) {
        let mut octets = vec![first, version];
        octets.extend(rest);
        if short && octets.len() > 20 {
            // A length that may be right.
            (octets[2], octets[18]) = (0, 0);
        }
        if let Ok(datagram) = Datagram::parse(&octets) {
            prop_assert!(octets.len() <= MAX_DATAGRAM);
            let head = datagram.head();
            prop_assert!(head == 0 || head + TAG <= octets.len());
        }
    }
}
