//! EAP-Message (RFC 3579 §3.1): one EAP packet spread over attributes of at most 253 octets.

use super::{AttributeError, AttributeList, AttributeType, Attributes, MAX_VALUE_LEN};

/// Why the EAP-Message attributes do not hold an EAP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EapError {
    /// There is none.
    #[error("there is no EAP-Message")]
    Absent,
    /// Another attribute stands between two of them, which RFC 3579 §3.1 forbids.
    #[error("the EAP-Message attributes do not follow each other")]
    Apart,
    /// The Length of the EAP header (RFC 3748 §4.1) is not what the attributes hold.
    #[error("the EAP header says {says} octets, the EAP-Message attributes hold {holds}")]
    Length {
        /// Length field, 0 if the header itself is cut.
        says: usize,
        /// Octets held.
        holds: usize,
    },
}

/// Adds an EAP packet as consecutive EAP-Message attributes.
pub fn split_eap(list: &mut AttributeList, eap: &[u8]) -> Result<(), AttributeError> {
    eap.chunks(MAX_VALUE_LEN).try_for_each(|part| list.push(AttributeType::EAP_MESSAGE, part))
}

/// Joins the EAP-Message attributes and checks the length in the EAP header.
///
/// Octets beyond the EAP header's Length are data-link padding and dropped (RFC 3748 §4.1).
pub fn join_eap(attributes: Attributes<'_>) -> Result<Vec<u8>, EapError> {
    let mut eap = Vec::new();
    let (mut seen, mut left) = (false, false);
    for (kind, value) in attributes.iter() {
        if kind == AttributeType::EAP_MESSAGE {
            if left {
                return Err(EapError::Apart);
            }
            seen = true;
            eap.extend(value);
        } else if seen {
            left = true;
        }
    }
    if !seen {
        return Err(EapError::Absent);
    }
    let says = eap.get(2..4).map_or(0, |l| usize::from(u16::from_be_bytes([l[0], l[1]])));
    if says < 4 || says > eap.len() {
        return Err(EapError::Length { says, holds: eap.len() });
    }
    eap.truncate(says);
    Ok(eap)
}
