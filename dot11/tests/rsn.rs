//! Key derivation, EAPOL-Key MICs and key wrap against the vectors of the standards and a captured handshake.

mod common;

use aes::Aes128;
use cmac::{Cmac, KeyInit, Mac};
use common::{array, hex};
use dot11::eapol::key::{KeyFrame, KeyFrameBuilder, KeyInfo};
use dot11::element::Ssid;
use dot11::rsn::{
    Kck, Kek, KeyError, Passphrase, PassphraseError, Pmk, derive_ptk, kdf_sha256, mic, pmk_from_passphrase,
    pmkid, prf, sign, unwrap_key_data, verify_mic, wrap_key_data,
};
use dot11::{Akm, MacAddr};
use proptest::prelude::*;

fn psk(passphrase: &str, ssid: &str) -> Pmk {
    pmk_from_passphrase(&Passphrase::new(passphrase).unwrap(), &Ssid::try_from(ssid).unwrap())
}

/// 802.11-2020 Annex J.4.2.
#[test]
fn psk_mapping() {
    let cases = [
        ("password", "IEEE", "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"),
        (
            "ThisIsAPassword",
            "ThisIsASSID",
            "0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af",
        ),
        (
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "becb93866bb8c3832cb777c2f559807c8c59afcb6eae734885001300a981cc62",
        ),
    ];
    for (passphrase, ssid, expected) in cases {
        assert_eq!(psk(passphrase, ssid).as_bytes().to_vec(), hex(expected), "{passphrase}");
    }
}

/// RFC 6070, the vector with 4096 rounds; the first block of PBKDF2 does not depend on how many follow.
#[test]
fn psk_mapping_is_pbkdf2() {
    assert_eq!(psk("password", "salt").as_bytes()[..20], hex("4b007901b765489abead49d926f721d065a429c1"));
}

/// 802.11-2020 Annex J.3.2.
#[test]
fn prf_512() {
    let cases: [(&[u8], &[u8], &str); 3] = [
        (
            &[0x0b; 20],
            b"Hi There",
            "bcd4c650b30b9684951829e0d75f9d54b862175ed9f00606e17d8da35402ffee\
             75df78c3d31e0f889f012120c0862beb67753e7439ae242edb8373698356cf5a",
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "51f4de5b33f249adf81aeb713a3c20f4fe631446fabdfa58244759ae58ef9009\
             a99abf4eac2ca5fa87e692c440eb40023e7babb206d61de7b92f41529092b8fc",
        ),
        (
            &[0xaa; 20],
            &[0xdd; 50],
            "e1ac546ec4cb636f9976487be5c86be17a0252ca5d8d8df12cfb0473525249ce\
             9dd8d177ead710bc9b590547239107aef7b4abd43d87f0a68f1cbd9e2b6f7607",
        ),
    ];
    for (key, data, expected) in cases {
        let mut out = [0; 64];
        prf(key, "prefix", data, &mut out);
        assert_eq!(out.to_vec(), hex(expected));
        let mut short = [0; 48];
        prf(key, "prefix", data, &mut short);
        assert_eq!(short, out[..48]);
    }
}

/// Computed by another program.
#[test]
fn kdf_depends_on_its_length() {
    let mut short = [0; 4];
    kdf_sha256(b"key", "label", b"context", &mut short);
    assert_eq!(short.to_vec(), hex("bd5a889a"));
    let mut long = [0; 80];
    kdf_sha256(b"key", "label", b"context", &mut long);
    let expected = "443f7fa6cf505ba98a8ce42b977050708cdebd1f508274864c212e5df4cc1cee92c08364da1b1c81871ce788cc7a31a4\
                    82651716050812e1b6588ace16678325b35cb93e6775e567a91b64c859130cfc";
    assert_eq!(long.to_vec(), hex(expected));
}

const AA: MacAddr = MacAddr([0xa0, 0xa1, 0xa1, 0xa3, 0xa4, 0xa5]);
const SPA: MacAddr = MacAddr([0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5]);
const SNONCE: &str = "c0c1c2c3c4c5c6c7c8c9d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5";
const ANONCE: &str = "e0e1e2e3e4e5e6e7e8e9f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405";

