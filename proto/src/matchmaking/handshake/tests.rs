//! The handshake against the published vectors of Noise, and against what an attacker may send.

use super::super::seal::Portable;
use super::*;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn hex32(text: &str) -> [u8; 32] {
    hex(text).try_into().unwrap()
}

#[test]
fn vectors_of_cacophony() {
    cacophony(Curve::PORTABLE);
    cacophony(Curve::ACCELERATED);
}

/// From the vectors of cacophony (public domain), the one of this protocol.
fn cacophony(curve: Curve) {
    let prologue = hex("4a6f686e2047616c74");
    let psk = hex32("54686973206973206d7920417573747269616e20706572737065637469766521");
    let initiator =
        StaticSecret::new(hex32("e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1"));
    let responder =
        StaticSecret::new(hex32("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893"));
    let e_i = hex32("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a");
    let e_r = hex32("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b");
    assert_eq!(
        responder.public().to_string(),
        "31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62"
    );
    let mut a =
        builder(curve, &initiator, &prologue, &mut |out: &mut [u8]| out.copy_from_slice(&e_i)).unwrap();
    let theirs = responder.public();
    a = a.psk(PSK, &psk).unwrap().remote_public_key(&theirs.0).unwrap();
    let mut a = a.build_initiator().unwrap();
    let mut b =
        builder(curve, &responder, &prologue, &mut |out: &mut [u8]| out.copy_from_slice(&e_r)).unwrap();
    b = b.psk(PSK, &psk).unwrap();
    let mut b = b.build_responder().unwrap();

    let handshake = [
        (
            "4c756477696720766f6e204d69736573",
            "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79442ec9b09893d0f510791784c10cbc959f25b176\
             6e0def6e301d14fbca1c7790ac829b8b3674f5f649a5f0e98479662cbfbf2b2c47cd4b09fcd266cd29d7cb675f180884970784\
             7840f6d178ec4d3733aa",
        ),
        (
            "4d757272617920526f746862617264",
            "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088439a1b3cebf680b2c74217fcb5eba4ff58a9468c\
             d90c4aca6194f57479b379a7",
        ),
    ];
    for (at, (payload, ciphertext)) in handshake.into_iter().enumerate() {
        let (from, to) = if at == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
        let (mut sent, mut read) = ([0; 300], [0; 300]);
        let length = from.write_message(&hex(payload), &mut sent).unwrap();
        assert_eq!(sent[..length], hex(ciphertext));
        let length = to.read_message(&sent[..length], &mut read).unwrap();
        assert_eq!(read[..length], hex(payload));
    }
    assert_eq!(
        a.get_handshake_hash(),
        hex("8310f86394dc0dabb40beb8210031556db4403ab1202db7034c526232147a700")
    );
    // The keys of Split: the vector's transport messages, which have no additional data and count from 0.
    let keys = split(&mut a);
    let other = split(&mut b);
    assert_eq!((keys.up.0, keys.down.0), (other.up.0, other.down.0));
    let transport = [
        (&keys.up, "462e20412e20486179656b", "a8fde7a0accec190cd306c5950d4fd8e04a205ec288aa747d8b347"),
        (&keys.down, "4361726c204d656e676572", "59caddd9984a3bbe24c4fb31a2bd455b7eba3fa0980674b1a3a5f9"),
    ];
    for (key, payload, ciphertext) in transport {
        let mut datagram = hex(payload);
        seal::seal(&Portable::new(key), &[0; 12], &mut datagram, 0);
        assert_eq!(datagram, hex(ciphertext));
    }
}

#[test]
fn the_protocol_is_the_one_that_is_named() {
    assert_eq!(PROTOCOL.parse::<NoiseParams>().unwrap(), protocol());
}

fn counting(seed: u8) -> impl FnMut(&mut [u8]) {
    let mut next = seed;
    move |out| {
        out.fill_with(|| {
            next = next.wrapping_mul(5).wrapping_add(17);
            next
        })
    }
}

fn response(responder: Responder, id: &[u8; 8], key: &Key) -> Vec<u8> {
    let (noise, keys) = responder.finish(key).unwrap();
    let mut out = Vec::new();
    datagram::response(id, &noise, &[3; 12], &mut out);
    Admission { epoch: 5, ..Admission::default() }.encode(&mut out).unwrap();
    seal::seal(&Portable::new(&keys.down), &[3; 12], &mut out, RESPONSE_HEAD);
    out
}

