//! From a record of a capture to the 802.11 frame in it: radiotap, PPI, Prism, AVS or nothing in front of it, or
//! CAPWAP in UDP in IP.

use std::{borrow::Cow, net::SocketAddr, time::Duration};

use dataplane::capture::LinkType;
use dot11::{fcs, radiotap};
use proto::tunnel;

/// A link type that never carries 802.11 frames.
#[derive(Debug, thiserror::Error)]
#[error(
    "the capture holds {0} records, in which there are no 802.11 frames: capture on a monitor interface, or the UDP tunnel \
     to the gateway"
)]
pub struct LinkError(LinkType);

/// Peels link layers off. Holds the tunnel's fragments.
#[derive(Debug)]
pub struct Link {
    fragments: tunnel::Reassembler<SocketAddr>,
}

/// RFC 5415's data channel.
const CAPWAP_DATA: u16 = 5247;
/// Fragments of different frames mix only while one is under way.
const FRAGMENT_AGE: Duration = Duration::from_secs(2);

impl Default for Link {
    fn default() -> Self {
        let limits = tunnel::Limits { entries: 1024, octets: 1 << 24, age: FRAGMENT_AGE };
        Link { fragments: tunnel::Reassembler::new(limits) }
    }
}

impl Link {
    /// The 802.11 frame without FCS, or nothing: another protocol, a fragment, a frame that the receiver says is
    /// damaged, or a copy of one that it transmitted.
    pub fn frame<'a>(
        &mut self,
        link_type: LinkType,
        time: u64,
        data: &'a [u8],
    ) -> Result<Option<Cow<'a, [u8]>>, LinkError> {
        Ok(match link_type {
            LinkType::IEEE802_11 => strip_fcs(data).map(Cow::Borrowed),
            LinkType::IEEE802_11_RADIOTAP => behind_radiotap(data),
            LinkType::IEEE802_11_PRISM => behind(data, u32::from_le_bytes),
            LinkType::IEEE802_11_AVS => behind(data, u32::from_be_bytes),
            LinkType::PPI => ppi(data),
            LinkType::ETHERNET => self.ethernet(time, data).map(Cow::Owned),
            LinkType::RAW | LinkType(12) | LinkType(14) | LinkType(228) | LinkType(229) => {
                self.ip(time, data).map(Cow::Owned)
            }
            LinkType::LINUX_SLL => data.get(16..).and_then(|ip| self.ip(time, ip)).map(Cow::Owned),
            LinkType::LINUX_SLL2 => data.get(20..).and_then(|ip| self.ip(time, ip)).map(Cow::Owned),
            other => return Err(LinkError(other)),
        })
    }

    fn ethernet(&mut self, time: u64, data: &[u8]) -> Option<Vec<u8>> {
        let mut ether_type = data.get(12..14)?;
        let mut rest = data.get(14..)?;
        // 802.1Q and 802.1ad tags.
        while matches!(ether_type, [0x81, 0x00] | [0x88, 0xa8]) {
            ether_type = rest.get(2..4)?;
            rest = rest.get(4..)?;
        }
        match ether_type {
            [0x08, 0x00] | [0x86, 0xdd] => self.ip(time, rest),
            _ => None,
        }
    }

    fn ip(&mut self, time: u64, data: &[u8]) -> Option<Vec<u8>> {
        let (addresses, datagram) = match data.first()? >> 4 {
            4 => {
                let header_len = usize::from(data[0] & 0x0f) * 4;
                let total = usize::from(u16::from_be_bytes(data.get(2..4)?.try_into().ok()?));
                let fragment = u16::from_be_bytes(data.get(6..8)?.try_into().ok()?) & 0x3fff;
                if *data.get(9)? != 17 || fragment != 0 || header_len < 20 {
                    return None;
                }
                // Ethernet pads short packets: the IP length counts.
                (data.get(12..20)?, data.get(header_len..total.min(data.len()))?)
            }
            6 if *data.get(6)? == 17 => (data.get(8..40)?, data.get(40..)?),
            _ => return None,
        };
        let (header, _) = datagram.split_first_chunk::<8>()?;
        let source = u16::from_be_bytes([header[0], header[1]]);
        let destination = u16::from_be_bytes([header[2], header[3]]);
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        if source != CAPWAP_DATA && destination != CAPWAP_DATA {
            return None;
        }
        let payload = datagram.get(8..length.min(datagram.len()))?;
        let from = source_address(addresses, source)?;
        self.capwap(time, from, payload)
    }

    fn capwap(&mut self, time: u64, from: SocketAddr, payload: &[u8]) -> Option<Vec<u8>> {
        let (header, payload) = tunnel::DataHeader::parse(payload).ok()?;
        if header.keep_alive() || !header.native() {
            return None;
        }
        let whole = self.fragments.push(from, &header, payload, Duration::from_nanos(time)).ok()??;
        Some(whole.frame.to_vec())
    }
}

