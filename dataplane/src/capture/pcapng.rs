//! The pcapng format: blocks, of which sections, interfaces and packets are read and the others passed over.
//!
//! ```text
//! block:     type 4 | total length 4 | body, padded to 4 | total length 4
//! section:   byte-order magic 4 | major 2 | minor 2 | section length 8 | options          (type 0x0a0d0d0a)
//! interface: link type 2 | reserved 2 | snapshot length 4 | options                       (type 1)
//! packet:    interface 4 | time 8 | captured length 4 | original length 4 | data | options  (type 6, enhanced)
//!            interface 2 | drops 2 | time 8 | captured length 4 | original length 4 | data  (type 2, obsolete)
//!            original length 4 | data                                                     (type 3, simple)
//! option:    code 2 | length 2 | value, padded to 4
//! ```

use std::io::Read;

use super::source::Source;
use super::{CaptureError, Found, LinkType};

pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const OPTION_END: u16 = 0;
const OPTION_TIME_RESOLUTION: u16 = 9;
const OPTION_TIME_OFFSET: u16 = 14;

/// Type and length before the body of a block, length after it.
const FRAME: u32 = 12;
/// More interfaces than any machine captures on; bounds what a file can make us remember.
const MAX_INTERFACES: usize = 4096;
/// Interface blocks are read as a whole; a longer one has no business here.
const MAX_INTERFACE_BLOCK: u32 = 65_536;

/// The section being read.
#[derive(Debug)]
pub(super) struct Section {
    big_endian: bool,
    interfaces: Vec<Interface>,
}

#[derive(Debug)]
struct Interface {
    link_type: LinkType,
    snapshot: u32,
    resolution: Resolution,
    offset_seconds: i64,
}

/// Ticks per second.
#[derive(Clone, Copy, Debug)]
enum Resolution {
    PowerOf10(u8),
    PowerOf2(u8),
}

impl Section {
    /// Reads what follows the block type of a section header block.
    pub(super) fn read(source: &mut Source<impl Read>, records: u64) -> Result<Self, CaptureError> {
        const NAME: &str = "a section header";
        let malformed = |what| CaptureError::Malformed { what, record: records };
        let mut head = [[0; 4]; 3];
        source.read_header(head.as_flattened_mut(), NAME, records)?;
        let [length, magic, version] = head;
        let big_endian = match (u32::from_be_bytes(magic), u32::from_le_bytes(magic)) {
            (BYTE_ORDER, _) => true,
            (_, BYTE_ORDER) => false,
            _ => return Err(malformed("a section header without byte-order mark")),
        };
        let section = Self { big_endian, interfaces: Vec::new() };
        let (major, minor) = (section.u16([version[0], version[1]]), section.u16([version[2], version[3]]));
        // 1.2 is what some writers put for 1.0.
        if major != 1 || (minor != 0 && minor != 2) {
            return Err(CaptureError::UnknownVersion { major, minor });
        }
        let length = section.u32(length);
        // The frame, and 16 octets of which 8 are read by now.
        let rest = length.checked_sub(FRAME + 8).filter(|rest| rest % 4 == 0 && *rest >= 8);
        let rest = rest.ok_or_else(|| malformed("a section header of impossible length"))?;
        source.skip(rest.into(), NAME, records)?;
        section.end_block(source, length, records)?;
        Ok(section)
    }

    pub(super) fn first_link_type(&self) -> Option<LinkType> {
        self.interfaces.first().map(|i| i.link_type)
    }

