//! Frames in the order they were heard: keys learnt, protected frames opened, MSDUs put together.

use std::collections::HashMap;

use dot11::{
    Frame, FrameKind, MacAddr,
    amsdu::{self, Subframes},
    ccmp::CcmpHeader,
    eapol::{EapolFrame, PacketType},
    element::Elements,
    frame::management::{AssociationRequest, ManagementBody, ReassociationRequest},
    llc::{self, EtherType},
    rsn::Akm,
};

use super::{
    ethernet,
    handshake::Pair,
    keys::{Given, KeyList, TemporalKey},
};

/// What became of the frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// 802.11 frames read, of every type.
    pub frames: u64,
    /// Protected frames opened, each once.
    pub decrypted: u64,
    /// Protected frames of a pair or group whose keys are known, that open under none of them.
    pub mic_failures: u64,
    /// Protected frames that opened, but had been heard before.
    pub replays: u64,
    /// Protected frames of which no key is known.
    pub no_key: u64,
}

/// The state of the air: who said what to whom.
pub struct Air {
    given: Given,
    /// Keys given as they are, tried for everyone.
    tks: Vec<TemporalKey>,
    /// Which pairs (transmitter, receiver) a given key has opened a frame of: the next one that fails is a failure.
    opened_by_tk: HashMap<(MacAddr, MacAddr), ()>,
    pairs: HashMap<(MacAddr, MacAddr), Pair>,
    groups: HashMap<(MacAddr, u8), KeyList>,
    fragments: HashMap<(MacAddr, u8), Fragments>,
    counts: Counts,
}

/// An MSDU of which not all fragments have been heard.
struct Fragments {
    sequence: u16,
    next: u8,
    time: u64,
    frame: Vec<u8>,
    body: Vec<u8>,
}

/// Pairs, groups and MSDUs under way that are remembered; a capture of a stadium has fewer.
const MAX_ENTRIES: usize = 65_536;
/// aMaxReceiveLifetime is two seconds in every implementation that matters.
const FRAGMENT_AGE_NS: u64 = 2_000_000_000;
/// Replay class of management frames, beside the sixteen TIDs.
const MANAGEMENT: u8 = 16;

enum Verdict {
    Plain(Vec<u8>),
    Replay,
    MicFailure,
    NoKey,
}

impl Air {
    /// Nothing heard yet.
    pub fn new(mut given: Given) -> Self {
        let tks = given.tks.drain(..).map(|tk| TemporalKey::new(tk, None)).collect();
        Air {
            given,
            tks,
            opened_by_tk: HashMap::new(),
            pairs: HashMap::new(),
            groups: HashMap::new(),
            fragments: HashMap::new(),
            counts: Counts::default(),
        }
    }

    /// So far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes one frame without FCS, heard at `time` nanoseconds; what it decrypts to goes to `deliver` as Ethernet.
    pub fn frame(&mut self, time: u64, bytes: &[u8], deliver: &mut dyn FnMut(&[u8])) {
        let Ok(frame) = Frame::parse(bytes) else { return };
        self.counts.frames += 1;
        if !frame.control().protected() {
            match frame.kind() {
                FrameKind::Management(_) => self.association(&frame),
                FrameKind::Data(_) => self.eapol(&frame, frame.body()),
                _ => {}
            }
            return;
        }
        match self.open(&frame) {
            Verdict::Plain(plain) => {
                self.counts.decrypted += 1;
                if let Ok(plain) = Frame::parse(&plain)
                    && let FrameKind::Data(_) = plain.kind()
                {
                    self.msdu(time, &plain, deliver);
                }
            }
            Verdict::Replay => self.counts.replays += 1,
            Verdict::MicFailure => self.counts.mic_failures += 1,
            Verdict::NoKey => self.counts.no_key += 1,
        }
    }

    /// Which AKM the device chose.
    fn association(&mut self, frame: &Frame<'_>) {
        let (Ok(body), Some(device)) = (ManagementBody::parse(frame), frame.addr2()) else { return };
        let (ManagementBody::AssociationRequest(AssociationRequest { elements, .. })
        | ManagementBody::ReassociationRequest(ReassociationRequest { elements, .. })) = body
        else {
            return;
        };
        let akm = chosen_akm(elements);
        if let Some(pair) = self.pair(frame.addr1(), device) {
            pair.akm = akm;
        }
    }

    fn pair(&mut self, bssid: MacAddr, device: MacAddr) -> Option<&mut Pair> {
        let known = self.pairs.contains_key(&(bssid, device));
        (known || self.pairs.len() < MAX_ENTRIES).then(|| self.pairs.entry((bssid, device)).or_default())
    }

