//! Devices on a simulated air that a test serves: over the socket they connect, exchange data and come back.
#![cfg(feature = "air")]

mod common;

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::*;
use dot11::eapol::key::KeyFrame;
use dot11::{Akm, Frame, FrameKind, MacAddr, ManagementSubtype, ReasonCode, StatusCode, radiotap};
use socket2::{Domain, SockAddr, Socket, Type};
use station::air::{Air, Place, spawn};
use station::data::{Shape, eapol_of};
use station::{Command, Device, DeviceConfig, Event};

const PATIENCE: Duration = Duration::from_secs(20);
const SERVER: MacAddr = MacAddr([0x02, 0xcc, 0, 0, 0, 9]);

/// An agent with the access point built in, for one device after another.
struct Agent {
    listener: Socket,
}

impl Agent {
    fn listen(path: &Path) -> Agent {
        let listener = Socket::new(Domain::UNIX, Type::SEQPACKET, None).unwrap();
        listener.bind(&SockAddr::unix(path).unwrap()).unwrap();
        listener.listen(4).unwrap();
        Agent { listener }
    }

    /// Serves the next device for as long as it is there, or until `frames` data frames came; echoes those.
    fn serve(&self, frames: usize) {
        let (mut socket, _) = self.listener.accept().unwrap();
        let mut ap = TestAp::new(Akm::Psk);
        let header = radiotap::rx_header(12, 2437, -40);
        let mut buffer = [0; 4096];
        let mut echoed = 0;
        // For a device that was here before and does not know that the access point forgot it.
        let mut answers = vec![ap.deauthentication(ReasonCode::NOT_AUTHENTICATED)];
        while echoed < frames {
            for answer in answers.drain(..) {
                socket.write_all(&[&header[..], &answer].concat()).unwrap();
            }
            let Ok(len @ 1..) = socket.read(&mut buffer) else { return };
            let tap = radiotap::parse(&buffer[..len]).unwrap();
            assert_eq!(tap.signal_dbm, Some(-45));
            let frame = &buffer[tap.len..len];
            answers = match Frame::parse(frame).unwrap().control().kind() {
                FrameKind::Management(ManagementSubtype::ProbeRequest) => {
                    vec![ap.beacon(ManagementSubtype::ProbeResponse)]
                }
                FrameKind::Management(ManagementSubtype::Authentication) => {
                    vec![ap.authentication(StatusCode::SUCCESS)]
                }
                FrameKind::Management(ManagementSubtype::AssociationRequest) => {
                    let m1 = ap.m1();
                    vec![ap.association(StatusCode::SUCCESS, false), ap.eapol(&m1, true)]
                }
                FrameKind::Data(_) => {
                    let (ethernet, _) = ap.open(frame);
                    match eapol_of(&ethernet) {
                        Some(pdu) if KeyFrame::parse(pdu).unwrap().key_data().is_empty() => {
                            ap.tk = ap.ptk.as_ref().map(|ptk| ptk.tk.clone());
                            Vec::new()
                        }
                        Some(pdu) => {
                            ap.take_m2(pdu, STA);
                            let m3 = ap.m3();
                            vec![ap.eapol(&m3, true)]
                        }
                        None => {
                            echoed += 1;
                            vec![ap.data(&[&STA.0[..], &SERVER.0, &ethernet[12..]].concat(), false)]
                        }
                    }
                }
                _ => Vec::new(),
            };
        }
        for answer in answers {
            socket.write_all(&[&header[..], &answer].concat()).unwrap();
        }
    }
}

fn device() -> Device {
    let mut profile = psk_profile(Akm::Psk);
    profile.reconnect = Some(Duration::from_millis(20));
    Device::new(DeviceConfig::new(STA, Arc::new(profile)), [3; 16])
}

fn send(payload: &[u8]) -> Command {
    Command::Send { ethernet: ethernet(SERVER, STA, payload), tid: 0, shape: Shape::Whole }
}

#[test]
fn a_device_in_a_thread_connects_and_comes_back_when_the_agent_does() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("air");
    let agent = Agent::listen(&path);
    let (restart, restarted) = mpsc::channel();
    let server_path = path.clone();
    let server = thread::spawn(move || {
        agent.serve(1);
        drop(agent);
        std::fs::remove_file(&server_path).unwrap();
        restarted.recv().unwrap();
        Agent::listen(&server_path).serve(1);
    });
    let device = spawn(&path, device(), Place::default()).unwrap();
    for payload in [b"first", b"again"] {
        if payload == b"first" {
            assert!(device.command(Command::Connect));
        } else {
            restart.send(()).unwrap();
        }
        assert!(device.wait_for(PATIENCE, |event| *event == Event::Online).is_some());
        assert!(device.command(send(payload)));
        let echo = Event::Ethernet(ethernet(STA, SERVER, payload));
        assert_eq!(device.wait_for(PATIENCE, |event| matches!(event, Event::Ethernet(_))), Some(echo));
    }
    server.join().unwrap();
    device.stop().unwrap();
}

#[test]
fn devices_share_a_loop() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("air");
    let agent = Agent::listen(&path);
    let mut air = Air::new(&path);
    // One after the other: both have the same address, and the agent serves one at a time.
    let ids = [air.add(device(), Place::default()).unwrap(), air.add(device(), Place::default()).unwrap()];
    let server = thread::spawn(move || [agent.serve(1), agent.serve(1)]);
    for id in ids {
        air.command(id, Command::Connect);
        let mut echoed = false;
        while !echoed {
            for (who, event) in air.poll(Some(PATIENCE)).unwrap() {
                if who != id {
                    continue;
                }
                match event {
                    Event::Online => air.command(id, send(b"hello")),
                    Event::Ethernet(frame) => echoed = frame == ethernet(STA, SERVER, b"hello"),
                    _ => {}
                }
            }
        }
        assert!(air.device(id).is_some_and(Device::is_online));
    }
    server.join().unwrap();
    assert_eq!(air.lost(), 0);
}

#[test]
fn nobody_there_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    assert!(spawn(&directory.path().join("air"), device(), Place::default()).is_err());
    let long = directory.path().join("x".repeat(120));
    assert!(Air::new(long).add(device(), Place::default()).is_err());
}
