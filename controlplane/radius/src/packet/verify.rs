//! Is a packet from who holds the secret, and is it the answer to what was asked?

use hmac::Mac;
use subtle::ConstantTimeEq;

use super::{
    AttributeType, Authenticator, Code, HEADER_LEN, Packet, PacketError, Secret,
    build::{digest, message_authenticator},
};

/// What a reply must carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyPolicy {
    /// Message-Authenticator in every reply (CVE-2024-3596): for everything that answers an Access-Request.
    Required,
    /// For legacy servers that omit it: only a reply with EAP-Message must have one (RFC 3579 §3.2 lets no one relax that).
    RequiredWithEap,
    /// Accounting-Response and the like, where servers do not send it; if present it must be right.
    IfPresent,
}

/// Why a reply is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Not a packet.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// The Response Authenticator is wrong.
    #[error("the Response Authenticator is wrong")]
    ResponseAuthenticator,
    /// The Message-Authenticator is wrong.
    #[error("the Message-Authenticator is wrong")]
    MessageAuthenticator,
    /// The Message-Authenticator that the policy demands is not there.
    #[error("there is no Message-Authenticator")]
    MissingMessageAuthenticator,
    /// More than one Message-Authenticator, or not of 16 octets.
    #[error("the Message-Authenticator is malformed")]
    MalformedMessageAuthenticator,
}

/// Why a request is not believed (server side: dynamic authorisation, tests).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The Request Authenticator of an accounting-like request is wrong.
    #[error("the Request Authenticator is wrong")]
    RequestAuthenticator,
    /// The Message-Authenticator is wrong or malformed.
    #[error("the Message-Authenticator is wrong")]
    MessageAuthenticator,
    /// There is no Message-Authenticator.
    #[error("there is no Message-Authenticator")]
    MissingMessageAuthenticator,
}

impl Packet<'_> {
    /// Checks a reply against the request's authenticator, in constant time.
    ///
    /// Message-Authenticator comes first: a wrong one is what tells a wrong secret, and MD5 alone proves nothing.
    pub fn verify_reply(
        &self,
        request: &Authenticator,
        secret: &Secret,
        policy: ReplyPolicy,
    ) -> Result<(), ReplyError> {
        let mut packet = self.bytes().to_vec();
        packet[4..HEADER_LEN].copy_from_slice(request);
        match self.message_authenticator_at() {
            Ok(Some(at)) => {
                let mac = message_authenticator(&packet, at, secret);
                mac.verify_slice(&self.bytes()[at..at + 16]).map_err(|_| ReplyError::MessageAuthenticator)?;
            }
            Ok(None) => {
                let eap = self.attributes().first(AttributeType::EAP_MESSAGE).is_some();
                // A wrong secret is told apart from a legacy server even where the attribute is missing.
                if policy == ReplyPolicy::Required || (policy == ReplyPolicy::RequiredWithEap && eap) {
                    return match self.response_authenticator_matches(&packet, secret) {
                        true => Err(ReplyError::MissingMessageAuthenticator),
                        false => Err(ReplyError::ResponseAuthenticator),
                    };
                }
            }
            Err(()) => return Err(ReplyError::MalformedMessageAuthenticator),
        }
        if self.response_authenticator_matches(&packet, secret) {
            Ok(())
        } else {
            Err(ReplyError::ResponseAuthenticator)
        }
    }

    /// Checks a request as a server does. Access-Request and Status-Server must carry Message-Authenticator; for the
    /// others the Request Authenticator is the proof and a Message-Authenticator is checked if present.
    pub fn verify_request(&self, secret: &Secret) -> Result<(), RequestError> {
        let digested = !matches!(self.code(), Code::ACCESS_REQUEST | Code::STATUS_SERVER);
        let mut packet = self.bytes().to_vec();
        if digested {
            packet[4..HEADER_LEN].fill(0);
            if !bool::from(digest(&packet, secret).ct_eq(&self.authenticator())) {
                return Err(RequestError::RequestAuthenticator);
            }
        }
        match self.message_authenticator_at() {
            Ok(Some(at)) => message_authenticator(&packet, at, secret)
                .verify_slice(&self.bytes()[at..at + 16])
                .map_err(|_| RequestError::MessageAuthenticator),
            Ok(None) if digested => Ok(()),
            Ok(None) => Err(RequestError::MissingMessageAuthenticator),
            Err(()) => Err(RequestError::MessageAuthenticator),
        }
    }

    /// `packet` is this reply with the Request Authenticator in place.
    fn response_authenticator_matches(&self, packet: &[u8], secret: &Secret) -> bool {
        digest(packet, secret).ct_eq(&self.authenticator()).into()
    }

    /// Offset of the value of the only Message-Authenticator.
    fn message_authenticator_at(&self) -> Result<Option<usize>, ()> {
        let mut found = self
            .attributes()
            .positions()
            .filter(|(_, kind, _)| *kind == AttributeType::MESSAGE_AUTHENTICATOR);
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some((at, _, value)), None) if value.len() == 16 => Ok(Some(HEADER_LEN + at)),
            _ => Err(()),
        }
    }
}
