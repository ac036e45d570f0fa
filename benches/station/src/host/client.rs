//! The DHCP client's state machine (RFC 2131 §4.4).

use std::net::Ipv4Addr;
use std::time::Duration;

use dot11::MacAddr;

use super::Config;
use super::dhcp::{ClientMessage, Lease, MessageType, ServerMessage};
use crate::entropy::Entropy;
use crate::time::Time;

const REBOOT_ATTEMPTS: u8 = 2;
const REQUEST_ATTEMPTS: u8 = 4;
/// RFC 2131 §4.4.5: no renewal is repeated sooner.
const RENEWAL_RETRY: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The link is down, or the address is static.
    Stopped,
    /// INIT-REBOOT: asks whether the remembered lease still holds.
    Rebooting,
    Selecting,
    Requesting,
    Bound,
    Renewing,
    Rebinding,
}

/// What the client wants of the host around it.
#[derive(Debug)]
pub(super) enum Event {
    /// Send this message to the server port.
    Send {
        source: Ipv4Addr,
        destination: Ipv4Addr,
        message: Vec<u8>,
    },
    Leased(Lease),
    LeaseLost,
}

#[derive(Debug)]
pub(super) struct Client {
    phase: Phase,
    /// In Requesting: what was offered. Otherwise the last lease, in force or remembered.
    lease: Option<Lease>,
    in_force: bool,
    xid: u32,
    sent: u8,
    due: Option<Time>,
    /// When the lease began: when the request for it was sent (RFC 2131 §4.4.5).
    begun: Time,
    requested: Time,
}

