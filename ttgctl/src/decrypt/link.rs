//! From a record of a capture to the 802.11 frame in it: radiotap, PPI, Prism, AVS or nothing in front of it, or
//! CAPWAP in UDP in IP.

use std::borrow::Cow;

use dataplane::capture::{LinkType, Record};
use dot11::{Frame, fcs, radiotap};

use super::{Heard, tunnel::Tunnel};

/// What a record holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// An 802.11 frame.
    Frame(Heard<'a>),
    /// Of a link type that can carry 802.11 frames, but this is none: another protocol, a fragment, a header alone.
    Nothing,
    /// Of a link type that never carries 802.11 frames.
    Foreign,
}

/// Peels link layers off. Holds the tunnel's fragments.
#[derive(Debug, Default)]
pub struct Link {
    tunnel: Tunnel,
}

/// The BSD loopback types have a four-octet protocol family in front of the IP header.
const NULL: LinkType = LinkType(0);
const LOOP: LinkType = LinkType(108);
/// DLT_RAW on Linux and on OpenBSD, which some programs write instead of LINKTYPE_RAW; IPv4 and IPv6 alone.
const RAW_12: LinkType = LinkType(12);
const RAW_14: LinkType = LinkType(14);
const IPV4: LinkType = LinkType(228);
const IPV6: LinkType = LinkType(229);
/// In a cooked header: what follows is a radiotap header, whatever the protocol field says.
const ARPHRD_IEEE80211_RADIOTAP: [u8; 2] = 803u16.to_be_bytes();

impl Link {
    /// The 802.11 frame in a record.
    pub fn content<'a>(&mut self, record: &Record<'a>) -> Content<'a> {
        let data = record.data;
        let cut = usize::try_from(record.original_len).unwrap_or(usize::MAX).saturating_sub(data.len());
        let time = record.timestamp.unwrap_or(0);
        let frame = match record.link_type {
            LinkType::IEEE802_11 => Tail::unsaid(cut).frame(data),
            LinkType::IEEE802_11_RADIOTAP => behind_radiotap(data, cut),
            LinkType::IEEE802_11_PRISM => behind_prism(data, cut),
            LinkType::IEEE802_11_AVS => behind_avs(data, cut),
            LinkType::PPI => ppi(data, cut),
            LinkType::ETHERNET => self.tunnel.ethernet(time, data, cut),
            LinkType::RAW | RAW_12 | RAW_14 | IPV4 | IPV6 => self.tunnel.ip(time, data, cut),
            NULL | LOOP => data.get(4..).and_then(|ip| self.tunnel.ip(time, ip, cut)),
            LinkType::LINUX_SLL => match (data.get(2..4), data.get(16..)) {
                (Some(kind), Some(rest)) if kind == ARPHRD_IEEE80211_RADIOTAP => behind_radiotap(rest, cut),
                (_, Some(_)) => self.tunnel.tagged(time, &data[14..], cut),
                _ => None,
            },
            LinkType::LINUX_SLL2 => match (data.get(8..10), data.get(20..)) {
                (Some(kind), Some(rest)) if kind == ARPHRD_IEEE80211_RADIOTAP => behind_radiotap(rest, cut),
                (Some(_), Some(rest)) if data[..2] == [0x81, 0x00] => {
                    rest.get(2..).and_then(|rest| self.tunnel.tagged(time, rest, cut))
                }
                (_, Some(rest)) => self.tunnel.ip(time, rest, cut),
                _ => None,
            },
            _ => return Content::Foreign,
        };
        frame.map_or(Content::Nothing, Content::Frame)
    }
}

/// What is known of the end of a record.
struct Tail {
    /// Octets that the snapshot length cut off.
    cut: usize,
    /// Whether there is an FCS; where nobody says, it is taken for one if it is right, which by chance one in four
    /// thousand million frames without would be.
    fcs: Option<bool>,
    /// The receiver says that the FCS was wrong.
    bad: bool,
    /// The MAC header is padded to a multiple of four octets.
    padded: bool,
}

impl Tail {
    fn unsaid(cut: usize) -> Self {
        Tail { cut, fcs: None, bad: false, padded: false }
    }

