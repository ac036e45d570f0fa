//! The device's side of the handshakes, by hand: it answers exactly what a test tells it to.

use dot11::eapol::EapolFrame;
use dot11::eapol::kde::{KeyData, KeyDataItem};
use dot11::eapol::key::{KeyFrame, KeyFrameBuilder, KeyInfo};
use dot11::rsn::{self, Akm, Pmk, Ptk};

use super::{BSSID, Lab, MAC, Request};

/// What the device knows.
pub struct Peer {
    pub akm: Akm,
    pub pmk: Pmk,
    pub snonce: [u8; 32],
    pub rsne: Vec<u8>,
    pub ptk: Option<Ptk>,
}

/// A group key as the device got it.
#[derive(Debug, PartialEq, Eq)]
pub struct ReceivedGroupKey {
    pub key_id: u8,
    pub gtk: Vec<u8>,
    pub rsc: [u8; 8],
}

impl Peer {
    pub fn new(akm: Akm, pmk: Pmk, request: &Request) -> Peer {
        Peer { akm, pmk, snonce: [0x5a; 32], rsne: request.rsne.clone().unwrap_or_default(), ptk: None }
    }

    pub fn message2(&mut self, message1: &[u8]) -> Vec<u8> {
        let m1 = KeyFrame::parse(message1).expect("message 1");
        assert!(m1.info().pairwise() && m1.info().ack() && !m1.info().mic(), "{:?}", m1.info());
        assert_eq!(m1.key_length(), 16);
        let ptk = rsn::derive_ptk(self.akm, &self.pmk, BSSID, MAC, &m1.nonce(), &self.snonce).expect("a PTK");
        let builder = KeyFrameBuilder {
            info: KeyInfo::PAIRWISE,
            replay_counter: m1.replay_counter(),
            nonce: self.snonce,
            key_data: &self.rsne,
            ..KeyFrameBuilder::default()
        };
        let pdu = self.sign(builder, &ptk);
        self.ptk = Some(ptk);
        pdu
    }

    /// Checks message 3 as a device does, and answers it.
    pub fn message4(&mut self, message3: &[u8], beacon_rsne: &[u8]) -> (Vec<u8>, ReceivedGroupKey) {
        let m3 = KeyFrame::parse(message3).expect("message 3");
        let info = m3.info();
        assert!(
            info.pairwise() && info.ack() && info.install() && info.secure() && info.encrypted_key_data()
        );
        let ptk = self.ptk.clone().expect("message 2 was sent");
        let key = self.group_key(&m3, Some(beacon_rsne));
        let builder = KeyFrameBuilder {
            info: KeyInfo::PAIRWISE.with(KeyInfo::SECURE),
            replay_counter: m3.replay_counter(),
            ..KeyFrameBuilder::default()
        };
        (self.sign(builder, &ptk), key)
    }

    /// Checks the group handshake's message 1, and answers it.
    pub fn group_message2(&mut self, message1: &[u8]) -> (Vec<u8>, ReceivedGroupKey) {
        let m1 = KeyFrame::parse(message1).expect("group message 1");
        let info = m1.info();
        assert!(
            !info.pairwise() && info.ack() && !info.install() && info.secure() && info.encrypted_key_data()
        );
        let key = self.group_key(&m1, None);
        let ptk = self.ptk.clone().expect("a key");
        let builder = KeyFrameBuilder {
            info: KeyInfo::SECURE,
            replay_counter: m1.replay_counter(),
            ..KeyFrameBuilder::default()
        };
        (self.sign(builder, &ptk), key)
    }

    /// An EAPOL-Key request.
    pub fn request(&self, flags: KeyInfo, replay_counter: u64) -> Vec<u8> {
        let ptk = self.ptk.clone().expect("a key");
        let info = flags.with(KeyInfo::REQUEST).with(KeyInfo::SECURE);
        self.sign(KeyFrameBuilder { info, replay_counter, ..KeyFrameBuilder::default() }, &ptk)
    }

    /// Runs the 4-way handshake from message 1 on; returns what message 3 brought. Outputs pile up from message 4 on.
    pub fn handshake(&mut self, lab: &mut Lab, message1: &[u8], protected: bool) -> ReceivedGroupKey {
        let m2 = self.message2(message1);
        lab.eapol(&m2, protected);
        let sent = lab.sent_eapol();
        let [(m3, protect, hold)] = &sent[..] else { panic!("message 3 alone, not {sent:?}") };
        assert_eq!((*protect, *hold), (protected, protected));
        let beacon_rsne = lab.service().rsne().expect("a protected service");
        let (m4, key) = self.message4(m3, &beacon_rsne);
        lab.eapol(&m4, protected);
        key
    }

    fn group_key(&self, frame: &KeyFrame<'_>, beacon_rsne: Option<&[u8]>) -> ReceivedGroupKey {
        let ptk = self.ptk.as_ref().expect("a key");
        assert!(rsn::verify_mic(self.akm, &ptk.kck, frame.bytes()), "the MIC is right");
        let plain = rsn::unwrap_key_data(&ptk.kek, frame.key_data()).expect("the key data unwraps");
        if let Some(rsne) = beacon_rsne {
            assert_eq!(&plain[..rsne.len()], rsne, "the RSNE is the beacon's");
        }
        let gtk = KeyData::new(&plain).find_map(|item| match item.expect("whole key data") {
            KeyDataItem::Gtk { key_id, tx: false, gtk } => Some((key_id, gtk.to_vec())),
            _ => None,
        });
        let (key_id, gtk) = gtk.expect("a GTK KDE");
        ReceivedGroupKey { key_id, gtk, rsc: frame.rsc() }
    }

    pub fn sign(&self, builder: KeyFrameBuilder<'_>, ptk: &Ptk) -> Vec<u8> {
        let info = builder.info.with(KeyInfo::MIC).with_descriptor_version(self.akm.descriptor_version());
        let mut pdu = KeyFrameBuilder { info, ..builder }.build();
        rsn::sign(self.akm, &ptk.kck, &mut pdu).expect("a key frame");
        pdu
    }
}

/// The replay counter of an EAPOL-Key PDU.
pub fn counter(pdu: &[u8]) -> u64 {
    KeyFrame::parse(pdu).expect("a key frame").replay_counter()
}

/// The EAP packet in an EAPOL PDU.
pub fn eap_packet(pdu: &[u8]) -> Vec<u8> {
    EapolFrame::parse(pdu).expect("an EAPOL PDU").body.to_vec()
}
