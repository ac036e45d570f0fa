//! The attributes inside the tunnel: Diameter AVPs as EAP-TTLS has them (RFC 5281 §10.1).
//!
//! ```text
//! code (4)  flags (1)  length (3, of header and data)  data  padding to a multiple of 4
//! ```

use zeroize::Zeroizing;

/// The sender wants the AVP understood.
const MANDATORY: u8 = 0x40;
const USER_NAME: u32 = 1;
const USER_PASSWORD: u32 = 2;
const HEADER: usize = 8;

/// The AVPs of PAP (RFC 5281 §11.2.5): the user's name, and the password padded with zeros to a multiple of 16 octets.
pub(super) fn pap(user: &str, password: &str) -> Zeroizing<Vec<u8>> {
    let padded_len = password.len().next_multiple_of(16).max(16);
    let mut padded = Zeroizing::new(vec![0; padded_len]);
    padded[..password.len()].copy_from_slice(password.as_bytes());
    // The whole length at once, so that no copy of the password is left behind by growth.
    let mut avps = Zeroizing::new(Vec::with_capacity(2 * HEADER + user.len() + 3 + padded_len));
    push(&mut avps, USER_NAME, user.as_bytes());
    push(&mut avps, USER_PASSWORD, &padded);
    avps
}

fn push(avps: &mut Vec<u8>, code: u32, data: &[u8]) {
    avps.extend_from_slice(&code.to_be_bytes());
    avps.push(MANDATORY);
    avps.extend_from_slice(&((HEADER + data.len()) as u32).to_be_bytes()[1..]);
    avps.extend_from_slice(data);
    avps.resize(avps.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_password_are_laid_out_and_padded() {
        let avps = pap("ana", "s3cret");
        let mut expected = vec![0, 0, 0, 1, 0x40, 0, 0, 11];
        expected.extend_from_slice(b"ana\0");
        expected.extend_from_slice(&[0, 0, 0, 2, 0x40, 0, 0, 24]);
        expected.extend_from_slice(b"s3cret\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(*avps, expected);
        assert_eq!(pap("ana", &"x".repeat(17)).len(), 12 + 8 + 32);
        assert_eq!(pap("ana", "").len(), 12 + 8 + 16);
    }
}
