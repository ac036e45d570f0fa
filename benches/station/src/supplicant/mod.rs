//! The device's side of the 4-way and group key handshakes (802.11-2020 §12.7.6, §12.7.7).
//!
//! A [`Supplicant`] lives as long as one association. It takes EAPOL-Key frames and gives back what to send and
//! which keys to install, in the order in which that has to happen.

mod group;
mod pairwise;

use dot11::ccmp::Pn;
use dot11::eapol::key::{DESCRIPTOR_RSN, KeyFrame, KeyFrameBuilder, KeyInfo};
use dot11::rsn::{self, Gtk, Kck, Pmk, Ptk, Tk};
use dot11::{Akm, MacAddr, ReasonCode};

use crate::entropy::Entropy;

/// What the association fixed for the handshakes on it.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The authentication and key management suite that both sides selected.
    pub akm: Akm,
    /// The authenticator's address: the BSSID.
    pub aa: MacAddr,
    /// The supplicant's address.
    pub spa: MacAddr,
    /// The RSNE of the (re)association request, header included; message 2 repeats it.
    pub own_rsne: Box<[u8]>,
    /// The RSNE of the beacon or probe response, header included; message 3 must repeat it.
    pub beacon_rsne: Box<[u8]>,
    /// The RSNXE of the beacon or probe response, header included, if it had one.
    pub beacon_rsnxe: Option<Box<[u8]>>,
}

/// Something to do, in the order given.
#[derive(Clone, Debug)]
pub enum Action {
    /// Transmit this EAPOL frame, encrypted under the pairwise key installed *at this point*, if there is one.
    Send {
        /// The EAPOL frame from its version octet on.
        eapol: Vec<u8>,
        /// Leave it in the clear even if a pairwise key is installed.
        clear: bool,
    },
    /// Install the temporal key with key id 0, its packet number at 0 and its replay counters at 0.
    InstallPtk(Tk),
    /// Install a group key for reception.
    InstallGtk {
        /// Key id, 1 to 3.
        key_id: u8,
        /// The key.
        gtk: Gtk,
        /// Receive sequence counter: the packet number last used under it.
        rsc: Pn,
    },
    /// A 4-way handshake is done: the port may open (or the pairwise key was renewed).
    Complete {
        /// Whether it replaced a pairwise key.
        rekey: bool,
    },
    /// A group handshake is done.
    GroupComplete,
    /// End the association with this reason.
    Deauthenticate(ReasonCode),
}

/// Why a frame was not acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Discard {
    /// Not an EAPOL-Key frame of the RSN descriptor, or shorter than it says.
    #[error("not a well-formed EAPOL-Key frame")]
    Malformed,
    /// The key information field fits no message of the handshakes.
    #[error("key information fits no message to a supplicant")]
    Unexpected,
    /// The replay counter is not larger than the last one that was authentic.
    #[error("replay counter not larger than the last")]
    Replay,
    /// No PMK yet, so nothing can be derived.
    #[error("no pairwise master key yet")]
    NoPmk,
    /// Message 1 names another PMK than ours.
    #[error("PMKID of message 1 is not that of our PMK")]
    PmkidMismatch,
    /// The ANonce of message 3 is not that of message 1.
    #[error("ANonce differs from message 1")]
    NonceMismatch,
    /// The MIC is wrong: another passphrase, or a forgery.
    #[error("MIC does not verify")]
    Mic,
    /// The suite of the association is not one this supplicant knows.
    #[error("authentication and key management suite not supported")]
    UnsupportedAkm,
    /// The key data does not unwrap or does not contain what the message must.
    #[error("key data does not unwrap or lacks what is needed")]
    KeyData,
}

/// How message 4 travels that answers a repeated message 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RepeatedM4 {
    /// As the repeated message 3 came: a message 3 in the clear is answered in the clear, so that the handshake
    /// completes although the first message 4 was lost.
    #[default]
    AsAsked,
    /// Under the key just installed, as wpa_supplicant over nl80211 does; an access point without the key cannot
    /// read it.
    Encrypted,
}

/// A pairwise key hierarchy with the nonce that made it.
struct Pairwise {
    anonce: [u8; 32],
    ptk: Ptk,
}

/// The supplicant of one association.
pub struct Supplicant {
    binding: Binding,
    pmk: Option<Pmk>,
    repeated_m4: RepeatedM4,
    /// Replay counter of the last frame whose MIC verified.
    replay: Option<u64>,
    /// Replay counter of the key requests this side makes.
    requests: u64,
    /// Drawn for a handshake, kept through all repetitions of its message 1.
    snonce: Option<[u8; 32]>,
    /// What message 1 gave, until message 3.
    pending: Option<Pairwise>,
    /// What message 3 confirmed: the key in use.
    current: Option<Pairwise>,
    /// The group keys installed, by key id 1 to 3, to recognise one that comes again.
    gtk: [Option<Gtk>; 3],
}