fn annex_j_pmk() -> Pmk {
    Pmk::new(array("0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af"))
}

/// 802.11-2020 Annex J.7.2: pairwise key derivation with CCMP.
#[test]
fn ptk_sha1() {
    for akm in [Akm::Psk, Akm::Ieee8021x] {
        let ptk = derive_ptk(akm, &annex_j_pmk(), AA, SPA, &array(ANONCE), &array(SNONCE)).unwrap();
        assert_eq!(ptk.kck.as_bytes().to_vec(), hex("379f9852d0199236b94e407ce4c00ec8"));
        assert_eq!(ptk.kek.as_bytes().to_vec(), hex("47c9edc01c2c6e5b4910caddfb3e51a7"));
        assert_eq!(ptk.tk.as_bytes().to_vec(), hex("b2360c79e9710fdd58bea93deaf06599"));
    }
}

/// The same input with the SHA-256 AKMs. Computed by another program.
#[test]
fn ptk_sha256() {
    for akm in [Akm::PskSha256, Akm::Ieee8021xSha256] {
        let ptk = derive_ptk(akm, &annex_j_pmk(), AA, SPA, &array(ANONCE), &array(SNONCE)).unwrap();
        assert_eq!(ptk.kck.as_bytes().to_vec(), hex("ef4540918946a492df873642a391980e"));
        assert_eq!(ptk.kek.as_bytes().to_vec(), hex("9d2175fc13f083e38d96b3d450b1d698"));
        assert_eq!(ptk.tk.as_bytes().to_vec(), hex("c1d8551e9b4a744376a33e8ebf50290c"));
        let id = pmkid(akm, &annex_j_pmk(), AA, SPA).unwrap();
        assert_eq!(id.0.to_vec(), hex("657f44df65722492b0b55c5d13c4b970"));
    }
}

#[test]
fn other_akms_are_refused() {
    let pmk = annex_j_pmk();
    for akm in [Akm::Sae, Akm::FtPsk, Akm::Owe, Akm::Other([0x00, 0x50, 0xf2, 2])] {
        let unsupported = KeyError::UnsupportedAkm(akm);
        assert_eq!(derive_ptk(akm, &pmk, AA, SPA, &[0; 32], &[0; 32]), Err(unsupported));
        assert_eq!(pmkid(akm, &pmk, AA, SPA), Err(unsupported));
    }
}

/// A PMKID captured from an access point (example of mode 22000 in hashcat's documentation).
#[test]
fn captured_pmkid() {
    let pmk = psk("hashcat!", "hashcat-essid");
    let (aa, spa) = (MacAddr(array("fc690c158264")), MacAddr(array("f4747f87f9f4")));
    assert_eq!(pmkid(Akm::Psk, &pmk, aa, spa).unwrap().0.to_vec(), hex("4d4fe7aac3a2cecab195321ceb99a7d0"));
}

