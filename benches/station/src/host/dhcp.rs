//! DHCP messages as a client reads and writes them (RFC 2131, RFC 2132).

use std::net::Ipv4Addr;
use std::time::Duration;

use dot11::MacAddr;

pub(super) const SERVER_PORT: u16 = 67;
pub(super) const CLIENT_PORT: u16 = 68;
const MAGIC: [u8; 4] = [99, 130, 83, 99];
const FIXED: usize = 236;
const OPTION_MASK: u8 = 1;
const OPTION_ROUTER: u8 = 3;
const OPTION_DNS: u8 = 6;
const OPTION_HOST_NAME: u8 = 12;
const OPTION_REQUESTED_ADDRESS: u8 = 50;
const OPTION_LEASE_TIME: u8 = 51;
const OPTION_MESSAGE_TYPE: u8 = 53;
const OPTION_SERVER: u8 = 54;
const OPTION_PARAMETERS: u8 = 55;
const OPTION_RENEWAL_TIME: u8 = 58;
const OPTION_REBINDING_TIME: u8 = 59;
const OPTION_CLIENT_IDENTIFIER: u8 = 61;
const OPTION_END: u8 = 255;

/// The message types a client meets (RFC 2132 §9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageType {
    Discover = 1,
    Offer = 2,
    Request = 3,
    Ack = 5,
    Nak = 6,
    Release = 7,
}

/// What a server gave, in the times of RFC 2131 §4.4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The subnet mask.
    pub mask: Ipv4Addr,
    /// The first router, if any.
    pub router: Option<Ipv4Addr>,
    /// The first name server, if any.
    pub dns: Option<Ipv4Addr>,
    /// The server that gave it.
    pub server: Ipv4Addr,
    /// How long it is valid.
    pub duration: Duration,
    /// T1: when to ask that server for more.
    pub renew: Duration,
    /// T2: when to ask any server.
    pub rebind: Duration,
}

/// What a client says.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientMessage<'a> {
    pub kind: MessageType,
    pub xid: u32,
    pub mac: MacAddr,
    /// The address in use (`ciaddr`), or unspecified.
    pub address: Ipv4Addr,
    pub requested: Option<Ipv4Addr>,
    pub server: Option<Ipv4Addr>,
    pub broadcast: bool,
    pub host_name: Option<&'a str>,
}

impl ClientMessage<'_> {
    pub fn build(&self) -> Vec<u8> {
        let mut message = vec![0; FIXED];
        message[0] = 1; // BOOTREQUEST
        message[1] = 1; // Ethernet
        message[2] = 6;
        message[4..8].copy_from_slice(&self.xid.to_be_bytes());
        message[10] = if self.broadcast { 0x80 } else { 0 };
        message[12..16].copy_from_slice(&self.address.octets());
        message[28..34].copy_from_slice(&self.mac.0);
        message.extend_from_slice(&MAGIC);
        let mut option = |code: u8, value: &[u8]| {
            // Every value here is short; a host name is cut to what an option holds.
            let value = &value[..value.len().min(255)];
            message.extend_from_slice(&[code, value.len() as u8]);
            message.extend_from_slice(value);
        };
        option(OPTION_MESSAGE_TYPE, &[self.kind as u8]);
        let mut identifier = [1; 7];
        identifier[1..].copy_from_slice(&self.mac.0);
        option(OPTION_CLIENT_IDENTIFIER, &identifier);
        if let Some(address) = self.requested {
            option(OPTION_REQUESTED_ADDRESS, &address.octets());
        }
        if let Some(server) = self.server {
            option(OPTION_SERVER, &server.octets());
        }
        if self.kind != MessageType::Release {
            if let Some(name) = self.host_name {
                option(OPTION_HOST_NAME, name.as_bytes());
            }
            let wanted = [OPTION_MASK, OPTION_ROUTER, OPTION_DNS, OPTION_LEASE_TIME];
            option(OPTION_PARAMETERS, &wanted);
        }
        message.push(OPTION_END);
        // BOOTP relays want 300 octets at least (RFC 1542 §2.1).
        message.resize(message.len().max(300), 0);
        message
    }
}

/// What a server says.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerMessage {
    pub kind: MessageType,
    pub xid: u32,
    pub mac: [u8; 6],
    pub lease: Lease,
}

impl ServerMessage {
    pub fn parse(message: &[u8]) -> Option<ServerMessage> {
        let (fixed, rest) = message.split_at_checked(FIXED)?;
        let options = rest.strip_prefix(&MAGIC)?;
        if fixed[0] != 2 || fixed[1] != 1 || fixed[2] != 6 {
            return None;
        }
        let address = |code| Some(Ipv4Addr::from(*option(options, code)?.first_chunk::<4>()?));
        let seconds = |code| Some(u32::from_be_bytes(*option(options, code)?.first_chunk::<4>()?));
        let kind = match option(options, OPTION_MESSAGE_TYPE)? {
            [2] => MessageType::Offer,
            [5] => MessageType::Ack,
            [6] => MessageType::Nak,
            _ => return None,
        };
        let duration = seconds(OPTION_LEASE_TIME).unwrap_or(0);
        let renew = seconds(OPTION_RENEWAL_TIME).unwrap_or(duration / 2);
        let rebind = seconds(OPTION_REBINDING_TIME).unwrap_or(duration / 8 * 7);
        Some(ServerMessage {
            kind,
            xid: u32::from_be_bytes(*fixed[4..].first_chunk()?),
            mac: *fixed[28..].first_chunk()?,
            lease: Lease {
                address: Ipv4Addr::from(*fixed[16..].first_chunk::<4>()?),
                mask: address(OPTION_MASK).unwrap_or(Ipv4Addr::new(255, 255, 255, 0)),
                router: address(OPTION_ROUTER),
                dns: address(OPTION_DNS),
                server: address(OPTION_SERVER)?,
                duration: Duration::from_secs(duration.into()),
                renew: Duration::from_secs(renew.min(duration).into()),
                rebind: Duration::from_secs(rebind.min(duration).into()),
            },
        })
    }
}

/// The value of the first option of this code.
fn option(mut options: &[u8], wanted: u8) -> Option<&[u8]> {
    loop {
        match options {
            [0, rest @ ..] => options = rest,
            [OPTION_END, ..] | [] => return None,
            [code, length, rest @ ..] => {
                let (value, rest) = rest.split_at_checked(usize::from(*length))?;
                if *code == wanted {
                    return Some(value);
                }
                options = rest;
            }
            [_] => return None,
        }
    }
}
