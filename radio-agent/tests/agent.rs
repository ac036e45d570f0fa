//! The agent's decisions under virtual time: tunnels, the life of a BSS, what passes and what does not.

use std::net::SocketAddr;
use std::time::Duration;

use dot11::element::{ElementId, Elements, ElementsBuilder, Ssid, SupportedRates};
use dot11::frame::management::{AssociationRequest, AssociationResponse, Authentication, Beacon};
use dot11::{
    AuthenticationAlgorithm, CapabilityInfo, Frame, FrameKind, MacAddr, ManagementSubtype, QosControl,
    SequenceControl, StatusCode, build,
};
use proptest::prelude::*;
use proto::tunnel::*;
use radio_agent::agent::*;
use radio_agent::config::{Config, Security};

const BSSID: MacAddr = MacAddr([2, 0xaa, 0, 0, 0, 1]);
const OTHER_BSSID: MacAddr = MacAddr([2, 0xaa, 0, 0, 0, 2]);
const RADIO: MacAddr = MacAddr([2, 0xbb, 0, 0, 0, 7]);
const DEVICE: MacAddr = MacAddr([2, 0x5e, 0, 0, 0, 0x42]);
const INFO: FrameInfo = FrameInfo { rssi: -55, snr: 30, rate: 60 };

const CONFIG: &str = r#"
[backend]
kind = "air"
socket = "/tmp/air"
channel = 6
[[bss]]
bssid = "02:aa:00:00:00:01"
ssid = "home"
service = "3f2b6c1e-54a7-4d1b-9a34-0c2f6f1f8a11"
security = "psk"
gateway = "192.0.2.1:5247"
[[bss]]
bssid = "02:aa:00:00:00:02"
ssid = "work"
service = "3f2b6c1e-54a7-4d1b-9a34-0c2f6f1f8a12"
security = "eap"
gateway = "192.0.2.2:5247"
"#;

fn gateway(bss: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, bss as u8 + 1], 5247))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An agent and its clock.
struct World {
    agent: Agent,
    now: Duration,
    sessions: u8,
}

impl World {
    /// Both gateways are known, none was asked yet.
    fn new() -> World {
        let agent = Agent::new(&Config::parse(CONFIG).unwrap(), RADIO);
        let mut world = World { agent, now: seconds(100), sessions: 0 };
        assert_eq!(world.outputs(), [Output::LookUp { bss: 0 }, Output::LookUp { bss: 1 }]);
        for bss in 0..2 {
            world.agent.resolved(bss, gateway(bss), world.now);
        }
        world.outputs();
        world
    }

