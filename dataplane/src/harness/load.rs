//! Bursts through the stages of one worker, memory to memory, with the time that the stages alone take.

use std::time::{Duration, Instant};

use dot11::MacAddr;
use dot11::build::DataHeader;
use dot11::ccmp::{self, Pn};
use dot11::llc::{self, EtherType};
use dot11::rsn::Tk;
use dot11::{QosControl, SequenceControl};
use proto::tunnel::Header;

use super::{Bench, Device, HOST, INFO, ethernet, mac, service, tunnel};
use crate::command::Tunnel;
use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::packet::{BURST, Burst, PoolConfig};

/// Devices per virtual BSS.
const PER_BSS: usize = 64;

/// A worker with many stations and a supply of frames for them. Each frame of a burst is another station's, and stations come up in an order
/// that no cache foresees.
pub struct Load {
    bench: Bench,
    devices: Vec<Sender>,
    next: usize,
    burst: Burst,
}

/// What a run took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Packets that came out.
    pub packets: u64,
    /// Time within the stages.
    pub time: Duration,
}

struct Sender {
    bssid: MacAddr,
    mac: MacAddr,
    endpoint: Endpoint,
    key: Tk,
    pn: u64,
}

impl Load {
    /// With so many stations, all with keys and open ports.
    ///
    /// # Panics
    /// If `stations` is 0 or beyond 2²⁴.
    pub fn new(stations: usize) -> Self {
        assert!((1..=1 << 24).contains(&stations), "1 to 2^24 stations");
        // A path on which every frame is one datagram.
        let config = Config { stations, tx_queue: 4096, path_mtu: 9000, ..Config::default() };
        let pool = PoolConfig { packets: 4096, buffer: 2304, headroom: 128 };
        let mut bench = Bench::with_pool(config, 1, pool);
        let service = service(0);
        bench.welcome(std::slice::from_ref(&service));
        let mut devices = Vec::with_capacity(stations);
        for n in 0..stations {
            let tunnel = bss((n / PER_BSS) as u32, &tunnel(0, &service));
            if n % PER_BSS == 0 {
                // Time for each, so that asking about so many is not a flood, also where two share a place in a limit's table.
                bench.now = bench.now + Duration::from_secs(1);
                bench.open_tunnel(0, &tunnel, 0);
            }
            let mut key = [0x3c; 16];
            key[..8].copy_from_slice(&(n as u64).to_le_bytes());
            let device = Device::new(&tunnel, mac(n as u32), Some(Tk::new(key)));
            bench.add_station(&device);
            devices.push(Sender {
                bssid: device.bssid,
                mac: device.mac,
                endpoint: device.endpoint,
                key: Tk::new(key),
                pn: 0,
            });
        }
        bench.events();
        Self { bench, devices, next: 0, burst: Burst::new() }
    }

    /// Puts `bursts` full bursts of frames with so many octets of payload through uplink: datagrams in, Ethernet frames out.
    ///
    /// # Panics
    /// If `payload` exceeds 1500, or a frame did not come out.
    pub fn uplink(&mut self, bursts: usize, payload: usize) -> Taken {
        assert!(payload <= 1500, "an Ethernet frame's payload");
        let body = llc::msdu(EtherType::ARP, &vec![0x55; payload]);
        self.run(
            bursts,
            |load, n| load.datagram(n, &body),
            |load| {
                let state = &mut load.bench.workers[0].state;
                state.uplink(&mut load.burst);
                state.network_tx.len()
            },
        )
    }

    /// The same through downlink: Ethernet frames in, datagrams out.
    ///
    /// # Panics
    /// If `payload` exceeds 1500, or a frame did not come out.
    pub fn downlink(&mut self, bursts: usize, payload: usize) -> Taken {
        assert!(payload <= 1500, "an Ethernet frame's payload");
        let body = vec![0x55; payload];
        let frame =
            move |load: &mut Self, n: usize| ethernet(load.devices[n].mac, HOST, 0, EtherType::ARP, &body);
        self.run(bursts, frame, |load| {
            let state = &mut load.bench.workers[0].state;
            state.downlink(&mut load.burst);
            state.seal();
            state.tunnel_tx.len()
        })
    }

    fn run(
        &mut self,
        bursts: usize,
        frame: impl Fn(&mut Self, usize) -> Vec<u8>,
        stage: impl Fn(&mut Self) -> usize,
    ) -> Taken {
        let mut taken = Taken { packets: 0, time: Duration::ZERO };
        for _ in 0..bursts {
            for _ in 0..BURST {
                // A prime above any number of stations: the stride visits them all.
                self.next = (self.next + 40_503_007) % self.devices.len();
                let n = self.next;
                let octets = frame(self, n);
                let mut packet = self.bench.workers[0].state.pool.alloc().expect("a packet");
                assert!(packet.copy_from(&octets), "it fits");
                packet.meta.endpoint = self.devices[n].endpoint;
                assert!(self.burst.push(packet).is_ok(), "there is room");
            }
            let start = Instant::now();
            let out = stage(self);
            taken.time += start.elapsed();
            assert_eq!(out, BURST, "every frame comes out");
            taken.packets += out as u64;
            let state = &mut self.bench.workers[0].state;
            state.network_tx.clear();
            state.tunnel_tx.clear();
        }
        taken
    }

    fn datagram(&mut self, n: usize, body: &[u8]) -> Vec<u8> {
        let device = &mut self.devices[n];
        device.pn += 1;
        let mut header = DataHeader::to_ap(device.bssid, HOST, device.mac, Some(QosControl::new(0)));
        header.sequence = SequenceControl::new((device.pn % 4096) as u16, 0);
        let pn = Pn::new(device.pn).expect("48 bits");
        let frame = ccmp::seal(&device.key, 0, pn, &header.frame(body)).expect("a data frame");
        [Header::received(INFO).encode().as_bytes(), &frame].concat()
    }
}

/// The `n`th virtual BSS, 100 to each of as many radios.
fn bss(n: u32, like: &Tunnel) -> Tunnel {
    let [a, b, c, d] = n.to_be_bytes();
    let radio = n / 100;
    Tunnel {
        bssid: MacAddr([0x02, 0xbb, a, b, c, d]),
        endpoint: Endpoint::v4([10, (radio >> 16) as u8, (radio >> 8) as u8, radio as u8], 5247),
        ..*like
    }
}
