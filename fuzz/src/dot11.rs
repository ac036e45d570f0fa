//! What must hold for any octets that the parsers of `dot11` are given. Each function is the body of one fuzz target;
//! `dot11/tests/corpus.rs` replays the committed corpora through the same functions.

use dot11::amsdu::{AmsduBuilder, Subframe, Subframes};
use dot11::bip::{Bip, MmieHeader};
use dot11::build::DataHeader;
use dot11::ccmp::{self, AeadInOut, Ccmp, Ccmp256, Pn, Protection};
use dot11::eapol::kde::{KeyData, KeyDataBuilder, KeyDataItem};
use dot11::eapol::key::{KeyFrame, KeyFrameBuilder};
use dot11::eapol::{self, EapolFrame};
use dot11::element::{DsParameter, Element, ElementId, Elements, ElementsBuilder, Rsn, Ssid, Tim, Wmm, Wpa};
use dot11::frame::management::ManagementBody;
use dot11::gcmp::{Gcmp, Gcmp256};
use dot11::rsn::{self, Akm, Kck, Kek, Tk, Tk256};
use dot11::{CipherSuite, DataSubtype, Frame, FrameControl, FrameKind, MacAddr, eap, llc, radiotap};

/// Body of a target.
pub type Target = fn(&[u8]);

/// Name and body of every target.
pub const TARGETS: &[(&str, Target)] = &[
    ("dot11_frame", frame),
    ("dot11_management", management),
    ("dot11_elements", elements),
    ("dot11_rsn_element", rsn_element),
    ("dot11_amsdu", amsdu),
    ("dot11_eapol_key", eapol_key),
    ("dot11_key_data", key_data),
    ("dot11_eap", eap_packet),
    ("dot11_radiotap", radiotap_header),
    ("dot11_ccmp", ccmp_frame),
    ("dot11_bip", bip_frame),
    ("dot11_text", text),
];

/// A frame: every accessor, and headers of data frames built again.
pub fn frame(data: &[u8]) {
    let Ok(frame) = Frame::parse(data) else { return };
    assert_eq!([frame.header(), frame.body()].concat(), data);
    assert_eq!(frame.control().version(), 0);
    assert_eq!(FrameControl::new(frame.kind()).kind(), frame.kind());
    // A header is enough for a frame, and one octet less is not.
    assert!(Frame::parse(frame.header()).is_ok());
    assert!(Frame::parse(&frame.header()[..frame.header_len() - 1]).is_err());
    let _ = (frame.duration(), frame.ht_control(), frame.ps_poll_aid(), frame.bssid());
    let _ = (frame.source(), frame.destination(), format!("{frame:?}"));
    let mut out = [0; ccmp::MAX_AAD_LEN];
    let aad_len = ccmp::aad(&frame, &mut out);
    assert_eq!(aad_len == 0, frame.control().is_control() || matches!(frame.kind(), FrameKind::Extension(_)));
    let _ = ccmp::nonce(&frame, Pn::MAX);
    if !frame.control().is_data() {
        return;
    }
    let rebuilt = DataHeader {
        control: frame.control(),
        duration: frame.duration(),
        addr1: frame.addr1(),
        addr2: frame.addr2().unwrap(),
        addr3: frame.addr3().unwrap(),
        sequence: frame.sequence().unwrap(),
        addr4: frame.addr4().unwrap_or_default(),
        qos: frame.qos().unwrap_or_default(),
        ht_control: frame.ht_control().unwrap_or_default(),
    };
    assert_eq!(rebuilt.len(), frame.header_len());
    assert_eq!(rebuilt.frame(frame.body()), data);
    if let Some((ether_type, payload)) = llc::parse(frame.body()) {
        let again = llc::msdu(ether_type, payload);
        assert_eq!(llc::parse(&again), Some((ether_type, payload)));
    }
}

