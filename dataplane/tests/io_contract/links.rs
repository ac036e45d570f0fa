//! Two joined ends of each backend, and what may be expected of them.

use std::net::Ipv4Addr;
use std::os::fd::RawFd;
use std::sync::Arc;

use dataplane::capture::LinkType;
use dataplane::endpoint::Endpoint;
use dataplane::inet::arp::Arp;
use dataplane::io::af_packet::AfPacketIo;
use dataplane::io::af_xdp::{AfXdpConfig, AfXdpIo, AfXdpMode};
use dataplane::io::channel::ChannelIo;
use dataplane::io::host::{CAPWAP_DATA, Host, HostConfig, HostIo, Prefix};
use dataplane::io::memory::MemoryIo;
use dataplane::io::pcap::PcapIo;
use dataplane::io::reopen::Reopen;
use dataplane::io::tap::TapIo;
use dataplane::io::udp::{UdpConfig, UdpIo};
use dataplane::io::{IoError, IoStats, PacketIo};
use dataplane::packet::{Burst, Pool, PoolConfig};
use dot11::MacAddr;

use crate::world::{fresh, tc, veth};

/// Packets that the queues of the in-memory backends hold.
pub const CAPACITY: usize = 100;

/// Two ends that send to each other.
pub struct Link {
    pub a: Box<dyn PacketIo>,
    pub b: Box<dyn PacketIo>,
    /// Endpoint of `b` as `a` must name it, and of `a` as `b` sees it.
    pub endpoints: (Endpoint, Endpoint),
    /// The shortest packet that `a` sends.
    pub shortest: usize,
    /// A length that `a` cannot send.
    pub too_long: Option<usize>,
    /// Whether packets are moved from end to end, so that the receiver's pool plays no part.
    pub moves: bool,
    /// If `a` can be full: what makes its packets go on to `b`.
    pub release: Option<Box<dyn FnMut()>>,
    /// The other way round.
    pub reverse: Option<Box<dyn FnOnce(Self) -> Self>>,
}

impl Link {
    pub fn new(a: impl PacketIo + 'static, b: impl PacketIo + 'static) -> Self {
        Self {
            a: Box::new(a),
            b: Box::new(b),
            endpoints: (Endpoint::NONE, Endpoint::NONE),
            shortest: 0,
            too_long: None,
            moves: false,
            release: None,
            reverse: None,
        }
    }

    /// The same link with the ends exchanged.
    pub fn reversed(mut self) -> Self {
        std::mem::swap(&mut self.a, &mut self.b);
        self.endpoints = (self.endpoints.1, self.endpoints.0);
        match self.reverse.take() {
            Some(reverse) => reverse(self),
            None => self,
        }
    }
}

pub fn memory() -> Link {
    let (a, b) = MemoryIo::pair(CAPACITY);
    Link { moves: true, release: Some(Box::new(|| {})), ..Link::new(a, b) }
}

pub fn memory_with_wake() -> Link {
    let (a, b) = MemoryIo::pair_with_wake(CAPACITY).unwrap();
    Link { moves: true, release: Some(Box::new(|| {})), ..Link::new(a, b) }
}

/// Two IP hosts on a wire, which know each other.
pub fn host() -> Link {
    let mac = |n: u8| MacAddr([2, 0, 0, 0, 0, n]);
    let address = |n: u8| Ipv4Addr::new(192, 0, 2, n);
    let (mut a, mut b) = MemoryIo::pair(CAPACITY);
    let pool = Pool::new(PoolConfig { packets: 256, ..PoolConfig::default() });
    for (port, from, to) in [(&mut a, 1, 2), (&mut b, 2, 1)] {
        let (sender, target) = (address(from), address(to));
        let arp = Arp { request: true, sender_mac: mac(from), sender, target_mac: MacAddr::ZERO, target };
        let frame = [&mac(to).0[..], &mac(from).0, &[8, 6], &arp.encode()].concat();
        let mut packet = pool.alloc().unwrap();
        assert!(packet.copy_from(&frame));
        let mut burst = Burst::new();
        burst.push(packet).unwrap();
        assert_eq!(port.tx_burst(&mut burst), 1);
    }
    let host = |n: u8, port| {
        let prefix = Prefix { address: address(n).into(), len: 24 };
        let config = HostConfig { mtu: 9000, ..HostConfig::new(mac(n), vec![prefix]) };
        // Numbered as the second worker, because the first would announce the address.
        HostIo::new(port, Arc::new(Host::new(config).unwrap()), 1, pool.clone())
    };
    let (mut a, mut b) = (host(1, a), host(2, b));
    for _ in 0..2 {
        let mut none = Burst::new();
        assert_eq!(a.rx_burst(&pool, &mut none) + b.rx_burst(&pool, &mut none), 0);
    }
    let endpoint = |n: u8| Endpoint::v4(address(n).octets(), CAPWAP_DATA).at(1);
    Link {
        moves: true,
        too_long: Some(65_520),
        endpoints: (endpoint(2), endpoint(1)),
        release: Some(Box::new(|| {})),
        ..Link::new(a, b)
    }
}

