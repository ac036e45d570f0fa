//! Networks that a matchmaker offers: the real protocol, over UDP, with the agent's process.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use dot11::element::{ElementId, Elements, ElementsBuilder, Ssid};
use dot11::frame::management::{Authentication, Beacon};
use dot11::{AuthenticationAlgorithm, Frame, MacAddr, ManagementSubtype, StatusCode, build};
use proto::matchmaking::messages::{self, answer::Answer, request::Request};
use proto::matchmaking::server::*;
use proto::matchmaking::{Key, StaticSecret};
use proto::tunnel::{Punch, SessionId, TunnelKey};
use radio_agent::agent::bssids;

use super::bench::*;

const RADIO: MacAddr = MacAddr([0x00, 0xbb, 0, 0, 0, 7]);
const ACCOUNT: &str = "me@example.org";
const TUNNEL_KEY: [u8; 16] = [5; 16];
const SECRET: [u8; 32] = [0x2a; 32];

/// A matchmaker that offers one network to everybody, and introduces to one gateway.
struct Matchmaker {
    socket: UdpSocket,
    server: Server<fn(&str) -> Option<Account>>,
    gateway: SocketAddr,
    /// What it offers.
    template: Vec<u8>,
}

fn home() -> Ssid {
    Ssid::parse(b"home").unwrap()
}

fn accounts(name: &str) -> Option<Account> {
    (name == ACCOUNT).then(|| Account { id: AccountId([9; 16]), key: Key([7; 32]) })
}

/// The test needs no good random numbers, but none twice.
fn entropy(octets: &mut [u8]) {
    use std::hash::{BuildHasher, RandomState};
    octets.fill_with(|| RandomState::new().hash_one(1) as u8);
}

fn unix() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap()
}

impl Matchmaker {
    fn bind(gateway: SocketAddr) -> Matchmaker {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let config = Config {
            secret: StaticSecret::new([2; 32]),
            tickets: TicketKeys::new(&TicketKey { id: 1, key: Key([1; 32]) }, None),
            ticket_lifetime: Duration::from_secs(3600),
            epoch: 1,
            limits: Limits { buckets: 64, ..Limits::default() },
        };
        let server = Server::new(config, accounts as fn(&str) -> _, unix(), &mut entropy);
        Matchmaker { socket, server, gateway, template: ElementsBuilder::new().ssid(&home()).build() }
    }

    /// Answers until a request comes that `is_it` wants, which is answered as well.
    fn serve_until(&mut self, is_it: impl Fn(&Request) -> bool) -> (PeerIdentity, Request) {
        let started = Instant::now();
        let (mut buffer, mut out) = ([0; 2048], Vec::new());
        loop {
            assert!(started.elapsed() < PATIENCE, "waited in vain");
            let (len, from) = self.socket.recv_from(&mut buffer).expect("a datagram");
            match self.server.datagram(from, &mut buffer[..len], unix(), &mut entropy, &mut out) {
                Outcome::Dropped(reason) => panic!("{reason:?}"),
                Outcome::Reply(_) => {
                    self.socket.send_to(&out, from).unwrap();
                }
                Outcome::Received(Received { peer, request, reply }) => {
                    let answer = self.answer(&request);
                    let to = self.server.answer(&reply, answer, &mut entropy, &mut out).unwrap();
                    self.socket.send_to(&out, to).unwrap();
                    if is_it(&request) {
                        return (peer, request);
                    }
                }
            }
        }
    }

    fn answer(&self, request: &Request) -> Answer {
        match request {
            Request::RegisterRadio(_) => {
                Answer::Registered(messages::Registered { lifetime_seconds: 600, endpoint: String::new() })
            }
            Request::LookUp(_) => {
                let template = self.template.clone();
                let offer =
                    messages::Offer { service: vec![3; 16], binding: 12, template, ..Default::default() };
                Answer::Offers(messages::Offers { ttl_seconds: 5, offers: vec![offer], ..Default::default() })
            }
            Request::Connect(_) => Answer::Connected(messages::Connected {
                instance: vec![1; 16],
                // At the matchmaker's address.
                endpoints: vec![format!("0.0.0.0:{}", self.gateway.port())],
                key: TUNNEL_KEY.to_vec(),
                valid_seconds: 30,
            }),
            _ => Answer::Done(messages::Done {}),
        }
    }
}

