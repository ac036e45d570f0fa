//! CCMP against the vectors of the standards, and what must not pass.

mod common;
mod vectors;

use ccm::aead::{AeadInOut, KeyInit};
use common::{AP, DEVICE, HOST, array, hex};
use dot11::build::{self, DataHeader};
use dot11::ccmp::{self, Aes128Ccm, Ccmp, CcmpError, CcmpHeader, MAX_AAD_LEN, Pn};
use dot11::rsn::Tk;
use dot11::{Frame, FrameControl, FrameKind, ManagementSubtype, QosControl, SequenceControl};
use proptest::prelude::*;
use vectors::ccm::{CAVP, CAVP_KEY, CAVP_NONCE, RFC3610, RFC3610_KEY};
use vectors::ccmp::CASES;

const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn check_ccm(key: &str, nonce: &str, aad: &[u8], plain: &[u8], sealed: &[u8]) {
    let ccm = Aes128Ccm::new(&array(key).into());
    let nonce = array::<13>(nonce).into();
    let mut body = plain.to_vec();
    let mic = ccm.encrypt_inout_detached(&nonce, aad, body.as_mut_slice().into()).unwrap();
    assert_eq!([body.as_slice(), &mic].concat(), sealed);
    ccm.decrypt_inout_detached(&nonce, aad, body.as_mut_slice().into(), &mic).unwrap();
    assert_eq!(body, plain);
}

#[test]
fn ccm_is_that_of_rfc_3610() {
    for (nonce, aad_len, plain_len, sealed) in RFC3610 {
        let aad: Vec<u8> = (0..*aad_len).collect();
        let plain: Vec<u8> = (*aad_len..aad_len + plain_len).collect();
        check_ccm(RFC3610_KEY, nonce, &aad, &plain, &hex(sealed));
    }
}

#[test]
fn ccm_is_that_of_nist() {
    for [aad, plain, sealed] in CAVP {
        check_ccm(CAVP_KEY, CAVP_NONCE, &hex(aad), &hex(plain), &hex(sealed));
    }
}