    /// Both BSSes are open.
    fn open() -> World {
        let mut world = World::new();
        let asked = world.tick();
        for (to, keep_alive) in keep_alives(&asked) {
            world.echo(to, keep_alive.session_id);
        }
        let opened: Vec<_> = world.outputs().into_iter().filter(|output| !is_report(output)).collect();
        assert_eq!(opened, [Output::Open { bss: 0 }, Output::Open { bss: 1 }]);
        world
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.agent.poll_output()).collect()
    }

    /// Lets the time that is due do its work.
    fn tick(&mut self) -> Vec<Output> {
        let sessions = &mut self.sessions;
        self.agent.timeout(self.now, &mut || {
            *sessions += 1;
            SessionId([*sessions; 16])
        });
        self.outputs()
    }

    /// Goes to the next deadline.
    fn step(&mut self) -> Vec<Output> {
        let deadline = self.agent.deadline().expect("something to wait for");
        assert!(deadline >= self.now);
        self.now = deadline;
        self.tick()
    }

    fn echo(&mut self, from: SocketAddr, session_id: SessionId) {
        self.agent.datagram(from, &KeepAlive { session_id, hello: None, proof: None }.datagram(), self.now);
    }

    fn hear(&mut self, frame: &[u8]) -> Vec<Output> {
        self.agent.frame(frame, INFO, self.now);
        self.outputs()
    }

    fn down(&mut self, from: SocketAddr, frame: &[u8]) -> Vec<Output> {
        for part in fragment(Header::DATA, frame, 1472, 5).unwrap() {
            self.agent.datagram(from, &part.datagram(), self.now);
        }
        self.outputs()
    }

    /// A device goes through association in BSS 0.
    fn associate(&mut self, device: MacAddr, aid: u16) -> Vec<Output> {
        self.hear(&association_request(device, true));
        self.down(gateway(0), &association_response(device, StatusCode::SUCCESS, aid))
    }

    /// Lets time pass until more is to be done than sending; gateway 1 answers, and gateway 0 until `dies`. A device may speak once.
    fn until_done(&mut self, dies: Duration, speaks: Option<Duration>) -> Vec<Output> {
        let mut speaks = speaks;
        let begin = self.now;
        loop {
            assert!(self.now < begin + seconds(60));
            let due = self.agent.deadline().unwrap();
            let outputs = match speaks.filter(|speaks| *speaks <= due) {
                Some(when) => {
                    (self.now, speaks) = (when, None);
                    self.hear(&data_up(10))
                }
                None => {
                    self.now = due;
                    self.tick()
                }
            };
            for (to, keep_alive) in keep_alives(&outputs) {
                if to == gateway(1) || self.now < dies {
                    self.echo(to, keep_alive.session_id);
                }
            }
            let rest: Vec<_> =
                outputs.into_iter().filter(|output| !matches!(output, Output::Send { .. })).collect();
            if !rest.is_empty() {
                return rest;
            }
        }
    }
}

fn is_report(output: &Output) -> bool {
    matches!(output, Output::Report(_))
}

/// The keep-alives among outputs, with their receivers.
fn keep_alives(outputs: &[Output]) -> Vec<(SocketAddr, KeepAlive)> {
    let mut found = Vec::new();
    for output in outputs {
        let Output::Send { to, datagram } = output else { continue };
        let (header, payload) = DataHeader::parse(datagram).unwrap();
        if header.keep_alive() {
            found.push((*to, KeepAlive::parse(payload).unwrap()));
        }
    }
    found
}

fn management(subtype: ManagementSubtype, from: MacAddr, body: &[u8]) -> Vec<u8> {
    build::management(subtype, BSSID, from, BSSID, body)
}

fn from_ap(subtype: ManagementSubtype, to: MacAddr, body: &[u8]) -> Vec<u8> {
    build::management(subtype, to, BSSID, BSSID, body)
}

fn association_request(device: MacAddr, wmm: bool) -> Vec<u8> {
    let mut elements = ElementsBuilder::new()
        .ssid(&Ssid::parse(b"home").unwrap())
        .supported_rates(&SupportedRates::bg())
        .extended_rates(&SupportedRates::bg());
    if wmm {
        elements = elements.element(ElementId::VENDOR_SPECIFIC, &[0, 0x50, 0xf2, 2, 0, 1, 0]);
    }
    let request = AssociationRequest {
        capabilities: CapabilityInfo::ESS,
        listen_interval: 7,
        elements: elements.as_elements(),
    };
    management(ManagementSubtype::AssociationRequest, device, &request.to_vec())
}

fn association_response(device: MacAddr, status: StatusCode, aid: u16) -> Vec<u8> {
    let wmm = ElementsBuilder::new().element(ElementId::VENDOR_SPECIFIC, &[0, 0x50, 0xf2, 2, 1, 1, 0]);
    let response =
        AssociationResponse { capabilities: CapabilityInfo::ESS, status, aid, elements: wmm.as_elements() };
    from_ap(ManagementSubtype::AssociationResponse, device, &response.to_vec())
}

fn probe_request(ssid: &[u8], to: MacAddr, channel: Option<u8>) -> Vec<u8> {
    let mut elements = ElementsBuilder::new().element(ElementId::SSID, ssid);
    if let Some(channel) = channel {
        elements = elements.element(ElementId::DSSS_PARAMETER_SET, &[channel]);
    }
    build::management(ManagementSubtype::ProbeRequest, to, DEVICE, to, &elements.build())
}

