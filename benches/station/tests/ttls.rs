//! The EAP-TTLS peer against a TLS server in this process: credentials, key, fragments, trust.
#![cfg(feature = "eap-ttls")]

mod common;

use std::io::{Read, Write};
use std::sync::Arc;

use common::*;
use dot11::eap::{self, Code, Eap, EapType};
use dot11::eapol::{self, PacketType};
use dot11::rsn;
use dot11::{Akm, ReasonCode};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, ServerConnection};
use station::eap::{Config, ConfigError, Credentials, Msk, Peer, Step};
use station::{DeviceConfig, Event, Profile};

const NAME: &str = "radius.example.org";
/// 2026-01-01, within the validity of what rcgen makes by default.
const NOW: u64 = 1_767_225_600;

/// A certification authority and a server certificate of it.
struct Pki {
    ca_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Pki {
    fn new() -> Pki {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().unwrap();
        let mut server = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        server.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let certificate = server.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Pki { ca_pem, chain: vec![certificate.der().clone()], key }
    }

    fn config(&self) -> Config {
        Config::new(self.ca_pem.as_bytes(), Some(NAME), NOW).unwrap()
    }
}

/// The server's side of EAP-TTLS, as far as PAP needs it.
struct Server {
    tls: ServerConnection,
    fragment: usize,
    id: u8,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    avps: Vec<u8>,
    failed: bool,
    fragments_in: usize,
}

impl Server {
    fn new(pki: &Pki, fragment: usize) -> Server {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(pki.chain.clone(), pki.key.clone_key())
            .unwrap();
        Server {
            tls: ServerConnection::new(Arc::new(config)).unwrap(),
            fragment,
            id: 10,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            avps: Vec::new(),
            failed: false,
            fragments_in: 0,
        }
    }

    fn request(&mut self, data: &[u8]) -> Vec<u8> {
        self.id += 1;
        eap::packet(Code::Request, self.id, Some(EapType::TTLS), data)
    }

    fn start(&mut self) -> Vec<u8> {
        self.request(&[0x20])
    }

    /// Takes a response; gives the next packet.
    fn take(&mut self, response: &[u8]) -> Vec<u8> {
        let response = Eap::parse(response).unwrap();
        assert_eq!((response.code, response.id), (Code::Response, self.id));
        assert_eq!(response.eap_type, Some(EapType::TTLS));
        let (flags, mut data) = (response.data[0], &response.data[1..]);
        assert_eq!(flags & 0x27, 0, "version 0, not a start");
        if flags & 0x80 != 0 {
            let total = u32::from_be_bytes(data[..4].try_into().unwrap());
            data = &data[4..];
            assert!(total as usize > data.len(), "a length that is not needed");
        }
        self.incoming.extend_from_slice(data);
        if flags & 0x40 != 0 {
            self.fragments_in += 1;
            return self.request(&[0]);
        }
        let first = self.outgoing.is_empty();
        let incoming = std::mem::take(&mut self.incoming);
        let mut records = &incoming[..];
        while !records.is_empty() {
            self.tls.read_tls(&mut records).unwrap();
            let Ok(state) = self.tls.process_new_packets() else {
                self.failed = true;
                return eap::failure(self.id).to_vec();
            };
            let mut inside = vec![0; state.plaintext_bytes_to_read()];
            self.tls.reader().read_exact(&mut inside).unwrap();
            self.avps.extend_from_slice(&inside);
        }
        if !self.avps.is_empty() {
            return eap::success(self.id).to_vec();
        }
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.outgoing).unwrap();
        }
        let total = self.outgoing.len();
        let more = total > self.fragment;
        let mut data = vec![if more { 0x40 } else { 0 } | if first && more { 0x80 } else { 0 }];
        if first && more {
            data.write_all(&(total as u32).to_be_bytes()).unwrap();
        }
        data.extend(self.outgoing.drain(..total.min(self.fragment)));
        self.request(&data)
    }

    fn msk(&self) -> [u8; 64] {
        self.tls.export_keying_material([0; 64], b"ttls keying material", None).unwrap()
    }
}

fn credentials() -> Arc<Credentials> {
    Arc::new(Credentials {
        outer_identity: "anonymous@example.org".into(),
        identity: "bob@example.org".into(),
        password: "a password of more than sixteen octets".into(),
    })
}

