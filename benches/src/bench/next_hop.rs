//! The router between a gateway that is an IP host on a port of Ethernet frames, and its radios: answers ARP, puts datagrams into frames and takes
//! them out.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::RawFd;

use dataplane::ethernet;
use dataplane::inet::arp::{self, Arp};
use dataplane::inet::{ARP, IPV4, checksum, ipv4, protocol, udp};
use dataplane::io::{IoStats, PacketIo};
use dataplane::packet::{BURST, Burst, Packet, Pool};
use dot11::MacAddr;

use super::flood::Datagrams;

/// Who is where.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The router's Ethernet address.
    pub own: MacAddr,
    /// Its IP address on the link.
    pub router: Ipv4Addr,
    /// The radios, beyond it.
    pub radios: SocketAddrV4,
    /// The gateway's Ethernet address.
    pub gateway_mac: MacAddr,
    /// Where the gateway takes tunnels.
    pub gateway: SocketAddrV4,
}

/// Octets in front of a datagram.
const HEADERS: usize = ethernet::HEADER + ipv4::LEN + udp::LEN;

impl Link {
    /// The datagrams, in frames of the radios to the gateway, with checksums as radios make them.
    pub fn frames(&self, datagrams: &Datagrams) -> Datagrams {
        let len = HEADERS + datagrams.len;
        let (source, destination) = (*self.radios.ip(), *self.gateway.ip());
        let total = |len: usize| u16::try_from(len).expect("an IP packet has at most 65535 octets");
        let mut front = [0; HEADERS];
        front[..6].copy_from_slice(&self.gateway_mac.0);
        front[6..12].copy_from_slice(&self.own.0);
        front[12..14].copy_from_slice(&IPV4.to_be_bytes());
        let (_, rest) = front.split_at_mut(ethernet::HEADER);
        let (ip, udp_header) = rest.split_first_chunk_mut().expect("room for both");
        ipv4::Write {
            source,
            destination,
            protocol: protocol::UDP,
            total_len: total(len - ethernet::HEADER),
            identification: 0,
            fragment: ipv4::DONT_FRAGMENT,
        }
        .to(ip);
        let segment = udp::LEN + datagrams.len;
        let udp_header = udp_header.first_chunk_mut().expect("room for it");
        udp::write(udp_header, self.radios.port(), self.gateway.port(), total(segment));
        let pseudo = checksum::pseudo_ipv4(source, destination, protocol::UDP, segment);
        let mut octets = Vec::with_capacity(len * datagrams.count());
        for datagram in datagrams.octets.chunks(datagrams.len) {
            let at = octets.len();
            octets.extend_from_slice(&front);
            octets.extend_from_slice(datagram);
            udp::write_checksum(&mut octets[at + ethernet::HEADER + ipv4::LEN..], pseudo);
        }
        Datagrams { len, octets }
    }

    /// The datagram in a frame of the gateway to its radios.
    fn unwrap(&self, packet: &mut Packet) -> Option<()> {
        let frame = packet.data();
        let header = ethernet::parse(frame).filter(|header| header.ether_type == IPV4)?;
        // Of our own gateway, over memory: what it computed is not verified here, which is its peers' work.
        let ip = frame[ethernet::HEADER..].first_chunk::<{ ipv4::LEN }>()?;
        let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
        let wanted = header.destination == self.own
            && (ip[0], ip[9]) == (0x45, protocol::UDP)
            && ip[16..] == self.radios.ip().octets();
        if !wanted || !(HEADERS - ethernet::HEADER..=frame.len() - ethernet::HEADER).contains(&total) {
            return None;
        }
        packet.truncate(ethernet::HEADER + total);
        packet.trim_front(HEADERS);
        Some(())
    }

    /// The answer, if somebody asks for the router.
    fn answer(&self, packet: &mut Packet) -> Option<()> {
        ethernet::parse(packet.data()).filter(|header| header.ether_type == ARP)?;
        let asked = Arp::parse(ethernet::payload(packet.data()))?;
        if !asked.request || asked.target != self.router {
            return None;
        }
        let answer = Arp {
            request: false,
            sender_mac: self.own,
            sender: self.router,
            target_mac: asked.sender_mac,
            target: asked.sender,
        };
        let frame = packet.data_mut();
        frame[..6].copy_from_slice(&asked.sender_mac.0);
        frame[6..12].copy_from_slice(&self.own.0);
        frame[ethernet::HEADER..ethernet::HEADER + arp::LEN].copy_from_slice(&answer.encode());
        Some(())
    }
}

/// The port as it is for who sends frames of [`Link::frames`] and receives datagrams.
pub struct NextHop<P> {
    port: P,
    link: Link,
    received: Burst,
    answers: Burst,
}