/// A management frame: its body built again parses to the same.
pub fn management(data: &[u8]) {
    let Ok(frame) = Frame::parse(data) else { return };
    let Ok(body) = ManagementBody::parse(&frame) else { return };
    let again = match &body {
        ManagementBody::AssociationRequest(body) => body.to_vec(),
        ManagementBody::AssociationResponse(body) | ManagementBody::ReassociationResponse(body) => {
            body.to_vec()
        }
        ManagementBody::ReassociationRequest(body) => body.to_vec(),
        ManagementBody::ProbeRequest(body) => body.to_vec(),
        ManagementBody::ProbeResponse(body) | ManagementBody::Beacon(body) => body.to_vec(),
        ManagementBody::Disassociation(body) => body.to_vec(),
        ManagementBody::Authentication(body) => body.to_vec(),
        ManagementBody::Deauthentication(body) => body.to_vec(),
        ManagementBody::Action(body) | ManagementBody::ActionNoAck(body) => body.to_vec(),
    };
    let rebuilt = [frame.header(), &again].concat();
    let rebuilt = Frame::parse(&rebuilt).unwrap();
    assert_eq!(ManagementBody::parse(&rebuilt), Ok(body));
}

/// A run of elements, and each of the typed ones.
pub fn elements(data: &[u8]) {
    let unchecked = Elements::new(data);
    let mut builder = ElementsBuilder::new();
    for element in unchecked {
        builder = match element.extension {
            Some(extension) => builder.extension(extension, element.body),
            None => builder.element(element.id, element.body),
        };
        typed_element(&element);
    }
    let built = builder.build();
    // What iterates is what is there, up to the first element that is cut off.
    assert!(data.starts_with(&built));
    assert_eq!(Elements::parse(data).is_ok(), built.len() == data.len());
    let _ = (unchecked.ssid(), unchecked.rsn(), unchecked.rates(), unchecked.has_wmm());
    if let Some(whole) = unchecked.find_whole(ElementId::RSN) {
        assert_eq!(Elements::parse(whole).unwrap().find(ElementId::RSN), unchecked.find(ElementId::RSN));
    }
}

fn typed_element(element: &Element<'_>) {
    match element.id {
        ElementId::SSID => {
            if let Ok(ssid) = Ssid::parse(element.body) {
                assert_eq!(ssid.as_bytes(), element.body);
                assert!(!ssid.to_string().contains(char::is_control));
            }
        }
        ElementId::DSSS_PARAMETER_SET => _ = DsParameter::parse(element.body),
        ElementId::TIM => {
            if let Ok(tim) = Tim::parse(element.body) {
                assert_eq!(tim.body(), element.body);
                let announced = (0..=2007).filter(|aid| tim.is_set(*aid)).count() as u32;
                assert!(announced <= tim.bitmap.iter().map(|octet| octet.count_ones()).sum());
            }
        }
        ElementId::RSN => rsn_element(element.body),
        ElementId::VENDOR_SPECIFIC => match element.vendor() {
            Some((Wmm::SELECTOR, rest)) => {
                if let Some(wmm) = Wmm::parse(rest) {
                    assert_eq!(Wmm::parse(&wmm.body()[4..]), Some(wmm));
                }
            }
            Some((Wpa::SELECTOR, rest)) => _ = Wpa::parse(rest),
            _ => {}
        },
        _ => {}
    }
}

/// An RSNE: built again it parses to the same.
pub fn rsn_element(data: &[u8]) {
    let Ok(rsn) = Rsn::parse(data) else { return };
    assert_eq!(Rsn::parse(&rsn.body()), Ok(rsn));
}

/// An A-MSDU: built again it has the same subframes.
pub fn amsdu(data: &[u8]) {
    let results: Vec<_> = Subframes::new(data).collect();
    let subframes: Vec<Subframe<'_>> = results.iter().filter_map(|subframe| subframe.ok()).collect();
    // An error is the last thing that comes.
    assert!(subframes.len() >= results.len().saturating_sub(1));
    let total: usize = subframes.iter().map(|subframe| subframe.msdu.len() + 14).sum();
    assert!(total <= data.len());
    let mut builder = AmsduBuilder::new();
    for subframe in &subframes {
        builder.push(subframe.da, subframe.sa, subframe.msdu).unwrap();
    }
    let built = builder.finish();
    let again: Vec<Subframe<'_>> = Subframes::new(&built).map(|subframe| subframe.unwrap()).collect();
    assert_eq!(again, subframes);
}