pub fn channel() -> Link {
    let (a, b) = ChannelIo::pair(CAPACITY, 2000).unwrap();
    Link { too_long: Some(2001), release: Some(Box::new(|| {})), ..Link::new(a, b) }
}

/// Two files, each recorded by one end and replayed by the other.
pub fn pcap() -> Link {
    struct Flushing(PcapIo, #[allow(dead_code, reason = "keeps the files")] std::rc::Rc<tempfile::TempDir>);
    impl PacketIo for Flushing {
        fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
            self.0.rx_burst(pool, out)
        }
        fn tx_burst(&mut self, burst: &mut Burst) -> usize {
            let sent = self.0.tx_burst(burst);
            self.0.flush().unwrap();
            sent
        }
        fn poll_fd(&self) -> Option<RawFd> {
            self.0.poll_fd()
        }
        fn rx_ready(&self) -> bool {
            self.0.rx_ready()
        }
        fn stats(&self) -> IoStats {
            self.0.stats()
        }
    }
    let folder = std::rc::Rc::new(tempfile::tempdir().unwrap());
    let paths = [folder.path().join("to-b.pcap"), folder.path().join("to-a.pcap")];
    let a = PcapIo::record(&paths[0], LinkType::ETHERNET).unwrap();
    let b = PcapIo::record(&paths[1], LinkType::ETHERNET).unwrap();
    let a = a.and_replay(&paths[1]).unwrap();
    let b = b.and_replay(&paths[0]).unwrap();
    Link::new(Flushing(a, folder.clone()), Flushing(b, folder))
}

pub fn udp_v4() -> Link {
    udp("127.0.0.1", "127.0.0.1", UdpConfig::default())
}

pub fn udp_v6() -> Link {
    udp("[::1]", "[::1]", UdpConfig::default())
}

pub fn udp_from_v4_to_v6() -> Link {
    udp("127.0.0.1", "[::]", UdpConfig::default())
}

pub fn udp_without_offload() -> Link {
    udp("127.0.0.1", "127.0.0.1", UdpConfig { gso: false, gro: false, ..UdpConfig::default() })
}

pub fn udp_gso_without_gro() -> Link {
    udp("127.0.0.1", "127.0.0.1", UdpConfig { gro: false, ..UdpConfig::default() })
}

pub fn udp_stalled() -> Link {
    let release = stall("lo");
    let config = UdpConfig { send_buffer: 1 << 16, ..UdpConfig::default() };
    Link { release: Some(release), ..udp("127.0.0.1", "127.0.0.1", config) }
}

pub fn udp_stalled_without_offload() -> Link {
    let release = stall("lo");
    let config = UdpConfig { send_buffer: 1 << 16, gso: false, gro: false, ..UdpConfig::default() };
    Link { release: Some(release), ..udp("127.0.0.1", "127.0.0.1", config) }
}

pub fn af_packet() -> Link {
    let (a, b) = veth();
    let (a, b) = (AfPacketIo::open(&a).unwrap(), AfPacketIo::open(&b).unwrap());
    Link { shortest: 14, too_long: Some(1519), ..Link::new(a, b) }
}

