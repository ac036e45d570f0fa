//! GCMP and CCMP-256 against published vectors, and what must not pass. What they share with CCMP-128 is in `ccmp.rs`.

mod common;

use aes_gcm::KeyInit;
use aes_gcm::aead::{Aead, Payload};
use common::{AP, DEVICE, HOST, array, hex};
use dot11::QosControl;
use dot11::build::DataHeader;
use dot11::ccmp::{Ccmp256, CcmpError, CcmpHeader, Pn, Protection};
use dot11::gcmp::{Aes128Gcm, Aes256Gcm, Gcmp, Gcmp256};
use dot11::rsn::{Tk, Tk256};
use proptest::prelude::*;

const KEY: &str = "c97c1f67ce371185514a8a19f2bdd52f";
const KEY_256: &str = "c97c1f67ce371185514a8a19f2bdd52f000102030405060708090a0b0c0d0e0f";

fn both<A: dot11::ccmp::AeadInOut>(key: &Protection<A>, pn: u64, plain: &str, protected: &str) {
    let (plain, protected) = (hex(plain), hex(protected));
    let pn = Pn::new(pn).unwrap();
    assert_eq!(key.seal(0, pn, &plain).unwrap(), protected);
    let (header, opened) = key.open(&protected).unwrap();
    assert_eq!(header, CcmpHeader { key_id: 0, pn });
    // The examples' plain frames already have the Protected Frame bit set; an opened one has it clear.
    assert_eq!((opened[1], &opened[2..]), (plain[1] & !0x40, &plain[2..]));
}

/// The frame of 802.11-2012 Annex M.6.4 (802.11-2020 J.6.4) under a key of 256 bits: hostap's `wlantest/test_vectors.c`
/// has the frame and the key, NXP's `wifi_nxp` (`wlan_tests.c`, CCMP-256) the ciphertext.
#[test]
fn ccmp_256_frame() {
    both(
        &Ccmp256::new(&Tk256::new(array(KEY_256))),
        0xb503_9776_e70c,
        "0848c32c0fd2e128a57c5030f1844408abaea5b8fcba8033
         f8ba1a55d02f85ae967bb62fb6cda8eb7e78a050",
        "0848c32c0fd2e128a57c5030f1844408abaea5b8fcba8033
         0ce70020769703b5
         6d155d8832668256d6a92b78e11d8e54495dd174
         80aa56c9492e882b97642f80d50fe97b",
    );
}

const GCMP_PLAIN: &str = "88480b000fd2e128a57c5030f18444085030f184440880330300
    000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627";

/// The frame that hostap's `wlantest/test_vectors.c` quotes as test vector 2 of 802.11ad (M.11.1); additional data,
/// nonce, ciphertext and MIC as NXP's `wifi_nxp` (`wlan_tests.c`, GCMP-128) has them.
#[test]
fn gcmp_128_frame() {
    both(
        &Gcmp::new(&Tk::new(array(KEY))),
        0x0089_5f5f_2b08,
        GCMP_PLAIN,
        "88480b000fd2e128a57c5030f18444085030f184440880330300
         082b00205f5f8900
         60e9700cc4d40ac6d288b201c38f5bf08b807442640a1596e5dbdad41d1f3623f45d7a12db7afb23
         def619c2a374b6df66ffa53b6c69d79e",
    );
}

/// The same under a key of 256 bits, from the same places.
#[test]
fn gcmp_256_frame() {
    both(
        &Gcmp256::new(&Tk256::new(array(KEY_256))),
        0x0089_5f5f_2b08,
        GCMP_PLAIN,
        "88480b000fd2e128a57c5030f18444085030f184440880330300
         082b00205f5f8900
         658343c8b14447d9211defd46ad89c710c6fc33333236e3997b9176a5a8be779b21266555e70ad79
         114316859095473d5b1bd596b3dea3bf",
    );
}

/// McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 2, 4, 14 and 16; NIST CAVP
/// gcmEncryptExtIV128.rsp, PTlen = 0, AADlen = 0 and 128, Count = 0.
#[test]
fn gcm_is_that_of_nist() {
    const LONG: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
        1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
    const AAD: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
    let zero = "00000000000000000000000000000000";
    let cases = [
        (
            zero,
            "000000000000000000000000",
            "",
            zero,
            "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf",
        ),
        (
            "feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            AAD,
            LONG,
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
        ),
        (
            "0000000000000000000000000000000000000000000000000000000000000000",
            "000000000000000000000000",
            "",
            zero,
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
        ),
        (
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            AAD,
            LONG,
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
        ),
        (
            "11754cd72aec309bf52f7687212e8957",
            "3c819d9a9bed087615030b65",
            "",
            "",
            "250327c674aaf477aef2675748cf6971",
        ),
        (
            "77be63708971c4e240d1cb79e8d77feb",
            "e0e00f19fed7ba0136a797f3",
            "7a43ec1d9c0a5a78a0b16533a6213cab",
            "",
            "209fcc8d3675ed938e9c7166709dd946",
        ),
    ];
    for (key, nonce, aad, plain, sealed) in cases {
        let (key, nonce, aad, plain) = (hex(key), array::<12>(nonce).into(), hex(aad), hex(plain));
        let payload = Payload { msg: &plain, aad: &aad };
        let out = match key.len() {
            16 => Aes128Gcm::new_from_slice(&key).unwrap().encrypt(&nonce, payload),
            _ => Aes256Gcm::new_from_slice(&key).unwrap().encrypt(&nonce, payload),
        };
        assert_eq!(out.unwrap(), hex(sealed));
    }
}

fn check<A: dot11::ccmp::AeadInOut>(
    key: &Protection<A>,
    plain: &[u8],
    pn: u64,
    flip: prop::sample::Index,
    bit: u8,
) {
    let pn = Pn::new(pn).unwrap();
    let protected = key.seal(1, pn, plain).unwrap();
    assert_eq!(protected.len(), plain.len() + 24);
    assert_eq!(key.open(&protected).unwrap(), (CcmpHeader { key_id: 1, pn }, plain.to_vec()));
    // Whatever is flipped behind the MAC header is noticed, but for the reserved octet and bits and the key identifier.
    let header_len = dot11::Frame::parse(plain).unwrap().header_len();
    let at = header_len + flip.index(protected.len() - header_len);
    let mut changed = protected.clone();
    changed[at] ^= 1 << bit;
    let uncovered = at == header_len + 2 || at == header_len + 3 && bit != 5;
    assert_eq!(key.open(&changed).is_ok(), uncovered);
    // A failed body holds nothing of the plain one.
    let mut buf = protected.clone();
    *buf.last_mut().unwrap() ^= 1;
    assert_eq!(key.open_in_place(header_len, &mut buf), Err(CcmpError::Mic));
    assert!(buf[header_len + 8..buf.len() - 16].iter().all(|octet| *octet == 0));
    let short = &protected[..header_len + 23];
    let truncated = CcmpError::Truncated { needed: header_len + 24, got: short.len() };
    assert_eq!(key.open(short), Err(truncated));
}

proptest! {
    #[test]
    fn sealed_frames_open(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        key in any::<[u8; 32]>(),
        qos in proptest::option::of(0u8..16),
        pn in 0u64..1 << 48,
        flip in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let plain = DataHeader::to_ap(AP, HOST, DEVICE, qos.map(QosControl::new)).frame(&body);
        let short = std::array::from_fn(|i| key[i]);
        check(&Ccmp256::new(&Tk256::new(key)), &plain, pn, flip, bit);
        check(&Gcmp256::new(&Tk256::new(key)), &plain, pn, flip, bit);
        check(&Gcmp::new(&Tk::new(short)), &plain, pn, flip, bit);
    }
}