impl<P: PacketIo> NextHop<P> {
    /// On this port.
    pub fn new(port: P, link: Link) -> NextHop<P> {
        NextHop { port, link, received: Burst::new(), answers: Burst::new() }
    }

    /// What the frames go through.
    pub fn port(&self) -> &P {
        &self.port
    }
}

impl<P: PacketIo> PacketIo for NextHop<P> {
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        // Whatever comes then has room.
        if out.room() < BURST {
            return 0;
        }
        let before = out.len();
        self.port.rx_burst(pool, &mut self.received);
        for mut packet in self.received.drain() {
            if self.link.unwrap(&mut packet).is_some() {
                let _ = out.push(packet);
            } else if self.link.answer(&mut packet).is_some() {
                let _ = self.answers.push(packet);
            }
        }
        if !self.answers.is_empty() {
            self.port.tx_burst(&mut self.answers);
            // Who asked asks again.
            self.answers.clear();
        }
        out.len() - before
    }

    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        self.port.tx_burst(burst)
    }

    fn poll_fd(&self) -> Option<RawFd> {
        self.port.poll_fd()
    }

    fn stats(&self) -> IoStats {
        self.port.stats()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use dataplane::io::channel::ChannelIo;
    use dataplane::io::host::{CAPWAP_DATA, Host, HostConfig, HostIo};
    use dataplane::packet::PoolConfig;

    use super::*;
    use crate::bench::flood::{Flood, Pace};

    const LINK: Link = Link {
        own: MacAddr([2, 0, 0, 0, 0, 1]),
        router: Ipv4Addr::new(10, 0, 2, 1),
        radios: SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 7), 4000),
        gateway_mac: MacAddr([2, 0, 0, 0, 0, 2]),
        gateway: SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 3), CAPWAP_DATA),
    };

    /// The gateway's own IP host takes the frames, asks for its next hop, and what it sends back arrives.
    #[test]
    fn a_host_understands_the_router_and_the_other_way_round() {
        let (ours, theirs) = ChannelIo::pair(256, 2048).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let gateway = std::thread::spawn(move || {
            let address = format!("{}/24", LINK.gateway.ip()).parse().unwrap();
            let config = HostConfig {
                gateways: vec![LINK.router.into()],
                ..HostConfig::new(LINK.gateway_mac, vec![address])
            };
            let pool = Pool::new(PoolConfig::default());
            let mut io = HostIo::new(theirs, Arc::new(Host::new(config).unwrap()), 0, pool.clone());
            let mut burst = Burst::new();
            while !stopped.load(Ordering::Relaxed) {
                io.rx_burst(&pool, &mut burst);
                while !burst.is_empty() {
                    io.tx_burst(&mut burst);
                }
            }
        });
        let mut flood = Flood::new(NextHop::new(ours, LINK), Pool::new(PoolConfig::default()));
        let send = |flood: &mut Flood<_>, count: u16| {
            let octets = (0..count).flat_map(|n| [(n / 256) as u8, (n % 256) as u8, 1, 2, 3]).collect();
            let frames = LINK.frames(&Datagrams { len: 5, octets });
            let whose = |octets: &[u8]| {
                octets.strip_suffix(&[1, 2, 3]).map(|n| usize::from(n[0]) * 256 + usize::from(n[1]))
            };
            let endpoint = dataplane::endpoint::Endpoint::NONE;
            flood.run(endpoint, &frames, Pace::Window(64), whose).received
        };
        // So many the host keeps while it asks for its next hop.
        let received = [send(&mut flood, 8), send(&mut flood, 400)];
        stop.store(true, Ordering::Relaxed);
        gateway.join().unwrap();
        assert_eq!(received, [8, 400]);
    }

    #[test]
    fn whatever_comes_is_taken_or_left() {
        let pool = Pool::new(PoolConfig::default());
        let datagram = LINK.frames(&Datagrams { len: 5, octets: vec![1; 5] }).octets;
        let question = Arp {
            request: true,
            sender_mac: LINK.gateway_mac,
            sender: *LINK.gateway.ip(),
            target_mac: MacAddr::ZERO,
            target: LINK.router,
        };
        let mut asks = [[0xff; 14].as_slice(), &question.encode()].concat();
        asks[12..14].copy_from_slice(&ARP.to_be_bytes());
        for frame in [datagram, asks] {
            for len in 0..=frame.len() {
                for (at, octet) in (0..len).flat_map(|at| [0, 0x45, 0xff].map(|octet| (at, octet))) {
                    let mut packet = pool.alloc().unwrap();
                    assert!(packet.copy_from(&frame[..len]));
                    packet.data_mut()[at] = octet;
                    let taken = LINK.unwrap(&mut packet).is_some();
                    assert!(!taken || packet.len() <= 5);
                    let _ = LINK.answer(&mut packet);
                }
            }
        }
    }
}