fn data_up(len: usize) -> Vec<u8> {
    build::DataHeader::to_ap(BSSID, MacAddr([2; 6]), DEVICE, Some(QosControl::new(0))).frame(&vec![0x5a; len])
}

fn data_down(len: usize) -> Vec<u8> {
    build::DataHeader::from_ap(BSSID, DEVICE, MacAddr([2; 6]), Some(QosControl::new(0)))
        .frame(&vec![0x5a; len])
}

#[test]
fn a_bss_opens_when_its_gateway_answers_and_not_before() {
    let mut world = World::new();
    for count in 1..=5 {
        let asked = world.step();
        let asked = keep_alives(&asked);
        assert_eq!(asked.len(), 2, "attempt {count}");
        let (to, KeepAlive { session_id, hello, .. }) = asked[0];
        assert_eq!((to, session_id), (gateway(0), SessionId([1; 16])), "the same session each time");
        let hello = hello.unwrap();
        assert_eq!((hello.bssid, hello.radio), (BSSID, RADIO));
        assert_eq!(hello.service.to_string(), "3f2b6c1e-54a7-4d1b-9a34-0c2f6f1f8a11");
        assert_eq!(world.now, seconds(100 + count - 1), "one each second");
    }
    assert_eq!(world.hear(&data_up(100)), [], "closed");
    assert_eq!(world.agent.counters().closed, 1);

    // Echoes that are not this gateway's do not count.
    world.echo(gateway(1), SessionId([1; 16]));
    world.echo(gateway(0), SessionId([2; 16]));
    world.echo(SocketAddr::from(([192, 0, 2, 1], 9)), SessionId([1; 16]));
    assert_eq!(world.outputs(), []);
    assert_eq!(world.agent.counters().stranger, 3);

    world.echo(gateway(0), SessionId([1; 16]));
    let opened = Event::Opened { bssid: BSSID, gateway: gateway(0) };
    assert_eq!(world.outputs(), [Output::Open { bss: 0 }, Output::Report(opened)]);
    world.echo(gateway(0), SessionId([1; 16]));
    assert_eq!(world.outputs(), [], "a second echo changes nothing");
}

#[test]
fn a_gateway_that_answers_is_asked_every_five_seconds_while_no_device_is_there() {
    let mut world = World::open();
    for round in 1..=4 {
        let asked = keep_alives(&world.step());
        assert_eq!(world.now, seconds(100 + 5 * round));
        assert_eq!(asked.len(), 2);
        for (to, keep_alive) in asked {
            world.echo(to, keep_alive.session_id);
        }
        assert_eq!(world.outputs(), []);
    }
}

#[test]
fn a_gateway_that_is_gone_is_left_within_three_seconds_if_there_are_devices() {
    // At any moment between two keep-alives: with a device, and without one until one speaks, or with nobody at all.
    for moment in (10_000..16_000).step_by(100).map(Duration::from_millis) {
        let dies = seconds(100) + moment;
        let mut world = World::open();
        world.associate(DEVICE, 1);
        world.until_done(dies, None);
        assert!(world.now <= dies + seconds(3), "{:?}", world.now - dies);

        for late in [0, 100, 1500, 2500].map(Duration::from_millis) {
            let mut world = World::open();
            world.until_done(dies, Some(dies + late));
            assert!(world.now <= dies + late + seconds(3), "{:?}", world.now - dies);
        }
        let mut world = World::open();
        world.until_done(dies, None);
        let most = WITHOUT_DEVICES + RETRY * UNANSWERED;
        assert!(world.now <= dies + most, "{:?}", world.now - dies);
    }
}

#[test]
fn who_speaks_to_a_bss_has_its_gateway_asked_once_a_second_at_most() {
    let mut world = World::open();
    let mut asked = 0;
    for _ in 0..500 {
        world.now += Duration::from_millis(20);
        world.hear(&data_up(10));
        for (to, keep_alive) in keep_alives(&world.tick()) {
            asked += u32::from(to == gateway(0));
            world.echo(to, keep_alive.session_id);
        }
    }
    assert_eq!(asked, 10);
}