/// Writes a configuration with matchmaking, and `more` in its table. Keys are kept in the test's directory.
fn configure(bench: &Bench, server: &str, more: &str) {
    let secret = bench.directory.path().join("keys/radio.key");
    let more = match more.contains("secret_file") {
        true => more.to_owned(),
        false => format!("{more}\nsecret_file = \"{}\"", secret.display()),
    };
    let key = StaticSecret::new([2; 32]).public();
    let text = format!(
        "radio = \"{RADIO}\"\n[backend]\nkind = \"air\"\nsocket = \"{}\"\nchannel = 6\n\
         [matchmaking]\nserver = \"{server}\"\nkey = \"{key}\"\nbssids = 2\n{more}\n",
        bench.air.display()
    );
    fs::write(&bench.config, text).unwrap();
}

fn hex(octets: [u8; 32]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn a_device_finds_its_network_through_the_matchmaker() {
    let bench = Bench::new("127.0.0.1:0");
    let mut matchmaker = Matchmaker::bind(bench.gateway.socket.local_addr().unwrap());
    let secret = bench.directory.path().join("radio.key");
    fs::write(&secret, format!("{}\n", hex(SECRET))).unwrap();
    let account_key = format!("account_key = \"{}\"\nsecret_file = \"{}\"", hex([7; 32]), secret.display());
    let server = matchmaker.socket.local_addr().unwrap().to_string();
    configure(&bench, &server, &account_key);
    let agent = bench.start(&["--account", ACCOUNT]);

    let (peer, request) = matchmaker.serve_until(|_| true);
    let Request::RegisterRadio(registration) = request else { panic!("{request:?}") };
    assert_eq!((&registration.radio[..], registration.bssids), (&RADIO.0[..], 2));
    assert_eq!(peer.key, StaticSecret::new(SECRET).public());
    assert_eq!(peer.account, Some(AccountId([9; 16])));

    let device = Device::attach(&bench.air);
    device.send(&probe_request());
    let (_, request) = matchmaker.serve_until(|request| matches!(request, Request::LookUp(_)));
    let Request::LookUp(look_up) = request else { panic!("{request:?}") };
    assert_eq!((&look_up.devices[0].client[..], look_up.devices[0].rssi_dbm), (&DEVICE.0[..], -61));
    let bssid = bssids(RADIO, 2, &[])[0];
    let beacon = device.hear(ManagementSubtype::Beacon);
    assert_eq!(Frame::parse(&beacon).unwrap().addr2(), Some(bssid));

    let body = Authentication {
        algorithm: AuthenticationAlgorithm::OPEN,
        transaction: 1,
        status: StatusCode::SUCCESS,
        elements: Elements::new(&[]),
    };
    let first = build::management(ManagementSubtype::Authentication, bssid, DEVICE, bssid, &body.to_vec());
    device.send(&first);
    let (_, request) = matchmaker.serve_until(|request| matches!(request, Request::Connect(_)));
    let Request::Connect(connect) = request else { panic!("{request:?}") };
    // A gateway opens its NAT; then the radio's keep-alive arrives, from the socket that the matchmaker knows.
    let session_id = SessionId(connect.session_id[..].try_into().unwrap());
    let punch = Punch::new(&TunnelKey::new(TUNNEL_KEY), session_id, 1);
    bench.gateway.socket.send_to(&punch.datagram(), peer.endpoint).unwrap();
    let (asked, from) = bench.gateway.keep_alive();
    assert_eq!((from, &asked.session_id.0[..]), (peer.endpoint, &connect.session_id[..]));
    let hello = asked.hello.unwrap();
    assert_eq!((hello.bssid, hello.radio, hello.service.0), (bssid, RADIO, [3; 16]));
    assert!(asked.proof.unwrap().is_right(&TunnelKey::new(TUNNEL_KEY), &asked.session_id, &hello));
    bench.gateway.echo(asked.session_id, from);
    assert_eq!(bench.gateway.frame().0, first, "the frame that began it");

    let pid = agent.0.id() as i32;
    Daemon(pid).signal(libc::SIGTERM);
    matchmaker.serve_until(|request| matches!(request, Request::Release(_)));
    matchmaker.serve_until(|request| matches!(request, Request::Unregister(_)));
    agent.terminate();
}

#[test]
fn what_is_wrong_with_matchmaking_is_said_at_the_start() {
    let bench = Bench::new("127.0.0.1:0");
    let fail = |more: &str, arguments: &[&str], words: &[&str]| {
        configure(&bench, "127.0.0.1:1", more);
        let output = bench.command(arguments).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), message.lines().count()), (Some(1), 1), "{message}");
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
    };
    let key = format!("account_key = \"{}\"", hex([7; 32]));
    fail(&key, &["-B"], &["account_key without account", "--account"]);
    fail("location = \"there\"", &["-B"], &[":10: `location` must be", "latitude, longitude"]);
    let secret = bench.directory.path().join("radio.key");
    let file = format!("secret_file = \"{}\"", secret.display());
    fs::create_dir(&secret).unwrap();
    fail(&file, &["-B"], &["cannot read the radio's key", "radio.key", "directory", "secret_file"]);
    fs::remove_dir(&secret).unwrap();
    fs::write(&secret, "secret").unwrap();
    fail(&file, &["-B"], &["cannot read the radio's key", "64 hexadecimal digits", "remove it"]);
}