#[test]
fn only_the_right_keys_shake_hands() {
    let (radio, matchmaker) = (StaticSecret::new([1; 32]), StaticSecret::new([2; 32]));
    let (key, wrong) = (Key([7; 32]), Key([8; 32]));
    let identity = Identity { account: "a@example.org".into(), ..Identity::default() };
    let mut initiator =
        Initiator::new(&radio, &matchmaker.public(), &key, &identity, &mut counting(1)).unwrap();
    let message = initiator.message().to_vec();
    assert!(message.len() <= datagram::MIN_INITIATION);
    let id = message.first_chunk().unwrap();
    let read = |seed| Responder::read(&matchmaker, &message, &mut counting(seed)).unwrap();
    assert_eq!((read(2).identity(), read(2).peer()), (&identity, radio.public()));

    // With another account key, and with any octet changed, the Response is refused, and the right one still taken.
    let error = initiator.finish::<Portable>(&mut response(read(2), id, &wrong)).unwrap_err();
    assert_eq!(error, HandshakeError::Noise);
    let good = response(read(4), id, &key);
    for at in 10..10 + NOISE_2 {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(initiator.finish::<Portable>(&mut bad).unwrap_err(), HandshakeError::Noise, "octet {at}");
    }
    let (admission, _) = initiator.finish::<Portable>(&mut good.clone()).unwrap();
    assert_eq!(admission.epoch, 5);
    assert!(initiator.finish::<Portable>(&mut good.clone()).is_err(), "the same Response twice");
    for at in (0..10).chain(10 + NOISE_2..good.len()) {
        let mut seed = counting(1);
        let mut initiator = Initiator::new(&radio, &matchmaker.public(), &key, &identity, &mut seed).unwrap();
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(
            initiator.finish::<Portable>(&mut bad).unwrap_err(),
            HandshakeError::Payload,
            "octet {at}"
        );
    }
    for at in 0..message.len() {
        let mut bad = message.clone();
        bad[at] ^= 1;
        assert!(Responder::read(&matchmaker, &bad, &mut counting(2)).is_err(), "octet {at}");
    }
    let mut cut = message.clone();
    while cut.pop().is_some() {
        assert!(Responder::read(&matchmaker, &cut, &mut counting(2)).is_err());
    }
    assert!(Responder::read(&StaticSecret::new([3; 32]), &message, &mut counting(2)).is_err());
}

#[test]
fn a_point_of_small_order_is_refused() {
    let matchmaker = StaticSecret::new([2; 32]);
    let none = Key([0; 32]);
    let initiator = Initiator::new(
        &StaticSecret::new([1; 32]),
        &PublicKey([0; 32]),
        &none,
        &Identity::default(),
        &mut counting(1),
    );
    assert_eq!(initiator.err(), Some(HandshakeError::Noise));
    let mut message = [0; 96];
    assert!(Responder::read(&matchmaker, &message, &mut counting(2)).is_err());
    message[0] = 1;
    assert!(Responder::read(&matchmaker, &message, &mut counting(2)).is_err());
}

/// RFC 7748 §5.2 and §6.1.
#[test]
fn both_curves_are_one() {
    let scalar = hex32("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    let point = hex32("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    let bob = hex32("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    for curve in [Curve::PORTABLE, Curve::ACCELERATED] {
        let shared = hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
        assert_eq!((curve.shared)(scalar, point)[..], shared);
        let public = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        assert_eq!((curve.public)(bob)[..], public);
        assert_eq!((curve.shared)(bob, [0; 32]), [0; 32]);
        assert_eq!((curve.shared)(bob, [[1].as_slice(), &[0; 31]].concat().try_into().unwrap()), [0; 32]);
    }
    let mut next = counting(9);
    for _ in 0..100 {
        let (mut scalar, mut point) = ([0; 32], [0; 32]);
        next(&mut scalar);
        next(&mut point);
        let (a, b) = (Curve::PORTABLE, Curve::ACCELERATED);
        assert_eq!((a.public)(scalar), (b.public)(scalar));
        assert_eq!((a.shared)(scalar, point), (b.shared)(scalar, point));
    }
}

#[test]
fn names_are_short() {
    let secret = StaticSecret::new([1; 32]);
    let identity = Identity { account: "x".repeat(255), ..Identity::default() };
    let made = Initiator::new(&secret, &secret.public(), &Key([0; 32]), &identity, &mut counting(1));
    assert_eq!(made.err(), Some(HandshakeError::Name));
    // The longest fit into an Initiation of the least length.
    let identity = Identity { account: "x".repeat(254), software: "y".repeat(128), instance: 1 };
    let made = Initiator::new(&secret, &secret.public(), &Key([0; 32]), &identity, &mut counting(1)).unwrap();
    assert!(datagram::initiation(&datagram::NO_COOKIE, made.message()).unwrap().len() <= 530);
}
