//! Bursts through the stages of one worker, memory to memory, with the time that the stages alone take; and the time that parts of the same
//! work take by themselves.

use std::hint::black_box;
use std::time::{Duration, Instant};

use dot11::build::DataHeader;
use dot11::ccmp::{HEADER_LEN, MIC_LEN};
use dot11::llc::{self, EtherType};
use dot11::{MacAddr, QosControl, SequenceControl};
use proto::tunnel::Header;

use super::{Bench, HOST, INFO, mac, service, tunnel};
use crate::command::{CommandKind, KeyInstall, PortOpen, StationAdd, StationKey, Tk, Tunnel, TunnelAccept};
use crate::config::Config;
use crate::counters::Forwarded;
use crate::crypto::{self, OpenJob, SealJob};
use crate::endpoint::Endpoint;
use crate::packet::{BURST, Burst, Packet, PoolConfig};
use crate::state::State;
use crate::station::{Hot, Key};

/// Devices per virtual BSS.
const PER_BSS: usize = 64;
/// Virtual BSSes between two looks at what the gateway answers.
const PER_LOOK: usize = 256;

/// A worker with many stations and a supply of frames for them. Each frame of a burst is another station's, and stations come up in an order
/// that no cache foresees.
pub struct Load {
    bench: Bench,
    like: Tunnel,
    stations: usize,
    next: usize,
    /// Above every packet number that any device used.
    pn: u64,
    burst: Burst,
}

/// What a run took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Packets that came out.
    pub packets: u64,
    /// Time within what was measured.
    pub time: Duration,
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Tunnel datagrams in, opened, Ethernet frames out.
    Uplink,
    /// Ethernet frames in, sealed, tunnel datagrams out.
    Downlink,
    /// From station to station: tunnel datagrams in, opened, sealed under the other's key, tunnel datagrams out.
    Across,
}

/// What of the way is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// CCMP alone: the same frames, under keys that are in the cache.
    Crypto,
    /// Finding the stations and reading something of the hot state that this way touches, alone.
    LookUp,
}

impl Load {
    /// With so many stations, all with keys and open ports, installed through the data plane's [`Handle`](crate::handle::Handle).
    ///
    /// # Panics
    /// If `stations` is 0 or beyond 2²⁴.
    pub fn new(stations: usize) -> Self {
        Self::with_blobs(stations, 0)
    }

