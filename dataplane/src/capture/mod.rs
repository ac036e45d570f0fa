//! Capture files: reading pcap and pcapng, writing pcap.
//!
//! A [`CaptureReader`] takes any byte stream, tells the two formats and both byte orders apart by the first four octets, and hands out one
//! [`Record`] at a time. Memory is bounded by [`MAX_RECORD`] whatever the stream says, and no content makes it panic. Formats: pcap is
//! draft-ietf-opsawg-pcap, pcapng is draft-ietf-opsawg-pcapng.

use std::fmt;
use std::io::{self, Read};

pub use writer::{PcapWriter, Resolution};

mod pcap;
mod pcapng;
mod source;
mod writer;

use source::Source;

/// The longest record that is read: what libpcap accepts as snapshot length. A longer one is an error, not an allocation.
pub const MAX_RECORD: u32 = 262_144;

/// What the octets of a record begin with (the registry of tcpdump.org).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u16);

impl LinkType {
    /// IEEE 802.3 Ethernet, without FCS.
    pub const ETHERNET: Self = Self(1);
    /// Raw IPv4 or IPv6, told apart by the first four bits.
    pub const RAW: Self = Self(101);
    /// An IEEE 802.11 frame.
    pub const IEEE802_11: Self = Self(105);
    /// Linux "cooked" capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// A Prism header, then an IEEE 802.11 frame.
    pub const IEEE802_11_PRISM: Self = Self(119);
    /// A radiotap header, then an IEEE 802.11 frame.
    pub const IEEE802_11_RADIOTAP: Self = Self(127);
    /// An AVS header, then an IEEE 802.11 frame.
    pub const IEEE802_11_AVS: Self = Self(163);
    /// A per-packet information header, then what that says.
    pub const PPI: Self = Self(192);
    /// Linux "cooked" capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::ETHERNET => "Ethernet",
            Self::RAW => "raw IP",
            Self::IEEE802_11 => "802.11",
            Self::LINUX_SLL => "Linux cooked",
            Self::IEEE802_11_PRISM => "802.11 with Prism header",
            Self::IEEE802_11_RADIOTAP => "802.11 with radiotap header",
            Self::IEEE802_11_AVS => "802.11 with AVS header",
            Self::PPI => "PPI",
            Self::LINUX_SLL2 => "Linux cooked, version 2",
            Self(number) => return write!(f, "link type {number}"),
        };
        write!(f, "{name} (link type {})", self.0)
    }
}

impl fmt::Debug for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One captured packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in the file, from 1 on.
    pub number: u64,
    /// What `data` begins with.
    pub link_type: LinkType,
    /// When it was captured, in nanoseconds since the Unix epoch, as finely as the file knows; `None` where the format has none (simple packet
    /// blocks). Saturates at both ends of the range.
    pub timestamp: Option<u64>,
    /// Octets that it had before the snapshot length cut it, as the file says.
    pub original_len: u32,
    /// The octets captured.
    pub data: &'a [u8],
}

