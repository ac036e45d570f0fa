//! Cutting a frame into datagrams that fit the path (RFC 5415 §3.4).

use super::MAX_FRAME;
use super::header::{EncodedHeader, FragmentField, Header, MAX_HEADER_LEN};

/// The shortest `max_datagram` that [`fragment`] takes: the longest header and 8 octets of frame.
pub const MIN_DATAGRAM: usize = MAX_HEADER_LEN + 8;

/// Why a frame cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// Longer than [`MAX_FRAME`].
    #[error("frame of {0} octets is longer than a tunnel carries")]
    TooLong(usize),
    /// Nothing to send.
    #[error("frame without octets")]
    Empty,
    /// The path takes less than [`MIN_DATAGRAM`] octets.
    #[error("datagrams of {0} octets have no room for a fragment")]
    Datagram(usize),
}

/// The longest UDP payload on a path whose MTU is `path_mtu` octets, IP header (without options) included.
pub const fn max_datagram(path_mtu: usize, ipv6: bool) -> usize {
    path_mtu.saturating_sub(if ipv6 { 40 + 8 } else { 20 + 8 })
}

/// Cuts `frame` into datagrams of at most `max_datagram` octets of UDP payload.
///
/// A frame that fits goes out whole with `header` as it is (flag F clear). Otherwise each fragment but the last
/// carries a multiple of 8 octets, and only the first carries the optional parts of `header`; `id` must differ from
/// that of the fragmented frames shortly before, in this direction and to this peer (RFC 5415 §4.3).
pub fn fragment<'a>(
    header: Header,
    frame: &'a [u8],
    max_datagram: usize,
    id: u16,
) -> Result<Fragments<'a>, FragmentError> {
    if frame.is_empty() {
        return Err(FragmentError::Empty);
    }
    if frame.len() > MAX_FRAME {
        return Err(FragmentError::TooLong(frame.len()));
    }
    if max_datagram < MIN_DATAGRAM {
        return Err(FragmentError::Datagram(max_datagram));
    }
    Ok(Fragments { header, frame, offset: 0, max_datagram, id })
}

/// One datagram: its header and its part of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The header's octets.
    pub header: EncodedHeader,
    /// The part of the frame.
    pub payload: &'a [u8],
}

impl Fragment<'_> {
    /// The datagram in one piece.
    pub fn datagram(&self) -> Vec<u8> {
        [self.header.as_bytes(), self.payload].concat()
    }
}

/// The datagrams of one frame, in order.
#[derive(Debug, Clone)]
pub struct Fragments<'a> {
    header: Header,
    frame: &'a [u8],
    offset: usize,
    max_datagram: usize,
    id: u16,
}

impl<'a> Iterator for Fragments<'a> {
    type Item = Fragment<'a>;

    fn next(&mut self) -> Option<Fragment<'a>> {
        let rest = self.frame.get(self.offset..).filter(|rest| !rest.is_empty())?;
        let mut header = self.header;
        if self.offset > 0 {
            header.radio_mac = None;
            header.wireless = None;
        }
        let room = self.max_datagram - header.encoded_len();
        let last = rest.len() <= room;
        let payload = if last { rest } else { &rest[..room & !7] };
        if self.offset > 0 || !last {
            header.fragment = Some(FragmentField { id: self.id, offset: self.offset as u16, last });
        }
        self.offset += payload.len();
        Some(Fragment { header: header.encode(), payload })
    }
}
