//! Whole packets: header, Message-Authenticator first, attributes, and the authenticators over them.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};

use super::{
    AttributeError, AttributeList, AttributeType, Attributes, Authenticator, Code, HEADER_LEN, HideError,
    MAX_PACKET_LEN, Secret, hide_user_password,
};

/// Offset of the Message-Authenticator's value when it is the first attribute.
const MESSAGE_AUTHENTICATOR_AT: usize = HEADER_LEN + 2;

/// A clear-text password on its way into User-Password (it depends on the authenticator of the request).
#[derive(Clone, Copy)]
pub struct Password<'a>(pub &'a [u8]);

/// Builds an Access-Request. `authenticator` must be unpredictable and never repeat (RFC 2865 §3).
///
/// Message-Authenticator is always there and always first, against prefix collisions (CVE-2024-3596).
pub fn encode_access_request(
    identifier: u8,
    authenticator: Authenticator,
    attributes: Attributes<'_>,
    password: Option<Password<'_>>,
    secret: &Secret,
) -> Result<Vec<u8>, BuildError> {
    let mut list = AttributeList::new();
    if let Some(Password(clear)) = password {
        list.push(AttributeType::USER_PASSWORD, &hide_user_password(clear, secret, &authenticator)?)?;
    }
    list.extend(attributes)?;
    let mut packet = frame(Code::ACCESS_REQUEST, identifier, &authenticator, list.view(), true)?;
    seal_message_authenticator(&mut packet, secret);
    Ok(packet)
}

/// Builds a Status-Server (RFC 5997 §3), which asks a server whether it is alive.
pub fn encode_status_server(
    identifier: u8,
    authenticator: Authenticator,
    attributes: Attributes<'_>,
    secret: &Secret,
) -> Result<Vec<u8>, BuildError> {
    let mut packet = frame(Code::STATUS_SERVER, identifier, &authenticator, attributes, true)?;
    seal_message_authenticator(&mut packet, secret);
    Ok(packet)
}

/// Builds an Accounting-Request (or, with `code`, another request whose authenticator is a digest: RFC 5176 §2.3) and its
/// Request Authenticator, MD5(code + identifier + length + 16 zeros + attributes + secret) (RFC 2866 §3).
///
/// A Message-Authenticator is computed with zeros in place of the Request Authenticator, as in RFC 5176 §3.4.
pub fn encode_accounting_request(
    code: Code,
    identifier: u8,
    attributes: Attributes<'_>,
    secret: &Secret,
    message_authenticator: bool,
) -> Result<(Vec<u8>, Authenticator), BuildError> {
    let mut packet = frame(code, identifier, &[0; 16], attributes, message_authenticator)?;
    if message_authenticator {
        seal_message_authenticator(&mut packet, secret);
    }
    let authenticator = digest(&packet, secret);
    packet[4..HEADER_LEN].copy_from_slice(&authenticator);
    Ok((packet, authenticator))
}

/// Builds a reply: what a server sends, and what this access point answers to CoA and Disconnect requests.
///
/// The Message-Authenticator is computed over the packet with the Request Authenticator in place (RFC 3579 §3.2), then the
/// Response Authenticator over everything (RFC 2865 §3).
pub fn encode_reply(
    code: Code,
    identifier: u8,
    request: &Authenticator,
    attributes: Attributes<'_>,
    secret: &Secret,
    message_authenticator: bool,
) -> Result<Vec<u8>, BuildError> {
    let mut packet = frame(code, identifier, request, attributes, message_authenticator)?;
    if message_authenticator {
        seal_message_authenticator(&mut packet, secret);
    }
    let authenticator = digest(&packet, secret);
    packet[4..HEADER_LEN].copy_from_slice(&authenticator);
    Ok(packet)
}

/// Why a packet cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// An attribute does not fit.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// The password cannot be hidden.
    #[error(transparent)]
    Password(#[from] HideError),
    /// The system gives no random octets for the Request Authenticator.
    #[error("the system gives no random octets")]
    Entropy,
}

/// MD5 over the packet and the secret: Response Authenticator, or Request Authenticator of accounting.
pub(super) fn digest(packet: &[u8], secret: &Secret) -> Authenticator {
    Md5::new_with_prefix(packet).chain_update(secret.as_bytes()).finalize().into()
}

/// HMAC-MD5 over a packet whose Message-Authenticator value (at `at`) counts as zeros (RFC 3579 §3.2).
pub(super) fn message_authenticator(packet: &[u8], at: usize, secret: &Secret) -> Hmac<Md5> {
    let hmac = Hmac::<Md5>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    hmac.chain_update(&packet[..at]).chain_update([0; 16]).chain_update(&packet[at + 16..])
}

fn frame(
    code: Code,
    identifier: u8,
    authenticator: &Authenticator,
    attributes: Attributes<'_>,
    message_authenticator: bool,
) -> Result<Vec<u8>, BuildError> {
    let room = if message_authenticator { 18 } else { 0 };
    let length = HEADER_LEN + room + attributes.as_bytes().len();
    if length > MAX_PACKET_LEN {
        return Err(AttributeError::Full.into());
    }
    let mut packet = Vec::with_capacity(length);
    packet.extend([code.0, identifier]);
    packet.extend((length as u16).to_be_bytes());
    packet.extend(authenticator);
    if message_authenticator {
        packet.extend([AttributeType::MESSAGE_AUTHENTICATOR.0, 18]);
        packet.extend([0; 16]);
    }
    packet.extend(attributes.as_bytes());
    Ok(packet)
}

fn seal_message_authenticator(packet: &mut [u8], secret: &Secret) {
    let mac: [u8; 16] =
        message_authenticator(packet, MESSAGE_AUTHENTICATOR_AT, secret).finalize().into_bytes().into();
    packet[MESSAGE_AUTHENTICATOR_AT..MESSAGE_AUTHENTICATOR_AT + 16].copy_from_slice(&mac);
}
