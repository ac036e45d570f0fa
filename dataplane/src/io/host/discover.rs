//! Address resolution from the other side: questions about us and answers to us, by ARP and neighbour discovery; and what we tell of ourselves
//! when we start (RFC 5227 §3, RFC 4861 §7.2.6, RFC 4862 §5.4).

use std::net::Ipv6Addr;
use std::time::Duration;

use dot11::MacAddr;

use super::Inner;
use super::board::Note;
use super::neighbours::{ASKED, noted, of_note};
use super::out::Out;
use super::receive::{Link, Looked, Verdict};
use super::shared::AddressState;
use super::stats::HostCounter as C;
use crate::clock::Time;
use crate::inet::arp::Arp;
use crate::inet::ipv6::Ipv6;
use crate::inet::nd::{Carrier, Neighbour};
use crate::inet::{self, ALL_NODES};
use crate::packet::Packet;

impl Inner {
    pub(super) fn look_arp(&mut self, packet: &mut Packet, link: Link) -> Looked {
        let arp = Arp::parse(packet.data()).ok_or(C::DropArp)?;
        let own_mac = self.out.host.config.mac;
        if arp.sender_mac.is_group()
            || arp.sender_mac == own_mac
            || !(arp.sender.is_unspecified() || inet::is_ipv4_host(arp.sender))
        {
            return Err(C::DropArp);
        }
        let (sender, target) = (arp.sender.to_ipv6_mapped(), arp.target.to_ipv6_mapped());
        if self.out.host.find(sender).is_some() {
            self.defend(sender);
            return Ok(Verdict::Done(C::RxArp));
        }
        let about_us = self.out.host.find(target).is_some();
        if arp.request && about_us {
            if !arp.sender.is_unspecified() && self.out.host.routes.is_neighbour(sender) {
                self.moved(sender, arp.sender_mac);
            }
            let answer = Arp {
                request: false,
                sender_mac: own_mac,
                sender: arp.target,
                target_mac: arp.sender_mac,
                target: arp.sender,
            };
            packet.copy_from(&answer.encode());
            return Ok(Verdict::Answer(C::RxArp, link.source, inet::ARP, C::TxArpReply));
        }
        if !self.is_known(sender) {
            return Ok(Verdict::Done(C::RxArpOthers));
        }
        if !arp.request && about_us && !link.group {
            self.confirm(sender, arp.sender_mac);
        } else {
            // An announcement, or a question to somebody else: where the sender is, but not that it hears us.
            self.moved(sender, arp.sender_mac);
        }
        Ok(Verdict::Done(if about_us { C::RxArp } else { C::RxArpOthers }))
    }

    pub(super) fn look_neighbour(&mut self, packet: &mut Packet, header: &Ipv6, link: Link) -> Looked {
        let carrier =
            Carrier { source: header.source, destination: header.destination, hop_limit: header.hop_limit };
        let message = packet.data().get(header.header_len..).unwrap_or_default();
        let message = Neighbour::parse(carrier, message).ok_or(C::DropNeighbour)?;
        let own = self.out.host.find(message.target);
        if message.solicitation {
            return Ok(match own {
                Some(own) => self.look_solicitation(packet, header, &message, own, link),
                None => Verdict::Done(C::RxNeighbourOthers),
            });
        }
        if let Some(own) = own {
            // Somebody advertises an address of ours.
            if !self.is_duplicate(own) {
                self.defend(message.target);
            }
            return Ok(Verdict::Done(C::RxNeighbour));
        }
        if !self.is_known(message.target) {
            return Ok(Verdict::Done(C::RxNeighbourOthers));
        }
        let mac = message.mac.unwrap_or(link.source);
        let known = self.neighbours.mac(message.target);
        // RFC 4861 §7.2.5: without the override flag nothing that is known is replaced.
        if message.overrides || known.is_none_or(|known| known == mac) {
            if message.solicited {
                self.confirm(message.target, mac);
            } else {
                self.moved(message.target, mac);
            }
        }
        Ok(Verdict::Done(C::RxNeighbour))
    }

    fn look_solicitation(
        &mut self,
        packet: &mut Packet,
        header: &Ipv6,
        message: &Neighbour,
        own: usize,
        link: Link,
    ) -> Verdict {
        let detecting = header.source.is_unspecified();
        if self.out.host.addresses[own].state() != AddressState::Assigned {
            // RFC 4862 §5.4.3: another node checks the same address.
            if detecting {
                self.is_duplicate(own);
            }
            return Verdict::Done(C::RxNeighbour);
        }
        if self.out.host.find(header.source).is_some() {
            self.defend(header.source);
            return Verdict::Done(C::RxNeighbour);
        }
        if !detecting && let Some(mac) = message.mac {
            self.moved(header.source, mac);
        }
        let (answer, to) = Neighbour::answer(message.target, self.out.host.config.mac, header.source);
        let mac = if detecting { MacAddr(inet::multicast_mac(ALL_NODES)) } else { link.source };
        let mut octets = [0; inet::nd::LEN];
        let len = answer.write(&mut octets, message.target, to);
        packet.copy_from(&octets[..len]);
        let header = inet::ipv6::Write {
            source: message.target,
            destination: to,
            next_header: inet::protocol::ICMPV6,
            payload_len: len as u16,
            hop_limit: inet::nd::HOP_LIMIT,
            flow_label: 0,
        };
        match packet.prepend(inet::ipv6::LEN).and_then(|place| place.first_chunk_mut()) {
            Some(place) => {
                header.to(place);
                Verdict::Answer(C::RxNeighbour, mac, inet::IPV6, C::TxAdvertisement)
            }
            None => Verdict::Done(C::RxNeighbour),
        }
    }

