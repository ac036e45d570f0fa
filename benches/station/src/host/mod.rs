//! A tiny IPv4 host above the link: DHCP client, ARP, ICMP echo both ways, UDP.
//!
//! [`Host`] takes and gives Ethernet II frames. It holds one address, a handful of neighbours and a bounded queue
//! of packets that wait for a neighbour to answer.

mod client;
mod dhcp;
mod wire;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use dot11::MacAddr;

use crate::entropy::Entropy;
use crate::time::{Time, earliest};
use client::Client;
use wire::{Arp, ETHERTYPE_ARP, ETHERTYPE_IPV4, Echo, Ethernet, Ipv4, PROTOCOL_ICMP, PROTOCOL_UDP, Udp};

pub use dhcp::Lease;

const NEIGHBOURS: usize = 8;
const WAITING: usize = 8;
const ECHOES: usize = 32;
const ARP_RETRY: Duration = Duration::from_secs(1);
const ARP_ATTEMPTS: u8 = 3;
const ECHO_TIMEOUT: Duration = Duration::from_secs(5);

/// How a host gets its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// By DHCP.
    #[default]
    Dhcp,
    /// A fixed one.
    Static {
        /// Its own address.
        address: Ipv4Addr,
        /// The subnet mask.
        mask: Ipv4Addr,
        /// The router for everything outside of the subnet.
        router: Option<Ipv4Addr>,
    },
}

/// Settings, the same for any number of hosts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the address comes from.
    pub addressing: Addressing,
    /// Host name to tell the DHCP server.
    pub host_name: Option<String>,
    /// Ask the DHCP server to answer by broadcast (RFC 2131 §4.1).
    pub broadcast: bool,
    /// Time to the first repetition of a DHCP message; it doubles each time, to sixteen times this.
    pub dhcp_retry: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            addressing: Addressing::Dhcp,
            host_name: None,
            broadcast: false,
            dhcp_retry: Duration::from_secs(1),
        }
    }
}

/// What the host wants done or known, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Transmit this Ethernet II frame.
    Send(Vec<u8>),
    /// It has an address now, or a different one.
    Leased(Lease),
    /// Its lease ended and was not renewed.
    LeaseLost,
    /// An echo request was answered.
    EchoReply {
        /// Who answered.
        from: Ipv4Addr,
        /// Sequence number of the request.
        sequence: u16,
        /// Time from request to reply.
        round_trip: Duration,
    },
    /// An echo request was not answered in five seconds.
    EchoLost {
        /// Sequence number of the request.
        sequence: u16,
    },
    /// A UDP datagram for this host.
    Udp {
        /// Sender.
        from: SocketAddrV4,
        /// Destination port.
        port: u16,
        /// Contents.
        payload: Vec<u8>,
    },
}

#[derive(Debug)]
struct Waiting {
    next_hop: Ipv4Addr,
    packet: Vec<u8>,
}

#[derive(Debug)]
struct Resolution {
    next_hop: Ipv4Addr,
    again_at: Time,
    asked: u8,
}

/// The host of one device.
#[derive(Debug)]
pub struct Host {
    mac: MacAddr,
    client: Client,
    /// Most recently confirmed first.
    neighbours: Vec<(Ipv4Addr, MacAddr)>,
    waiting: Vec<Waiting>,
    resolutions: Vec<Resolution>,
    echoes: Vec<(u16, Time)>,
}

impl Host {
    /// A host without an address; nothing happens before [`start`](Host::start).
    pub fn new(mac: MacAddr) -> Host {
        Host {
            mac,
            client: Client::new(),
            neighbours: Vec::new(),
            waiting: Vec::new(),
            resolutions: Vec::new(),
            echoes: Vec::new(),
        }
    }

