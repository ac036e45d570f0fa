//! The frame check sequence: CRC-32 over header and body (802.11-2020 §9.2.4.8).

/// Octets of a frame check sequence.
pub const LEN: usize = 4;

/// The FCS of `frame` (which does not contain one), to be sent least significant octet first.
pub fn crc32(frame: &[u8]) -> u32 {
    let step = |crc: u32, octet: &u8| TABLE[usize::from(crc as u8 ^ octet)] ^ (crc >> 8);
    !frame.iter().fold(u32::MAX, step)
}

/// Appends the FCS to `frame`.
pub fn append(frame: &mut Vec<u8>) {
    let fcs = crc32(frame);
    frame.extend_from_slice(&fcs.to_le_bytes());
}

/// The frame without its FCS, or `None` when the FCS does not match (or nothing is there to match).
pub fn strip(frame_and_fcs: &[u8]) -> Option<&[u8]> {
    let (frame, fcs) = frame_and_fcs.split_last_chunk::<LEN>()?;
    (crc32(frame) == u32::from_le_bytes(*fcs)).then_some(frame)
}

/// One step of the reflected polynomial 0xEDB88320 for each octet value.
static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 != 0 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};