#[test]
fn a_bss_closes_when_its_gateway_is_gone_and_opens_when_it_is_back() {
    let mut world = World::open();
    world.associate(DEVICE, 1);
    let closed = world.until_done(world.now, None);
    assert_eq!(world.now, seconds(100) + KEEP_ALIVE + RETRY * UNANSWERED);
    let gone = Event::GatewayGone { bssid: BSSID, gateway: gateway(0) };
    let [Output::Report(report), Output::Inject { frame }, Output::Close { bss: 0 }] = &closed[..] else {
        panic!("{closed:?}")
    };
    assert_eq!(*report, gone);
    let frame = Frame::parse(frame).unwrap();
    assert_eq!(frame.kind(), FrameKind::Management(ManagementSubtype::Deauthentication));
    assert_eq!((frame.addr1(), frame.addr2()), (MacAddr::BROADCAST, Some(BSSID)));

    assert_eq!(world.hear(&data_up(100)), []);
    assert_eq!(world.down(gateway(0), &data_down(100)), [], "a frame of a gateway that is gone");
    let asked = keep_alives(&world.tick());
    let [(to, keep_alive)] = asked[..] else { panic!("{asked:?}") };
    assert_eq!((to, keep_alive.session_id), (gateway(0), SessionId([3; 16])), "a new session");
    world.echo(to, keep_alive.session_id);
    assert!(world.outputs().contains(&Output::Open { bss: 0 }));
}

#[test]
fn a_gateway_that_never_answers_is_looked_up_again() {
    let mut world = World::new();
    let mut outputs = Vec::new();
    for _ in 0..10 {
        assert!(!outputs.contains(&Output::LookUp { bss: 0 }));
        outputs = world.step();
    }
    assert!(outputs.contains(&Output::LookUp { bss: 0 }));
    let moved = SocketAddr::from(([192, 0, 2, 9], 5247));
    world.agent.resolved(0, moved, world.now);
    let asked = world.tick();
    assert_eq!(keep_alives(&asked)[0].0, moved);
}

#[test]
fn a_radio_that_fails_to_open_is_tried_again_later() {
    let mut world = World::open();
    world.agent.open_failed(0, world.now);
    assert_eq!(world.hear(&data_up(10)), []);
    let asked = keep_alives(&world.step());
    assert_eq!((world.now, asked[0].0), (seconds(105), gateway(0)));
    world.echo(gateway(0), asked[0].1.session_id);
    assert!(world.outputs().contains(&Output::Open { bss: 0 }));
}

#[test]
fn frames_of_our_devices_go_up_as_they_are() {
    let mut world = World::open();
    let authentication = Authentication {
        algorithm: AuthenticationAlgorithm::OPEN,
        transaction: 1,
        status: StatusCode::SUCCESS,
        elements: Elements::new(&[]),
    };
    let authentication = management(ManagementSubtype::Authentication, DEVICE, &authentication.to_vec());
    for frame in [authentication, data_up(200)] {
        let outputs = world.hear(&frame);
        let [Output::Send { to, datagram }] = &outputs[..] else { panic!("{outputs:?}") };
        let (header, payload) = DataHeader::parse(datagram).unwrap();
        assert_eq!((*to, payload), (gateway(0), &frame[..]));
        assert_eq!((header.native(), header.frame_info()), (true, Some(INFO)));
    }
    assert_eq!(world.agent.counters().up, 2);
}

