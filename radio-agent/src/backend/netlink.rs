//! Generic netlink, as much as nl80211 needs: a request, its attributes, its acknowledgement.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::OwnedFd;

use crate::sys;

/// A connection to one family of generic netlink.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: OwnedFd,
    family: u16,
    sequence: u32,
}

/// Attributes being written: length and type (2 octets each, host order), value, padding to 4.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    pub(super) fn new() -> Attributes {
        Attributes::default()
    }

    pub(super) fn bytes(mut self, kind: u16, value: &[u8]) -> Attributes {
        self.0.extend_from_slice(&(value.len() as u16 + 4).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn u16(self, kind: u16, value: u16) -> Attributes {
        self.bytes(kind, &value.to_ne_bytes())
    }

    pub(super) fn u32(self, kind: u16, value: u32) -> Attributes {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// A name ends with a zero octet.
    pub(super) fn string(self, kind: u16, value: &str) -> Attributes {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat())
    }

    pub(super) fn flag(self, kind: u16) -> Attributes {
        self.bytes(kind, &[])
    }

    pub(super) fn flag_if(self, kind: u16, set: bool) -> Attributes {
        if set { self.flag(kind) } else { self }
    }
}

impl Netlink {
    /// Connects to the family of this name.
    pub(super) fn open(family: &str) -> io::Result<Netlink> {
        let socket = sys::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_GENERIC)?;
        // SAFETY: all zero is a valid sockaddr_nl: the kernel chooses the port.
        let mut address: libc::sockaddr_nl = unsafe { zeroed() };
        address.nl_family = libc::AF_NETLINK as u16;
        sys::bind(&socket, &address, size_of::<libc::sockaddr_nl>())?;
        let timeout = libc::timeval { tv_sec: 5, tv_usec: 0 };
        sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &timeout)?;
        let mut netlink = Netlink { socket, family: libc::GENL_ID_CTRL as u16, sequence: 0 };
        let named = Attributes::new().string(libc::CTRL_ATTR_FAMILY_NAME as u16, family);
        let reply = netlink.request(libc::CTRL_CMD_GETFAMILY as u8, named)?;
        let id = attribute(&reply, libc::CTRL_ATTR_FAMILY_ID as u16).and_then(|id| id.try_into().ok());
        netlink.family = u16::from_ne_bytes(id.ok_or(io::ErrorKind::InvalidData)?);
        Ok(netlink)
    }

    /// Sends a command and waits for its end; gives the attributes of the reply, if there was one.
    pub(super) fn request(&mut self, command: u8, attributes: Attributes) -> io::Result<Vec<u8>> {
        self.ask(command, attributes, libc::NLM_F_REQUEST | libc::NLM_F_ACK)?;
        let mut reply = Vec::new();
        let mut buffer = [0; 8192];
        loop {
            let len = sys::receive(&self.socket, &mut buffer, true)?.ok_or(io::ErrorKind::TimedOut)?;
            let mut rest = buffer.get(..len).ok_or(io::ErrorKind::InvalidData)?;
            while let Some((kind, sequence, body, after)) = split_message(rest) {
                rest = after;
                if sequence != self.sequence {
                    continue;
                }
                if i32::from(kind) == libc::NLMSG_ERROR {
                    let code = body.first_chunk::<4>().ok_or(io::ErrorKind::InvalidData)?;
                    return match i32::from_ne_bytes(*code) {
                        0 => Ok(reply),
                        code => Err(io::Error::from_raw_os_error(-code)),
                    };
                }
                if kind == self.family {
                    reply = body.get(4..).unwrap_or_default().to_vec();
                }
            }
        }
    }

    fn ask(&mut self, command: u8, attributes: Attributes, flags: libc::c_int) -> io::Result<()> {
        self.sequence += 1;
        let message = message(self.family, flags, self.sequence, command, &attributes);
        sys::send(&self.socket, &[&message]).map(drop)
    }

    /// Sends a command that asks for a list; gives the attributes of each entry to `entry`.
    pub(super) fn dump(
        &mut self,
        command: u8,
        attributes: Attributes,
        entry: &mut dyn FnMut(&[u8]) -> Option<()>,
    ) -> io::Result<()> {
        self.ask(command, attributes, libc::NLM_F_REQUEST | libc::NLM_F_DUMP)?;
        let mut buffer = [0; 8192];
        loop {
            let len = sys::receive(&self.socket, &mut buffer, true)?.ok_or(io::ErrorKind::TimedOut)?;
            let datagram = buffer.get(..len).ok_or(io::ErrorKind::InvalidData)?;
            if entries(datagram, self.sequence, entry)? {
                return Ok(());
            }
        }
    }
}