    /// An EAPOL-Key frame, in clear or decrypted.
    fn eapol(&mut self, frame: &Frame<'_>, msdu: &[u8]) {
        let Some((EtherType::EAPOL, pdu)) = llc::parse(msdu) else { return };
        let Ok(EapolFrame { packet_type: PacketType::Key, .. }) = EapolFrame::parse(pdu) else { return };
        let Some((bssid, device)) = infrastructure(frame) else { return };
        let pmks = std::mem::take(&mut self.given.pmks);
        let groups =
            self.pair(bssid, device).map(|pair| pair.eapol(bssid, device, pdu, &pmks)).unwrap_or_default();
        self.given.pmks = pmks;
        for group in groups {
            if self.groups.len() < MAX_ENTRIES {
                self.groups.entry((bssid, group.key_id)).or_default().add(group.tk, None);
            }
        }
    }

    fn open(&mut self, frame: &Frame<'_>) -> Verdict {
        // Without an extended IV it is WEP, of which no key is ever known here.
        let (Ok(header), Some(transmitter)) = (CcmpHeader::parse(frame.body()), frame.addr2()) else {
            return Verdict::NoKey;
        };
        let class = match frame.kind() {
            FrameKind::Management(_) => MANAGEMENT,
            _ => frame.qos().map_or(0, |qos| qos.tid()),
        };
        let receiver = frame.addr1();
        let mut known = false;
        let list = if receiver.is_group() {
            frame.bssid().and_then(|bssid| self.groups.get_mut(&(bssid, header.key_id)))
        } else {
            let pair = if self.pairs.contains_key(&(receiver, transmitter)) {
                (receiver, transmitter)
            } else {
                (transmitter, receiver)
            };
            self.pairs.get_mut(&pair).map(|pair| &mut pair.keys)
        };
        for key in list.into_iter().flat_map(KeyList::iter_mut) {
            known = true;
            if let Some((plain, fresh)) = key.open(transmitter, class, frame.bytes()) {
                return if fresh { Verdict::Plain(plain) } else { Verdict::Replay };
            }
        }
        for key in &mut self.tks {
            if let Some((plain, fresh)) = key.open(transmitter, class, frame.bytes()) {
                if self.opened_by_tk.len() < MAX_ENTRIES {
                    self.opened_by_tk.insert((transmitter, receiver), ());
                }
                return if fresh { Verdict::Plain(plain) } else { Verdict::Replay };
            }
        }
        let known = known || self.opened_by_tk.contains_key(&(transmitter, receiver));
        if known { Verdict::MicFailure } else { Verdict::NoKey }
    }

    /// A plain data frame: a whole MSDU, an A-MSDU, or a fragment.
    fn msdu(&mut self, time: u64, frame: &Frame<'_>, deliver: &mut dyn FnMut(&[u8])) {
        let (Some(sequence), Some(transmitter)) = (frame.sequence(), frame.addr2()) else { return };
        let (number, fragment) = (sequence.number(), sequence.fragment());
        let more = frame.control().more_fragments();
        if fragment == 0 && !more {
            self.whole(frame, frame.body(), deliver);
            return;
        }
        let key = (transmitter, frame.qos().map_or(MANAGEMENT, |qos| qos.tid()));
        if fragment == 0 {
            if self.fragments.len() < MAX_ENTRIES || self.fragments.contains_key(&key) {
                let first = Fragments {
                    sequence: number,
                    next: 1,
                    time,
                    frame: frame.bytes().to_vec(),
                    body: frame.body().to_vec(),
                };
                self.fragments.insert(key, first);
            }
            return;
        }
        let Some(mut parts) = self.fragments.remove(&key) else { return };
        let late = time.saturating_sub(parts.time) > FRAGMENT_AGE_NS;
        if parts.sequence != number || parts.next != fragment || late {
            return;
        }
        parts.body.extend_from_slice(frame.body());
        parts.next += 1;
        if more {
            self.fragments.insert(key, parts);
        } else if let Ok(first) = Frame::parse(&parts.frame) {
            self.whole(&first, &parts.body, deliver);
        }
    }

    fn whole(&mut self, frame: &Frame<'_>, body: &[u8], deliver: &mut dyn FnMut(&[u8])) {
        if frame.qos().is_some_and(|qos| qos.amsdu_present()) {
            if amsdu::is_disguised_msdu(body) {
                return;
            }
            for subframe in Subframes::new(body).map_while(Result::ok) {
                deliver(&ethernet::frame(subframe.da, subframe.sa, subframe.msdu));
            }
            return;
        }
        // Null frames have no body.
        if body.is_empty() {
            return;
        }
        self.eapol(frame, body);
        if let (Some(da), Some(sa)) = (frame.destination(), frame.source()) {
            deliver(&ethernet::frame(da, sa, body));
        }
    }
}

/// BSSID and device of a frame between the two.
fn infrastructure(frame: &Frame<'_>) -> Option<(MacAddr, MacAddr)> {
    match (frame.control().to_ds(), frame.control().from_ds()) {
        (true, false) => Some((frame.addr1(), frame.addr2()?)),
        (false, true) => Some((frame.addr2()?, frame.addr1())),
        _ => None,
    }
}

fn chosen_akm(elements: Elements<'_>) -> Option<Akm> {
    elements.rsn().and_then(Result::ok).and_then(|rsn| rsn.akms.first().copied())
}
