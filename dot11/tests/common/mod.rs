//! What several test files need.
#![allow(dead_code, reason = "each test file uses a part of it")]

use dot11::MacAddr;

/// The octets of a hexadecimal text; blanks are skipped.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|octet| !octet.is_ascii_whitespace())
        .map(|octet| (octet as char).to_digit(16).expect("a hexadecimal digit") as u8)
        .collect();
    assert!(digits.len().is_multiple_of(2), "half an octet in {text}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The same, for a text of known length.
pub fn array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().expect("the expected length")
}

pub const AP: MacAddr = MacAddr([0x02, 0xaa, 0, 0, 0, 1]);
pub const DEVICE: MacAddr = MacAddr([0x02, 0xbb, 0, 0, 0, 2]);
pub const HOST: MacAddr = MacAddr([0x02, 0xcc, 0, 0, 0, 3]);
