//! Tickets: what the matchmaker would have to remember of a peer, given to the peer to keep, sealed with AES-256-GCM
//! under keys that all matchmakers of one name share.
//!
//! ```text
//! key id u32 | nonce[12] | sealed: k_up[32] k_down[32] peer[32] account[1+16] instance u64 serial u64 expires u64 | tag[16]
//! ```

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

use super::super::datagram::{MAX_TICKET, TAG};
use super::super::{Entropy, Key, Keys, PublicKey};
use super::AccountId;

const HEAD: usize = 4 + 12;
const TEXT: usize = 3 * 32 + 17 + 3 * 8;
/// Octets of a ticket.
pub const TICKET: usize = HEAD + TEXT + TAG;
const _: () = assert!(TICKET <= MAX_TICKET);

/// A key that seals tickets. At most 2^32 tickets are to be sealed under one (NIST SP 800-38D §8.3).
#[derive(Debug, Clone)]
pub struct TicketKey {
    /// Stands in front of each ticket; another one for each key.
    pub id: u32,
    /// The key.
    pub key: Key,
}

/// What a ticket says.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Of the handshake.
    pub keys: Keys,
    /// The peer's static key.
    pub peer: PublicKey,
    /// Its account, if it has one.
    pub account: Option<AccountId>,
    /// Drawn when its process started.
    pub instance: u64,
    /// Of two tickets of a peer the newer has the higher.
    pub serial: u64,
    /// In seconds of Unix time.
    pub expires: u64,
}

/// Why a ticket is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ticket is not sealed under the current or the previous key")]
pub struct TicketError;

/// The key that seals, and the one before it, which still opens.
pub struct TicketKeys {
    current: Sealer,
    previous: Option<Sealer>,
}

struct Sealer {
    id: u32,
    key: LessSafeKey,
}

impl Sealer {
    fn new(key: &TicketKey) -> Sealer {
        let aead = UnboundKey::new(&AES_256_GCM, &key.key.0).expect("a key of 32 octets");
        Sealer { id: key.id, key: LessSafeKey::new(aead) }
    }
}

impl TicketKeys {
    /// These.
    pub fn new(current: &TicketKey, previous: Option<&TicketKey>) -> TicketKeys {
        TicketKeys { current: Sealer::new(current), previous: previous.map(Sealer::new) }
    }

    /// From now on tickets are sealed under this key; those under the one before are still opened.
    pub fn rotate(&mut self, next: &TicketKey) {
        if next.id != self.current.id {
            self.previous = Some(std::mem::replace(&mut self.current, Sealer::new(next)));
        }
    }

    /// Seals a ticket.
    pub fn seal(&self, ticket: &Ticket, entropy: Entropy<'_>) -> [u8; TICKET] {
        let mut out = [0; TICKET];
        let mut nonce = [0; 12];
        entropy(&mut nonce);
        let id = self.current.id.to_be_bytes();
        out[..4].copy_from_slice(&id);
        out[4..HEAD].copy_from_slice(&nonce);
        let (text, tag) = out[HEAD..].split_at_mut(TEXT);
        let mut at = 0;
        let mut put = |octets: &[u8]| {
            text[at..at + octets.len()].copy_from_slice(octets);
            at += octets.len();
        };
        put(&ticket.keys.up.0);
        put(&ticket.keys.down.0);
        put(&ticket.peer.0);
        put(&[u8::from(ticket.account.is_some())]);
        put(&ticket.account.map_or([0; 16], |account| account.0));
        put(&ticket.instance.to_be_bytes());
        put(&ticket.serial.to_be_bytes());
        put(&ticket.expires.to_be_bytes());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = self.current.key.seal_in_place_separate_tag(nonce, Aad::from(id), text);
        tag.copy_from_slice(sealed.expect("a text of a ticket's length").as_ref());
        out
    }

    /// Opens a ticket.
    pub fn open(&self, ticket: &[u8]) -> Result<Ticket, TicketError> {
        let ticket: &[u8; TICKET] = ticket.try_into().map_err(|_| TicketError)?;
        let id: [u8; 4] = array(ticket, 0);
        let with = [Some(&self.current), self.previous.as_ref()];
        let mut with = with.into_iter().flatten().filter(|sealer| sealer.id == u32::from_be_bytes(id));
        let sealer = with.next().ok_or(TicketError)?;
        let nonce = Nonce::assume_unique_for_key(array(ticket, 4));
        let (text, tag) = ticket[HEAD..].split_at(TEXT);
        let mut open = [0; TEXT];
        let opened = sealer.key.open_separate_gather(nonce, Aad::from(id), text, tag, &mut open);
        opened.map_err(|_| TicketError)?;
        let number = |at| u64::from_be_bytes(array(&open, at));
        let ticket = Ticket {
            keys: Keys { up: Key(array(&open, 0)), down: Key(array(&open, 32)) },
            peer: PublicKey(array(&open, 64)),
            account: (open[96] == 1).then(|| AccountId(array(&open, 97))),
            instance: number(113),
            serial: number(121),
            expires: number(129),
        };
        open[..64].zeroize();
        Ok(ticket)
    }
}

fn array<const N: usize>(octets: &[u8], at: usize) -> [u8; N] {
    octets[at..at + N].try_into().expect("so many octets")
}