    /// The link came up: obtain an address, or confirm the one held (RFC 2131 §3.2).
    pub fn start(&mut self, now: Time, config: &Config, entropy: &mut dyn Entropy, out: &mut Vec<Output>) {
        self.neighbours.clear();
        self.waiting.clear();
        self.resolutions.clear();
        match config.addressing {
            Addressing::Dhcp => {
                let mut events = Vec::new();
                self.client.start(now, self.mac, config, entropy, &mut events);
                self.client_events(now, events, out);
            }
            Addressing::Static { address, mask, router } => {
                let duration = Duration::MAX;
                let lease = Lease {
                    address,
                    mask,
                    router,
                    dns: None,
                    server: Ipv4Addr::UNSPECIFIED,
                    duration,
                    renew: duration,
                    rebind: duration,
                };
                self.client.set_static(lease);
                out.push(Output::Leased(lease));
            }
        }
    }

    /// The link went down: nothing is sent until the next [`start`](Host::start). The lease is remembered.
    pub fn stop(&mut self) {
        self.client.stop();
        self.waiting.clear();
        self.resolutions.clear();
        self.echoes.clear();
    }

    /// Gives the address back to the server, if one gave it and its link address is known.
    pub fn release(&mut self, now: Time, config: &Config, entropy: &mut dyn Entropy, out: &mut Vec<Output>) {
        let mut events = Vec::new();
        self.client.release(self.mac, config, entropy, &mut events);
        self.client_events(now, events, out);
        self.stop();
        self.client = Client::new();
    }

    /// The address and what came with it.
    pub fn lease(&self) -> Option<&Lease> {
        self.client.lease()
    }

    /// Sends an ICMP echo request with `size` octets of payload. False if there is no address yet or the packet
    /// would be too long.
    pub fn ping(
        &mut self,
        now: Time,
        to: Ipv4Addr,
        sequence: u16,
        size: usize,
        out: &mut Vec<Output>,
    ) -> bool {
        let payload: Vec<u8> = (0..size).map(|i| i as u8).collect();
        let echo = Echo { reply: false, identifier: self.identifier(), sequence, payload: &payload };
        let Some(own) = self.address() else { return false };
        if !self.send_ip(now, own, to, PROTOCOL_ICMP, &echo.build(), out) {
            return false;
        }
        if self.echoes.len() == ECHOES {
            let (sequence, _) = self.echoes.remove(0);
            out.push(Output::EchoLost { sequence });
        }
        self.echoes.push((sequence, now));
        true
    }

    /// Sends a UDP datagram. False if there is no address yet or the datagram would be too long.
    pub fn send_udp(
        &mut self,
        now: Time,
        port: u16,
        to: SocketAddrV4,
        payload: &[u8],
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(own) = self.address() else { return false };
        let udp = Udp { source: port, destination: to.port(), payload };
        let Some(datagram) = udp.build(own, *to.ip()) else { return false };
        self.send_ip(now, own, *to.ip(), PROTOCOL_UDP, &datagram, out)
    }

    /// Takes a received Ethernet II frame.
    pub fn receive(
        &mut self,
        now: Time,
        config: &Config,
        frame: &[u8],
        entropy: &mut dyn Entropy,
        out: &mut Vec<Output>,
    ) {
        let Some(frame) = Ethernet::parse(frame) else { return };
        if frame.destination != self.mac && !frame.destination.is_group() || frame.source == self.mac {
            return;
        }
        match frame.ethertype {
            ETHERTYPE_ARP => self.arp(frame.payload, out),
            ETHERTYPE_IPV4 => {
                if let Some(packet) = Ipv4::parse(frame.payload) {
                    self.ip(now, config, &frame, &packet, entropy, out);
                }
            }
            _ => {}
        }
    }

    /// When [`timeout`](Host::timeout) is to be called, if nothing happens before.
    pub fn next_timeout(&self) -> Option<Time> {
        let resolution = self.resolutions.iter().map(|resolution| resolution.again_at).min();
        let echo = self.echoes.first().map(|(_, sent)| *sent + ECHO_TIMEOUT);
        earliest(earliest(self.client.next_timeout(), resolution), echo)
    }

