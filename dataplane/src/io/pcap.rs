//! Capture files as packet I/O: replaying a pcap or pcapng file as what is received, recording what is sent.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::os::fd::RawFd;
use std::path::Path;

use super::{IoError, IoStats, PacketIo};
use crate::capture::{CaptureError, CaptureReader, LinkType, PcapWriter, Resolution};
use crate::clock::unix_nanos;
use crate::packet::{Burst, Pool};

/// A capture that is replayed, one that is recorded, or both. Replaying does not wait for the time stamps: packets come as fast as they are asked for,
/// with the time stamp in [`Meta::timestamp`](crate::packet::Meta). What is recorded gets the time stamp that is there, or the time of day if that is 0.
///
/// Reading and writing files may block, so this is for tests and debugging.
#[derive(Debug)]
pub struct PcapIo {
    replay: Option<Replay>,
    record: Option<PcapWriter<BufWriter<File>>>,
    stats: IoStats,
}

#[derive(Debug)]
struct Replay {
    reader: CaptureReader<BufReader<File>>,
    error: Option<CaptureError>,
    ended: bool,
}

impl PcapIo {
    /// Replays `path`. What is sent is refused, and counted as an error.
    ///
    /// # Errors
    /// [`IoError::Capture`].
    pub fn replay(path: &Path) -> Result<Self, IoError> {
        Self { replay: None, record: None, stats: IoStats::default() }.and_replay(path)
    }

    /// Records to `path`, which is overwritten, with nanoseconds. Nothing is received.
    ///
    /// # Errors
    /// [`IoError::Capture`].
    pub fn record(path: &Path, link_type: LinkType) -> Result<Self, IoError> {
        let failed = |source| capture_error(path, CaptureError::Read(source));
        let file = BufWriter::new(File::create(path).map_err(failed)?);
        let mut writer = PcapWriter::new(file, link_type, Resolution::Nanos).map_err(failed)?;
        writer.flush().map_err(failed)?;
        Ok(Self { replay: None, record: Some(writer), stats: IoStats::default() })
    }

    /// Replays `path` besides what this does already.
    ///
    /// # Errors
    /// [`IoError::Capture`].
    pub fn and_replay(mut self, path: &Path) -> Result<Self, IoError> {
        let failed = |source| capture_error(path, source);
        let file = BufReader::new(File::open(path).map_err(|source| failed(source.into()))?);
        let reader = CaptureReader::new(file).map_err(failed)?;
        self.replay = Some(Replay { reader, error: None, ended: false });
        Ok(self)
    }

    /// What the replayed packets begin with, as far as known.
    pub fn link_type(&self) -> Option<LinkType> {
        self.replay.as_ref()?.reader.link_type()
    }

    /// Whether everything was replayed (for a file that grows: everything that was there).
    pub fn ended(&self) -> bool {
        self.replay.as_ref().is_none_or(|replay| replay.ended)
    }

    /// Why the replay stopped early, if it did.
    pub fn error(&self) -> Option<&CaptureError> {
        self.replay.as_ref()?.error.as_ref()
    }

    /// Writes what is recorded and still in memory to the file. Dropping this does the same, but cannot tell whether it worked.
    ///
    /// # Errors
    /// The file's.
    pub fn flush(&mut self) -> std::io::Result<()> {
        self.record.as_mut().map_or(Ok(()), PcapWriter::flush)
    }
}

impl PacketIo for PcapIo {
    fn rx_burst(&mut self, pool: &Pool, out: &mut Burst) -> usize {
        let Some(replay) = &mut self.replay else { return 0 };
        let before = out.len();
        while !out.is_full() {
            let Some(mut packet) = pool.alloc() else {
                self.stats.rx_no_packet += 1;
                break;
            };
            let record = match replay.reader.next_record() {
                Ok(Some(record)) => record,
                Ok(None) => {
                    replay.ended = true;
                    break;
                }
                Err(error) => {
                    self.stats.rx_errors += 1;
                    replay.error = Some(error);
                    replay.ended = true;
                    break;
                }
            };
            replay.ended = false;
            if !packet.copy_from(record.data) {
                self.stats.rx_truncated += 1;
                continue;
            }
            packet.meta.timestamp = record.timestamp.unwrap_or(0);
            self.stats.rx_packets += 1;
            self.stats.rx_bytes += packet.len() as u64;
            if out.push(packet).is_err() {
                unreachable!("it is not full");
            }
        }
        out.len() - before
    }

    fn tx_burst(&mut self, burst: &mut Burst) -> usize {
        let done = burst.len();
        let now = unix_nanos();
        for packet in burst.drain() {
            let timestamp = if packet.meta.timestamp == 0 { now } else { packet.meta.timestamp };
            match self.record.as_mut().map(|writer| writer.write(timestamp, packet.data())) {
                Some(Ok(())) => {
                    self.stats.tx_packets += 1;
                    self.stats.tx_bytes += packet.len() as u64;
                }
                Some(Err(_)) | None => self.stats.tx_errors += 1,
            }
        }
        done
    }

    fn poll_fd(&self) -> Option<RawFd> {
        None
    }

    fn rx_ready(&self) -> bool {
        !self.ended()
    }

    fn stats(&self) -> IoStats {
        self.stats
    }
}

fn capture_error(path: &Path, error: CaptureError) -> IoError {
    IoError::Capture { path: path.display().to_string(), error }
}
