//! A userspace WireGuard gateway of `boringtun`'s data path, joined to the same UDP code as ours: what it takes from one peer it opens, looks at the
//! destination, and seals for another.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519::{PublicKey, StaticSecret};
use dataplane::io::PacketIo;
use dataplane::io::udp::UdpIo;
use dataplane::packet::{BURST, Burst, Packet, Pool, PoolConfig};
use dataplane::wake::Wait;

use super::flood::Datagrams;

/// Octets that WireGuard adds to a packet.
pub const OVERHEAD: usize = 32;
/// Octets of an IPv4 header.
const IPV4: usize = 20;

/// The gateway's end of every peer, and the peers' ends.
pub struct Peers {
    gateway: Vec<Tunn>,
    peers: Vec<Tunn>,
}

impl Peers {
    /// So many, their handshakes done.
    ///
    /// # Errors
    /// A handshake failed.
    pub fn new(count: usize) -> anyhow::Result<Peers> {
        let secret = |n: usize, side: u8| {
            let mut octets = [side; 32];
            octets[..8].copy_from_slice(&(n as u64).to_le_bytes());
            StaticSecret::from(octets)
        };
        let own = secret(0, 0xff);
        let (mut gateway, mut peers) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for n in 0..count {
            let peer = secret(n, 1);
            let index = n as u32 + 1;
            let mut there = Tunn::new(own.clone(), PublicKey::from(&peer), None, None, index, None);
            let mut here = Tunn::new(peer, PublicKey::from(&own), None, None, index, None);
            handshake(&mut here, &mut there).with_context(|| format!("the handshake of peer {n}"))?;
            gateway.push(there);
            peers.push(here);
        }
        Ok(Peers { gateway, peers })
    }

    /// `count` packets with so many octets of payload, sealed by the peers in turn, each for the next one but one.
    ///
    /// # Errors
    /// A peer has no session.
    pub fn datagrams(&mut self, count: usize, payload: usize) -> anyhow::Result<Datagrams> {
        let total = self.peers.len();
        let len = IPV4 + payload + OVERHEAD;
        let (mut octets, mut buffer) = (Vec::with_capacity(count * len), vec![0; len + 160]);
        for k in 0..count {
            let from = k % total;
            let packet = ipv4(address(from), address((from + 2) % total), payload);
            match self.peers[from].encapsulate(&packet, &mut buffer) {
                TunnResult::WriteToNetwork(sealed) if sealed.len() == len => octets.extend_from_slice(sealed),
                other => bail!("a peer sends {other:?}"),
            }
        }
        Ok(Datagrams { len, octets })
    }

    /// The gateway's part, to be used elsewhere.
    pub fn gateway(&mut self) -> Gateway {
        Gateway { tunnels: std::mem::take(&mut self.gateway), clear: vec![0; 4096], failed: 0 }
    }
}

/// Opens and seals.
pub struct Gateway {
    tunnels: Vec<Tunn>,
    clear: Vec<u8>,
    failed: u64,
}

impl Gateway {
    /// What a peer sent becomes what another gets; `None`, and counted, if it is nothing of that kind.
    pub fn pass(&mut self, datagram: &[u8], out: &mut [u8]) -> Option<usize> {
        let passed = self.try_pass(datagram, out);
        self.failed += u64::from(passed.is_none());
        passed
    }

    fn try_pass(&mut self, datagram: &[u8], out: &mut [u8]) -> Option<usize> {
        // The receiver's index is the gateway's: that of the peer, with room for its sessions.
        let index = u32::from_le_bytes(*datagram.get(4..)?.first_chunk()?) >> 8;
        let tunnel = self.tunnels.get_mut(index.checked_sub(1)? as usize)?;
        let clear = match tunnel.decapsulate(None, datagram, &mut self.clear) {
            TunnResult::WriteToTunnelV4(clear, _) => clear,
            _ => return None,
        };
        let to = u32::from_be_bytes(*clear.get(16..)?.first_chunk()?) & 0x00ff_ffff;
        let len = clear.len();
        let tunnel = self.tunnels.get_mut(to as usize)?;
        match tunnel.encapsulate(&self.clear[..len], out) {
            TunnResult::WriteToNetwork(sealed) => Some(sealed.len()),
            _ => None,
        }
    }
}