    /// Does what is due at `now`; harmless when nothing is.
    pub fn timeout(&mut self, now: Time, config: &Config, entropy: &mut dyn Entropy, out: &mut Vec<Output>) {
        let mut events = Vec::new();
        self.client.timeout(now, self.mac, config, entropy, &mut events);
        self.client_events(now, events, out);
        let due: Vec<Ipv4Addr> =
            self.resolutions.iter().filter(|r| r.again_at <= now).map(|r| r.next_hop).collect();
        for next_hop in due {
            self.resolve(now, next_hop, out);
        }
        while let Some(&(sequence, sent)) = self.echoes.first()
            && sent + ECHO_TIMEOUT <= now
        {
            self.echoes.remove(0);
            out.push(Output::EchoLost { sequence });
        }
    }

    fn arp(&mut self, packet: &[u8], out: &mut Vec<Output>) {
        let (Some(arp), Some(lease)) = (Arp::parse(packet), self.client.lease()) else { return };
        let own = (self.mac, lease.address);
        if arp.target.1 == own.1 && !arp.sender.1.is_unspecified() && arp.sender.1 != own.1 {
            self.learn(arp.sender.1, arp.sender.0, out);
            if !arp.reply {
                let reply = Arp { reply: true, sender: own, target: arp.sender };
                out.push(Output::Send(Ethernet::build(
                    arp.sender.0,
                    self.mac,
                    ETHERTYPE_ARP,
                    &reply.build(),
                )));
            }
        }
    }

    fn ip(
        &mut self,
        now: Time,
        config: &Config,
        frame: &Ethernet<'_>,
        packet: &Ipv4<'_>,
        entropy: &mut dyn Entropy,
        out: &mut Vec<Output>,
    ) {
        let udp = if packet.protocol == PROTOCOL_UDP { Udp::parse(packet) } else { None };
        if let Some(udp) = udp
            && udp.destination == dhcp::CLIENT_PORT
            && udp.source == dhcp::SERVER_PORT
        {
            // Who answers for the server on this link, so that a release needs no look-up.
            self.learn(packet.source, frame.source, out);
            let mut events = Vec::new();
            self.client.receive(now, self.mac, config, udp.payload, entropy, &mut events);
            return self.client_events(now, events, out);
        }
        let Some(own) = self.address() else { return };
        if packet.destination != own && !packet.destination.is_broadcast() {
            return;
        }
        if let Some(udp) = udp {
            out.push(Output::Udp {
                from: SocketAddrV4::new(packet.source, udp.source),
                port: udp.destination,
                payload: udp.payload.to_vec(),
            });
        } else if packet.protocol == PROTOCOL_ICMP
            && let Some(echo) = Echo::parse(packet.payload)
        {
            self.echo(now, own, packet.source, &echo, out);
        }
    }

    fn echo(&mut self, now: Time, own: Ipv4Addr, from: Ipv4Addr, echo: &Echo<'_>, out: &mut Vec<Output>) {
        if !echo.reply {
            let reply = Echo { reply: true, ..*echo };
            self.send_ip(now, own, from, PROTOCOL_ICMP, &reply.build(), out);
        } else if echo.identifier == self.identifier()
            && let Some(index) = self.echoes.iter().position(|(sequence, _)| *sequence == echo.sequence)
        {
            let (sequence, sent) = self.echoes.remove(index);
            out.push(Output::EchoReply { from, sequence, round_trip: now - sent });
        }
    }

    fn client_events(&mut self, now: Time, events: Vec<client::Event>, out: &mut Vec<Output>) {
        for event in events {
            match event {
                client::Event::Leased(lease) => out.push(Output::Leased(lease)),
                client::Event::LeaseLost => out.push(Output::LeaseLost),
                client::Event::Send { source, destination, message } => {
                    let udp =
                        Udp { source: dhcp::CLIENT_PORT, destination: dhcp::SERVER_PORT, payload: &message };
                    let datagram = udp.build(source, destination).unwrap_or_default();
                    self.send_ip(now, source, destination, PROTOCOL_UDP, &datagram, out);
                }
            }
        }
    }