    /// Whether an answer about `address` can be believed: this or another worker asked, or talks to it.
    fn is_known(&self, address: Ipv6Addr) -> bool {
        self.neighbours.knows(address) || self.out.host.neighbours.read(address).is_some()
    }

    /// A neighbour answered, to whichever worker.
    fn confirm(&mut self, address: Ipv6Addr, mac: MacAddr) {
        let now = self.out.now;
        self.out.host.neighbours.write(address, noted(mac, true), now);
        self.neighbours.confirm(address, mac, now, &mut self.out);
    }

    /// A neighbour says that it is somewhere.
    fn moved(&mut self, address: Ipv6Addr, mac: MacAddr) {
        let now = self.out.now;
        let board = &self.out.host.neighbours;
        let elsewhere = |note: Note| note.value != ASKED && of_note(note) != Some(mac);
        if board.read(address).is_some_and(elsewhere) {
            board.write(address, noted(mac, false), now);
        }
        self.neighbours.hear(address, mac, now, &mut self.out);
    }

    /// Somebody else has an address that we were checking, so it is not ours. False if we have it already.
    fn is_duplicate(&mut self, own: usize) -> bool {
        let own = &self.out.host.addresses[own];
        if own.decide(AddressState::Duplicate) {
            self.out.stats.count(C::DuplicateAddress);
        }
        own.state() == AddressState::Duplicate
    }

    /// Somebody else uses an address that we use: say that it is ours, but not in a quarrel without end (RFC 5227 §2.4 (b)).
    fn defend(&mut self, address: Ipv6Addr) {
        self.out.stats.count(C::AddressConflict);
        if self.out.now >= self.defend_at {
            self.defend_at = self.out.now + DEFEND;
            announce(&mut self.out, address);
        }
    }
}

/// Between defences of our addresses (RFC 5227 §1.1, DEFEND_INTERVAL).
const DEFEND: Duration = Duration::from_secs(10);

/// What the first worker tells the link of our addresses, step by step.
#[derive(Debug)]
pub(super) struct Announcer {
    step: u8,
    next: Option<Time>,
}

/// Between steps; also how long a check for duplicates waits for objections (RFC 4862 §5.1, RetransTimer).
const STEP: Duration = Duration::from_secs(1);
const LAST_STEP: u8 = 2;

impl Announcer {
    /// Of the worker that does it, or of another.
    pub fn new(does: bool, now: Time) -> Self {
        Self { step: 0, next: does.then_some(now) }
    }

    /// When there is something to do.
    pub fn deadline(&self) -> Option<Time> {
        self.next
    }

    /// Goes on, if it is time.
    #[inline]
    pub fn tick(&mut self, out: &mut Out) {
        if self.next.is_some_and(|next| out.now >= next) {
            self.take_step(out);
        }
    }

    #[cold]
    fn take_step(&mut self, out: &mut Out) {
        let host = out.host.clone();
        if self.step == 0 {
            out.send_listener_report(true);
        }
        for own in &host.addresses {
            match (own.is_ipv4(), self.step) {
                (true, 0 | LAST_STEP) => announce(out, own.address),
                (true, _) => {}
                (false, 0) => {
                    let group = inet::solicited_node(own.address);
                    let to = (group, MacAddr(inet::multicast_mac(group)));
                    out.send_neighbour(&Neighbour::question(own.address, None), Ipv6Addr::UNSPECIFIED, to);
                }
                (false, _) => {
                    own.decide(AddressState::Assigned);
                    if own.state() == AddressState::Assigned {
                        announce(out, own.address);
                    }
                }
            }
        }
        self.next = (self.step < LAST_STEP).then(|| out.now + STEP);
        self.step += 1;
    }
}

/// Tells everybody that an address is here: by an ARP announcement, or an unsolicited advertisement.
fn announce(out: &mut Out, address: Ipv6Addr) {
    match address.to_ipv4_mapped() {
        Some(address) => out.send_arp_request(address, address, MacAddr::BROADCAST),
        None => {
            let (message, to) = Neighbour::answer(address, out.host.config.mac, Ipv6Addr::UNSPECIFIED);
            out.send_neighbour(&message, address, (to, MacAddr(inet::multicast_mac(to))));
        }
    }
}