/// 802.11-2020 Annex J.6.4.
#[test]
fn annex_j_frame() {
    let tk = Tk::new(array("c97c1f67ce371185514a8a19f2bdd52f"));
    let pn = Pn::new(0xb503_9776_e70c).unwrap();
    let plain = hex("0848c32c0fd2e128a57c5030f1844408abaea5b8fcba8033
        f8ba1a55d02f85ae967bb62fb6cda8eb7e78a050");
    let protected = hex("0848c32c0fd2e128a57c5030f1844408abaea5b8fcba8033
        0ce70020769703b5
        f3d0a2fe9a3dbf2342a643e43246e80c3c04d019
        7845ce0b16f97623");
    let frame = Frame::parse(&plain).unwrap();
    let mut aad = [0; MAX_AAD_LEN];
    let len = ccmp::aad(&frame, &mut aad);
    assert_eq!(aad[..len], hex("08400fd2e128a57c5030f1844408abaea5b8fcba0000"));
    assert_eq!(ccmp::nonce(&frame, pn).to_vec(), hex("005030f1844408b5039776e70c"));
    assert_eq!(ccmp::seal(&tk, 0, pn, &plain).unwrap(), protected);
    let (header, opened) = ccmp::open(&tk, &protected).unwrap();
    assert_eq!(header, CcmpHeader { key_id: 0, pn });
    // The example's plain frame already has the Protected Frame bit set; an opened one has it clear.
    assert_eq!(opened[0..2], [0x08, 0x08]);
    assert_eq!(opened[2..], plain[2..]);
}

#[test]
fn every_form_of_header() {
    for case in CASES {
        let (plain, protected) = (hex(case.plain), hex(case.protected));
        let pn = Pn::new(case.pn).unwrap();
        let frame = Frame::parse(&plain).unwrap();
        let mut aad = [0; MAX_AAD_LEN];
        let write = if case.spp { ccmp::aad_spp } else { ccmp::aad };
        let len = write(&frame, &mut aad);
        assert_eq!(aad[..len], hex(case.aad), "AAD: {}", case.name);
        assert_eq!(ccmp::nonce(&frame, pn).to_vec(), hex(case.nonce), "nonce: {}", case.name);
        let ccmp = Ccmp::new(&Tk::new(KEY)).with_spp_amsdu(case.spp);
        assert_eq!(ccmp.seal(case.key_id, pn, &plain).unwrap(), protected, "seal: {}", case.name);
        let opened = ccmp.open(&protected).unwrap();
        assert_eq!(opened, (CcmpHeader { key_id: case.key_id, pn }, plain), "open: {}", case.name);
    }
}

#[test]
fn in_place_is_the_same() {
    for case in CASES.iter().filter(|case| !case.spp) {
        let (plain, protected) = (hex(case.plain), hex(case.protected));
        let header_len = Frame::parse(&plain).unwrap().header_len();
        let (header, body) = plain.split_at(header_len);
        // What is in the holes does not matter.
        let mut buf = [header, &[0xee; 8], body, &[0xee; 8]].concat();
        let tk = Tk::new(KEY);
        ccmp::seal_in_place(&tk, header_len, case.key_id, Pn::new(case.pn).unwrap(), &mut buf).unwrap();
        assert_eq!(buf, protected, "{}", case.name);
        ccmp::open_in_place(&tk, header_len, &mut buf).unwrap();
        assert_eq!(&buf[header_len + 8..buf.len() - 8], body, "{}", case.name);
    }
}

#[test]
fn what_may_change_under_way_does_not_matter() {
    let tk = Tk::new(KEY);
    let plain = DataHeader::to_ap(AP, HOST, DEVICE, Some(QosControl::new(5))).frame(b"payload");
    let mut protected = ccmp::seal(&tk, 0, Pn::new(7).unwrap(), &plain).unwrap();
    let control = FrameControl::from_bytes([protected[0], protected[1]]);
    let changed = control.with_retry(true).with_power_management(true).with_more_data(true);
    protected[..2].copy_from_slice(&changed.to_bytes());
    protected[2] ^= 0xff; // duration
    protected[23] ^= 0xff; // sequence number
    protected[24] ^= 0x70; // end of service period, acknowledgement policy
    assert!(ccmp::open(&tk, &protected).is_ok());
    protected[24] ^= 0x80; // A-MSDU Present is not authenticated without SPP...
    assert!(ccmp::open(&tk, &protected).is_ok());
    // ... and with SPP it is.
    let spp = Ccmp::new(&tk).with_spp_amsdu(true);
    assert_eq!(spp.open(&protected), Err(CcmpError::Mic));
}

#[test]
fn refused() {
    let tk = Tk::new(KEY);
    let pn = Pn::new(1).unwrap();
    let data = DataHeader::to_ap(AP, HOST, DEVICE, None);
    let protected = ccmp::seal(&tk, 0, pn, &data.frame(b"payload")).unwrap();

    let null = DataHeader { control: FrameControl(0x0148), ..data }.frame(&[]);
    let beacon = build::management(ManagementSubtype::Beacon, HOST, AP, AP, &[0; 12]);
    for frame in [&null, &beacon, &build::ps_poll(1, AP, DEVICE).to_vec()] {
        let kind = Frame::parse(frame).unwrap().kind();
        assert_eq!(ccmp::seal(&tk, 0, pn, frame), Err(CcmpError::Kind(kind)));
        assert_eq!(ccmp::open(&tk, frame), Err(CcmpError::Kind(kind)));
    }
    // Room for both, so that it is the bit that is missed.
    let mut clear = protected.clone();
    clear[1] &= !0x40;
    assert_eq!(ccmp::open(&tk, &clear), Err(CcmpError::NotProtected));
    let mut wep = protected.clone();
    wep[27] &= !0x20;
    assert_eq!(ccmp::open(&tk, &wep), Err(CcmpError::NoExtendedIv));
    for len in 24..40 {
        let truncated = CcmpError::Truncated { needed: 40, got: len };
        assert_eq!(ccmp::open(&tk, &protected[..len]), Err(truncated));
    }
    let mut buf = protected.clone();
    let wrong = CcmpError::HeaderLength { claimed: 26, actual: 24 };
    assert_eq!(ccmp::open_in_place(&tk, 26, &mut buf), Err(wrong));
    assert_eq!(ccmp::seal_in_place(&tk, 26, 0, pn, &mut buf), Err(wrong));
    assert_eq!(buf, protected);
    let long = data.frame(&vec![0; 65536]);
    assert_eq!(ccmp::seal(&tk, 0, pn, &long), Err(CcmpError::TooLong(65536)));
    assert_eq!(ccmp::open(&Tk::new([9; 16]), &protected), Err(CcmpError::Mic));
}

#[test]
fn a_failed_body_is_wiped() {
    let tk = Tk::new(KEY);
    let plain = DataHeader::to_ap(AP, HOST, DEVICE, None).frame(b"payload");
    let mut buf = ccmp::seal(&tk, 0, Pn::new(1).unwrap(), &plain).unwrap();
    *buf.last_mut().unwrap() ^= 1;
    assert_eq!(ccmp::open_in_place(&tk, 24, &mut buf), Err(CcmpError::Mic));
    assert_eq!(buf[32..39], [0; 7]);
}

#[test]
fn packet_numbers_end() {
    assert_eq!(Pn::new(1 << 48), None);
    assert_eq!(Pn::MAX.next(), None);
    assert_eq!(Pn::ZERO.next(), Pn::new(1));
    let pn = Pn::new(0x0605_0403_0201).unwrap();
    assert_eq!(pn.to_rsc(), [1, 2, 3, 4, 5, 6, 0, 0]);
    assert_eq!(Pn::from_rsc([1, 2, 3, 4, 5, 6, 0xff, 0xff]), pn);
    assert_eq!(CcmpHeader { key_id: 2, pn }.to_bytes(), [1, 2, 0, 0xa0, 3, 4, 5, 6]);
}

fn header() -> impl Strategy<Value = DataHeader> {
    let bits = (any::<[bool; 6]>(), any::<u16>(), any::<u16>(), any::<u32>(), any::<[[u8; 6]; 4]>());
    (bits, 0u8..4).prop_map(|((flags, sequence, qos, ht_control, addresses), subtype)| {
        let [to_ds, from_ds, retry, more_fragments, order, is_qos] = flags;
        let subtype = subtype | if is_qos { 8 } else { 0 };
        let control = FrameControl::new(FrameKind::Data(dot11::DataSubtype::from_number(subtype)))
            .with_to_ds(to_ds)
            .with_from_ds(from_ds)
            .with_retry(retry)
            .with_more_fragments(more_fragments)
            .with_order(order);
        let [addr1, addr2, addr3, addr4] = addresses.map(Into::into);
        DataHeader {
            control,
            duration: 0,
            addr1,
            addr2,
            addr3,
            sequence: SequenceControl(sequence),
            addr4,
            qos: QosControl(qos),
            ht_control,
        }
    })
}

proptest! {
    #[test]
    fn sealed_frames_open(
        header in header(),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        key in any::<[u8; 16]>(),
        key_id in 0u8..4,
        pn in 0u64..1 << 48,
        flip in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let tk = Tk::new(key);
        let pn = Pn::new(pn).unwrap();
        let plain = header.frame(&body);
        let protected = ccmp::seal(&tk, key_id, pn, &plain).unwrap();
        prop_assert_eq!(protected.len(), plain.len() + 16);
        prop_assert_eq!(ccmp::open(&tk, &protected).unwrap(), (CcmpHeader { key_id, pn }, plain));
        // Whatever is flipped behind the MAC header is noticed, but for what is not covered: the reserved octet and
        // bits and the key identifier.
        let mut changed = protected.clone();
        let at = header.len() + flip.index(protected.len() - header.len());
        changed[at] ^= 1 << bit;
        let uncovered = at == header.len() + 2 || at == header.len() + 3 && bit != 5;
        prop_assert_eq!(ccmp::open(&tk, &changed).is_ok(), uncovered);
    }
}