/// A gateway on a thread of its own, until it is stopped.
pub struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Gateway>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Running {
    /// Starts it; everything goes back to where it came from.
    ///
    /// # Errors
    /// The system's.
    pub fn start(mut gateway: Gateway) -> anyhow::Result<Running> {
        let mut io = UdpIo::bind(SocketAddr::from(([127, 0, 0, 1], 0)), false)?;
        let address = io.local_addr();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        // It sleeps as our workers do when there is nothing to do.
        let wait = Wait::new()?;
        io.poll_fd().map(|fd| wait.add(fd)).transpose()?;
        let thread = std::thread::Builder::new().name("wireguard".to_owned()).spawn(move || {
            let pool = Pool::new(PoolConfig::default());
            let (mut burst, mut out) = (Burst::new(), Burst::new());
            while !stopped.load(Ordering::Relaxed) {
                if io.rx_burst(&pool, &mut burst) == 0 && !io.rx_ready() {
                    wait.sleep(Some(Duration::from_millis(10)));
                }
                for packet in burst.drain() {
                    if let Some(answer) = answer(&mut gateway, &pool, &packet) {
                        // There is room for as many as came.
                        let _ = out.push(answer);
                    }
                }
                while !out.is_empty() && io.tx_burst(&mut out) > 0 {}
                out.clear();
            }
            gateway
        })?;
        Ok(Running { stop, thread, address })
    }

    /// Stops it, and gives the gateway back.
    ///
    /// # Panics
    /// If its thread did.
    pub fn stop(self) -> Gateway {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the thread ends by itself")
    }
}

fn answer(gateway: &mut Gateway, pool: &Pool, packet: &Packet) -> Option<Packet> {
    let mut answer = pool.alloc()?;
    answer.meta.endpoint = packet.meta.endpoint;
    // Sealing wants room for a handshake whatever it seals.
    let room = packet.len().max(148) + OVERHEAD;
    let len = gateway.pass(packet.data(), answer.append(room)?)?;
    answer.truncate(len);
    Some(answer)
}

/// Time that the gateway takes for these datagrams, memory to memory.
///
/// # Errors
/// It could do nothing with one of them.
pub fn memory(gateway: &mut Gateway, datagrams: &Datagrams) -> anyhow::Result<Duration> {
    let mut out = vec![0; datagrams.len + 160];
    let mut time = Duration::ZERO;
    for burst in datagrams.octets.chunks(datagrams.len * BURST) {
        let start = Instant::now();
        for datagram in burst.chunks_exact(datagrams.len) {
            gateway.pass(datagram, &mut out);
        }
        time += start.elapsed();
    }
    if gateway.failed > 0 {
        bail!("{} datagrams did not pass", gateway.failed);
    }
    Ok(time)
}

/// Which of the sent datagrams came back. `first` has the counter that each peer's next datagram had when the run began, `next` what it has now.
pub fn whose(datagram: &[u8], first: &[u64], next: &mut [u64]) -> Option<usize> {
    let peers = first.len();
    let to = (u32::from_le_bytes(*datagram.get(4..)?.first_chunk()?) >> 8).checked_sub(1)? as usize;
    let counter = u64::from_le_bytes(*datagram.get(8..)?.first_chunk()?);
    *next.get_mut(to)? = counter + 1;
    let from = (to + peers - 2 % peers) % peers;
    Some(counter.checked_sub(first[to])? as usize * peers + from)
}

fn handshake(here: &mut Tunn, there: &mut Tunn) -> anyhow::Result<()> {
    let (mut a, mut b) = (vec![0; 512], vec![0; 512]);
    let TunnResult::WriteToNetwork(init) = here.format_handshake_initiation(&mut a, false) else {
        bail!("no initiation")
    };
    let TunnResult::WriteToNetwork(response) = there.decapsulate(None, init, &mut b) else {
        bail!("no response")
    };
    let mut c = vec![0; 512];
    let TunnResult::WriteToNetwork(first) = here.decapsulate(None, response, &mut c) else {
        bail!("no first packet")
    };
    // That is a keep-alive, with which the session begins at the other end.
    match there.decapsulate(None, first, &mut b) {
        TunnResult::Done => Ok(()),
        other => bail!("the first packet: {other:?}"),
    }
}

fn address(n: usize) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0000 | n as u32)
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr, payload: usize) -> Vec<u8> {
    let total = (IPV4 + payload) as u16;
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet.extend_from_slice(&from.octets());
    packet.extend_from_slice(&to.octets());
    packet.resize(IPV4 + payload, 0x55);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_pass_from_peer_to_peer() {
        let mut peers = Peers::new(4).unwrap();
        let datagrams = peers.datagrams(12, 64).unwrap();
        let mut gateway = peers.gateway();
        let mut out = vec![0; 256];
        for (k, datagram) in datagrams.octets.chunks_exact(datagrams.len).enumerate() {
            let len = gateway.pass(datagram, &mut out).unwrap();
            assert_eq!(len, datagrams.len);
            let to = (k + 2) % 4;
            let mut clear = vec![0; 256];
            let opened = peers.peers[to].decapsulate(None, &out[..len], &mut clear);
            assert!(matches!(opened, TunnResult::WriteToTunnelV4(packet, _) if packet.len() == 84), "{k}");
            assert_eq!(whose(&out[..len], &[0; 4], &mut [0; 4]), Some(k));
        }
        assert_eq!(gateway.failed, 0);
        assert_eq!(gateway.pass(&[0; 40], &mut out), None);
        assert_eq!(gateway.failed, 1);
    }
}