/// Runs peer and server against each other to the end: how it ended, and why it failed.
fn converse(server: &mut Server, config: Config) -> (Result<Msk, ()>, Option<String>) {
    let mut peer = Peer::new(config, credentials());
    let mut packet = server.start();
    for _ in 0..200 {
        match peer.receive(&packet).unwrap() {
            Step::Respond(response) => packet = server.take(&response),
            Step::Success(msk) => return (Ok(msk), None),
            Step::Failure => return (Err(()), peer.failure().map(str::to_owned)),
            Step::Ignore => panic!("ignored {packet:02x?}"),
        }
    }
    panic!("no end");
}

/// The AVPs of the server's reading: code, flags, data.
fn avps(mut bytes: &[u8]) -> Vec<(u32, u8, Vec<u8>)> {
    let mut avps = Vec::new();
    while !bytes.is_empty() {
        let code = u32::from_be_bytes(bytes[..4].try_into().unwrap());
        let length = u32::from_be_bytes([0, bytes[5], bytes[6], bytes[7]]) as usize;
        avps.push((code, bytes[4], bytes[8..length].to_vec()));
        bytes = &bytes[length.next_multiple_of(4)..];
    }
    avps
}

#[test]
fn both_sides_end_with_the_same_key_and_the_server_with_the_credentials() {
    let pki = Pki::new();
    for (fragment_up, fragment_down) in [(1024, 1024), (64, 100), (4000, 9000)] {
        let mut server = Server::new(&pki, fragment_down);
        let (msk, _) = converse(&mut server, pki.config().with_fragment(fragment_up));
        let msk = msk.unwrap();
        assert_eq!(msk.as_bytes(), &server.msk());
        assert_eq!(msk.pmk().as_bytes(), &server.msk()[..32]);
        let mut password = credentials().password.clone().into_bytes();
        password.resize(48, 0);
        let expected = [(1, 0x40, b"bob@example.org".to_vec()), (2, 0x40, password)];
        assert_eq!(avps(&server.avps), expected);
        assert_eq!(server.fragments_in > 0, fragment_up == 64);
    }
}

#[test]
fn a_server_that_is_not_trusted_learns_nothing() {
    let (pki, other) = (Pki::new(), Pki::new());
    let ca = pki.ca_pem.as_bytes();
    let after_its_end = 2_000_000_000;
    for (config, why) in [
        (other.config(), "certificate"),
        (Config::new(ca, Some("evil.example.org"), NOW).unwrap(), "not valid for name"),
        (Config::new(ca, Some(NAME), after_its_end).unwrap(), "expired"),
        (Config::new(other.ca_pem.as_bytes(), None, NOW).unwrap(), "certificate"),
        (Config::new(ca, None, after_its_end).unwrap(), "expired"),
    ] {
        let mut server = Server::new(&pki, 1024);
        let (msk, reason) = converse(&mut server, config);
        assert!(msk.is_err() && server.failed && server.avps.is_empty());
        let reason = reason.unwrap();
        assert!(reason.contains(why), "{reason:?} does not say {why:?}");
    }
}

#[test]
fn the_name_need_not_be_checked() {
    let pki = Pki::new();
    let mut server = Server::new(&pki, 1024);
    let config = Config::new(pki.ca_pem.as_bytes(), None, NOW).unwrap();
    assert_eq!(converse(&mut server, config).0.unwrap().as_bytes(), &server.msk());
}

#[test]
fn trust_settings_that_are_none_are_refused() {
    assert_eq!(Config::new(b"", None, NOW).unwrap_err(), ConfigError::NoCertificate);
    let pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(Config::new(pem, None, NOW), Err(ConfigError::Certificates(_))));
    let pki = Pki::new();
    let name = Config::new(pki.ca_pem.as_bytes(), Some("not a name"), NOW);
    assert!(matches!(name, Err(ConfigError::ServerName(_))));
}

