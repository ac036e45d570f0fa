//! The UDP header (RFC 768).

use super::checksum::Sum;

/// Octets of the header.
pub const LEN: usize = 8;

/// A header whose length is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Octets of header and data.
    pub len: usize,
    /// As it came; 0: none.
    pub checksum: u16,
}

/// Reads the header of `segment`; `None` if it is not there whole, or says a length that is not there.
#[inline]
pub fn parse(segment: &[u8]) -> Option<Udp> {
    let header = segment.first_chunk::<LEN>()?;
    let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let len = usize::from(number(4));
    (LEN..=segment.len()).contains(&len).then(|| Udp {
        source: number(0),
        destination: number(2),
        len,
        checksum: number(6),
    })
}

/// Ports of the UDP header that a quotation begins with: source and destination.
pub fn quoted_ports(segment: &[u8]) -> Option<(u16, u16)> {
    let ports = segment.first_chunk::<LEN>()?;
    Some((u16::from_be_bytes([ports[0], ports[1]]), u16::from_be_bytes([ports[2], ports[3]])))
}

/// Writes the header of a segment without checksum.
#[inline]
pub fn write(place: &mut [u8; LEN], source: u16, destination: u16, len: u16) {
    place[..2].copy_from_slice(&source.to_be_bytes());
    place[2..4].copy_from_slice(&destination.to_be_bytes());
    place[4..6].copy_from_slice(&len.to_be_bytes());
    place[6..].fill(0);
}

/// Fills in the checksum of a segment that has none, given the sum of its pseudo header.
#[inline]
pub fn write_checksum(segment: &mut [u8], pseudo: Sum) {
    let checksum = match pseudo.octets(segment).checksum() {
        // Zero would say that there is none.
        0 => 0xffff,
        checksum => checksum,
    };
    if let Some(place) = segment.get_mut(6..8) {
        place.copy_from_slice(&checksum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut segment = vec![0x55; 13];
        write(segment.first_chunk_mut().unwrap(), 5247, 40000, 12);
        write_checksum(&mut segment[..12], Sum::ZERO);
        assert_eq!(Sum::ZERO.octets(&segment[..12]).checksum(), 0);
        let udp = parse(&segment).unwrap();
        assert_eq!((udp.source, udp.destination, udp.len), (5247, 40000, 12));
        assert_eq!(quoted_ports(&segment), Some((5247, 40000)));
        assert_eq!(parse(&segment[..11]), None);
        segment[5] = 7;
        assert_eq!(parse(&segment), None);
        assert_eq!(parse(&segment[..7]), None);
    }

    #[test]
    fn a_checksum_of_zero_is_written_as_all_ones() {
        let mut segment = [0xff, 0xff, 0, 0, 0, 0, 0, 0];
        write_checksum(&mut segment, Sum::ZERO);
        assert_eq!(segment[6..], [0xff, 0xff]);
    }
}