#[test]
fn everything_else_on_the_air_stays_there() {
    let mut world = World::open();
    let mut foreign = data_up(50);
    foreign[4..10].copy_from_slice(&[2, 0xcc, 0, 0, 0, 1]);
    let own_beacon = world.agent.template(0).unwrap().beacon(0, 0);
    let ps_poll = build::ps_poll(1, BSSID, DEVICE);
    let ack = build::ack(BSSID);
    for frame in [&foreign, &own_beacon, &data_down(50), &ps_poll[..], &ack] {
        assert_eq!(world.hear(frame), []);
    }
    assert_eq!(world.agent.counters().not_ours, 5);
    assert_eq!(world.hear(&[0x88, 1, 0]), []);
    assert_eq!(world.agent.counters().bad_frame, 1);
}

#[test]
fn long_frames_go_up_in_fragments_that_fit_the_path() {
    let mut world = World::open();
    let frame = data_up(3000);
    let outputs = world.hear(&frame);
    assert_eq!(outputs.len(), 3);
    let mut reassembler = Reassembler::new(Limits::default());
    let mut whole = None;
    for output in &outputs {
        let Output::Send { datagram, .. } = output else { panic!("{output:?}") };
        assert!(datagram.len() <= 1472);
        let (header, payload) = DataHeader::parse(datagram).unwrap();
        whole = reassembler.push(0, &header, payload, world.now).unwrap().map(|whole| whole.frame.to_vec());
    }
    assert_eq!(whole, Some(frame));
}

#[test]
fn frames_of_the_gateway_go_to_the_air_as_they_are() {
    let mut world = World::open();
    let long = data_down(3000);
    assert_eq!(world.down(gateway(0), &long), [Output::Inject { frame: long.clone() }]);
    let short = data_down(30);
    assert_eq!(world.down(gateway(0), &short), [Output::Inject { frame: short.clone() }]);

    assert_eq!(world.down(gateway(1), &short), [], "the gateway of another BSS");
    assert_eq!(world.down(SocketAddr::from(([192, 0, 2, 77], 5247)), &short), [], "nobody we know");
    let mut foreign = short.clone();
    foreign[10..16].copy_from_slice(&[2, 0xcc, 0, 0, 0, 1]);
    assert_eq!(world.down(gateway(0), &foreign), [], "not one of our BSSes");
    assert_eq!(world.agent.counters().stranger, 3);
    assert_eq!(world.down(gateway(0), &build::ack(DEVICE)), [], "control frames are the radio's");
    assert_eq!(world.down(gateway(0), &short[..20]), []);
    let counters = world.agent.counters();
    assert_eq!((counters.down, counters.bad_datagram, counters.bad_frame), (2, 1, 1));
}

#[test]
fn probe_requests_are_answered_here() {
    let mut world = World::open();
    let mut answers = |frame: &[u8]| -> Vec<(MacAddr, u16)> {
        let outputs = world.hear(frame);
        let answer = |output: &Output| {
            let Output::Inject { frame } = output else { panic!("{output:?}") };
            let frame = Frame::parse(frame).unwrap();
            assert_eq!(frame.kind(), FrameKind::Management(ManagementSubtype::ProbeResponse));
            assert_eq!(frame.addr1(), DEVICE);
            let body = Beacon::parse(frame.body()).unwrap();
            assert!(body.capabilities.contains(CapabilityInfo::PRIVACY) && body.elements.has_wmm());
            assert_eq!(body.timestamp, 100_000_000);
            (frame.addr2().unwrap(), frame.sequence().unwrap().number())
        };
        outputs.iter().map(answer).collect()
    };
    let (all, one) = (MacAddr::BROADCAST, BSSID);
    assert_eq!(answers(&probe_request(b"", all, None)), [(BSSID, 0), (OTHER_BSSID, 0)]);
    assert_eq!(answers(&probe_request(b"home", all, Some(6))), [(BSSID, 1)]);
    assert_eq!(answers(&probe_request(b"work", all, None)), [(OTHER_BSSID, 1)]);
    assert_eq!(answers(&probe_request(b"", one, None)), [(BSSID, 2)]);
    assert_eq!(answers(&probe_request(b"elsewhere", all, None)), []);
    assert_eq!(answers(&probe_request(b"", all, Some(7))), [], "meant for the next channel");
    assert_eq!(answers(&probe_request(b"", MacAddr([2, 0xcc, 0, 0, 0, 1]), None)), []);
    assert_eq!(world.agent.counters().probes, 5);
    // A BSS that is closed does not show.
    let mut closed = World::new();
    assert_eq!(closed.hear(&probe_request(b"", all, None)), []);
}