#[test]
fn identity_nak_notification_and_repetition() {
    let pki = Pki::new();
    let mut peer = Peer::new(pki.config(), credentials());
    let respond = |step| match step {
        Ok(Step::Respond(response)) => response,
        other => panic!("{other:?}"),
    };
    let identity = respond(peer.receive(&eap::identity_request(1, "hello")));
    assert_eq!(Eap::parse(&identity).unwrap().identity(), Some(&b"anonymous@example.org"[..]));
    let md5 = eap::packet(Code::Request, 2, Some(EapType::MD5_CHALLENGE), &[1, 0]);
    let nak = respond(peer.receive(&md5));
    let nak = Eap::parse(&nak).unwrap();
    assert_eq!((nak.id, nak.eap_type, nak.data), (2, Some(EapType::NAK), &[21][..]));
    let notification = eap::packet(Code::Request, 3, Some(EapType::NOTIFICATION), b"hi");
    assert_eq!(Eap::parse(&respond(peer.receive(&notification))).unwrap().data, b"");
    let start = eap::packet(Code::Request, 4, Some(EapType::TTLS), &[0x20]);
    let hello = respond(peer.receive(&start));
    assert_eq!(respond(peer.receive(&start)), hello, "a repetition gets the same ClientHello");
    assert_eq!(peer.receive(&eap::success(4)), Ok(Step::Ignore), "success before the method is done");
    assert_eq!(peer.receive(&eap::failure(4)), Ok(Step::Failure));
    assert!(peer.receive(&[1, 2, 0]).is_err());
}

/// A device, an access point and the server.
fn device(pki: &Pki) -> (Bench, TestAp) {
    let profile = Profile::enterprise(SSID, Akm::Ieee8021xSha256, pki.config()).unwrap();
    let config = DeviceConfig::new(STA, Arc::new(profile)).with_credentials(credentials());
    (Bench::with(config), TestAp::new(Akm::Ieee8021xSha256))
}

fn authenticate(bench: &mut Bench, ap: &mut TestAp, server: &mut Server) -> Vec<u8> {
    let mut packet = eap::identity_request(1, "");
    let mut started = false;
    loop {
        let frame = ap.eapol(&eapol::build(PacketType::EapPacket, &packet), ap.tk.is_none());
        bench.receive(&frame);
        if Eap::parse(&packet).unwrap().code != Code::Request {
            return packet;
        }
        let (pdu, _) = bench.eapol(ap);
        let response = eapol::EapolFrame::parse(&pdu).unwrap();
        assert_eq!(response.packet_type, PacketType::EapPacket);
        packet = if started { server.take(response.body) } else { server.start() };
        started = true;
    }
}

#[test]
fn a_device_authenticates_and_shakes_hands_with_the_key_it_got() {
    let pki = Pki::new();
    let (mut bench, mut ap) = device(&pki);
    bench.associate(&ap);
    bench.next_timeout();
    let (start, _) = bench.eapol(&mut ap);
    assert_eq!(eapol::EapolFrame::parse(&start).unwrap().packet_type, PacketType::Start);
    let mut server = Server::new(&pki, 1024);
    authenticate(&mut bench, &mut ap, &mut server);
    assert_eq!(bench.events(), [Event::Authenticated]);
    ap.pmk = rsn::Pmk::from_msk(&server.msk()).unwrap();
    bench.handshake(&mut ap);
    // It authenticates again on the same association, encrypted.
    let mut server = Server::new(&pki, 1024);
    authenticate(&mut bench, &mut ap, &mut server);
    assert_eq!(bench.events(), [Event::Authenticated]);
    // On another BSS it offers the key it has.
    bench.command(station::Command::Roam(Some(AP)));
    bench.receive(&ap.beacon(dot11::ManagementSubtype::Beacon));
    bench.receive(&ap.authentication(dot11::StatusCode::SUCCESS));
    let request = bench.frames().pop().unwrap();
    let pmk = rsn::Pmk::from_msk(&server.msk()).unwrap();
    let pmkid = rsn::pmkid(ap.akm, &pmk, AP, STA).unwrap();
    let frame = dot11::Frame::parse(&request).unwrap();
    let request = dot11::frame::management::ReassociationRequest::parse(frame.body()).unwrap();
    assert_eq!(request.elements.rsn().unwrap().unwrap().pmkids, [pmkid]);
    bench.receive(&ap.association(dot11::StatusCode::SUCCESS, true));
    (ap.pmk, ap.tk, ap.replay) = (pmk, None, 0);
    bench.handshake(&mut ap);
}

#[test]
fn a_device_that_does_not_trust_the_server_leaves() {
    let (pki, other) = (Pki::new(), Pki::new());
    let (mut bench, mut ap) = device(&other);
    bench.associate(&ap);
    let end = authenticate(&mut bench, &mut ap, &mut Server::new(&pki, 1024));
    assert_eq!(Eap::parse(&end).unwrap().code, Code::Failure);
    let reason = ReasonCode::IEEE_802_1X_AUTH_FAILED;
    assert_eq!(bench.events(), [Event::Disconnected { reason, by_access_point: false }]);
}