fn source_address(addresses: &[u8], port: u16) -> Option<SocketAddr> {
    if addresses.len() == 8 {
        let ip: [u8; 4] = addresses[..4].try_into().ok()?;
        Some((ip, port).into())
    } else {
        let ip: [u8; 16] = addresses[..16].try_into().ok()?;
        Some((ip, port).into())
    }
}

fn behind_radiotap(data: &[u8]) -> Option<Cow<'_, [u8]>> {
    let header = radiotap::parse(data).ok()?;
    if header.bad_fcs() {
        return None;
    }
    let frame = data.get(header.len..)?;
    let frame = if header.fcs_present() {
        frame.get(..frame.len().checked_sub(fcs::LEN)?)?
    } else {
        strip_fcs(frame)?
    };
    if header.data_pad() { unpad(frame) } else { Some(Cow::Borrowed(frame)) }
}

/// PPI: version, flags, length (16 bits), link type (32 bits), then fields; number 2 is 802.11-Common, whose flags say
/// whether there is an FCS (0x1) and whether it was wrong (0x4).
fn ppi(data: &[u8]) -> Option<Cow<'_, [u8]>> {
    let length = usize::from(u16::from_le_bytes(data.get(2..4)?.try_into().ok()?));
    let link_type = u32::from_le_bytes(data.get(4..8)?.try_into().ok()?);
    let frame = data.get(length..)?;
    let mut fields = data.get(8..length)?;
    let mut flags = 0;
    while let Some((head, rest)) = fields.split_first_chunk::<4>() {
        let (number, size) =
            (u16::from_le_bytes([head[0], head[1]]), usize::from(u16::from_le_bytes([head[2], head[3]])));
        if number == 2
            && let Some(octets) = rest.get(8..10)
        {
            flags = u16::from_le_bytes([octets[0], octets[1]]);
        }
        fields = rest.get(size..).unwrap_or_default();
    }
    if flags & 0x4 != 0 {
        return None;
    }
    match link_type {
        105 if flags & 0x1 != 0 => Some(Cow::Borrowed(frame.get(..frame.len().checked_sub(fcs::LEN)?)?)),
        105 => strip_fcs(frame).map(Cow::Borrowed),
        127 => behind_radiotap(frame),
        _ => None,
    }
}

/// Prism and AVS headers give their own length in the second word.
fn behind(data: &[u8], word: fn([u8; 4]) -> u32) -> Option<Cow<'_, [u8]>> {
    let length = word(data.get(4..8)?.try_into().ok()?);
    strip_fcs(data.get(usize::try_from(length).ok()?..)?).map(Cow::Borrowed)
}

/// Takes an FCS off where there is one, announced or not: a frame whose last four octets are the right CRC of the rest
/// has one, since by chance one in four thousand million would.
fn strip_fcs(frame: &[u8]) -> Option<&[u8]> {
    Some(fcs::strip(frame).unwrap_or(frame)).filter(|frame| !frame.is_empty())
}

/// Some drivers pad the MAC header to a multiple of four octets.
fn unpad(frame: &[u8]) -> Option<Cow<'_, [u8]>> {
    let length = dot11::Frame::parse(frame).ok()?.header_len();
    let padding = length.next_multiple_of(4) - length;
    if padding == 0 {
        return Some(Cow::Borrowed(frame));
    }
    let mut plain = frame.get(..length)?.to_vec();
    plain.extend_from_slice(frame.get(length + padding..)?);
    Some(Cow::Owned(plain))
}