/// Why a capture cannot be read (further). What came before the error was good.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file does not begin as either format does.
    #[error(
        "not a capture: the file begins with {}, which is neither pcap nor pcapng. Save it as one of these, and unpack it first if it is compressed",
        Octets(.0)
    )]
    UnknownFormat(Vec<u8>),
    /// The file ends inside of a record.
    #[error(
        "truncated capture: record {record} says {wanted} octets, file has {left} left. The records before it were read; \
         copy the file again, or stop the capturing program before copying"
    )]
    Truncated {
        /// Which record, from 1 on.
        record: u64,
        /// Octets that it should have, from where they begin.
        wanted: u64,
        /// Octets that the file has from there on.
        left: u64,
    },
    /// The file ends inside of a header.
    #[error(
        "truncated capture: {header} of {wanted} octets expected after record {record}, file has {left} left. The records up to there were read; \
         copy the file again, or stop the capturing program before copying"
    )]
    TruncatedHeader {
        /// Of what.
        header: &'static str,
        /// The last complete record before, 0 if none.
        record: u64,
        /// Octets that it should have.
        wanted: u64,
        /// Octets that the file has.
        left: u64,
    },
    /// A record is longer than any capturing program writes.
    #[error(
        "damaged capture: record {record} says {len} octets, more than the {MAX_RECORD} that any capture holds. The records before it were read"
    )]
    RecordTooLong {
        /// Which record, from 1 on.
        record: u64,
        /// What it says.
        len: u64,
    },
    /// A structure contradicts itself or the format.
    #[error("damaged capture: {what} after record {record}. The records up to there were read")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// The last complete record before, 0 if none.
        record: u64,
    },
    /// A version that is not known.
    #[error(
        "capture of format version {major}.{minor}, which is not known here. Convert it with a current `editcap` or `tcpdump -r … -w …`"
    )]
    UnknownVersion {
        /// Major.
        major: u16,
        /// Minor.
        minor: u16,
    },
    /// The stream could not be read.
    #[error("cannot read the capture: {0}")]
    Read(io::Error),
}

impl From<io::Error> for CaptureError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// Reads a pcap or pcapng capture from a stream.
#[derive(Debug)]
pub struct CaptureReader<R> {
    source: Source<R>,
    format: Format,
    records: u64,
    failed: bool,
}

#[derive(Debug)]
enum Format {
    Pcap(pcap::Header),
    Pcapng(pcapng::Section),
}

impl<R: Read> CaptureReader<R> {
    /// Reads the header. The reader reads in small pieces: give a plain file a [`BufReader`](std::io::BufReader).
    ///
    /// # Errors
    /// [`CaptureError`], also for an empty stream.
    pub fn new(stream: R) -> Result<Self, CaptureError> {
        let mut source = Source::new(stream);
        let mut magic = [0; 4];
        let got = source.read_up_to(&mut magic)?;
        let format = if let Some(order) = pcap::Order::of(&magic[..got]) {
            Format::Pcap(pcap::Header::read(&mut source, order)?)
        } else if magic[..got] == pcapng::SECTION_HEADER.to_be_bytes() {
            Format::Pcapng(pcapng::Section::read(&mut source, 0)?)
        } else {
            return Err(CaptureError::UnknownFormat(magic[..got].to_vec()));
        };
        Ok(Self { source, format, records: 0, failed: false })
    }

    /// The next record, or `None` at the end of the stream (if the stream grows, at its end for now). After an error there is nothing more.
    ///
    /// # Errors
    /// [`CaptureError`]: see there.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, CaptureError> {
        if self.failed {
            return Ok(None);
        }
        let result = match &mut self.format {
            Format::Pcap(header) => header.next_record(&mut self.source, self.records + 1),
            Format::Pcapng(section) => section.next_record(&mut self.source, self.records + 1),
        };
        match result {
            Ok(Some(found)) => {
                self.records += 1;
                Ok(Some(Record {
                    number: self.records,
                    link_type: found.link_type,
                    timestamp: found.timestamp,
                    original_len: found.original_len,
                    data: self.source.record(),
                }))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                self.failed = true;
                Err(error)
            }
        }
    }

    /// What the records begin with: of the whole file for pcap, of the first interface so far described for pcapng.
    pub fn link_type(&self) -> Option<LinkType> {
        match &self.format {
            Format::Pcap(header) => Some(header.link_type),
            Format::Pcapng(section) => section.first_link_type(),
        }
    }
}

/// A record whose data is in the source's buffer.
struct Found {
    link_type: LinkType,
    timestamp: Option<u64>,
    original_len: u32,
}

struct Octets<'a>(&'a [u8]);

impl fmt::Display for Octets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing (it is empty)");
        }
        for (i, octet) in self.0.iter().enumerate() {
            write!(f, "{}{octet:02x}", if i == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}