impl Client {
    pub fn new() -> Client {
        Client {
            phase: Phase::Stopped,
            lease: None,
            in_force: false,
            xid: 0,
            sent: 0,
            due: None,
            begun: Time::ZERO,
            requested: Time::ZERO,
        }
    }

    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref().filter(|_| self.in_force)
    }

    pub fn next_timeout(&self) -> Option<Time> {
        self.due
    }

    pub fn set_static(&mut self, lease: Lease) {
        *self = Client { lease: Some(lease), in_force: true, ..Client::new() };
    }

    pub fn start(
        &mut self,
        now: Time,
        mac: MacAddr,
        config: &Config,
        entropy: &mut dyn Entropy,
        out: &mut Vec<Event>,
    ) {
        let known = self.lease.is_some() && self.phase != Phase::Requesting;
        self.enter(if known { Phase::Rebooting } else { Phase::Selecting }, entropy);
        self.transmit(now, mac, config, out);
    }

    pub fn stop(&mut self) {
        if self.phase == Phase::Requesting {
            self.lease = None;
        }
        self.phase = Phase::Stopped;
        self.due = None;
        self.in_force = false;
    }

    /// Gives the lease back and forgets it (RFC 2131 §4.4.6).
    pub fn release(
        &mut self,
        mac: MacAddr,
        config: &Config,
        entropy: &mut dyn Entropy,
        out: &mut Vec<Event>,
    ) {
        if let Some(lease) = self.lease.filter(|lease| self.in_force && !lease.server.is_unspecified()) {
            self.enter(Phase::Stopped, entropy);
            let mut message = self.message(MessageType::Release, mac, config);
            message.address = lease.address;
            message.server = Some(lease.server);
            out.push(Event::Send {
                source: lease.address,
                destination: lease.server,
                message: message.build(),
            });
        }
    }

    pub fn receive(
        &mut self,
        now: Time,
        mac: MacAddr,
        config: &Config,
        message: &[u8],
        entropy: &mut dyn Entropy,
        out: &mut Vec<Event>,
    ) {
        let Some(message) = ServerMessage::parse(message) else { return };
        if message.xid != self.xid || message.mac != mac.0 {
            return;
        }
        match (self.phase, message.kind) {
            (Phase::Selecting, MessageType::Offer) if !message.lease.address.is_unspecified() => {
                self.lease = Some(message.lease);
                self.phase = Phase::Requesting;
                self.sent = 0;
                self.transmit(now, mac, config, out);
            }
            (Phase::Rebooting | Phase::Requesting | Phase::Renewing | Phase::Rebinding, MessageType::Ack) => {
                self.bind(message.lease, out);
            }
            (Phase::Rebooting | Phase::Requesting | Phase::Renewing | Phase::Rebinding, MessageType::Nak) => {
                self.restart(now, mac, config, entropy, out);
            }
            _ => {}
        }
    }

    pub fn timeout(
        &mut self,
        now: Time,
        mac: MacAddr,
        config: &Config,
        entropy: &mut dyn Entropy,
        out: &mut Vec<Event>,
    ) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        match self.phase {
            Phase::Stopped => self.due = None,
            Phase::Rebooting if self.sent >= REBOOT_ATTEMPTS => self.restart(now, mac, config, entropy, out),
            Phase::Requesting if self.sent >= REQUEST_ATTEMPTS => {
                self.restart(now, mac, config, entropy, out)
            }
            Phase::Selecting | Phase::Rebooting | Phase::Requesting => self.transmit(now, mac, config, out),
            Phase::Bound => {
                self.enter(Phase::Renewing, entropy);
                self.transmit(now, mac, config, out);
            }
            Phase::Renewing | Phase::Rebinding => {
                let Some(lease) = self.lease else { return };
                if now >= self.begun + lease.duration {
                    self.restart(now, mac, config, entropy, out);
                } else {
                    if now >= self.begun + lease.rebind {
                        self.phase = Phase::Rebinding;
                    }
                    self.transmit(now, mac, config, out);
                }
            }
        }
    }

    fn bind(&mut self, lease: Lease, out: &mut Vec<Event>) {
        let known = self.lease().copied();
        let addressed = |lease: &Lease| (lease.address, lease.mask, lease.router);
        self.phase = Phase::Bound;
        self.lease = Some(lease);
        self.in_force = true;
        self.begun = self.requested;
        self.due = Some(self.begun + lease.renew);
        if known.as_ref().map(addressed) != Some(addressed(&lease)) {
            out.push(Event::Leased(lease));
        }
    }

    /// Back to INIT: the lease is no more.
    fn restart(
        &mut self,
        now: Time,
        mac: MacAddr,
        config: &Config,
        entropy: &mut dyn Entropy,
        out: &mut Vec<Event>,
    ) {
        if self.in_force {
            out.push(Event::LeaseLost);
        }
        self.in_force = false;
        self.lease = None;
        self.enter(Phase::Selecting, entropy);
        self.transmit(now, mac, config, out);
    }

    fn enter(&mut self, phase: Phase, entropy: &mut dyn Entropy) {
        let mut xid = [0; 4];
        entropy.fill(&mut xid);
        self.xid = u32::from_be_bytes(xid);
        self.phase = phase;
        self.sent = 0;
    }

    /// Sends the message of the present phase and sets the time of its repetition.
    fn transmit(&mut self, now: Time, mac: MacAddr, config: &Config, out: &mut Vec<Event>) {
        let kind = if self.phase == Phase::Selecting { MessageType::Discover } else { MessageType::Request };
        let mut message = self.message(kind, mac, config);
        let held = self.lease;
        // RFC 2131 §4.3.6, Table 4: which request names what.
        match (self.phase, held) {
            (Phase::Requesting, Some(offer)) => {
                message.requested = Some(offer.address);
                message.server = Some(offer.server);
            }
            (Phase::Rebooting, Some(lease)) => message.requested = Some(lease.address),
            (Phase::Renewing | Phase::Rebinding, Some(lease)) => message.address = lease.address,
            _ => {}
        }
        let destination = match (self.phase, held) {
            (Phase::Renewing, Some(lease)) => lease.server,
            _ => Ipv4Addr::BROADCAST,
        };
        out.push(Event::Send { source: message.address, destination, message: message.build() });
        self.requested = now;
        self.due = Some(now + self.repeat_after(now, config));
        self.sent = self.sent.saturating_add(1);
    }

    fn repeat_after(&self, now: Time, config: &Config) -> Duration {
        match (self.phase, self.lease) {
            (Phase::Renewing, Some(lease)) => until_half(now, self.begun + lease.rebind),
            (Phase::Rebinding, Some(lease)) => until_half(now, self.begun + lease.duration),
            _ => config.dhcp_retry * (1 << self.sent.min(4)),
        }
    }

    fn message<'a>(&self, kind: MessageType, mac: MacAddr, config: &'a Config) -> ClientMessage<'a> {
        ClientMessage {
            kind,
            xid: self.xid,
            mac,
            address: Ipv4Addr::UNSPECIFIED,
            requested: None,
            server: None,
            broadcast: config.broadcast,
            host_name: config.host_name.as_deref(),
        }
    }
}

/// Half of what remains until `end`, but not less than a minute, and never past `end`.
fn until_half(now: Time, end: Time) -> Duration {
    let left = end - now;
    (left / 2).max(RENEWAL_RETRY).min(left)
}