#[test]
fn the_radio_learns_who_is_associated() {
    let mut world = World::open();
    let refused = association_response(DEVICE, StatusCode(17), 0);
    world.hear(&association_request(DEVICE, true));
    assert_eq!(world.down(gateway(0), &refused), [Output::Inject { frame: refused.clone() }]);

    let accepted = association_response(DEVICE, StatusCode::SUCCESS, 3);
    let outputs = world.associate(DEVICE, 3);
    let rates = vec![0x82, 0x84, 0x8b, 0x96, 0x0c, 0x12, 0x18, 0x24, 0x30, 0x48, 0x60, 0x6c];
    let station = Station { address: DEVICE, aid: 3, listen_interval: 7, rates, wmm: true, mfp: false };
    let known = [
        Output::AddStation { bss: 0, station: station.clone() },
        Output::Report(Event::Associated { bssid: BSSID, station: DEVICE, aid: 3 }),
        Output::Inject { frame: accepted.clone() },
    ];
    assert_eq!(outputs, known, "the radio knows the device before the device knows");

    // Again, without QoS: the radio forgets what it knew.
    world.hear(&association_request(DEVICE, false));
    let outputs = world.down(gateway(0), &accepted);
    assert_eq!(outputs[0], Output::RemoveStation { bss: 0, address: DEVICE });
    assert_eq!(outputs[1], Output::AddStation { bss: 0, station: Station { wmm: false, ..station } });

    // A response whose request was not heard still makes the device known.
    let unheard = MacAddr([2, 0x5e, 0, 0, 0, 0x43]);
    let outputs = world.down(gateway(0), &association_response(unheard, StatusCode::SUCCESS, 4));
    let Output::AddStation { station, .. } = &outputs[0] else { panic!("{outputs:?}") };
    assert_eq!((station.address, station.aid, station.rates.is_empty()), (unheard, 4, false));
}

#[test]
fn the_radio_learns_who_leaves() {
    let reason = 3u16.to_le_bytes();
    let departed = [
        Output::RemoveStation { bss: 0, address: DEVICE },
        Output::Report(Event::Departed { bssid: BSSID, station: DEVICE }),
    ];
    for subtype in [ManagementSubtype::Deauthentication, ManagementSubtype::Disassociation] {
        let mut world = World::open();
        world.associate(DEVICE, 1);
        let down = from_ap(subtype, DEVICE, &reason);
        let outputs = world.down(gateway(0), &down);
        assert_eq!(outputs[0], Output::Inject { frame: down.clone() }, "first the frame, then the station");
        assert_eq!(outputs[1..], departed);
        assert_eq!(world.down(gateway(0), &down), [Output::Inject { frame: down.clone() }], "gone already");

        world.associate(DEVICE, 1);
        let up = management(subtype, DEVICE, &reason);
        assert!(matches!(world.hear(&up)[..], [Output::Send { .. }]), "the gateway hears of it");
        // Somebody else may have said so.
        let said = world.now;
        assert_eq!(world.until_done(Duration::MAX, None), departed);
        assert_eq!(world.now, said + SILENCE);
        let stranger = management(subtype, MacAddr([2, 0x5e, 0, 0, 0, 0x44]), &reason);
        assert_eq!(world.hear(&stranger).len(), 1, "only passed on");
    }
}