    /// The same, and control keeps so many octets with each station.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn with_blobs(stations: usize, blob: usize) -> Self {
        assert!((1..=1 << 24).contains(&stations), "1 to 2^24 stations");
        // A path on which every frame is one datagram.
        let config = Config { stations, tx_queue: 4096, path_mtu: 9000, ..Config::default() };
        let pool = PoolConfig { packets: 4096, buffer: 2304, headroom: 128 };
        let mut bench = Bench::with_pool(config, 1, pool);
        let service = service(0);
        bench.welcome(std::slice::from_ref(&service));
        let like = tunnel(0, &service);
        for n in 0..stations.div_ceil(PER_BSS) {
            let tunnel = bss(n, &like);
            let blob_of_tunnel = b"tunnel".to_vec();
            bench.command(CommandKind::TunnelAccept(TunnelAccept {
                tunnel,
                blob: blob_of_tunnel,
                keepalive_timeout_seconds: 0,
                key: None,
                counter: 0,
            }));
            for n in n * PER_BSS..stations.min((n + 1) * PER_BSS) {
                add(&mut bench, StationKey { bssid: tunnel.bssid, mac: mac(n as u32) }, key(n), blob);
            }
            bench.run();
            if n % PER_LOOK == 0 {
                bench.to_radio(0);
            }
        }
        bench.to_radio(0);
        bench.events();
        assert_eq!(bench.total(Forwarded::Stations), stations as u64, "all stations are there");
        Self { bench, like, stations, next: 0, pn: 0, burst: Burst::new() }
    }

    /// Stations there are.
    pub fn stations(&self) -> usize {
        self.stations
    }

    /// Puts `bursts` full bursts of frames with so many octets of payload through uplink: datagrams in, Ethernet frames out.
    ///
    /// # Panics
    /// If `payload` exceeds 1500, or a frame did not come out.
    pub fn uplink(&mut self, bursts: usize, payload: usize) -> Taken {
        self.run(Direction::Uplink, Part::Whole, bursts, payload)
    }

    /// The same through downlink: Ethernet frames in, datagrams out.
    ///
    /// # Panics
    /// If `payload` exceeds 1500, or a frame did not come out.
    pub fn downlink(&mut self, bursts: usize, payload: usize) -> Taken {
        self.run(Direction::Downlink, Part::Whole, bursts, payload)
    }

    /// The same from station to station: datagrams in, datagrams out. Each goes to a station far from the one that it is of.
    ///
    /// # Panics
    /// If `payload` exceeds 1500, a frame did not come out, or there is only one station.
    pub fn across(&mut self, bursts: usize, payload: usize) -> Taken {
        self.run(Direction::Across, Part::Whole, bursts, payload)
    }

    /// Does all of it, or a part by itself.
    ///
    /// # Panics
    /// If `payload` exceeds 1500, or a frame did not come out.
    pub fn run(&mut self, direction: Direction, part: Part, bursts: usize, payload: usize) -> Taken {
        assert!(payload <= 1500, "an Ethernet frame's payload");
        let mut taken = Taken { packets: 0, time: Duration::ZERO };
        for _ in 0..bursts {
            let stations = self.stations();
            let who: [usize; BURST] = std::array::from_fn(|_| {
                // A prime above any number of stations: the stride visits them all.
                self.next = (self.next + 40_503_007) % stations;
                self.next
            });
            taken.time += match (part, direction) {
                (Part::Whole, Direction::Uplink) => self.whole_uplink(&who, payload),
                (Part::Whole, Direction::Downlink) => self.whole_downlink(&who, payload),
                (Part::Whole, Direction::Across) => self.whole_across(&who, payload),
                (Part::Crypto, _) => self.crypto(direction, &who, payload),
                (Part::LookUp, _) => self.look_up(direction, &who),
            };
            taken.packets += BURST as u64;
        }
        taken
    }

    fn whole_uplink(&mut self, who: &[usize; BURST], payload: usize) -> Duration {
        self.build_datagrams(who, &[HOST; BURST], payload);
        let state = &mut self.bench.workers[0].state;
        let start = Instant::now();
        state.uplink(&mut self.burst);
        let time = start.elapsed();
        assert_eq!(state.network_tx.len(), BURST, "every frame comes out");
        state.network_tx.clear();
        time
    }

    fn whole_across(&mut self, who: &[usize; BURST], payload: usize) -> Duration {
        let to = who.map(|n| self.other(n)).map(|n| mac(n as u32));
        self.build_datagrams(who, &to, payload);
        let state = &mut self.bench.workers[0].state;
        let start = Instant::now();
        state.uplink(&mut self.burst);
        state.seal();
        let time = start.elapsed();
        assert_eq!(state.tunnel_tx.len(), BURST, "every frame comes out");
        state.tunnel_tx.clear();
        time
    }

    fn whole_downlink(&mut self, who: &[usize; BURST], payload: usize) -> Duration {
        let state = &mut self.bench.workers[0].state;
        for &n in who {
            let mut packet = alloc(state);
            let frame = packet.append(14 + payload).expect("room for a frame");
            frame[..6].copy_from_slice(&mac(n as u32).0);
            frame[6..12].copy_from_slice(&HOST.0);
            frame[12..14].copy_from_slice(&EtherType::ARP.0.to_be_bytes());
            frame[14..].fill(0x55);
            assert!(self.burst.push(packet).is_ok(), "there is room");
        }
        let start = Instant::now();
        state.downlink(&mut self.burst);
        state.seal();
        let time = start.elapsed();
        assert_eq!(state.tunnel_tx.len(), BURST, "every frame comes out");
        state.tunnel_tx.clear();
        time
    }

    fn crypto(&mut self, direction: Direction, who: &[usize; BURST], payload: usize) -> Duration {
        let mut time = Duration::ZERO;
        if direction != Direction::Downlink {
            let keys = who.map(key);
            let header_len = self.build_sealed(who, &[HOST; BURST], payload);
            let mut jobs: [OpenJob<'_>; BURST] = std::array::from_fn(|_| OpenJob::idle());
            for ((job, packet), key) in jobs.iter_mut().zip(self.burst.iter_mut()).zip(&keys) {
                let (buf, spare) = packet.data_and_tailroom_mut();
                *job = OpenJob { key, header_len, buf, spare, ..OpenJob::idle() };
            }
            let start = Instant::now();
            crypto::open(&mut jobs);
            time += start.elapsed();
            assert!(jobs.iter().all(|job| job.done), "every MIC is right");
            self.burst.clear();
        }
        if direction != Direction::Uplink {
            let header_len = self.build(who, &[HOST; BURST], payload);
            time += self.seal(&who.map(|n| key(self.receiver(direction, n))), header_len);
            self.burst.clear();
        }
        time
    }

    fn look_up(&mut self, direction: Direction, who: &[usize; BURST]) -> Duration {
        let up = who.map(|n| Key::new(bss(n / PER_BSS, &self.like).bssid.0, mac(n as u32).0));
        let down = who.map(|n| (0, mac(self.receiver(direction, n) as u32)));
        let table = &self.bench.workers[0].state.stations;
        let mut found = [[None; BURST]; 2];
        let mut time = Duration::ZERO;
        if direction != Direction::Downlink {
            let start = Instant::now();
            table.find_burst(&up, &mut found[0]);
            found[0].iter().flatten().for_each(|&id| touch_up(table.hot(id)));
            time += start.elapsed();
        }
        if direction != Direction::Uplink {
            let start = Instant::now();
            table.find_in_segment_burst(&down, &mut found[1]);
            found[1].iter().flatten().for_each(|&id| touch_down(table.hot(id)));
            time += start.elapsed();
        }
        let lookups = if direction == Direction::Across { 2 * BURST } else { BURST };
        assert_eq!(found.as_flattened().iter().flatten().count(), lookups, "every station is there");
        time
    }

    /// The station that gets what is sent by, or of, the `n`th.
    fn receiver(&self, direction: Direction, n: usize) -> usize {
        if direction == Direction::Across { self.other(n) } else { n }
    }

    /// A station far from the `n`th.
    fn other(&self, n: usize) -> usize {
        (n + self.stations / 2) % self.stations
    }

    /// Fills the burst with datagrams from these stations, each to an address.
    fn build_datagrams(&mut self, who: &[usize; BURST], to: &[MacAddr; BURST], payload: usize) {
        self.build_sealed(who, to, payload);
        for (packet, &n) in self.burst.iter_mut().zip(who) {
            let encoded = Header::received(INFO).encode();
            let header = encoded.as_bytes();
            packet.prepend(header.len()).expect("headroom").copy_from_slice(header);
            packet.meta.endpoint = bss(n / PER_BSS, &self.like).endpoint;
        }
    }

    /// Fills the burst with frames from these stations, each to an address, in clear, with holes for CCMP; octets of their headers.
    fn build(&mut self, who: &[usize; BURST], to: &[MacAddr; BURST], payload: usize) -> usize {
        let llc = llc::header(EtherType::ARP);
        let mut header_len = 0;
        for (&n, &to) in who.iter().zip(to) {
            self.pn += 1;
            let bssid = bss(n / PER_BSS, &self.like).bssid;
            let mut header = DataHeader::to_ap(bssid, to, mac(n as u32), Some(QosControl::new(0)));
            header.sequence = SequenceControl::new((self.pn % 4096) as u16, 0);
            header_len = header.len();
            let mut packet = alloc(&mut self.bench.workers[0].state);
            let len = header_len + HEADER_LEN + llc.len() + payload + MIC_LEN;
            let frame = packet.append(len).expect("room for a frame");
            header.write(frame).expect("room for a header");
            let body = &mut frame[header_len + HEADER_LEN..];
            body[..llc.len()].copy_from_slice(&llc);
            body[llc.len()..].fill(0x55);
            assert!(self.burst.push(packet).is_ok(), "there is room");
        }
        header_len
    }

    fn build_sealed(&mut self, who: &[usize; BURST], to: &[MacAddr; BURST], payload: usize) -> usize {
        let header_len = self.build(who, to, payload);
        self.seal(&who.map(key), header_len);
        header_len
    }

    /// Seals the burst under the last packet numbers.
    fn seal(&mut self, keys: &[[u8; 16]; BURST], header_len: usize) -> Duration {
        let mut jobs: [SealJob<'_>; BURST] = std::array::from_fn(|_| SealJob::idle());
        let first = self.pn - BURST as u64;
        for (i, ((job, packet), key)) in jobs.iter_mut().zip(self.burst.iter_mut()).zip(keys).enumerate() {
            let pn = first + 1 + i as u64;
            let (buf, spare) = packet.data_and_tailroom_mut();
            *job = SealJob { key, pn, header_len, buf, spare, ..SealJob::idle() };
        }
        let start = Instant::now();
        crypto::seal(&mut jobs);
        let time = start.elapsed();
        assert!(jobs.iter().all(|job| job.done), "every frame is sealed");
        time
    }
}

fn add(bench: &mut Bench, station: StationKey, key: [u8; 16], blob: usize) {
    bench.command(CommandKind::StationAdd(StationAdd {
        station,
        aid: 1,
        qos: true,
        protect: true,
        blob: Vec::new(),
        pmf: false,
    }));
    bench.command(CommandKind::KeyInstall(KeyInstall {
        station,
        key_id: 0,
        tk: Tk::new(key),
        blob: vec![0; blob],
        accept_old_ms: 0,
        hold_downlink_ms: 0,
    }));
    bench.command(CommandKind::PortOpen(PortOpen { station, open: true, vlan: 0, blob: Vec::new() }));
}

fn alloc(state: &mut State) -> Packet {
    state.pool.alloc().expect("a packet")
}

/// Reads what uplink reads: something of the lines it touches.
fn touch_up(hot: &Hot) {
    black_box((hot.key()[0], hot.last_seen, hot.up_packets));
}

/// Reads what downlink reads.
fn touch_down(hot: &Hot) {
    black_box((hot.key()[0], hot.tx_pn()));
}

/// The `n`th station's key, which takes no memory.
fn key(n: usize) -> [u8; 16] {
    let mut key = [0x3c; 16];
    key[..8].copy_from_slice(&(n as u64).to_le_bytes());
    key
}

/// The `n`th virtual BSS, 100 to each of as many radios.
fn bss(n: usize, like: &Tunnel) -> Tunnel {
    let [a, b, c, d] = (n as u32).to_be_bytes();
    let radio = n / 100;
    let endpoint = Endpoint::v4([10, (radio >> 16) as u8, (radio >> 8) as u8, radio as u8], 5247);
    let bssid = MacAddr([0x02, 0xbb, a, b, c, d]);
    Tunnel { bssid, endpoint, ..*like }
}