pub fn af_packet_stalled() -> Link {
    let (a_name, b_name) = veth();
    let releases = [stall(&a_name), stall(&b_name)];
    let (a, b) = (AfPacketIo::open(&a_name).unwrap(), AfPacketIo::open(&b_name).unwrap());
    for io in [&a, &b] {
        set_send_buffer(io.poll_fd().unwrap(), 1 << 16);
    }
    let [to_b, to_a] = releases;
    let reverse = Box::new(move |link| Link { release: Some(to_a), ..link });
    Link {
        shortest: 14,
        too_long: Some(1519),
        release: Some(to_b),
        reverse: Some(reverse),
        ..Link::new(a, b)
    }
}

pub fn af_xdp_generic() -> Link {
    af_xdp(true, AfXdpMode::Generic)
}

pub fn af_xdp_driver() -> Link {
    af_xdp(false, AfXdpMode::Driver)
}

fn af_xdp(generic: bool, mode: AfXdpMode) -> Link {
    let (a, b) = veth();
    let config = AfXdpConfig { generic, frames: 256, ..AfXdpConfig::default() };
    let [a, b] = [a, b].map(|name| AfXdpIo::open_with(&name, &config).unwrap().remove(0));
    assert_eq!((a.mode(), b.mode()), (mode, mode));
    Link { shortest: 14, too_long: Some(1519), ..Link::new(a, b) }
}

/// AF_XDP on one end, and on the other what the rest of the world sees.
pub fn af_xdp_and_af_packet() -> Link {
    let (a, b) = veth();
    let (a, b) = (AfXdpIo::open(&a).unwrap(), AfPacketIo::open(&b).unwrap());
    Link { shortest: 14, too_long: Some(1519), ..Link::new(a, b) }
}

pub fn af_packet_reopening() -> Link {
    let (a, b) = veth();
    let open = |name: &str| reopening(name, AfPacketIo::open);
    Link { shortest: 14, too_long: Some(1519), ..Link::new(open(&a), open(&b)) }
}

pub fn af_xdp_reopening() -> Link {
    let (a, b) = veth();
    let open = |name: &str| reopening(name, AfXdpIo::open);
    Link { shortest: 14, too_long: Some(1519), ..Link::new(open(&a), open(&b)) }
}

fn reopening<T: PacketIo + Send + 'static>(name: &str, open: fn(&str) -> Result<T, IoError>) -> Reopen<T> {
    let own = name.to_owned();
    Reopen::open(name, move || Ok(vec![open(&own)?]), |event| panic!("{event}")).unwrap().remove(0)
}

/// A TAP interface on one end, and on the other a packet socket that is the network stack.
pub fn tap() -> Link {
    let name = fresh("tap");
    let tap = TapIo::open(&name, 1).unwrap().remove(0);
    let stack = AfPacketIo::open(&name).unwrap();
    let reverse = Box::new(|link| Link { too_long: Some(1519), ..link });
    Link { shortest: 14, reverse: Some(reverse), ..Link::new(tap, stack) }
}

fn udp(a: &str, b: &str, config: UdpConfig) -> Link {
    let [a, b] = [a, b].map(|ip| UdpIo::bind_with(format!("{ip}:0").parse().unwrap(), config).unwrap());
    let seen = |io: &UdpIo, other: &UdpIo| -> Endpoint {
        let mut address = io.local_addr();
        if address.ip().is_unspecified() {
            address.set_ip(other.local_addr().ip());
        }
        address.into()
    };
    let endpoints = (seen(&b, &a), seen(&a, &b));
    // The longest datagram is 65 535 octets less its headers; over IPv6 these do not count the IP header.
    Link { endpoints, too_long: Some(65_600), ..Link::new(a, b) }
}

/// Makes what is sent through the interface wait, after a first bit, until the returned function is called.
fn stall(interface: &str) -> Box<dyn FnMut()> {
    let interface = interface.to_owned();
    tc(&format!("qdisc replace dev {interface} root tbf rate 8kbit burst 8kb limit 100mb"));
    Box::new(move || {
        tc(&format!("qdisc change dev {interface} root tbf rate 10gbit burst 10mb limit 100mb"));
    })
}

fn set_send_buffer(fd: RawFd, bytes: libc::c_int) {
    // SAFETY: as many octets are read as an `int` has.
    let result = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_SNDBUF,
            (&raw const bytes).cast(),
            size_of_val(&bytes) as _,
        )
    };
    assert_eq!(result, 0);
}