/// Message 2 of a captured 4-way handshake (example of mode 22000 in hashcat's documentation).
#[test]
fn captured_handshake() {
    let pmk = psk("hashcat!", "TP-LINK_HASHCAT_TEST");
    let (aa, spa) = (MacAddr(array("6466b38ec3fc")), MacAddr(array("225edc49b7aa")));
    let anonce = array("10e3be3b005a629e89de088d6a2fdc489db83ad4764f2d186b9cde15446e972e");
    let mut frame = hex("0103007502010a00000000000000000001
        48ce2ccba9c1fda130ff2fbbfb4fd3b063d1a93920b0f7df54a5cbf787b16171
        000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000
        001630140100000fac040100000fac040100000fac028000");
    let snonce = KeyFrame::parse(&frame).unwrap().nonce();
    let ptk = derive_ptk(Akm::Psk, &pmk, aa, spa, &anonce, &snonce).unwrap();
    assert!(!verify_mic(Akm::Psk, &ptk.kck, &frame));
    sign(Akm::Psk, &ptk.kck, &mut frame).unwrap();
    assert_eq!(KeyFrame::parse(&frame).unwrap().mic().to_vec(), hex("024022795224bffca545276c3762686f"));
    assert!(verify_mic(Akm::Psk, &ptk.kck, &frame));
    let wrong =
        derive_ptk(Akm::Psk, &psk("hashcat?", "TP-LINK_HASHCAT_TEST"), aa, spa, &anonce, &snonce).unwrap();
    assert!(!verify_mic(Akm::Psk, &wrong.kck, &frame));
}

fn message_2(descriptor_version: u8) -> Vec<u8> {
    KeyFrameBuilder {
        info: KeyInfo::PAIRWISE.with(KeyInfo::MIC).with_descriptor_version(descriptor_version),
        replay_counter: 1,
        nonce: array(SNONCE),
        key_data: &hex("30140100000fac040100000fac040100000fac060000"),
        ..Default::default()
    }
    .build()
}

/// Computed by another program (AES-128-CMAC of OpenSSL, HMAC-MD5).
#[test]
fn mic_of_each_descriptor_version() {
    let kck = Kck::new(array("ef4540918946a492df873642a391980e"));
    let cmac = hex("d60db692e7e6996b58ea4ca940d7673d");
    for akm in [Akm::PskSha256, Akm::Ieee8021xSha256, Akm::FtPsk, Akm::FtIeee8021x] {
        assert_eq!(mic(akm, &kck, &message_2(3)).unwrap().to_vec(), cmac);
    }
    assert_eq!(mic(Akm::Psk, &kck, &message_2(1)).unwrap().to_vec(), hex("446f3f295397b45ac5f7e5d0a58d95c3"));
    assert!(mic(Akm::Sae, &kck, &message_2(0)).is_ok());
}

#[test]
fn descriptor_version_must_go_with_the_akm() {
    let kck = Kck::new([7; 16]);
    let allowed = [
        (Akm::Psk, vec![1, 2]),
        (Akm::Ieee8021x, vec![1, 2]),
        (Akm::PskSha256, vec![3]),
        (Akm::Sae, vec![0]),
    ];
    for (akm, versions) in allowed {
        for version in 0..8 {
            let mut frame = message_2(version);
            let signed = sign(akm, &kck, &mut frame);
            if versions.contains(&version) {
                assert_eq!(signed, Ok(()));
                assert!(verify_mic(akm, &kck, &frame));
            } else {
                assert_eq!(signed, Err(KeyError::UnsupportedDescriptorVersion { version, akm }));
                assert!(!verify_mic(akm, &kck, &frame));
            }
        }
    }
    let unsupported = KeyError::UnsupportedAkm(Akm::Owe);
    assert_eq!(mic(Akm::Owe, &kck, &message_2(0)), Err(unsupported));
}

#[test]
fn a_frame_that_announces_no_mic_is_not_verified() {
    let kck = Kck::new([7; 16]);
    let mut frame = message_2(2);
    frame[5] &= !0x01; // Key MIC
    sign(Akm::Psk, &kck, &mut frame).unwrap();
    assert!(!verify_mic(Akm::Psk, &kck, &frame));
}

/// RFC 3394 §4.1.
#[test]
fn key_wrap() {
    let kek = Kek::new(array("000102030405060708090a0b0c0d0e0f"));
    let key = hex("00112233445566778899aabbccddeeff");
    let wrapped = hex("1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5");
    assert_eq!(wrap_key_data(&kek, &key).unwrap(), wrapped);
    assert_eq!(*unwrap_key_data(&kek, &wrapped).unwrap(), key);
}

/// Computed by another program (AES key wrap of OpenSSL).
#[test]
fn key_data_is_padded() {
    let kek = Kek::new(array("9d2175fc13f083e38d96b3d450b1d698"));
    let key_data =
        hex("30140100000fac040100000fac040100000fac060000dd16000fac010100000102030405060708090a0b0c0d0e0f");
    let wrapped = hex("ab9b1e728ffe4cc5d27d2078711d6f9f95f4a5b523d146901b27ec5e30d92660
                       9c53eecaab5c6d4e5c59baa75ec4389bf4f04ca9fc862397");
    assert_eq!(wrap_key_data(&kek, &key_data).unwrap(), wrapped);
    let short = hex("ee7c5b5af90045ff96e48257228195794ec364915e3ef51a");
    assert_eq!(wrap_key_data(&kek, &hex("dd14000fac04")).unwrap(), short);
}

#[test]
fn key_data_that_was_changed_is_refused() {
    let kek = Kek::new([3; 16]);
    let mut wrapped = wrap_key_data(&kek, &[1; 30]).unwrap();
    assert_eq!(unwrap_key_data(&Kek::new([4; 16]), &wrapped), Err(KeyError::Integrity));
    wrapped[12] ^= 1;
    assert_eq!(unwrap_key_data(&kek, &wrapped), Err(KeyError::Integrity));
    for len in [0, 8, 16, 23, 25] {
        assert_eq!(unwrap_key_data(&kek, &vec![0; len]), Err(KeyError::Length(len)));
    }
    assert_eq!(wrap_key_data(&kek, &vec![0; 65432]).unwrap().len(), 65440);
    assert_eq!(wrap_key_data(&kek, &vec![0; 65433]), Err(KeyError::Length(65433)));
}

/// RFC 4493 §4, examples 1 to 4.
#[test]
fn cmac_is_that_of_rfc_4493() {
    let message = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51
                       30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
    let cases = [
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ];
    for (len, expected) in cases {
        let mut cmac = Cmac::<Aes128>::new(&array("2b7e151628aed2a6abf7158809cf4f3c").into());
        cmac.update(&message[..len]);
        assert_eq!(cmac.finalize().into_bytes().to_vec(), hex(expected));
    }
}

#[test]
fn passphrases() {
    assert_eq!(Passphrase::new("1234567"), Err(PassphraseError::Length(7)));
    assert_eq!(Passphrase::new("x".repeat(64)), Err(PassphraseError::Length(64)));
    assert_eq!(Passphrase::new("paßwörter"), Err(PassphraseError::Character));
    assert_eq!(Passphrase::new("tab\tulator"), Err(PassphraseError::Character));
    assert_eq!(Passphrase::new(" ~ 8chars").unwrap().as_str(), " ~ 8chars");
    assert!(Passphrase::new("x".repeat(63)).is_ok());
}

#[test]
fn keys_do_not_print() {
    assert_eq!(format!("{:?}", Pmk::new([0x42; 32])), "Pmk(…)");
    assert_eq!(format!("{:?}", Passphrase::new("secret-secret").unwrap()), "Passphrase(…)");
    let ptk = derive_ptk(Akm::Psk, &annex_j_pmk(), AA, SPA, &[0; 32], &[1; 32]).unwrap();
    assert_eq!(format!("{ptk:?}"), "Ptk { kck: Kck(…), kek: Kek(…), tk: Tk(…) }");
}

#[test]
fn pmk_from_msk() {
    let msk: Vec<u8> = (0..64).collect();
    assert_eq!(Pmk::from_msk(&msk).unwrap().as_bytes().to_vec(), msk[..32]);
    assert_eq!(Pmk::from_msk(&msk[..31]), Err(KeyError::Length(31)));
}

proptest! {
    #[test]
    fn wrapped_key_data_unwraps(kek in any::<[u8; 16]>(), key_data in proptest::collection::vec(any::<u8>(), 0..300)) {
        let kek = Kek::new(kek);
        let unwrapped = unwrap_key_data(&kek, &wrap_key_data(&kek, &key_data).unwrap()).unwrap();
        let (data, padding) = unwrapped.split_at(key_data.len());
        prop_assert_eq!(data, key_data);
        if let Some((first, zeros)) = padding.split_first() {
            prop_assert_eq!(*first, 0xdd);
            prop_assert!(zeros.iter().all(|octet| *octet == 0));
        }
    }

    #[test]
    fn both_sides_derive_the_same(
        aa in any::<[u8; 6]>(), spa in any::<[u8; 6]>(), nonces in any::<([u8; 32], [u8; 32])>(),
    ) {
        // Which address and which nonce comes first in the key derivation is decided by value, not by role.
        let derive = |a: [u8; 6], b: [u8; 6], n: &[u8; 32], m: &[u8; 32]| {
            derive_ptk(Akm::Psk, &annex_j_pmk(), a.into(), b.into(), n, m).unwrap()
        };
        prop_assert_eq!(derive(aa, spa, &nonces.0, &nonces.1), derive(spa, aa, &nonces.1, &nonces.0));
    }
}
