//! What must hold of the radio agent, whatever the air, gateways and the matchmaker say.

use std::net::SocketAddr;
use std::time::Duration;

use dot11::MacAddr;
use dot11::element::Elements;
use proto::matchmaking::messages::{Connected, Offer, Offers, Policy, answer::Answer, request::Request};
use proto::tunnel::{FrameInfo, SessionId};
use radio_agent::agent::{Agent, MAX_NEAR, Output, Template, bssids};
use radio_agent::config::{Channel, Config};

/// Names of the targets, and their bodies.
#[allow(dead_code, reason = "the fuzz targets name theirs themselves")]
pub const TARGETS: &[(&str, Body)] = &[("agent_input", input), ("agent_template", template)];

type Body = fn(&[u8]);

const RADIO: MacAddr = MacAddr([0x00, 0xbb, 0, 0, 0, 7]);

const CONFIG: &str = r#"
radio = "00:bb:00:00:00:07"
[backend]
kind = "air"
socket = "/run/air"
channel = 6
[matchmaking]
server = "192.0.2.9:5246"
key = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
bssids = 2
up_kbps = 10000
"#;

/// Steps of an agent's life, each of `kind u8 | length u8 | octets`: a frame from the air, a datagram, or time that passes.
/// The matchmaker offers what the frames ask for, and a gateway echoes.
pub fn input(mut data: &[u8]) {
    let config = Config::parse(CONFIG).expect("it is one");
    let mut agent = Agent::new(&config, RADIO);
    let gateway = SocketAddr::from(([192, 0, 2, 1], 5247));
    let mut now = Duration::from_secs(10);
    let mut steps = 0;
    while let Some((&[kind, length], rest)) = data.split_first_chunk()
        && steps < 64
    {
        steps += 1;
        let (octets, rest) = rest.split_at(usize::from(length).min(rest.len()));
        data = rest;
        match kind % 4 {
            0 => agent.frame(octets, FrameInfo { rssi: -60, snr: 20, rate: 60 }, now),
            1 => agent.datagram(gateway, octets, now),
            2 => {
                // A frame for one of its BSSes.
                let mut frame = octets.to_vec();
                frame.resize(frame.len().max(24), 0);
                frame[4..10].copy_from_slice(&bssids(RADIO, 2, &[])[0].0);
                agent.frame(&frame, FrameInfo { rssi: -60, snr: 20, rate: 60 }, now);
            }
            _ => now += Duration::from_millis(u64::from(length) * 37),
        }
        settle(&mut agent, gateway, now);
        assert!(agent.near() <= MAX_NEAR);
    }
    agent.shut_down(now);
    settle(&mut agent, gateway, now);
    assert_eq!(agent.deadline(), None, "the end is the end");
}

/// Answers until the agent has nothing more to do.
fn settle(agent: &mut Agent, gateway: SocketAddr, now: Duration) {
    for round in 0..1000 {
        agent.timeout(now, &mut || SessionId([round as u8; 16]));
        let mut any = false;
        while let Some(output) = agent.poll_output() {
            any = true;
            match output {
                Output::Ask { ask, request } => agent.answered(ask, answer(&request, gateway), now),
                // The echo of a keep-alive: the same without what the radio says of itself.
                Output::Send { datagram, .. } => {
                    use proto::tunnel::{DataHeader, KeepAlive};
                    let (header, payload) = DataHeader::parse(&datagram).expect("it is the agent's own");
                    if header.keep_alive() {
                        let KeepAlive { session_id, .. } = KeepAlive::parse(payload).expect("a keep-alive");
                        agent.datagram(
                            gateway,
                            &KeepAlive { session_id, hello: None, proof: None }.datagram(),
                            now,
                        );
                    }
                }
                _ => {}
            }
        }
        if !any {
            return;
        }
    }
    panic!("it never rests");
}

fn answer(request: &Request, gateway: SocketAddr) -> Option<Answer> {
    Some(match request {
        Request::LookUp(look_up) => {
            let many = look_up.devices.len();
            let name = |number| b'a' + number as u8 + u8::from(many > 2) * 16;
            let offer = |(number, client): (usize, Vec<u8>)| Offer {
                service: vec![number as u8; 16],
                client,
                policy: Some(Policy { hidden: number == 1, yields_to_home: true, ..Policy::default() }),
                // What is shown becomes something else now and then: its beacon, or its name.
                template: [0, 1, name(number), 221, 4, 1, 2, 3, many as u8].to_vec(),
                ..Offer::default()
            };
            let clients = look_up.devices.iter().map(|device| device.client.clone()).enumerate();
            Answer::Offers(Offers {
                ttl_seconds: 5,
                offers: clients.map(offer).collect(),
                ..Offers::default()
            })
        }
        Request::Connect(_) => Answer::Connected(Connected {
            instance: vec![1; 16],
            endpoints: vec![gateway.to_string()],
            key: vec![2; 16],
            valid_seconds: 9,
        }),
        _ => return None,
    })
}

/// The elements of an offer.
pub fn template(data: &[u8]) {
    let channel = Channel::new(36).expect("a channel");
    let Some(template) = Template::offered(RADIO, data, channel, data.len().is_multiple_of(2)) else {
        return;
    };
    for frame in [template.beacon(1, 2), template.probe_response(RADIO, 1, 2)] {
        let elements = frame.get(36..).expect("header and fixed fields");
        assert!(Elements::parse(elements).is_ok(), "whole elements");
    }
}