    /// Reads blocks up to and including the next packet, whose number in the file is `number`.
    pub(super) fn next_record(
        &mut self,
        source: &mut Source<impl Read>,
        number: u64,
    ) -> Result<Option<Found>, CaptureError> {
        let records = number - 1;
        loop {
            let mut kind = [0; 4];
            if !source.read_header_or_end(&mut kind, "a block header", records)? {
                return Ok(None);
            }
            // The same in both byte orders, and the order of what follows is not known yet.
            if u32::from_be_bytes(kind) == SECTION_HEADER {
                *self = Self::read(source, records)?;
                continue;
            }
            let mut length = [0; 4];
            source.read_header(&mut length, "the length of a block", records)?;
            let (kind, length) = (self.u32(kind), self.u32(length));
            let malformed = |what| CaptureError::Malformed { what, record: records };
            let body = length.checked_sub(FRAME).filter(|body| body % 4 == 0);
            let body = body.ok_or_else(|| malformed("a block of impossible length"))?;
            let found = match kind {
                INTERFACE => {
                    self.read_interface(source, body, records)?;
                    None
                }
                ENHANCED_PACKET | OBSOLETE_PACKET => Some(self.read_packet(source, kind, body, number)?),
                SIMPLE_PACKET => Some(self.read_simple_packet(source, body, number)?),
                _ => {
                    source.skip(body.into(), "the body of a block", records)?;
                    None
                }
            };
            self.end_block(source, length, records)?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    fn read_interface(
        &mut self,
        source: &mut Source<impl Read>,
        body: u32,
        records: u64,
    ) -> Result<(), CaptureError> {
        const NAME: &str = "an interface description";
        let malformed = |what| CaptureError::Malformed { what, record: records };
        if !(8..=MAX_INTERFACE_BLOCK).contains(&body) {
            return Err(malformed("an interface description of impossible length"));
        }
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(malformed("one interface description too many"));
        }
        let mut head = [[0; 4]; 2];
        source.read_header(head.as_flattened_mut(), NAME, records)?;
        let mut interface = Interface {
            link_type: LinkType(self.u16([head[0][0], head[0][1]])),
            snapshot: self.u32(head[1]),
            resolution: Resolution::PowerOf10(6),
            offset_seconds: 0,
        };
        let mut left = body - 8;
        while left >= 4 {
            let mut head = [[0; 2]; 2];
            source.read_header(head.as_flattened_mut(), NAME, records)?;
            left -= 4;
            let [code, length] = head.map(|octets| self.u16(octets));
            let padded = u32::from(length).next_multiple_of(4);
            if padded > left {
                return Err(malformed("an option longer than its interface description"));
            }
            left -= padded;
            match (code, length) {
                (OPTION_END, _) => {
                    source.skip(padded.into(), NAME, records)?;
                    break;
                }
                (OPTION_TIME_RESOLUTION, 1) => {
                    let mut value = [0; 4];
                    source.read_header(&mut value, NAME, records)?;
                    let exponent = value[0] & 0x7f;
                    interface.resolution = if value[0] & 0x80 == 0 {
                        Resolution::PowerOf10(exponent)
                    } else {
                        Resolution::PowerOf2(exponent)
                    };
                }
                (OPTION_TIME_OFFSET, 8) => {
                    let mut value = [0; 8];
                    source.read_header(&mut value, NAME, records)?;
                    interface.offset_seconds =
                        if self.big_endian { i64::from_be_bytes(value) } else { i64::from_le_bytes(value) };
                }
                _ => source.skip(padded.into(), NAME, records)?,
            }
        }
        source.skip(left.into(), NAME, records)?;
        self.interfaces.push(interface);
        Ok(())
    }

    fn read_packet(
        &self,
        source: &mut Source<impl Read>,
        kind: u32,
        body: u32,
        number: u64,
    ) -> Result<Found, CaptureError> {
        let malformed = |what| CaptureError::Malformed { what, record: number - 1 };
        let room = body.checked_sub(20).ok_or_else(|| malformed("a packet block of impossible length"))?;
        let mut head = [[0; 4]; 5];
        source.read_header(head.as_flattened_mut(), "the head of a packet block", number - 1)?;
        let interface = match kind {
            OBSOLETE_PACKET => self.u16([head[0][0], head[0][1]]).into(),
            _ => self.u32(head[0]),
        };
        let [_, high, low, captured, original_len] = head.map(|word| self.u32(word));
        if captured > room {
            return Err(malformed("a packet longer than its block"));
        }
        let interface = self.interface(interface, number)?;
        source.read_record(captured, number)?;
        source.skip((room - captured).into(), "the rest of a packet block", number)?;
        let timestamp = interface.nanos(u64::from(high) << 32 | u64::from(low));
        Ok(Found { link_type: interface.link_type, timestamp: Some(timestamp), original_len })
    }

    fn read_simple_packet(
        &self,
        source: &mut Source<impl Read>,
        body: u32,
        number: u64,
    ) -> Result<Found, CaptureError> {
        let malformed = |what| CaptureError::Malformed { what, record: number - 1 };
        let room = body.checked_sub(4).ok_or_else(|| malformed("a packet block of impossible length"))?;
        let mut head = [0; 4];
        source.read_header(&mut head, "the head of a packet block", number - 1)?;
        let original_len = self.u32(head);
        let interface = self.interface(0, number)?;
        // It has no captured length: that is the snapshot length's doing, and 0 means that there is none.
        let captured =
            if interface.snapshot == 0 { original_len } else { original_len.min(interface.snapshot) };
        if captured > room {
            return Err(malformed("a packet longer than its block"));
        }
        source.read_record(captured, number)?;
        source.skip((room - captured).into(), "the rest of a packet block", number)?;
        Ok(Found { link_type: interface.link_type, timestamp: None, original_len })
    }

    fn interface(&self, index: u32, number: u64) -> Result<&Interface, CaptureError> {
        self.interfaces.get(index as usize).ok_or(CaptureError::Malformed {
            what: "a packet of an interface that was not described",
            record: number - 1,
        })
    }

    /// Reads the total length again that ends every block.
    fn end_block(
        &self,
        source: &mut Source<impl Read>,
        length: u32,
        records: u64,
    ) -> Result<(), CaptureError> {
        let mut again = [0; 4];
        source.read_header(&mut again, "the end of a block", records)?;
        if self.u32(again) != length {
            return Err(CaptureError::Malformed {
                what: "a block whose two lengths differ",
                record: records,
            });
        }
        Ok(())
    }

    fn u16(&self, octets: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(octets) } else { u16::from_le_bytes(octets) }
    }

    fn u32(&self, octets: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(octets) } else { u32::from_le_bytes(octets) }
    }
}

impl Interface {
    /// Nanoseconds since the epoch of a time stamp in ticks.
    fn nanos(&self, ticks: u64) -> u64 {
        // Below 2⁹⁴, so below 10²⁹.
        let scaled = u128::from(ticks) * 1_000_000_000;
        let nanos = match self.resolution {
            Resolution::PowerOf10(exponent) => {
                10u128.checked_pow(exponent.into()).map_or(0, |unit| scaled / unit)
            }
            Resolution::PowerOf2(exponent) => scaled >> exponent,
        };
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX);
        let offset = i128::from(self.offset_seconds) * 1_000_000_000;
        u64::try_from(nanos.saturating_add(offset).max(0)).unwrap_or(u64::MAX)
    }
}
