//! What tests share that are a gateway to control: events in, commands out.
#![allow(dead_code, reason = "each test uses its part")]

use std::time::Duration;

use controlplane::{Control, Link, config};
use proto::gateway::{self as pb, Event, command::Command as C, event::Event as Ev};

pub const UUID: &str = "6f3c0f62-1f52-4b7a-9d0e-5a1f7a1c0001";
pub const BSSID: [u8; 6] = [2, 0xaa, 0, 0, 0, 1];
pub const DEVICE: [u8; 6] = [2, 0, 0, 0, 0, 7];

/// A control process with one open service, and the directory of its state.
pub async fn control() -> (Control, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("controlplane.toml");
    let text = format!(
        "state = \"{}\"\n[[service]]\nuuid = \"{UUID}\"\nssid = \"x\"\nsecurity = \"open\"\n[[binding]]\nservice = \"{UUID}\"\n",
        directory.path().display()
    );
    std::fs::write(&path, text).unwrap();
    (Control::start(config::load(&path).unwrap()).await.unwrap().0, directory)
}

pub async fn say(link: &Link, events: Vec<Ev>) {
    link.events.send(events.into_iter().map(|event| Event { event: Some(event) }).collect()).await.unwrap();
}

/// What control answers to everything said so far. Events are handled in order, so the refusal of an impossible tunnel, asked for
/// now, is the last answer.
pub async fn hear(link: &mut Link) -> Vec<C> {
    const NO_TUNNEL: [u8; 6] = [2, 0xff, 0xff, 0xff, 0xff, 0xff];
    let mut marker = tunnel(0xff, 1);
    marker.bssid = NO_TUNNEL.to_vec();
    marker.service = vec![0; 16];
    say(link, vec![Ev::TunnelRequest(pb::TunnelRequest { tunnel: Some(marker), ..Default::default() })])
        .await;
    let mut commands = Vec::new();
    loop {
        let batch = tokio::time::timeout(Duration::from_secs(20), link.commands.recv());
        for command in batch.await.expect("an answer").expect("control lives") {
            match command.command {
                Some(C::TunnelRefuse(refuse))
                    if refuse.tunnel.as_ref().is_some_and(|t| t.bssid == NO_TUNNEL) =>
                {
                    return commands;
                }
                other => commands.extend(other),
            }
        }
    }
}

pub fn hello() -> Ev {
    Ev::Hello(pb::Hello { gateway: "g".into(), epoch: 1, version: "v".into(), listen: vec![] })
}

pub fn synced() -> Ev {
    Ev::Synced(pb::Synced {})
}

/// The radio's tunnel in session `session`, from the address 127.0.0.`host`.
pub fn tunnel(session: u8, host: u8) -> pb::Tunnel {
    pb::Tunnel {
        session_id: vec![session; 16],
        bssid: BSSID.to_vec(),
        radio: vec![2, 0, 0, 0, 0, 9],
        service: matchmaker::Uuid::parse_str(UUID).unwrap().as_bytes().to_vec(),
        endpoint: format!("127.0.0.{host}:1000"),
    }
}

pub fn request(session: u8, host: u8) -> Ev {
    Ev::TunnelRequest(pb::TunnelRequest { tunnel: Some(tunnel(session, host)), ..Default::default() })
}

pub fn management(mac: [u8; 6], frame_control: u8, body: &[u8]) -> Ev {
    management_on(BSSID, mac, frame_control, body)
}

pub fn management_on(bssid: [u8; 6], mac: [u8; 6], frame_control: u8, body: &[u8]) -> Ev {
    let data = [&[frame_control, 0, 0, 0][..], &bssid, &mac, &bssid, &[0x10, 0], body].concat();
    Ev::Frame(pb::Frame { kind: 1, bssid: bssid.to_vec(), mac: mac.to_vec(), data, ..Default::default() })
}

pub fn authentication(mac: [u8; 6]) -> Ev {
    authentication_on(BSSID, mac)
}

pub fn authentication_on(bssid: [u8; 6], mac: [u8; 6]) -> Ev {
    management_on(bssid, mac, 0xb0, &[0, 0, 1, 0, 0, 0])
}

pub fn association(mac: [u8; 6]) -> Ev {
    association_on(BSSID, mac)
}

pub fn association_on(bssid: [u8; 6], mac: [u8; 6]) -> Ev {
    let rates = [1, 8, 0x82, 0x84, 0x8b, 0x96, 0x0c, 0x12, 0x18, 0x24, 50, 4, 0x30, 0x48, 0x60, 0x6c];
    management_on(bssid, mac, 0x00, &[&[0x21, 4, 10, 0, 0, 1, b'x'][..], &rates].concat())
}
