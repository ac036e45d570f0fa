//! What a server answered, for the state machine that asked.

use std::{net::SocketAddr, time::Duration};

use super::{ServerId, request::seconds};
use crate::packet::{
    AttributeList, AttributeType, Attributes, Authenticator, Code, EapError, Msk, MskError, Packet, Secret,
    TerminationAction, Vlan, join_eap, msk, vlan,
};

/// A believed answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Who answered: to be given to the next request of the same EAP conversation.
    pub server: ServerId,
    /// What it says.
    pub outcome: Outcome,
}

/// What a server says.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Access-Challenge: the conversation goes on.
    Challenge(Challenge),
    /// Access-Accept.
    Accept(Box<Accept>),
    /// Access-Reject.
    Reject(Reject),
}

/// Access-Challenge.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// The EAP request for the device.
    pub eap: Vec<u8>,
    /// State, for the next request.
    pub state: Option<Vec<u8>>,
    /// How long to wait for the device, if the server says (Session-Timeout, RFC 3579 §2.3).
    pub timeout: Option<Duration>,
}

/// Access-Accept.
#[derive(Clone, Debug)]
pub struct Accept {
    /// EAP-Success for the device; absent where authentication was not by EAP (or by servers that omit it).
    pub eap: Option<Vec<u8>>,
    /// The keys, from MS-MPPE-Recv-Key and MS-MPPE-Send-Key. Methods without keys give none.
    pub msk: Option<Msk>,
    /// User-Name to use in accounting from now on (RFC 2865 §5.1).
    pub user_name: Option<Vec<u8>>,
    /// Class, each to be repeated in accounting (RFC 2865 §5.25).
    pub class: Vec<Vec<u8>>,
    /// Session-Timeout.
    pub session_timeout: Option<Duration>,
    /// What to do when it runs out.
    pub termination_action: TerminationAction,
    /// Idle-Timeout.
    pub idle_timeout: Option<Duration>,
    /// Acct-Interim-Interval. Below 60 s is against RFC 2869 §5.16: the caller decides on a floor.
    pub interim_interval: Option<Duration>,
    /// The VLAN assigned by tunnel attributes.
    pub vlan: Option<Vlan>,
    /// Filter-Id.
    pub filter_id: Option<String>,
    /// Chargeable-User-Identity, to be repeated in accounting (RFC 4372 §2.2).
    pub chargeable_user_identity: Option<Vec<u8>>,
    /// All attributes, as received.
    pub attributes: AttributeList,
}

/// Access-Reject.
#[derive(Clone, Debug)]
pub struct Reject {
    /// EAP-Failure for the device; absent where authentication was not by EAP (or by servers that omit it).
    pub eap: Option<Vec<u8>>,
    /// Reply-Message, parts joined.
    pub reply_message: Option<String>,
    /// All attributes, as received.
    pub attributes: AttributeList,
}

