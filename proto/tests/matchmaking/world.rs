//! Peers, servers and the network between them on virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use proto::matchmaking::messages::{Done, Release, answer, request};
use proto::matchmaking::peer::{self, Output, Peer, Report};
use proto::matchmaking::server::*;
use proto::matchmaking::{Key, StaticSecret};

/// The servers' clocks when the world begins.
pub const UNIX: Duration = Duration::from_secs(1_800_000_000);
pub const ACCOUNT: &str = "a@example.org";

/// A generator that a test can repeat (SplitMix64, Steele et al. 2014).
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.roll() % 100 < chance
    }

    pub fn fill(&mut self, out: &mut [u8]) {
        out.fill_with(|| self.roll() as u8);
    }
}

pub type TestServer = Server<fn(&str) -> Option<Account>>;

fn accounts(name: &str) -> Option<Account> {
    (name == ACCOUNT).then(|| Account { id: AccountId([9; 16]), key: Key([7; 32]) })
}

pub fn ticket_key(id: u32) -> TicketKey {
    TicketKey { id, key: Key([id as u8; 32]) }
}

pub fn matchmaker() -> StaticSecret {
    StaticSecret::new([2; 32])
}

pub fn config(limits: Limits) -> Config {
    Config {
        secret: matchmaker(),
        tickets: TicketKeys::new(&ticket_key(1), None),
        ticket_lifetime: Duration::from_secs(3600),
        epoch: 1,
        limits,
    }
}

pub fn server(config: Config, now: Duration, dice: &mut Dice) -> TestServer {
    Server::new(config, accounts, now, &mut |out| dice.fill(out))
}

pub fn small() -> Limits {
    Limits { buckets: 64, windows: 64, ..Limits::default() }
}

pub fn release(n: u8) -> request::Request {
    request::Request::Release(Release {
        radio: vec![n; 6],
        bssid: vec![n; 6],
        service: vec![n; 16],
        gateway_lost: false,
    })
}

pub fn peer_config(n: u8) -> peer::Config {
    peer::Config {
        secret: StaticSecret::new([n; 32]),
        matchmaker: matchmaker().public(),
        account: Some((ACCOUNT.into(), Key([7; 32]))),
        software: "test 1".into(),
        instance: n.into(),
        patience: Duration::from_secs(60),
    }
}

#[derive(Clone, Copy, Default)]
pub struct Weather {
    /// In percent.
    pub loss: u64,
    pub duplicates: u64,
    pub corruption: u64,
    /// Milliseconds, so much at random above 10.
    pub jitter: u64,
}

#[derive(Debug, Clone)]
pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

pub struct World {
    pub now: Duration,
    pub dice: Dice,
    pub weather: Weather,
    pub peers: Vec<(SocketAddr, Peer)>,
    /// By address; one that is `None` is down.
    pub servers: BTreeMap<SocketAddr, Option<TestServer>>,
    wire: BTreeMap<(Duration, u64), Datagram>,
    serial: u64,
    /// All that was sent.
    pub sent: Vec<Datagram>,
    /// What servers were asked, with the peer that did.
    pub asked: Vec<(PeerIdentity, request::Request)>,
    pub last: Option<ReplyToken>,
    /// What peers put out, but for datagrams.
    pub outputs: Vec<(usize, Output)>,
    /// Whether servers keep whoever asks.
    pub keep: bool,
    pub gave_up: Vec<u32>,
}

pub fn server_address(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 5247))
}

pub fn peer_address(n: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, n], 40_000))
}

impl World {
    pub fn new(seed: u64, servers: u8, peers: u8) -> World {
        let mut world = World {
            now: Duration::ZERO,
            dice: Dice(seed),
            weather: Weather::default(),
            peers: Vec::new(),
            servers: BTreeMap::new(),
            wire: BTreeMap::new(),
            serial: 0,
            sent: Vec::new(),
            asked: Vec::new(),
            last: None,
            outputs: Vec::new(),
            keep: false,
            gave_up: Vec::new(),
        };
        for n in 0..servers {
            let server = server(config(small()), UNIX, &mut world.dice);
            world.servers.insert(server_address(n), Some(server));
        }
        for n in 0..peers {
            world.add_peer(peer_config(n + 10), n);
        }
        world
    }

    pub fn add_peer(&mut self, config: peer::Config, n: u8) {
        let dice = &mut self.dice;
        let mut peer = Peer::new(config, &mut |out| dice.fill(out));
        peer.set_addresses(&self.servers.keys().copied().collect::<Vec<_>>());
        self.peers.push((peer_address(n), peer));
    }

    pub fn server(&mut self, n: u8) -> &mut TestServer {
        self.servers.get_mut(&server_address(n)).unwrap().as_mut().unwrap()
    }

    pub fn ask(&mut self, peer: usize, request: request::Request) -> u32 {
        self.peers[peer].1.request(request, self.now).unwrap()
    }

