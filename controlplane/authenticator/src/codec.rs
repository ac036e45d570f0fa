//! Snapshots as octets: a version, then fields in a fixed order, numbers big-endian.

use zeroize::Zeroizing;

use crate::{RestoreError, Time};

/// Writes a snapshot.
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub fn new(version: u8) -> Writer {
        // Enough for most, so that growth does not leave copies of keys behind.
        let mut bytes = Vec::with_capacity(768);
        bytes.push(version);
        Writer { bytes }
    }

    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub fn bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    pub fn time(&mut self, value: Time) {
        self.u64(value.0);
    }

    /// At most 65535 octets; more is cut off.
    pub fn bytes(&mut self, value: &[u8]) {
        let value = &value[..value.len().min(usize::from(u16::MAX))];
        self.u16(value.len() as u16);
        self.bytes.extend_from_slice(value);
    }

    pub fn raw(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Writer, T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads a snapshot.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], version: u8) -> Result<Reader<'a>, RestoreError> {
        match bytes.split_first() {
            None => Err(RestoreError::Malformed),
            Some((&found, bytes)) if found == version => Ok(Reader { bytes }),
            Some((&found, _)) => Err(RestoreError::Version(found)),
        }
    }

    pub fn u8(&mut self) -> Result<u8, RestoreError> {
        self.array().map(|[octet]: [u8; 1]| octet)
    }

    pub fn u16(&mut self) -> Result<u16, RestoreError> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, RestoreError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number that only ever counts up, and cannot have come near its end.
    pub fn counter(&mut self) -> Result<u64, RestoreError> {
        self.u64().and_then(|value| if value >> 63 == 0 { Ok(value) } else { Err(RestoreError::Malformed) })
    }

    pub fn bool(&mut self) -> Result<bool, RestoreError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RestoreError::Malformed),
        }
    }

    pub fn time(&mut self) -> Result<Time, RestoreError> {
        self.u64().map(Time)
    }

    pub fn bytes(&mut self) -> Result<Vec<u8>, RestoreError> {
        let len = self.u16()?;
        let (value, rest) = self.bytes.split_at_checked(usize::from(len)).ok_or(RestoreError::Malformed)?;
        self.bytes = rest;
        Ok(value.to_vec())
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], RestoreError> {
        let (value, rest) = self.bytes.split_first_chunk::<N>().ok_or(RestoreError::Malformed)?;
        self.bytes = rest;
        Ok(*value)
    }

    pub fn secret<const N: usize>(&mut self) -> Result<Zeroizing<[u8; N]>, RestoreError> {
        self.array().map(Zeroizing::new)
    }

    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, RestoreError>,
    ) -> Result<Option<T>, RestoreError> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    pub fn end(self) -> Result<(), RestoreError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(RestoreError::Malformed) }
    }
}