    /// Sends a packet to its next hop, now or once that has answered. False if it would be too long.
    fn send_ip(
        &mut self,
        now: Time,
        from: Ipv4Addr,
        to: Ipv4Addr,
        protocol: u8,
        payload: &[u8],
        out: &mut Vec<Output>,
    ) -> bool {
        let packet = Ipv4 { source: from, destination: to, protocol, payload };
        let Some(packet) = packet.build() else { return false };
        let next_hop = self.client.lease().map_or(to, |lease| next_hop(lease, to));
        match self.neighbour(next_hop) {
            Some(mac) => out.push(Output::Send(Ethernet::build(mac, self.mac, ETHERTYPE_IPV4, &packet))),
            None => {
                if self.waiting.len() == WAITING {
                    self.waiting.remove(0);
                }
                self.waiting.push(Waiting { next_hop, packet });
                if !self.resolutions.iter().any(|resolution| resolution.next_hop == next_hop) {
                    self.resolve(now, next_hop, out);
                }
            }
        }
        true
    }

    /// Asks for a neighbour's address, for the first time or again, or gives up with what waits for it.
    fn resolve(&mut self, now: Time, next_hop: Ipv4Addr, out: &mut Vec<Output>) {
        let index = self.resolutions.iter().position(|resolution| resolution.next_hop == next_hop);
        let asked = index.map_or(0, |index| self.resolutions.swap_remove(index).asked);
        let Some(lease) = self.client.lease() else { return };
        if asked >= ARP_ATTEMPTS {
            self.waiting.retain(|waiting| waiting.next_hop != next_hop);
            return;
        }
        let own = (self.mac, lease.address);
        let request = Arp { reply: false, sender: own, target: (MacAddr([0; 6]), next_hop) };
        out.push(Output::Send(Ethernet::build(
            MacAddr::BROADCAST,
            self.mac,
            ETHERTYPE_ARP,
            &request.build(),
        )));
        self.resolutions.push(Resolution { next_hop, again_at: now + ARP_RETRY, asked: asked + 1 });
    }

    fn learn(&mut self, ip: Ipv4Addr, mac: MacAddr, out: &mut Vec<Output>) {
        self.neighbours.retain(|(known, _)| *known != ip);
        self.neighbours.truncate(NEIGHBOURS - 1);
        self.neighbours.insert(0, (ip, mac));
        self.resolutions.retain(|resolution| resolution.next_hop != ip);
        for waiting in self.waiting.extract_if(.., |waiting| waiting.next_hop == ip) {
            out.push(Output::Send(Ethernet::build(mac, self.mac, ETHERTYPE_IPV4, &waiting.packet)));
        }
    }

    fn neighbour(&self, ip: Ipv4Addr) -> Option<MacAddr> {
        if ip.is_broadcast() {
            return Some(MacAddr::BROADCAST);
        }
        self.neighbours.iter().find(|(known, _)| *known == ip).map(|(_, mac)| *mac)
    }

    fn address(&self) -> Option<Ipv4Addr> {
        self.client.lease().map(|lease| lease.address)
    }

    /// ICMP identifier: the last two octets of the address, so that captures of many hosts stay apart.
    fn identifier(&self) -> u16 {
        u16::from_be_bytes([self.mac.0[4], self.mac.0[5]])
    }
}

/// Who on the link takes a packet for `to`.
fn next_hop(lease: &Lease, to: Ipv4Addr) -> Ipv4Addr {
    let mask = lease.mask.to_bits();
    let on_link = to.to_bits() & mask == lease.address.to_bits() & mask;
    if on_link || to.is_broadcast() { to } else { lease.router.unwrap_or(to) }
}
