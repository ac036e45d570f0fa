//! Every index has a replay window of its own, under the present key and under the one that it replaced: whatever comes in whatever order is
//! delivered exactly if a list of the last numbers says so.

use std::collections::HashMap;

use dataplane::command::*;
use dataplane::config::Config;
use dataplane::counters::{DropReason, Forwarded};
use dataplane::harness::*;
use dataplane::packet::PoolConfig;
use dot11::build::management;
use dot11::ccmp::{self, Pn};
use dot11::llc::EtherType;
use dot11::{ManagementSubtype, SequenceControl};
use proptest::prelude::*;

/// What a frame counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Index {
    Tid(u8),
    NonQos,
    Management,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A frame under the present key, or one that was so many keys ago. A forgery opens under none.
    Frame { index: Index, pn: u64, ago: usize, forged: bool },
    /// All frames until here went in as one burst; this is the end of it.
    Pass,
    /// Another key, and whether the present one is good for a while.
    Rekey { grace: bool },
    /// The key in use is installed again.
    SameKey,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let index = prop_oneof![
        8 => (0..16u8).prop_map(Index::Tid),
        1 => Just(Index::NonQos),
        1 => Just(Index::Management),
    ];
    let ago = prop_oneof![4 => Just(0), 3 => Just(1), 1 => Just(2)];
    let frame = (index, 1..6u64, ago, prop::bool::weighted(0.1));
    let step = prop_oneof![
        20 => frame.prop_map(|(index, pn, ago, forged)| Step::Frame { index, pn, ago, forged }),
        4 => Just(Step::Pass),
        1 => any::<bool>().prop_map(|grace| Step::Rekey { grace }),
        1 => Just(Step::SameKey),
    ];
    prop::collection::vec(step, 1..150)
}

struct Scene {
    bench: Bench,
    device: Device,
    /// Keys that there were; the last is in use.
    keys: u8,
    /// The replaced key is good.
    grace: bool,
    /// Last number by key and index.
    last: HashMap<(u8, Index), u64>,
    /// What is to come out: a number of each frame.
    expected: Vec<u16>,
}

impl Scene {
    fn new() -> Self {
        let pool = PoolConfig { packets: 256, buffer: 2304, headroom: 128 };
        let mut bench = Bench::with_pool(Config { stations: 16, ..Config::default() }, 1, pool);
        let service = service(0);
        bench.welcome(std::slice::from_ref(&service));
        let tunnel = tunnel(0, &service);
        bench.open_tunnel(0, &tunnel, 30);
        let device = Device::new(&tunnel, mac(1), Some(tk(1)));
        bench.add_station(&device);
        bench.events();
        Self { bench, device, keys: 1, grace: false, last: HashMap::new(), expected: Vec::new() }
    }

    fn frame(&mut self, index: Index, pn: u64, ago: usize, forged: bool) {
        let Some(key) = self.keys.checked_sub(ago as u8).filter(|&key| key > 0) else { return };
        self.device.sequence = (self.device.sequence + 1) % 4096;
        let sequence = SequenceControl::new(self.device.sequence, 0);
        let number = self.device.sequence.to_be_bytes();
        let (bssid, mac) = (self.device.bssid, self.device.mac);
        let mut frame = match index {
            Index::Management => {
                let mut frame = management(ManagementSubtype::Action, bssid, mac, bssid, &number);
                frame[22..24].copy_from_slice(&sequence.0.to_le_bytes());
                ccmp::seal(&tk(key), 0, Pn::new(pn).unwrap(), &frame).unwrap()
            }
            Index::Tid(_) | Index::NonQos => {
                self.device.qos = if let Index::Tid(tid) = index { Some(tid) } else { None };
                (self.device.pn, self.device.tk) = (pn - 1, Some(tk(key)));
                let mut header = self.device.header(HOST);
                header.sequence = sequence;
                self.device.sequence = sequence.number();
                self.device.frame(header, &dot11::llc::msdu(EtherType::ARP, &number))
            }
        };
        if forged {
            *frame.last_mut().unwrap() ^= 0x80;
        }
        // Frames without QoS count with TID 0.
        let window = if index == Index::NonQos { Index::Tid(0) } else { index };
        let last = self.last.entry((key, window)).or_default();
        let good = ago == 0 || ago == 1 && self.grace;
        if good && !forged && pn > *last {
            *last = pn;
            self.expected.push(self.device.sequence);
        }
        let endpoint = self.device.endpoint;
        self.bench.from_radio(0, endpoint, &tunnelled(&frame));
    }

    /// Lets everything through, and compares.
    fn pass(&mut self) -> Result<(), TestCaseError> {
        self.bench.run();
        let number = |octets: &[u8]| u16::from_be_bytes([octets[0], octets[1]]);
        let mut came: Vec<u16> = self.bench.to_network(0).iter().map(|frame| number(&frame[14..])).collect();
        came.extend(self.bench.events().iter().filter_map(|event| match event {
            Event::Frame(frame) if frame.was_protected => Some(number(&frame.data[24..])),
            _ => None,
        }));
        came.sort_unstable();
        let mut expected = std::mem::take(&mut self.expected);
        expected.sort_unstable();
        prop_assert_eq!(came, expected);
        Ok(())
    }

    fn install(&mut self, key: u8, accept_old_ms: u32) {
        let device = self.device.clone();
        self.bench.install(&device, tk(key), accept_old_ms, 0);
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Frame { index, pn, ago, forged } => self.frame(index, pn, ago, forged),
            Step::Pass => self.pass()?,
            Step::Rekey { grace } => {
                self.pass()?;
                (self.keys, self.grace) = (self.keys + 1, grace);
                self.install(self.keys, if grace { 10_000 } else { 0 });
            }
            Step::SameKey => {
                self.pass()?;
                self.install(self.keys, 10_000);
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn frames_pass_once_and_in_order_on_every_index(steps in steps()) {
        let mut scene = Scene::new();
        for step in steps {
            scene.step(step)?;
        }
        scene.pass()?;
    }
}

/// The same, step by step, for those that are counted apart.
#[test]
fn a_new_key_begins_anew_and_the_old_one_goes_on_where_it_was_on_all_sixteen() {
    let all = |scene: &mut Scene, pn, ago| {
        (0..16).for_each(|tid| scene.frame(Index::Tid(tid), pn, ago, false));
        let expected = scene.expected.len();
        scene.pass().unwrap();
        expected
    };
    let mut scene = Scene::new();
    assert_eq!((all(&mut scene, 5, 0), all(&mut scene, 5, 0), all(&mut scene, 6, 0)), (16, 0, 16));
    scene.step(Step::Rekey { grace: true }).unwrap();
    assert_eq!((all(&mut scene, 6, 1), all(&mut scene, 7, 1), all(&mut scene, 7, 1)), (0, 16, 0));
    assert_eq!((all(&mut scene, 1, 0), all(&mut scene, 1, 0), all(&mut scene, 2, 0)), (16, 0, 16));
    assert_eq!(scene.bench.total(DropReason::Replay), 64);
    scene.step(Step::SameKey).unwrap();
    assert_eq!((all(&mut scene, 2, 0), all(&mut scene, 7, 1), all(&mut scene, 8, 1)), (0, 0, 16));
    // Without grace the counters are made anew where they were.
    scene.step(Step::Rekey { grace: false }).unwrap();
    assert_eq!((all(&mut scene, 9, 1), all(&mut scene, 1, 0), all(&mut scene, 1, 0)), (0, 16, 0));
    assert_eq!(scene.bench.total(Forwarded::OpenedOld), 32);
}