#[test]
fn a_radio_that_loses_power_is_the_same_to_the_matchmaker_after() {
    let bench = Bench::new("127.0.0.1:0");
    let mut matchmaker = Matchmaker::bind(bench.gateway.socket.local_addr().unwrap());
    configure(&bench, &matchmaker.socket.local_addr().unwrap().to_string(), "");
    let mut keys = Vec::new();
    for _ in 0..3 {
        let agent = bench.start(&[]);
        let (peer, request) = matchmaker.serve_until(|_| true);
        assert!(matches!(request, Request::RegisterRadio(_)), "{request:?}");
        keys.push(peer.key);
        // No Unregister: its registration is alive, and belongs to its key.
        agent.kill();
    }
    assert_eq!(keys, [keys[0]; 3]);
    assert_ne!(keys[0], StaticSecret::new([0; 32]).public());
}

#[test]
fn what_is_on_the_air_is_as_the_matchmaker_offers_it_now() {
    let bench = Bench::new("127.0.0.1:0");
    let mut matchmaker = Matchmaker::bind(bench.gateway.socket.local_addr().unwrap());
    configure(&bench, &matchmaker.socket.local_addr().unwrap().to_string(), "");
    let _agent = bench.start(&[]);
    matchmaker.serve_until(|_| true);
    let device = Device::attach(&bench.air);
    device.send(&probe_request());
    matchmaker.serve_until(|request| matches!(request, Request::LookUp(_)));
    let vendor = |beacon: &[u8]| {
        let body = Beacon::parse(Frame::parse(beacon).unwrap().body()).unwrap();
        body.elements.find_vendor([1, 2, 3, 4]).map(<[u8]>::to_vec)
    };
    let beacon = device.hear(ManagementSubtype::Beacon);
    assert_eq!(vendor(&beacon), None);
    matchmaker.template =
        ElementsBuilder::new().ssid(&home()).element(ElementId::VENDOR_SPECIFIC, &[1, 2, 3, 4, 5]).build();
    matchmaker.serve_until(|request| matches!(request, Request::LookUp(_)));
    // The beacons in between are still in the socket's queue.
    let mut last = Frame::parse(&beacon).unwrap().sequence().unwrap().number();
    let changed = loop {
        let beacon = device.hear(ManagementSubtype::Beacon);
        let number = Frame::parse(&beacon).unwrap().sequence().unwrap().number();
        assert!(number > last, "of the same opening");
        last = number;
        if let Some(vendor) = vendor(&beacon) {
            break vendor;
        }
    };
    assert_eq!(changed, [5]);
}