#[test]
fn the_table_of_devices_is_bounded() {
    let mut world = World::open();
    let device = |at: usize| MacAddr([2, 0x5e, 1, 0, (at >> 8) as u8, at as u8]);
    for at in 0..MAX_STATIONS {
        world.now += Duration::from_millis(1);
        world.associate(device(at), at as u16 + 1);
    }
    // The first speaks again: now the second was not heard for longest.
    world.now += Duration::from_millis(1);
    let mut frame = data_up(10);
    frame[10..16].copy_from_slice(&device(0).0);
    world.hear(&frame);
    let outputs = world.associate(device(500), 2);
    assert_eq!(outputs[0], Output::RemoveStation { bss: 0, address: device(1) });
    assert!(matches!(&outputs[1], Output::AddStation { station, .. } if station.address == device(500)));
}

#[test]
fn the_end_closes_everything() {
    let mut world = World::open();
    world.associate(DEVICE, 1);
    world.agent.shut_down(seconds(60));
    let outputs = world.outputs();
    assert!(matches!(outputs[0], Output::Inject { .. }), "devices are told");
    assert_eq!(outputs[1..], [Output::Close { bss: 0 }, Output::Close { bss: 1 }]);
    assert_eq!(world.agent.deadline(), None);
    world.agent.shut_down(seconds(60));
    assert_eq!(world.outputs(), []);
}

#[test]
fn the_beacon_says_what_the_authenticator_says() {
    use authenticator::{NamedPsk, Service};
    let config = Config::parse(CONFIG).unwrap();
    let passphrase = dot11::rsn::Passphrase::new("correct horse").unwrap();
    let pmk = dot11::rsn::pmk_from_passphrase(&passphrase, &Ssid::parse(b"home").unwrap());
    let psk = NamedPsk { name: "home".into(), pmk, vlan: None, client: None };
    let services = [Service::psk(b"home", vec![psk]), Service::eap(b"work")];
    for (bss, mut service) in config.bsses.iter().zip(services) {
        let Security::Rsn(akms) = &bss.security else { panic!("{bss:?}") };
        service.akms = akms.clone();
        let template = Template::new(bss, config.channel);
        let beacon = template.beacon(7, 5);
        let beacon = Frame::parse(&beacon).unwrap();
        assert_eq!(beacon.sequence(), Some(SequenceControl::new(5, 0)));
        let body = Beacon::parse(beacon.body()).unwrap();
        assert_eq!((body.timestamp, body.interval), (7, 100));
        assert_eq!(body.elements.find_whole(ElementId::RSN).map(<[u8]>::to_vec), service.rsne());
        assert_eq!(
            body.elements.rates().0.iter().map(|rate| rate.0).collect::<Vec<_>>(),
            service.beacon.rates
        );
        // Head and tail, with the driver's TIM between them, are the same beacon.
        let elements = [&template.beacon_head()[36..], &template.beacon_tail()].concat();
        let without_tim: Vec<_> =
            body.elements.iter().filter(|element| element.id != ElementId::TIM).collect();
        assert_eq!(Elements::parse(&elements).unwrap().iter().collect::<Vec<_>>(), without_tim);
    }
}

proptest! {
    /// Whatever comes from the air or the network, the agent survives it and stays within its bounds.
    #[test]
    fn any_input_is_survived(
        inputs in prop::collection::vec(
            (0u8..5, prop::collection::vec(any::<u8>(), 0..80), 0u64..3000),
            1..60,
        ),
    ) {
        let mut world = World::open();
        for (kind, mut octets, wait) in inputs {
            world.now += Duration::from_millis(wait);
            match kind {
                0 => world.agent.datagram(gateway(0), &octets, world.now),
                1 => { world.down(gateway(0), &[&[0; 1][..], &octets].concat()); }
                2 => world.agent.frame(&octets, INFO, world.now),
                _ => {
                    // Something that is nearly right: addressed to or by our BSS.
                    octets.resize(octets.len().max(24), 0);
                    octets[0] &= 0xfc;
                    let at = if kind == 3 { 4 } else { 10 };
                    octets[at..at + 6].copy_from_slice(&BSSID.0);
                    if kind == 3 { world.hear(&octets); } else { world.down(gateway(0), &octets); }
                }
            }
            world.tick();
            prop_assert!(world.outputs().len() < 8);
        }
    }
}