/// An EAPOL PDU, as an EAPOL-Key frame too: built again it has the same fields; a MIC verifies once it is signed.
pub fn eapol_key(data: &[u8]) {
    let Ok(pdu) = EapolFrame::parse(data) else { return };
    assert!(data.starts_with(pdu.bytes()));
    let built = eapol::build(pdu.packet_type, pdu.body);
    assert_eq!(built[1..], pdu.bytes()[1..]);
    let Ok(key) = KeyFrame::parse(data) else { return };
    let builder = KeyFrameBuilder {
        protocol_version: key.protocol_version(),
        descriptor: key.descriptor(),
        info: key.info(),
        key_length: key.key_length(),
        replay_counter: key.replay_counter(),
        nonce: key.nonce(),
        iv: key.iv(),
        rsc: key.rsc(),
        key_data: key.key_data(),
    };
    let mut built = builder.build();
    let kck = Kck::new([0x55; 16]);
    for akm in [Akm::Psk, Akm::PskSha256, Akm::Sae] {
        let _ = rsn::verify_mic(akm, &kck, data);
        if rsn::sign(akm, &kck, &mut built).is_ok() {
            assert_eq!(rsn::verify_mic(akm, &kck, &built), key.info().mic());
        }
    }
    let again = KeyFrame::parse(&built).unwrap();
    assert_eq!(again.nonce(), key.nonce());
    assert_eq!(again.key_data(), key.key_data());
    assert_eq!(
        (again.info(), again.replay_counter(), again.rsc()),
        (key.info(), key.replay_counter(), key.rsc())
    );
    key_data(key.key_data());
    let _ = rsn::unwrap_key_data(&Kek::new([0x55; 16]), key.key_data());
}

/// Plaintext key data: built again it has the same items.
pub fn key_data(data: &[u8]) {
    let mut builder = KeyDataBuilder::new();
    let mut items = Vec::new();
    for item in KeyData::new(data) {
        let Ok(item) = item else { break };
        let _ = format!("{item:?}");
        builder = match item {
            KeyDataItem::Gtk { key_id, tx, gtk } => builder.gtk(key_id, tx, gtk),
            KeyDataItem::Igtk { key_id, ipn, igtk } => builder.igtk(key_id, ipn, igtk),
            KeyDataItem::Mac(mac) => builder.mac(mac),
            KeyDataItem::Pmkid(pmkid) => builder.pmkid(&pmkid),
            KeyDataItem::KeyId(id) => builder.key_id(id),
            // There is no way to build these, and no need.
            KeyDataItem::OtherKde { .. } => continue,
            KeyDataItem::Element(element) => match element.extension {
                Some(extension) => {
                    let element = ElementsBuilder::new().extension(extension, element.body).build();
                    builder.elements(Elements::new(&element))
                }
                None => {
                    let element = ElementsBuilder::new().element(element.id, element.body).build();
                    builder.elements(Elements::new(&element))
                }
            },
        };
        items.push(item);
    }
    let built = builder.build();
    let again: Vec<_> = KeyData::new(&built).map(|item| item.unwrap()).collect();
    assert!(again == items);
    // Wrapping pads, and the padding is not an item.
    let kek = Kek::new([0x55; 16]);
    if let Ok(wrapped) = rsn::wrap_key_data(&kek, &built) {
        let unwrapped = rsn::unwrap_key_data(&kek, &wrapped).unwrap();
        let again: Vec<_> = KeyData::new(&unwrapped).map(|item| item.unwrap()).collect();
        assert!(again == items);
    }
}

