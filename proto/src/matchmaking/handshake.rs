//! The handshake: Noise IK with a pre-shared key, of which a sealed `Admission` is the outcome.

mod primitives;

use prost::Message;
use snow::params::{
    BaseChoice, CipherChoice, DHChoice, HandshakeChoice, HandshakeModifier, HandshakeModifierList,
    HandshakePattern, HashChoice, NoiseParams,
};
use snow::{Builder, HandshakeState};

use self::primitives::{Curve, Primitives};
use super::Entropy;
use super::datagram::{self, NOISE_2, RESPONSE_HEAD};
use super::keys::{Key, PublicKey, StaticSecret};
use super::messages::{Admission, Identity};
use super::seal::{self, Aead};

/// What is spoken, in Noise's words.
pub const PROTOCOL: &str = "Noise_IKpsk2_25519_ChaChaPoly_SHA256";
/// Noise's prologue.
pub const PROLOGUE: &[u8] = b"ttg matchmaking 1";
/// Where IKpsk2 mixes in the pre-shared key.
const PSK: u8 = 2;
/// Octets that Noise adds to the payload of message 1: ephemeral key, sealed static key, tag.
const OVERHEAD_1: usize = 32 + 48 + 16;
/// The longest account name: that of an e-mail address (RFC 5321 §4.5.3.1.3, without its brackets).
const MAX_ACCOUNT: usize = 254;
const MAX_SOFTWARE: usize = 128;

#[cfg(feature = "matchmaking-server")]
const RESPONDER: Curve = Curve::ACCELERATED;
#[cfg(not(feature = "matchmaking-server"))]
const RESPONDER: Curve = Curve::PORTABLE;

/// Why there is no handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Noise refused: other keys, or changed on the way.
    #[error("the handshake is not with this key, or was changed on the way")]
    Noise,
    /// The payload is not what it must be.
    #[error("the handshake is right, but what it carries is not")]
    Payload,
    /// Account or software have too long a name.
    #[error("the name of an account has at most 254 octets, that of software 128")]
    Name,
}

impl From<snow::Error> for HandshakeError {
    fn from(_: snow::Error) -> HandshakeError {
        HandshakeError::Noise
    }
}

/// What both sides have afterwards.
#[derive(Debug, Clone)]
pub struct Keys {
    /// For requests.
    pub up: Key,
    /// For answers and pushes.
    pub down: Key,
}

/// The peer's side.
pub struct Initiator {
    state: HandshakeState,
    message: Vec<u8>,
}

impl Initiator {
    /// Makes message 1. `account_key` is zeros without account.
    pub fn new(
        local: &StaticSecret,
        matchmaker: &PublicKey,
        account_key: &Key,
        identity: &Identity,
        entropy: Entropy<'_>,
    ) -> Result<Initiator, HandshakeError> {
        check(identity)?;
        let mut state = builder(Curve::PORTABLE, local, PROLOGUE, entropy)?
            .psk(PSK, &account_key.0)?
            .remote_public_key(&matchmaker.0)?
            .build_initiator()?;
        let payload = identity.encode_to_vec();
        let mut message = vec![0; OVERHEAD_1 + payload.len()];
        let length = state.write_message(&payload, &mut message)?;
        message.truncate(length);
        Ok(Initiator { state, message })
    }

    /// Noise message 1.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Reads a whole Response, in place. After [`HandshakeError::Noise`] another may be tried: that one was made by
    /// somebody who does not have the keys.
    pub fn finish<A: Aead>(&mut self, response: &mut [u8]) -> Result<(Admission, Keys), HandshakeError> {
        let Ok(datagram::Datagram::Response { noise, nonce, .. }) = datagram::Datagram::parse(response)
        else {
            return Err(HandshakeError::Payload);
        };
        let (noise, nonce) = (*noise, *nonce);
        self.state.read_message(&noise, &mut [])?;
        let keys = split(&mut self.state);
        let key = A::new(&keys.down);
        let text = seal::open(&key, &nonce, response, RESPONSE_HEAD).map_err(|_| HandshakeError::Payload)?;
        let admission = Admission::decode(&*text).map_err(|_| HandshakeError::Payload)?;
        Ok((admission, keys))
    }
}

/// The matchmaker's side, after message 1.
pub struct Responder {
    state: HandshakeState,
    identity: Identity,
    peer: PublicKey,
}

impl Responder {
    /// Reads message 1.
    pub fn read(
        local: &StaticSecret,
        message: &[u8],
        entropy: Entropy<'_>,
    ) -> Result<Responder, HandshakeError> {
        let mut state = builder(RESPONDER, local, PROLOGUE, entropy)?.build_responder()?;
        let mut payload = [0; datagram::MAX_DATAGRAM];
        let length = state.read_message(message, &mut payload)?;
        let identity = Identity::decode(&payload[..length]).map_err(|_| HandshakeError::Payload)?;
        check(&identity)?;
        let peer = state.get_remote_static().and_then(|key| key.try_into().ok());
        let peer = PublicKey(peer.ok_or(HandshakeError::Noise)?);
        Ok(Responder { state, identity, peer })
    }

    /// Who the peer says it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Who it is.
    pub fn peer(&self) -> PublicKey {
        self.peer
    }

    /// Makes message 2.
    pub fn finish(mut self, account_key: &Key) -> Result<([u8; NOISE_2], Keys), HandshakeError> {
        self.state.set_psk(PSK.into(), &account_key.0)?;
        let mut message = [0; NOISE_2];
        self.state.write_message(&[], &mut message)?;
        Ok((message, split(&mut self.state)))
    }
}

fn check(identity: &Identity) -> Result<(), HandshakeError> {
    let fits = identity.account.len() <= MAX_ACCOUNT && identity.software.len() <= MAX_SOFTWARE;
    if fits { Ok(()) } else { Err(HandshakeError::Name) }
}

fn builder<'a>(
    curve: Curve,
    local: &'a StaticSecret,
    prologue: &'a [u8],
    entropy: Entropy<'_>,
) -> Result<Builder<'a>, HandshakeError> {
    let mut ephemeral = Key([0; 32]);
    entropy(&mut ephemeral.0);
    let primitives = Primitives { curve, ephemeral, local: local.clone() };
    let builder = Builder::with_resolver(protocol(), Box::new(primitives));
    Ok(builder.local_private_key(local.octets())?.prologue(prologue)?)
}

/// [`PROTOCOL`], without what it takes to read names of protocols: 5 KiB of a radio's flash.
fn protocol() -> NoiseParams {
    let modifiers = HandshakeModifierList { list: vec![HandshakeModifier::Psk(PSK)] };
    NoiseParams::new(
        PROTOCOL.to_owned(),
        BaseChoice::Noise,
        HandshakeChoice { pattern: HandshakePattern::IK, modifiers },
        DHChoice::Curve25519,
        CipherChoice::ChaChaPoly,
        HashChoice::SHA256,
    )
}

/// Noise's Split: the initiator's sending key comes first.
fn split(state: &mut HandshakeState) -> Keys {
    let (up, down) = state.dangerously_get_raw_split();
    Keys { up: Key(up), down: Key(down) }
}

#[cfg(test)]
mod tests;