impl Supplicant {
    /// A supplicant for a new association. Without a PMK it waits for [`set_pmk`](Supplicant::set_pmk).
    pub fn new(binding: Binding, pmk: Option<Pmk>) -> Supplicant {
        Supplicant {
            binding,
            pmk,
            repeated_m4: RepeatedM4::default(),
            replay: None,
            requests: 0,
            snonce: None,
            pending: None,
            current: None,
            gtk: [None, None, None],
        }
    }

    /// Chooses how a repeated message 3 is answered.
    pub fn with_repeated_m4(mut self, repeated_m4: RepeatedM4) -> Supplicant {
        self.repeated_m4 = repeated_m4;
        self
    }

    /// Takes the PMK that an 802.1X authentication gave.
    pub fn set_pmk(&mut self, pmk: Pmk) {
        self.pmk = Some(pmk);
    }

    /// The PMK in use.
    pub fn pmk(&self) -> Option<&Pmk> {
        self.pmk.as_ref()
    }

    /// What the association fixed.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Whether a 4-way handshake has completed on this association.
    pub fn is_complete(&self) -> bool {
        self.current.is_some()
    }

    /// The pairwise key in use.
    pub fn ptk(&self) -> Option<&Ptk> {
        self.current.as_ref().map(|pairwise| &pairwise.ptk)
    }

    /// Takes one EAPOL frame of type Key, from its version octet on. `protected` tells whether it arrived
    /// encrypted.
    ///
    /// # Errors
    /// Why the frame was ignored. Nothing has changed then.
    pub fn receive(
        &mut self,
        eapol: &[u8],
        protected: bool,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<Action>, Discard> {
        let frame = KeyFrame::parse(eapol).map_err(|_| Discard::Malformed)?;
        let info = frame.info();
        // A supplicant takes no requests and no error reports (802.11-2020 §12.7.2).
        if frame.descriptor() != DESCRIPTOR_RSN
            || info.descriptor_version() != self.binding.akm.descriptor_version()
            || info.request()
            || info.error()
            || !info.ack()
        {
            return Err(Discard::Unexpected);
        }
        // 802.11-2020 §12.7.2, Key Replay Counter: authentic frames move it, no frame may repeat it.
        if self.replay.is_some_and(|last| frame.replay_counter() <= last) {
            return Err(Discard::Replay);
        }
        match (info.pairwise(), info.mic()) {
            (true, false) if !info.install() && !info.encrypted_key_data() => self.message_1(&frame, entropy),
            (true, true) if info.install() && info.secure() && info.encrypted_key_data() => {
                self.message_3(&frame, protected)
            }
            (false, true) if info.secure() && info.encrypted_key_data() => self.group_message_1(&frame),
            _ => Err(Discard::Unexpected),
        }
    }

    /// Asks the authenticator for new keys: a pairwise handshake, or a group one (802.11-2020 §12.7.6.1, Request
    /// bit). `None` before the first handshake has completed.
    pub fn request_rekey(&mut self, pairwise: bool) -> Option<Action> {
        let kck = &self.current.as_ref()?.ptk.kck;
        let kind = if pairwise { KeyInfo::PAIRWISE } else { KeyInfo::default() };
        let info = kind.with(KeyInfo::SECURE).with(KeyInfo::REQUEST);
        let eapol = self.message(kck, info, self.requests, [0; 32], &[]).ok()?;
        self.requests += 1;
        Some(Action::Send { eapol, clear: false })
    }

    /// An EAPOL-Key frame of this side with its MIC.
    fn message(
        &self,
        kck: &Kck,
        info: KeyInfo,
        replay_counter: u64,
        nonce: [u8; 32],
        key_data: &[u8],
    ) -> Result<Vec<u8>, Discard> {
        let akm = self.binding.akm;
        let info = info.with(KeyInfo::MIC).with_descriptor_version(akm.descriptor_version());
        let mut eapol =
            KeyFrameBuilder { info, replay_counter, nonce, key_data, ..Default::default() }.build();
        rsn::sign(akm, kck, &mut eapol).map_err(|_| Discard::UnsupportedAkm)?;
        Ok(eapol)
    }

    /// Takes a GTK into the table; the action to install it unless it is there already. A key that comes again
    /// must not be installed again: its receive counters would start over.
    fn take_gtk(&mut self, key_id: u8, gtk: Gtk, rsc: Pn) -> Option<Action> {
        let slot = self.gtk.get_mut(usize::from(key_id).checked_sub(1)?)?;
        if slot.as_ref() == Some(&gtk) {
            return None;
        }
        *slot = Some(gtk.clone());
        Some(Action::InstallGtk { key_id, gtk, rsc })
    }
}

impl std::fmt::Debug for Supplicant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supplicant")
            .field("binding", &self.binding)
            .field("replay", &self.replay)
            .field("complete", &self.is_complete())
            .finish_non_exhaustive()
    }
}
