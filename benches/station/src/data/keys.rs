//! The temporal keys of one association with their packet numbers and replay counters (802.11-2020 §12.5.3).

use dot11::Frame;
use dot11::ccmp::{self, CcmpHeader, Pn};
use dot11::rsn::{Gtk, Tk};

/// Why a protected frame was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No key of that key id is installed.
    #[error("no key installed for the frame's key id")]
    NoKey,
    /// Too short for CCMP, or not a CCMP header.
    #[error("not a CCMP frame")]
    Malformed,
    /// The packet number is not larger than the last.
    #[error("packet number not larger than the last")]
    Replay,
    /// The MIC does not verify.
    #[error("MIC does not verify")]
    Mic,
}

/// A group key and the packet number last received under it.
#[derive(Debug)]
struct GroupKey {
    tk: Tk,
    received: Pn,
}

/// The keys of one association.
#[derive(Debug)]
pub struct Keys {
    tk: Tk,
    /// Packet number last sent; the next is one more.
    sent: Pn,
    /// Packet number last received, per TID. The packet number of the first frame is 1 or more.
    received: [Pn; 16],
    group: [Option<Box<GroupKey>>; 3],
}

impl Keys {
    /// A pairwise key fresh from a 4-way handshake.
    pub fn new(tk: Tk) -> Keys {
        Keys { tk, sent: Pn::ZERO, received: [Pn::ZERO; 16], group: [None, None, None] }
    }

    /// Replaces the pairwise key; packet numbers and replay counters start over, group keys stay.
    pub fn rekey(&mut self, tk: Tk) {
        self.tk = tk;
        self.sent = Pn::ZERO;
        self.received = [Pn::ZERO; 16];
    }

    /// Installs a group key for reception, `rsc` being the packet number last used under it. Key ids other than
    /// 1 to 3 are ignored.
    pub fn install_group(&mut self, key_id: u8, gtk: &Gtk, rsc: Pn) {
        if let Some(slot) = usize::from(key_id).checked_sub(1).and_then(|index| self.group.get_mut(index)) {
            *slot = Some(Box::new(GroupKey { tk: Tk::from(gtk), received: rsc }));
        }
    }

    /// The packet number of the last frame sealed.
    pub fn packet_number(&self) -> Pn {
        self.sent
    }

    /// Encrypts a plain data MPDU under the pairwise key with the next packet number. `None` once the packet numbers
    /// are used up.
    pub fn seal(&mut self, mpdu: &[u8]) -> Option<Vec<u8>> {
        let pn = self.sent.next()?;
        let sealed = ccmp::seal(&self.tk, 0, pn, mpdu).ok()?;
        self.sent = pn;
        Some(sealed)
    }

    /// Decrypts a protected MPDU to its packet number and the plain MPDU: under the pairwise key when it is addressed
    /// to one receiver, else under the group key it names. The replay counter moves only once the MIC has verified
    /// (802.11-2020 §12.5.3.4.4).
    ///
    /// # Errors
    /// Why it is not acceptable; nothing has changed then.
    pub fn open(&mut self, frame: &Frame<'_>) -> Result<(Pn, Vec<u8>), KeyError> {
        let header = CcmpHeader::parse(frame.body()).map_err(|_| KeyError::Malformed)?;
        let (tk, received) = if frame.addr1().is_group() {
            let slot = usize::from(header.key_id).checked_sub(1).and_then(|index| self.group.get_mut(index));
            let key = slot.and_then(Option::as_mut).ok_or(KeyError::NoKey)?;
            (&key.tk, &mut key.received)
        } else if header.key_id == 0 {
            let tid = frame.qos().map_or(0, |qos| qos.tid());
            (&self.tk, &mut self.received[usize::from(tid & 0x0f)])
        } else {
            return Err(KeyError::NoKey);
        };
        if header.pn <= *received {
            return Err(KeyError::Replay);
        }
        let (_, plain) = ccmp::open(tk, frame.bytes()).map_err(|_| KeyError::Mic)?;
        *received = header.pn;
        Ok((header.pn, plain))
    }
}
