//! A simulated device and a station of ours on virtual time, with a gateway between them and air that does its worst.
//!
//! What must hold at every moment is asserted here, in the gateway that carries out the outputs:
//! a key is never installed twice; the port opens only under a key that the device has, too; replay counters only go up;
//! a session starts and stops once, and there is one exactly while the port has been opened.

mod air;
mod device;
mod gateway;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use authenticator::{
    Bss, Entropy, Environment, FailureTable, Input, PmkCache, RadiusResult, Service, SessionId, State,
    Station, TerminateCause, Time,
};
use dot11::ccmp::Pn;
use dot11::rsn::Tk;
use dot11::{MacAddr, ReasonCode};
use station::data::Shape;
use station::{Command, Device, DeviceConfig, Profile};

use super::{BSSID, Draw, MAC};

/// How long the gateway accepts frames under a key that was replaced.
const ACCEPT_OLD: Duration = Duration::from_millis(500);
/// How long it holds traffic back for a key to be replaced.
const HOLD: Duration = Duration::from_secs(2);
/// How often the device sends something when it is online.
const TRAFFIC: Duration = Duration::from_millis(500);
/// Somebody on the network behind the gateway.
const SERVER: MacAddr = MacAddr([0x02, 0xee, 0, 0, 0, 1]);

/// What becomes of frames, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub loss: u8,
    pub duplication: u8,
    /// Of being held up for up to 300 ms.
    pub reordering: u8,
    /// Of one bit flipped.
    pub corruption: u8,
}

