//! What tests of matchmaking share: a control process, and a peer of its matchmaker on a socket of its own.
#![allow(dead_code, reason = "each test uses its part")]

pub mod process;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use controlplane::{Control, Link, config, core::Query};
use proto::{
    gateway::{Event, Hello, Synced, event::Event as Ev},
    matchmaking::{
        Key, PublicKey, StaticSecret,
        messages::{self as mm, answer::Answer, request::Request},
        peer::{self, Output, Peer},
    },
};
use tokio::{net::UdpSocket, time::timeout};

pub const UUID: &str = "6f3c0f62-1f52-4b7a-9d0e-5a1f7a1c0001";
pub const RADIO: [u8; 6] = [2, 0, 0, 0, 0, 9];
pub const BSSID: [u8; 6] = [2, 0xaa, 0, 0, 0, 1];
pub const PHONE: [u8; 6] = [2, 0, 0, 0, 0, 7];
pub const STRANGER: [u8; 6] = [2, 0, 0, 0, 0, 8];
pub const SESSION: [u8; 16] = [5; 16];
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn uuid() -> Vec<u8> {
    matchmaker::Uuid::parse_str(UUID).unwrap().as_bytes().to_vec()
}

/// A control process with this configuration behind its state directory.
pub async fn control(text: &str) -> (Control, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (control_in(directory.path(), text).await, directory)
}

/// One whose state is in this directory.
pub async fn control_in(directory: &Path, text: &str) -> Control {
    Control::start(config::load(&written(directory, text)).unwrap()).await.unwrap().0
}

/// The configuration of one whose state is in this directory.
pub fn written(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("controlplane.toml");
    std::fs::write(&path, format!("state = \"{}\"\n{text}", directory.display())).unwrap();
    path
}

/// A gateway attaches; it is there until the link is dropped.
pub async fn attach(control: &Control, name: &str) -> Link {
    let link = control.attach().await.unwrap();
    let listen = vec!["192.0.2.1:5247".to_owned()];
    let hello = Hello { gateway: name.into(), epoch: 1, version: "v".into(), listen };
    say(&link, vec![Ev::Hello(hello), Ev::Synced(Synced {})]).await;
    link
}

/// What a gateway reports.
pub async fn say(link: &Link, events: Vec<Ev>) {
    link.events.send(events.into_iter().map(|event| Event { event: Some(event) }).collect()).await.unwrap();
}

pub const SERVICE: &str =
    "[[service]]\nuuid = \"6f3c0f62-1f52-4b7a-9d0e-5a1f7a1c0001\"\nssid = \"home\"\nsecurity = \"open\"\n";
pub const MATCHMAKER: &str = "[matchmaker]\nlisten = \"127.0.0.1:0\"\n";
pub const BINDING: &str = "[[binding]]\nservice = \"6f3c0f62-1f52-4b7a-9d0e-5a1f7a1c0001\"\nclient = \"02:00:00:00:00:07\"\npolicy = { min_rssi_dbm = -75 }\n";

/// A peer of the matchmaker on a socket of its own.
pub struct Radio {
    peer: Peer,
    pub socket: UdpSocket,
    started: Instant,
    /// What it was told without having asked.
    pub pushed: Vec<mm::push::Push>,
}

fn entropy(out: &mut [u8]) {
    getrandom::fill(out).unwrap();
}

impl Radio {
    pub async fn new(matchmaker: (SocketAddr, PublicKey)) -> Radio {
        Radio::of(matchmaker, None).await
    }

    /// With the name and the key of its account.
    pub async fn of(matchmaker: (SocketAddr, PublicKey), account: Option<(&str, [u8; 32])>) -> Radio {
        let config = peer::Config {
            secret: StaticSecret::generate(&mut entropy),
            matchmaker: matchmaker.1,
            account: account.map(|(name, key)| (name.to_owned(), Key(key))),
            software: "test".into(),
            instance: 1,
            patience: PATIENCE,
        };
        let mut peer = Peer::new(config, &mut entropy);
        peer.set_addresses(&[matchmaker.0]);
        Radio {
            peer,
            socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            started: Instant::now(),
            pushed: Vec::new(),
        }
    }

    /// The matchmaker's name has these addresses.
    pub fn also_at(&mut self, addresses: &[SocketAddr]) {
        self.peer.set_addresses(addresses);
    }

    pub async fn ask(&mut self, request: Request) -> Answer {
        let wanted = self.peer.request(request, self.started.elapsed()).unwrap();
        let mut buffer = [0; 2048];
        loop {
            let now = self.started.elapsed();
            while let Some(output) = self.peer.poll_output(now, &mut entropy) {
                match output {
                    Output::Send { to, datagram } => drop(self.socket.send_to(&datagram, to).await.unwrap()),
                    Output::Answered { id, answer } if id == wanted => return answer.unwrap(),
                    Output::Pushed(push) => self.pushed.push(push),
                    _ => {}
                }
            }
            let wait = self.peer.deadline().map_or(PATIENCE, |at| at.saturating_sub(self.started.elapsed()));
            if let Ok(received) = timeout(wait, self.socket.recv_from(&mut buffer)).await {
                let (len, from) = received.unwrap();
                self.peer.datagram(from, &mut buffer[..len], self.started.elapsed());
            }
        }
    }

    pub async fn register(&mut self) {
        let register =
            mm::RegisterRadio { radio: RADIO.to_vec(), channel: 6, bssids: 4, ..Default::default() };
        assert!(matches!(self.ask(Request::RegisterRadio(register)).await, Answer::Registered(_)));
    }

    pub async fn look_up(&mut self, client: [u8; 6]) -> mm::Offers {
        let device = mm::Device { client: client.to_vec(), rssi_dbm: -60, ..Default::default() };
        let look_up = mm::LookUp { radio: RADIO.to_vec(), devices: vec![device], shown: vec![] };
        match self.ask(Request::LookUp(look_up)).await {
            Answer::Offers(offers) => offers,
            other => panic!("{other:?}"),
        }
    }

    pub async fn connect(&mut self, client: [u8; 6]) -> Answer {
        self.connect_on(BSSID, client).await
    }

    pub async fn connect_on(&mut self, bssid: [u8; 6], client: [u8; 6]) -> Answer {
        let connect = mm::Connect {
            radio: RADIO.to_vec(),
            client: client.to_vec(),
            service: uuid(),
            bssid: bssid.to_vec(),
            session_id: SESSION.to_vec(),
            rssi_dbm: -60,
            ..Default::default()
        };
        self.ask(Request::Connect(connect)).await
    }
}

/// Control's service is known to the matchmaker.
pub async fn registered(control: &Control) {
    registered_times(control, 1).await;
}

/// It has become known so many times, of one gateway or another.
pub async fn registered_times(control: &Control, times: u64) {
    let began = Instant::now();
    let count = async || control.ask(Query::Stats).await.unwrap().control.get("services_registered").copied();
    while count().await.is_none_or(|count| count < times) {
        assert!(began.elapsed() < PATIENCE, "the service was not registered");
        tokio::task::yield_now().await;
    }
}
