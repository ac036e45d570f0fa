//! The pcap format: a file header of 24 octets, then records, each behind a header of 16.
//!
//! ```text
//! file:   magic 4 | major 2 | minor 2 | reserved 8 | snapshot length 4 | link type 4 (upper half: other information)
//! record: seconds 4 | micro- or nanoseconds 4 | captured length 4 | original length 4 | data
//! ```

use std::io::Read;

use super::source::Source;
use super::{CaptureError, Found, LinkType};

pub(super) const MAGIC_MICROS: u32 = 0xa1b2_c3d4;
pub(super) const MAGIC_NANOS: u32 = 0xa1b2_3c4d;

/// What the magic number says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    big_endian: bool,
    nanos_per_tick: u64,
}

impl Order {
    pub(super) fn of(magic: &[u8]) -> Option<Self> {
        let magic: [u8; 4] = magic.try_into().ok()?;
        let (big_endian, value) = match (u32::from_be_bytes(magic), u32::from_le_bytes(magic)) {
            (value @ (MAGIC_MICROS | MAGIC_NANOS), _) => (true, value),
            (_, value @ (MAGIC_MICROS | MAGIC_NANOS)) => (false, value),
            _ => return None,
        };
        Some(Self { big_endian, nanos_per_tick: if value == MAGIC_NANOS { 1 } else { 1000 } })
    }

    fn u16(self, octets: &[u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(*octets) } else { u16::from_le_bytes(*octets) }
    }

    fn u32(self, octets: &[u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(*octets) } else { u32::from_le_bytes(*octets) }
    }
}

#[derive(Debug)]
pub(super) struct Header {
    order: Order,
    pub(super) link_type: LinkType,
}

impl Header {
    /// Reads what follows the magic number.
    pub(super) fn read(source: &mut Source<impl Read>, order: Order) -> Result<Self, CaptureError> {
        let mut rest = [0; 20];
        source.read_header(&mut rest, "the rest of the file header", 0)?;
        let [major_0, major_1, minor_0, minor_1, .., link_0, link_1, link_2, link_3] = rest;
        let (major, minor) = (order.u16(&[major_0, major_1]), order.u16(&[minor_0, minor_1]));
        if major != 2 {
            return Err(CaptureError::UnknownVersion { major, minor });
        }
        // The upper half tells about frame check sequences.
        let link_type = LinkType(order.u32(&[link_0, link_1, link_2, link_3]) as u16);
        Ok(Self { order, link_type })
    }

    pub(super) fn next_record(
        &self,
        source: &mut Source<impl Read>,
        number: u64,
    ) -> Result<Option<Found>, CaptureError> {
        let mut words = [[0; 4]; 4];
        if !source.read_header_or_end(words.as_flattened_mut(), "a record header", number - 1)? {
            return Ok(None);
        }
        let [seconds, ticks, captured, original_len] = words.map(|word| self.order.u32(&word));
        source.read_record(captured, number)?;
        // At most 2³² s + 2³² ms: far below 2⁶⁴ ns.
        let timestamp = u64::from(seconds) * 1_000_000_000 + u64::from(ticks) * self.order.nanos_per_tick;
        Ok(Some(Found { link_type: self.link_type, timestamp: Some(timestamp), original_len }))
    }
}
