//! Writing pcap files.

use std::io::{self, Write};

use super::pcap::{MAGIC_MICROS, MAGIC_NANOS};
use super::{LinkType, MAX_RECORD};

/// How fine the time stamps of a pcap file are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolution {
    /// Microseconds: what every program reads.
    #[default]
    Micros,
    /// Nanoseconds.
    Nanos,
}

/// Writes a pcap file in this machine's byte order. Records longer than [`MAX_RECORD`] are cut to it, and say so.
#[derive(Debug)]
pub struct PcapWriter<W: Write> {
    stream: W,
    resolution: Resolution,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file header. The writer writes in small pieces: give a plain file a [`BufWriter`](std::io::BufWriter).
    ///
    /// # Errors
    /// The stream's.
    pub fn new(mut stream: W, link_type: LinkType, resolution: Resolution) -> io::Result<Self> {
        let magic = match resolution {
            Resolution::Micros => MAGIC_MICROS,
            Resolution::Nanos => MAGIC_NANOS,
        };
        let mut header = [0; 24];
        header[0..4].copy_from_slice(&magic.to_ne_bytes());
        header[4..6].copy_from_slice(&2u16.to_ne_bytes());
        header[6..8].copy_from_slice(&4u16.to_ne_bytes());
        header[16..20].copy_from_slice(&MAX_RECORD.to_ne_bytes());
        header[20..24].copy_from_slice(&u32::from(link_type.0).to_ne_bytes());
        stream.write_all(&header)?;
        Ok(Self { stream, resolution })
    }

    /// Writes one record. `timestamp` is in nanoseconds since the Unix epoch; seconds beyond 2³² − 1 (the year 2106) are written as that.
    ///
    /// # Errors
    /// The stream's.
    pub fn write(&mut self, timestamp: u64, data: &[u8]) -> io::Result<()> {
        let seconds = u32::try_from(timestamp / 1_000_000_000).unwrap_or(u32::MAX);
        let nanos = (timestamp % 1_000_000_000) as u32;
        let fraction = match self.resolution {
            Resolution::Micros => nanos / 1000,
            Resolution::Nanos => nanos,
        };
        let captured = &data[..data.len().min(MAX_RECORD as usize)];
        let original = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let header = [seconds, fraction, captured.len() as u32, original].map(u32::to_ne_bytes);
        self.stream.write_all(header.as_flattened())?;
        self.stream.write_all(captured)
    }

    /// Writes out what the stream buffers.
    ///
    /// # Errors
    /// The stream's.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }

    /// Gives the stream back, unflushed.
    pub fn into_inner(self) -> W {
        self.stream
    }
}