    /// The frame that these octets are, without FCS and padding. `None` when nothing is left.
    fn frame<'a>(&self, octets: &'a [u8]) -> Option<Heard<'a>> {
        let (body, check, cut) = match self.fcs {
            Some(true) => {
                // The cut may have taken no more than the FCS.
                let rest = fcs::LEN.saturating_sub(self.cut);
                let (body, check) = octets.split_at_checked(octets.len().checked_sub(rest)?)?;
                (body, Some(check).filter(|check| check.len() == fcs::LEN), self.cut > fcs::LEN)
            }
            None if self.cut == 0 => (fcs::strip(octets).unwrap_or(octets), None, false),
            _ => (octets, None, self.cut > 0),
        };
        let bytes = if self.padded { unpadded(body) } else { Cow::Borrowed(body) };
        let right =
            |check: &[u8]| [&bytes, body].iter().any(|frame| fcs::crc32(frame).to_le_bytes() == check);
        let damaged = self.bad || check.is_some_and(|check| !right(check));
        (!bytes.is_empty()).then_some(Heard { bytes, damaged, cut })
    }
}

fn behind_radiotap(data: &[u8], cut: usize) -> Option<Heard<'_>> {
    match radiotap::parse(data) {
        Ok(header) => {
            // Without the flags field nothing is said of an FCS.
            let fcs = header.flags.and(header.fcs_present().then_some(true));
            let tail = Tail { cut, fcs, bad: header.bad_fcs(), padded: header.data_pad() };
            tail.frame(data.get(header.len..)?)
        }
        // Some drivers announce fields that their header has no room for. Where it ends is known all the same.
        Err(_) if data.first() == Some(&0) => {
            let length = u16::from_le_bytes(data.get(2..4)?.try_into().ok()?);
            Tail::unsaid(cut).frame(data.get(usize::from(length).max(8)..)?)
        }
        Err(_) => None,
    }
}

/// PPI: version, flags, length (16 bits), link type (32 bits), then fields. In the flags, bit 0 says that fields are
/// padded to four octets. Field 2 is 802.11-Common, whose own flags say whether there is an FCS (0x1) and whether it
/// was wrong (0x4).
fn ppi(data: &[u8], cut: usize) -> Option<Heard<'_>> {
    const COMMON: u16 = 2;
    let aligned = data.get(1)? & 1 != 0;
    let length = usize::from(u16::from_le_bytes(data.get(2..4)?.try_into().ok()?));
    let link_type = u32::from_le_bytes(data.get(4..8)?.try_into().ok()?);
    let frame = data.get(length..)?;
    let mut fields = data.get(8..length)?;
    let mut tail = Tail::unsaid(cut);
    while let Some((head, rest)) = fields.split_first_chunk::<4>() {
        let number = u16::from_le_bytes([head[0], head[1]]);
        let size = usize::from(u16::from_le_bytes([head[2], head[3]]));
        if number == COMMON
            && let Some(octets) = rest.get(8..10)
        {
            tail.fcs = (octets[0] & 0x1 != 0).then_some(true);
            tail.bad = octets[0] & 0x4 != 0;
        }
        let size = if aligned { size.next_multiple_of(4) } else { size };
        fields = rest.get(size..).unwrap_or_default();
    }
    match link_type {
        105 => tail.frame(frame),
        127 => behind_radiotap(frame, cut),
        _ => None,
    }
}

/// Prism: message code and length (32 bits each, in the byte order of the capturing machine), then the rest of the
/// header. An AVS header may stand there instead; its version tells.
fn behind_prism(data: &[u8], cut: usize) -> Option<Heard<'_>> {
    /// Codes and lengths are below this, and not in the other byte order.
    const SMALL: u32 = 0x1_0000;
    let word = u32::from_be_bytes(data.get(..4)?.try_into().ok()?);
    if word & 0xffff_f000 == 0x8021_1000 {
        return behind_avs(data, cut);
    }
    let octets = data.get(4..8)?.try_into().ok()?;
    let length = Some(u32::from_le_bytes(octets)).filter(|length| *length < SMALL);
    let length = length.unwrap_or(u32::from_be_bytes(octets));
    Tail::unsaid(cut).frame(data.get(usize::try_from(length).ok()?.max(8)..)?)
}

/// AVS: version and length (32 bits each, big-endian), then the rest of the header.
fn behind_avs(data: &[u8], cut: usize) -> Option<Heard<'_>> {
    let length = u32::from_be_bytes(data.get(4..8)?.try_into().ok()?);
    Tail::unsaid(cut).frame(data.get(usize::try_from(length).ok()?.max(8)..)?)
}

fn unpadded(octets: &[u8]) -> Cow<'_, [u8]> {
    let Ok(frame) = Frame::parse(octets) else { return Cow::Borrowed(octets) };
    let length = frame.header_len();
    match octets.get(length.next_multiple_of(4)..) {
        Some(body) if !length.is_multiple_of(4) => Cow::Owned([frame.header(), body].concat()),
        _ => Cow::Borrowed(octets),
    }
}