/// What becomes of one frame in particular, counted over both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Lost,
    Twice,
    Late(Duration),
    /// With this bit flipped.
    Corrupted(usize),
    /// Sent once more, so much later.
    Replayed(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// The gateway as far as this device is concerned.
#[derive(Default)]
struct Gateway {
    known: bool,
    qos: bool,
    protect: bool,
    port_open: bool,
    tk: Option<Tk>,
    old: Option<(Tk, Time)>,
    sent: Pn,
    received: BTreeMap<(bool, u8), Pn>,
    hold: Option<Time>,
    sequence: u16,
    /// What control left with it.
    blob: Option<Vec<u8>>,
}

pub struct World {
    pub now: Time,
    service: Arc<Service>,
    pub station: Station,
    pub bss: Bss,
    pub failures: FailureTable,
    pmks: PmkCache,
    entropy: Draw,
    pub device: Device,
    gateway: Gateway,
    bss_blob: Vec<u8>,
    air: BTreeMap<(Time, u64), (Direction, Vec<u8>)>,
    radius: BTreeMap<(Time, u64), (u32, RadiusResult)>,
    /// What the RADIUS server hands out.
    pub msk: Option<[u8; 64]>,
    serial: u64,
    chance: Draw,
    pub faults: Faults,
    /// The fate of the frame of this number.
    pub fate: Option<(usize, Fate)>,
    /// Every frame that was sent, for replaying.
    sent: Vec<(Direction, Vec<u8>)>,
    next_traffic: Time,
    // What was seen.
    installed: HashSet<[u8; 16]>,
    device_keys: HashSet<[u8; 16]>,
    last_counter: u64,
    session: Option<SessionId>,
    pub log: VecDeque<String>,
    pub sessions: usize,
    pub opened: usize,
    pub failed: usize,
    pub up: usize,
    pub down: usize,
    pub rekeyed: usize,
    pub group_rekeyed: usize,
}

impl World {
    pub fn new(service: Service, profile: Profile, seed: u64) -> World {
        service.check().expect("a sound service");
        let service = Arc::new(service);
        let now = Time(1_700_000_000_000_000);
        let mut entropy = Draw(seed);
        let bss = Bss::new(service.clone(), BSSID, now, &mut entropy);
        let mut device_seed = [0; 16];
        entropy.fill(&mut device_seed);
        let profile = Profile { reconnect: Some(Duration::from_secs(1)), ..profile };
        let mut world = World {
            now,
            station: Station::new(service.clone(), BSSID, MAC),
            bss_blob: bss.snapshot(),
            bss,
            failures: FailureTable::new(service.limits.clone()),
            pmks: PmkCache::new(10),
            service,
            entropy,
            device: Device::new(DeviceConfig::new(MAC, Arc::new(profile)), device_seed),
            gateway: Gateway::default(),
            air: BTreeMap::new(),
            radius: BTreeMap::new(),
            msk: None,
            serial: 0,
            chance: Draw(!seed),
            faults: Faults::default(),
            fate: None,
            sent: Vec::new(),
            next_traffic: now,
            installed: HashSet::new(),
            device_keys: HashSet::new(),
            last_counter: 0,
            session: None,
            log: VecDeque::new(),
            sessions: 0,
            opened: 0,
            failed: 0,
            up: 0,
            down: 0,
            rekeyed: 0,
            group_rekeyed: 0,
        };
        world.drain();
        world
    }

    /// Both sides believe that data can flow.
    pub fn is_online(&self) -> bool {
        self.station.state() == State::Online && self.device.is_online()
    }

    /// Frames sent so far, over both directions.
    pub fn frames(&self) -> usize {
        self.sent.len()
    }

    pub fn command(&mut self, command: Command) {
        let mut out = Vec::new();
        self.device.command(self.device_now(), command, &mut out);
        self.device_out(out);
    }

    pub fn input(&mut self, input: Input<'_>) {
        let mut env = Environment {
            bss: &mut self.bss,
            failures: &mut self.failures,
            pmks: &mut self.pmks,
            entropy: &mut self.entropy,
        };
        self.station.handle(self.now, &mut env, input);
        self.drain();
    }

    pub fn rekey_group(&mut self) {
        self.bss.request_rekey(self.now, &mut self.entropy);
        self.drain();
    }

    /// The gateway forgets the device without a word, as when its tunnel goes down.
    pub fn lose_gateway(&mut self) {
        self.gateway = Gateway::default();
        self.input(Input::Removed { cause: TerminateCause::LostCarrier });
    }

    /// Control is killed and comes back with what the gateway kept for it.
    pub fn restart(&mut self) {
        self.note("control restarts");
        self.now = self.now + Duration::from_millis(1);
        self.radius.clear();
        self.bss =
            Bss::restore(self.service.clone(), BSSID, &self.bss_blob, self.now).expect("the BSS's snapshot");
        self.failures = FailureTable::new(self.service.limits.clone());
        self.pmks = PmkCache::new(10);
        let fresh = Station::new(self.service.clone(), BSSID, MAC);
        self.station = match &self.gateway.blob {
            None => {
                self.last_counter = 0;
                fresh
            }
            Some(blob) => {
                let service = self.service.clone();
                let restored = Station::restore(service, BSSID, MAC, blob, self.now, &mut self.bss);
                restored.expect("the station's snapshot")
            }
        };
        self.drain();
    }

    /// Sends a frame once more that was sent before: the `index`th, modulo their number. Changed, if a bit is given.
    pub fn replay(&mut self, index: usize, bit: Option<usize>) {
        if self.sent.is_empty() {
            return;
        }
        let (direction, mut frame) = self.sent[index % self.sent.len()].clone();
        if let Some(bit) = bit {
            flip(&mut frame, bit);
        }
        self.serial += 1;
        self.air.insert((self.now + Duration::from_millis(1), self.serial), (direction, frame));
    }

    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.run(end, |_| false);
    }

    /// Runs until `done`, at most so long. True if it was.
    pub fn run_until(&mut self, limit: Duration, done: impl FnMut(&World) -> bool) -> bool {
        self.run(self.now + limit, done)
    }

    fn run(&mut self, end: Time, mut done: impl FnMut(&World) -> bool) -> bool {
        let mut events = 0;
        loop {
            if done(self) {
                return true;
            }
            let device = self.device.next_timeout().map(|at| Time(at.as_micros()));
            let due = [
                self.air.keys().next().map(|key| key.0),
                self.radius.keys().next().map(|key| key.0),
                device,
                self.station.next_timeout(),
                self.bss.next_timeout(),
                Some(self.next_traffic),
            ];
            let next = due.into_iter().flatten().min().expect("there is always traffic to come");
            if next > end {
                self.now = end;
                return done(self);
            }
            events += 1;
            assert!(events < 200_000, "time stands still");
            self.now = self.now.max(next);
            self.step(device);
        }
    }

    /// Does one thing that is due.
    fn step(&mut self, device: Option<Time>) {
        if let Some((_, (direction, frame))) = take_due(&mut self.air, self.now) {
            match direction {
                Direction::Up => self.heard(&frame),
                Direction::Down => self.device_heard(&frame),
            }
        } else if let Some((_, (request, result))) = take_due(&mut self.radius, self.now) {
            self.input(Input::Radius { request, result });
        } else if device.is_some_and(|at| at <= self.now) {
            let mut out = Vec::new();
            self.device.timeout(self.device_now(), &mut out);
            self.device_out(out);
        } else if self.next_traffic <= self.now {
            self.next_traffic = self.now + TRAFFIC;
            self.traffic();
        } else {
            self.bss.handle_timeout(self.now, &mut self.entropy);
            self.drain();
            self.input(Input::Timeout);
        }
    }

    /// Something in each direction.
    fn traffic(&mut self) {
        let up = [&SERVER.0[..], &MAC.0, &[0x88, 0xb5], b"up"].concat();
        self.command(Command::Send { ethernet: up, tid: 0, shape: Shape::Whole });
        let gateway = &mut self.gateway;
        if gateway.hold.is_some_and(|until| until <= self.now) {
            gateway.hold = None;
        }
        if gateway.known && gateway.port_open && gateway.hold.is_none() {
            let down = [&MAC.0[..], &SERVER.0, &[0x88, 0xb5], b"down"].concat();
            let protect = gateway.protect;
            let frame = self.data_frame(&down, protect);
            self.send(Direction::Down, frame);
        }
    }

    fn note(&mut self, what: &str) {
        if self.log.len() == 400 {
            self.log.pop_front();
        }
        let millis = self.now.0 / 1000 % 100_000_000;
        self.log.push_back(format!("{millis:>9} ms  {what}"));
    }
}

impl Drop for World {
    /// A failed test shows what led to it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.log.iter().for_each(|line| println!("{line}"));
        }
    }
}

pub fn leave() -> Command {
    Command::Disconnect(ReasonCode::LEAVING_NETWORK_DEAUTH)
}

fn take_due<T>(queue: &mut BTreeMap<(Time, u64), T>, now: Time) -> Option<((Time, u64), T)> {
    let entry = queue.first_entry()?;
    (entry.key().0 <= now).then(|| entry.remove_entry())
}

fn flip(frame: &mut [u8], bit: usize) {
    let bit = bit % (frame.len() * 8);
    frame[bit / 8] ^= 1 << (bit % 8);
}