    pub fn send(&mut self, datagram: Datagram) {
        self.sent.push(datagram.clone());
        let copies = 1 + usize::from(self.dice.percent(self.weather.duplicates));
        for _ in 0..copies {
            if self.dice.percent(self.weather.loss) {
                continue;
            }
            let mut datagram = datagram.clone();
            if self.dice.percent(self.weather.corruption) {
                let at = self.dice.roll() as usize % datagram.bytes.len();
                datagram.bytes[at] ^= 1 << (self.dice.roll() % 8);
            }
            let delay = 10_000 + self.dice.roll() % (1000 * self.weather.jitter + 1);
            self.serial += 1;
            self.wire.insert((self.now + Duration::from_micros(delay), self.serial), datagram);
        }
    }

    /// Everything that happens in so much time.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.drain();
            let wire = self.wire.keys().next().map(|(at, _)| *at);
            let peers = self.peers.iter().filter_map(|(_, peer)| peer.deadline());
            let servers = self.servers.values().flatten().filter_map(|server| server.deadline());
            let servers = servers.map(|at| at - UNIX);
            let next = peers.chain(servers).chain(wire).min().unwrap_or(end);
            if next > end {
                self.now = end;
                return;
            }
            assert!(next > self.now || wire.is_some_and(|at| at <= self.now), "nothing moves at {next:?}");
            self.now = self.now.max(next);
            while let Some(first) = self.wire.first_entry().filter(|first| first.key().0 <= self.now) {
                let datagram = first.remove();
                self.deliver(datagram);
            }
            if self.now >= end && self.wire.first_key_value().is_none_or(|((at, _), _)| *at > end) {
                self.drain();
                return;
            }
        }
    }

    fn drain(&mut self) {
        for at in 0..self.peers.len() {
            loop {
                let (from, peer) = &mut self.peers[at];
                let (from, dice) = (*from, &mut self.dice);
                match peer.poll_output(self.now, &mut |out| dice.fill(out)) {
                    None => break,
                    Some(Output::Send { to, datagram }) => self.send(Datagram { from, to, bytes: datagram }),
                    Some(output) => self.outputs.push((at, output)),
                }
            }
        }
        let mut out = Vec::new();
        for from in self.servers.keys().copied().collect::<Vec<_>>() {
            while let Some(server) = self.servers.get_mut(&from).unwrap() {
                let dice = &mut self.dice;
                match server.poll_push(UNIX + self.now, &mut |out| dice.fill(out), &mut out) {
                    None => break,
                    Some(PushOutput::Send(to)) => self.send(Datagram { from, to, bytes: out.clone() }),
                    Some(PushOutput::GaveUp { id, .. }) => self.gave_up.push(id),
                }
            }
        }
    }

    pub fn deliver(&mut self, datagram: Datagram) {
        let Datagram { from, to, mut bytes } = datagram;
        if let Some((_, peer)) = self.peers.iter_mut().find(|(address, _)| *address == to) {
            peer.datagram(from, &mut bytes, self.now);
        }
        let Some(Some(server)) = self.servers.get_mut(&to) else { return };
        let mut out = Vec::new();
        let dice = &mut self.dice;
        let mut entropy = |out: &mut [u8]| dice.fill(out);
        match server.datagram(from, &mut bytes, UNIX + self.now, &mut entropy, &mut out) {
            Outcome::Dropped(_) => (),
            Outcome::Reply(_) => self.send(Datagram { from: to, to: from, bytes: out }),
            Outcome::Received(received) => {
                assert_eq!(received.peer.endpoint, from);
                let done = answer::Answer::Done(Done {});
                let to_peer = server.answer(&received.reply, done, &mut entropy, &mut out).unwrap();
                if self.keep {
                    assert!(server.keep(&received.reply, &mut entropy));
                }
                self.asked.push((received.peer, received.request));
                self.last = Some(received.reply);
                self.send(Datagram { from: to, to: to_peer, bytes: out });
            }
        }
    }

    /// The answers so far, by id.
    pub fn answers(&self, peer: usize) -> Vec<(u32, Result<answer::Answer, peer::GaveUp>)> {
        let own = self.outputs.iter().filter(|(at, _)| *at == peer);
        let mut answers: Vec<_> = own
            .filter_map(|(_, output)| match output {
                Output::Answered { id, answer } => Some((*id, answer.clone())),
                _ => None,
            })
            .collect();
        answers.sort_by_key(|(id, _)| *id);
        answers
    }

    pub fn reports(&self, peer: usize) -> Vec<Report> {
        let own = self.outputs.iter().filter(|(at, _)| *at == peer);
        own.filter_map(|(_, output)| match output {
            Output::Report(report) => Some(report.clone()),
            _ => None,
        })
        .collect()
    }

    /// Datagrams that were sent and begin with this octet.
    pub fn count(&self, kind: u8) -> usize {
        self.sent.iter().filter(|datagram| datagram.bytes[0] == kind).count()
    }
}

pub fn done() -> Result<answer::Answer, peer::GaveUp> {
    Ok(answer::Answer::Done(Done {}))
}