/// Why a believed reply is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// Its EAP-Message attributes are malformed, or missing from a challenge.
    #[error(transparent)]
    Eap(#[from] EapError),
    /// Its keys are malformed.
    #[error(transparent)]
    Keys(#[from] MskError),
    /// It is not of a code that answers an Access-Request.
    #[error("{0} does not answer an Access-Request")]
    Code(Code),
    /// It is no packet.
    #[error("it is not a RADIUS packet")]
    Malformed,
}

/// Reads a verified reply.
pub(crate) fn decode(
    server: ServerId,
    packet: Packet<'_>,
    secret: &Secret,
    request: &Authenticator,
) -> Result<Reply, BadReply> {
    let attributes = packet.attributes();
    let outcome = match packet.code() {
        Code::ACCESS_CHALLENGE => Outcome::Challenge(Challenge {
            eap: join_eap(attributes)?,
            state: attributes.first(AttributeType::STATE).map(Into::into),
            timeout: seconds(attributes.u32(AttributeType::SESSION_TIMEOUT)),
        }),
        Code::ACCESS_ACCEPT => Outcome::Accept(Box::new(accept(attributes, secret, request)?)),
        Code::ACCESS_REJECT => Outcome::Reject(Reject {
            eap: optional_eap(attributes)?,
            reply_message: reply_message(attributes),
            attributes: attributes.into(),
        }),
        other => return Err(BadReply::Code(other)),
    };
    Ok(Reply { server, outcome })
}

fn accept(attributes: Attributes<'_>, secret: &Secret, request: &Authenticator) -> Result<Accept, BadReply> {
    let octets = |kind| attributes.first(kind).map(<[u8]>::to_vec);
    Ok(Accept {
        eap: optional_eap(attributes)?,
        msk: msk(attributes, secret, request)?,
        user_name: octets(AttributeType::USER_NAME),
        class: attributes.all(AttributeType::CLASS).map(Into::into).collect(),
        session_timeout: seconds(attributes.u32(AttributeType::SESSION_TIMEOUT)),
        termination_action: match attributes.u32(AttributeType::TERMINATION_ACTION) {
            Some(1) => TerminationAction::RadiusRequest,
            _ => TerminationAction::Default,
        },
        idle_timeout: seconds(attributes.u32(AttributeType::IDLE_TIMEOUT)),
        interim_interval: seconds(attributes.u32(AttributeType::ACCT_INTERIM_INTERVAL)),
        vlan: vlan(attributes),
        filter_id: attributes.text(AttributeType::FILTER_ID),
        chargeable_user_identity: octets(AttributeType::CHARGEABLE_USER_IDENTITY),
        attributes: attributes.into(),
    })
}

fn optional_eap(attributes: Attributes<'_>) -> Result<Option<Vec<u8>>, EapError> {
    match join_eap(attributes) {
        Ok(eap) => Ok(Some(eap)),
        Err(EapError::Absent) => Ok(None),
        Err(error) => Err(error),
    }
}

fn reply_message(attributes: Attributes<'_>) -> Option<String> {
    let joined: Vec<u8> = attributes.all(AttributeType::REPLY_MESSAGE).flatten().copied().collect();
    (!joined.is_empty()).then(|| String::from_utf8_lossy(&joined).into_owned())
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// No server gave an answer that can be believed.
    #[error("no RADIUS server answers: {}", tried.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoServerAnswers {
        /// Each server tried, in order, and what happened.
        tried: Vec<ServerFailure>,
    },
    /// A server that holds the secret answered something of no use.
    #[error("RADIUS server {address} sent a bad reply: {problem}")]
    BadReply {
        /// The server.
        address: SocketAddr,
        /// What is wrong with it.
        problem: BadReply,
    },
    /// The request does not fit into a packet.
    #[error("the RADIUS request cannot be built: {0}")]
    Request(#[from] crate::packet::BuildError),
    /// The request names a server that is not configured.
    #[error("there is no RADIUS server number {}", .0.0)]
    UnknownServer(ServerId),
}

/// What happened at one server.
#[derive(Clone, Debug)]
pub struct ServerFailure {
    /// Its place in the configuration.
    pub server: ServerId,
    /// Where it should be.
    pub address: SocketAddr,
    /// How often the request was sent.
    pub transmissions: u32,
    /// For how long.
    pub waited: Duration,
    /// The likeliest cause.
    pub cause: FailureCause,
}

/// The likeliest cause of a missing answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureCause {
    /// Nothing came.
    Silent,
    /// ICMP says that nothing listens there.
    Refused,
    /// Replies came and failed the authenticator checks.
    SecretDiffers,
    /// Replies came, by the holder of the secret, but without Message-Authenticator.
    NoMessageAuthenticator,
    /// Replies came that are no proper packets or of an unexpected code.
    Malformed,
    /// All identifiers on all ports were in use for the whole time.
    Overloaded,
    /// The system cannot send there.
    Io(String),
}

impl std::fmt::Display for ServerFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { address, transmissions, waited, .. } = self;
        match &self.cause {
            FailureCause::Silent => write!(
                f,
                "{address} stayed silent ({transmissions} requests in {:.1} s): check that the address is right, that the \
                 server runs, that it has this access point among its clients, and that both have the same shared secret \
                 (servers ignore what they cannot verify)",
                waited.as_secs_f64()
            ),
            FailureCause::Refused => write!(
                f,
                "{address} is unreachable (connection refused): no RADIUS server listens there; check the port and that \
                 the server runs"
            ),
            FailureCause::SecretDiffers => write!(
                f,
                "replies from {address} fail the Message-Authenticator check: the shared secret differs from the server's; \
                 give both the same"
            ),
            FailureCause::NoMessageAuthenticator => write!(
                f,
                "replies from {address} carry no Message-Authenticator: update that server, or, for a legacy server \
                 only, set require_message_authenticator = false (CVE-2024-3596)"
            ),
            FailureCause::Malformed => {
                write!(f, "what comes from {address} are no RADIUS replies: check that the port is right")
            }
            FailureCause::Overloaded => write!(
                f,
                "all identifiers towards {address} were in use for {:.1} s: allow more source ports",
                waited.as_secs_f64()
            ),
            FailureCause::Io(error) => write!(f, "{address} cannot be reached: {error}"),
        }
    }
}