/// An EAP packet: built again it is the same.
pub fn eap_packet(data: &[u8]) {
    let Ok(packet) = eap::Eap::parse(data) else { return };
    assert!(data.starts_with(packet.bytes()));
    assert_eq!(eap::packet(packet.code, packet.id, packet.eap_type, packet.data), packet.bytes());
    if let Some(identity) = packet.identity() {
        assert!(!identity.contains(&0));
    }
}

/// A radiotap header.
pub fn radiotap_header(data: &[u8]) {
    let Ok(tap) = radiotap::parse(data) else { return };
    assert!((8..=data.len()).contains(&tap.len));
    let _ = (tap.fcs_present(), tap.bad_fcs(), tap.data_pad(), tap.rate_100kbps());
    // Nothing is read beyond the header.
    assert_eq!(radiotap::parse(&data[..tap.len]), Ok(tap));
}

/// A key, then a frame: opened as it is, and sealed and opened again, under each of the four suites.
pub fn ccmp_frame(data: &[u8]) {
    let Some((key, data)) = data.split_first_chunk::<16>() else { return };
    let long = Tk256::new(std::array::from_fn(|i| key[i % 16]));
    let spp_amsdu = key[0] & 1 != 0;
    protection(&Ccmp::new(&Tk::new(*key)).with_spp_amsdu(spp_amsdu), data);
    protection(&Ccmp256::new(&long).with_spp_amsdu(spp_amsdu), data);
    protection(&Gcmp::new(&Tk::new(*key)).with_spp_amsdu(spp_amsdu), data);
    protection(&Gcmp256::new(&long).with_spp_amsdu(spp_amsdu), data);
}

fn protection<A: AeadInOut>(ccmp: &Protection<A>, data: &[u8]) {
    // A frame that nobody sealed under this key opens with a probability of 2^-64.
    assert!(ccmp.open(data).is_err());
    let pn = Pn::new(0x0102_0304_0506).unwrap();
    let Ok(sealed) = ccmp.seal(2, pn, data) else { return };
    let (header, opened) = ccmp.open(&sealed).unwrap();
    assert_eq!((header.key_id, header.pn), (2, pn));
    let frame = Frame::parse(data).unwrap();
    assert_eq!(opened[2..], data[2..]);
    assert_eq!(opened[..2], frame.control().with_protected(false).to_bytes());
    // The body is covered, and in a QoS data frame so is the traffic identifier.
    let mut changed = sealed.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(ccmp.open(&changed).is_err());
    if matches!(frame.kind(), FrameKind::Data(DataSubtype::QosData)) {
        let mut changed = sealed.clone();
        changed[if frame.addr4().is_some() { 30 } else { 24 }] ^= 1;
        assert!(ccmp.open(&changed).is_err());
    }
}

/// A key, then a frame: verified as it is, and protected and verified again, under each suite of BIP.
pub fn bip_frame(data: &[u8]) {
    let Some((key, data)) = data.split_first_chunk::<32>() else { return };
    let suites = [
        (CipherSuite::BipCmac128, 16),
        (CipherSuite::BipCmac256, 32),
        (CipherSuite::BipGmac128, 16),
        (CipherSuite::BipGmac256, 32),
    ];
    for (suite, length) in suites {
        let bip = Bip::new(suite, &key[..length]).unwrap();
        assert!(bip.verify(data).is_err());
        let expected = MmieHeader { key_id: 5, ipn: Pn::new(0x0102_0304_0506).unwrap() };
        let Ok(mut protected) = bip.protect(expected.key_id, expected.ipn, data) else { continue };
        assert_eq!(bip.verify(&protected), Ok(expected));
        *protected.last_mut().unwrap() ^= 1;
        assert!(bip.verify(&protected).is_err());
    }
}

/// Texts of people: addresses and passphrases.
pub fn text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(address) = text.parse::<MacAddr>() {
        assert_eq!(address.to_string().parse(), Ok(address));
        assert!(address.to_string().eq_ignore_ascii_case(&text.replace('-', ":")));
    }
    if let Ok(passphrase) = text.parse::<rsn::Passphrase>() {
        assert_eq!(passphrase.as_str(), text);
    }
}