/// A command: the netlink header, that of generic netlink, the attributes.
pub(super) fn message(
    family: u16,
    flags: libc::c_int,
    sequence: u32,
    command: u8,
    attributes: &Attributes,
) -> Vec<u8> {
    let len = HEADER_LEN + attributes.0.len();
    let mut message = Vec::with_capacity(len);
    message.extend_from_slice(&(len as u32).to_ne_bytes());
    message.extend_from_slice(&family.to_ne_bytes());
    message.extend_from_slice(&(flags as u16).to_ne_bytes());
    message.extend_from_slice(&sequence.to_ne_bytes());
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&[command, 1, 0, 0]);
    message.extend_from_slice(&attributes.0);
    message
}

/// Gives the attributes of each entry in one datagram of a list to `entry`; says whether the list ends with it.
pub(super) fn entries(
    mut datagram: &[u8],
    wanted: u32,
    entry: &mut dyn FnMut(&[u8]) -> Option<()>,
) -> io::Result<bool> {
    while let Some((kind, sequence, body, after)) = split_message(datagram) {
        datagram = after;
        if sequence != wanted {
            continue;
        }
        match i32::from(kind) {
            libc::NLMSG_DONE => return Ok(true),
            libc::NLMSG_ERROR => {
                let code = body.first_chunk::<4>().ok_or(io::ErrorKind::InvalidData)?;
                return Err(io::Error::from_raw_os_error(-i32::from_ne_bytes(*code)));
            }
            // An entry that lacks something is none.
            _ => drop(entry(body.get(4..).unwrap_or_default())),
        }
    }
    Ok(false)
}

/// The value of the first attribute of this kind.
pub(super) fn attribute(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let (&[l0, l1, k0, k1], _) = attributes.split_first_chunk::<4>()?;
        let len = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = attributes.get(4..len)?;
        // The two high bits are flags.
        if u16::from_ne_bytes([k0, k1]) & 0x3fff == kind {
            return Some(value);
        }
        attributes = attributes.get(len.next_multiple_of(4)..)?;
    }
}

/// Octets of the netlink header (16) and the generic netlink header (4).
const HEADER_LEN: usize = 20;

/// The first message's type, sequence number and what follows its netlink header; and what follows it.
fn split_message(bytes: &[u8]) -> Option<(u16, u32, &[u8], &[u8])> {
    let (header, _) = bytes.split_first_chunk::<16>()?;
    let [l0, l1, l2, l3, k0, k1, _, _, s0, s1, s2, s3, ..] = *header;
    let len = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
    let body = bytes.get(16..len)?;
    let rest = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    Some((u16::from_ne_bytes([k0, k1]), u32::from_ne_bytes([s0, s1, s2, s3]), body, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_found_again() {
        let Attributes(octets) = Attributes::new().string(4, "mon0").u16(16, 7).flag(204).u32(3, 9);
        assert_eq!(octets.len(), 12 + 8 + 4 + 8);
        assert_eq!(attribute(&octets, 4), Some(&b"mon0\0"[..]));
        assert_eq!(attribute(&octets, 16), Some(&7u16.to_ne_bytes()[..]));
        assert_eq!(attribute(&octets, 204), Some(&[][..]));
        assert_eq!(attribute(&octets, 3), Some(&9u32.to_ne_bytes()[..]));
        assert_eq!(attribute(&octets, 5), None);
        for len in 0..octets.len() {
            let _ = attribute(&octets[..len], 3);
        }
        assert_eq!(attribute(&[0; 16], 1), None, "a length of 0 ends the search");
    }

    #[test]
    fn a_list_is_read_to_its_end() {
        let mut netlink = Netlink::open("nlctrl").unwrap();
        let mut names = Vec::new();
        let ask = libc::CTRL_CMD_GETFAMILY as u8;
        let entry = &mut |reply: &[u8]| {
            names.push(attribute(reply, libc::CTRL_ATTR_FAMILY_NAME as u16)?.to_vec());
            Some(())
        };
        netlink.dump(ask, Attributes::new(), entry).unwrap();
        assert!(names.contains(&b"nlctrl\0".to_vec()), "{names:?}");
        // The connection is good for the next question.
        assert!(netlink.request(ask, Attributes::new().string(2, "nlctrl")).is_ok());
    }

    #[test]
    fn the_controller_answers() {
        // Every kernel with generic netlink has this family.
        assert!(Netlink::open("nlctrl").is_ok());
        let error = Netlink::open("no-such-family").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }
}
