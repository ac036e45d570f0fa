//! A byte stream read in bounded pieces, with the buffer of the current record.

use std::io::{self, ErrorKind, Read};

use super::{CaptureError, MAX_RECORD};

#[derive(Debug)]
pub(super) struct Source<R> {
    stream: R,
    record: Vec<u8>,
}

impl<R: Read> Source<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, record: Vec::new() }
    }

    /// The current record.
    pub(super) fn record(&self) -> &[u8] {
        &self.record
    }

    /// Reads until `into` is full or the stream is at its end. Returns the octets read.
    pub(super) fn read_up_to(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut got = 0;
        while got < into.len() {
            match self.stream.read(&mut into[got..]) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(got)
    }

    /// Fills `into` with a header that must be there.
    pub(super) fn read_header(
        &mut self,
        into: &mut [u8],
        header: &'static str,
        record: u64,
    ) -> Result<(), CaptureError> {
        let left = self.read_up_to(into)?;
        if left < into.len() {
            return Err(CaptureError::TruncatedHeader {
                header,
                record,
                wanted: into.len() as u64,
                left: left as u64,
            });
        }
        Ok(())
    }

    /// Fills `into` with a header, or returns false if the stream ends cleanly before it.
    pub(super) fn read_header_or_end(
        &mut self,
        into: &mut [u8],
        header: &'static str,
        record: u64,
    ) -> Result<bool, CaptureError> {
        match self.read_up_to(into)? {
            0 => Ok(false),
            got if got < into.len() => Err(CaptureError::TruncatedHeader {
                header,
                record,
                wanted: into.len() as u64,
                left: got as u64,
            }),
            _ => Ok(true),
        }
    }

    /// Reads the `len` octets of record number `record` into the buffer.
    pub(super) fn read_record(&mut self, len: u32, record: u64) -> Result<(), CaptureError> {
        if len > MAX_RECORD {
            return Err(CaptureError::RecordTooLong { record, len: len.into() });
        }
        self.record.clear();
        // Reading through `take` grows the buffer with what is there, not with what the file says is there.
        let left = self.stream.by_ref().take(len.into()).read_to_end(&mut self.record)?;
        if left < len as usize {
            return Err(CaptureError::Truncated { record, wanted: len.into(), left: left as u64 });
        }
        Ok(())
    }

    /// Passes over `len` octets that must be there.
    pub(super) fn skip(&mut self, len: u64, header: &'static str, record: u64) -> Result<(), CaptureError> {
        let left = io::copy(&mut self.stream.by_ref().take(len), &mut io::sink())?;
        if left < len {
            return Err(CaptureError::TruncatedHeader { header, record, wanted: len, left });
        }
        Ok(())
    }
}
