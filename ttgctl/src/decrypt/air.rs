//! Frames in the order they were heard: keys learnt, protected frames opened, MSDUs put together.

use std::{borrow::Cow, collections::HashMap};

use dot11::{
    Frame, FrameKind, MacAddr, ManagementSubtype,
    ccmp::CcmpHeader,
    eapol::key::KeyFrame,
    llc::{self, EtherType},
};

use super::{
    ethernet,
    handshake::Pair,
    keys::{Given, KeyList, Opened, TemporalKey},
    msdu::{self, Assembly},
};

/// An 802.11 frame, as a capture has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard<'a> {
    /// The frame, without FCS.
    pub bytes: Cow<'a, [u8]>,
    /// The FCS was wrong. What opens all the same was not changed where it matters; what does not is no MIC failure.
    pub damaged: bool,
    /// The capture has only its beginning.
    pub cut: bool,
}

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
    /// Protected frames, besides those without a key, that cannot be checked since the capture has only their
    /// beginning.
    pub cut: u64,
}

/// The state of the air: who said what to whom.
pub struct Air {
    given: Given,
    /// Keys given as they are, tried for everyone.
    tks: Vec<TemporalKey>,
    /// By BSSID and device.
    pairs: HashMap<(MacAddr, MacAddr), Pair>,
    /// By BSSID and key identifier.
    groups: HashMap<(MacAddr, u8), Group>,
    /// Key identifier of the last group-addressed frame, by BSSID.
    group_key_id: HashMap<MacAddr, u8>,
    assembly: Assembly,
    counts: Counts,
}

/// The group keys of one BSS under one key identifier.
#[derive(Default)]
struct Group {
    keys: KeyList,
    /// One of them has opened a frame.
    used: bool,
}

/// Pairs and groups that are remembered; a capture of a stadium has fewer.
const MAX_ENTRIES: usize = 65_536;
/// Replay class of management frames, beside the sixteen TIDs.
const MANAGEMENT: u8 = 16;

enum Verdict {
    Opened(Opened),
    MicFailure,
    NoKey,
}

impl Air {
    /// Nothing heard yet.
    pub fn new(mut given: Given) -> Self {
        let tks = given.tks.drain(..).map(TemporalKey::new).collect();
        Air {
            given,
            tks,
            pairs: HashMap::new(),
            groups: HashMap::new(),
            group_key_id: HashMap::new(),
            assembly: Assembly::default(),
            counts: Counts::default(),
        }
    }

    /// So far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes one frame, heard at `time` nanoseconds; what it decrypts to goes to `deliver` as Ethernet.
    pub fn frame(&mut self, time: u64, heard: &Heard<'_>, deliver: &mut dyn FnMut(&[u8])) {
        self.counts.frames += 1;
        let Ok(frame) = Frame::parse(&heard.bytes) else { return };
        let intact = !heard.damaged && !heard.cut;
        match (frame.control().protected(), frame.kind()) {
            (false, FrameKind::Management(subtype)) if intact => self.management(subtype, &frame),
            (false, FrameKind::Data(subtype)) if subtype.has_data() && !heard.cut => {
                self.clear(time, &frame, intact);
            }
            (true, FrameKind::Management(_)) => self.protected(time, heard, &frame, deliver),
            (true, FrameKind::Data(subtype)) if subtype.has_data() => {
                self.protected(time, heard, &frame, deliver);
            }
            // Control and Null frames have nothing to protect.
            _ => {}
        }
    }

    /// A device that (re)associates is about to have new keys.
    fn management(&mut self, subtype: ManagementSubtype, frame: &Frame<'_>) {
        use ManagementSubtype::{AssociationRequest, ReassociationRequest};
        if let (AssociationRequest | ReassociationRequest, Some(device)) = (subtype, frame.addr2())
            && let Some(pair) = self.pairs.get_mut(&(frame.addr1(), device))
        {
            pair.keys.unsettle();
        }
    }

    fn clear(&mut self, time: u64, frame: &Frame<'_>, intact: bool) {
        let Some(whole) = self.assembly.add(time, frame, None) else { return };
        let Ok(whole) = Frame::parse(&whole) else { return };
        msdu::each(&whole, |_, _, msdu| self.eapol(&whole, msdu, intact));
    }

    /// An MSDU that may be an EAPOL-Key frame, in clear or decrypted.
    fn eapol(&mut self, frame: &Frame<'_>, msdu: &[u8], intact: bool) {
        let Some((EtherType::EAPOL, pdu)) = llc::parse(msdu) else { return };
        let (Ok(key), Some(transmitter)) = (KeyFrame::parse(pdu), frame.addr2()) else { return };
        // Without an AP, and between APs, only the authenticator asks for an answer.
        let from_ap = match (frame.control().to_ds(), frame.control().from_ds()) {
            (true, false) => false,
            (false, true) => true,
            _ => key.info().ack(),
        };
        let (bssid, device) =
            if from_ap { (transmitter, frame.addr1()) } else { (frame.addr1(), transmitter) };
        let Some(pair) = entry(&mut self.pairs, (bssid, device)) else { return };
        for group in pair.eapol(bssid, device, pdu, &self.given.pmks, intact) {
            if let Some(entry) = entry(&mut self.groups, (bssid, group.key_id)) {
                entry.keys.add(group.tk);
            }
        }
    }

    fn protected(&mut self, time: u64, heard: &Heard<'_>, frame: &Frame<'_>, deliver: &mut dyn FnMut(&[u8])) {
        match self.open(frame) {
            Verdict::Opened(Opened { fresh: false, .. }) => self.counts.replays += 1,
            Verdict::Opened(Opened { plain, protection, .. }) => {
                self.counts.decrypted += 1;
                let Ok(plain) = Frame::parse(&plain) else { return };
                if !plain.control().is_data() {
                    return;
                }
                let Some(whole) = self.assembly.add(time, &plain, Some(&protection)) else { return };
                let Ok(whole) = Frame::parse(&whole) else { return };
                msdu::each(&whole, |da, sa, msdu| {
                    self.eapol(&whole, msdu, true);
                    deliver(&ethernet::frame(da, sa, msdu));
                });
            }
            Verdict::NoKey => self.counts.no_key += 1,
            Verdict::MicFailure if heard.cut => self.counts.cut += 1,
            Verdict::MicFailure if heard.damaged => {}
            Verdict::MicFailure => self.counts.mic_failures += 1,
        }
    }

    fn open(&mut self, frame: &Frame<'_>) -> Verdict {
        // Without an extended IV it is WEP, of which no key is ever known here.
        let (Ok(header), Some(transmitter)) = (CcmpHeader::parse(frame.body()), frame.addr2()) else {
            return Verdict::NoKey;
        };
        let class = match frame.kind() {
            FrameKind::Management(subtype) if !subtype.can_be_robust() => return Verdict::NoKey,
            FrameKind::Management(_) => MANAGEMENT,
            _ => frame.qos().map_or(0, |qos| qos.tid()),
        };
        if frame.addr1().is_group() {
            self.open_group(frame, transmitter, class, header.key_id)
        } else {
            self.open_pairwise(frame, transmitter, class)
        }
    }

    fn open_pairwise(&mut self, frame: &Frame<'_>, transmitter: MacAddr, class: u8) -> Verdict {
        let receiver = frame.addr1();
        // Four-address frames do not say which of the two is the AP.
        let names = [(receiver, transmitter), (transmitter, receiver)];
        for name in names {
            let pair = self.pairs.get_mut(&name);
            if let Some(opened) = pair.and_then(|pair| pair.keys.open(transmitter, class, frame)) {
                return Verdict::Opened(opened);
            }
        }
        let known = names.into_iter().find(|name| self.pairs.contains_key(name));
        if let Some((index, opened)) = open_by_given(&mut self.tks, transmitter, class, frame) {
            if let Some(pair) = entry(&mut self.pairs, known.unwrap_or(names[0])) {
                pair.keys.opened_by_given(index);
            }
            return Verdict::Opened(opened);
        }
        let settled = |name| self.pairs.get(&name).is_some_and(|pair: &Pair| pair.keys.is_settled());
        if names.into_iter().any(settled) { Verdict::MicFailure } else { Verdict::NoKey }
    }

    fn open_group(&mut self, frame: &Frame<'_>, transmitter: MacAddr, class: u8, key_id: u8) -> Verdict {
        let bssid = frame.bssid().unwrap_or(transmitter);
        let name = (bssid, key_id);
        if let Some(group) = self.groups.get_mut(&name) {
            if let Some(opened) = group.keys.open(transmitter, class, frame) {
                group.used = true;
                group.keys.settle();
                self.uses(bssid, key_id);
                return Verdict::Opened(opened);
            }
            // Group keys take turns with two identifiers: the one that is back after the other is new.
            if group.used && self.group_key_id.get(&bssid).is_some_and(|last| *last != key_id) {
                group.keys.unsettle();
            }
        }
        self.uses(bssid, key_id);
        if let Some((_, opened)) = open_by_given(&mut self.tks, transmitter, class, frame) {
            if let Some(group) = entry(&mut self.groups, name) {
                group.used = true;
                group.keys.settle();
            }
            return Verdict::Opened(opened);
        }
        let settled = self.groups.get(&name).is_some_and(|group| group.keys.is_settled());
        if settled { Verdict::MicFailure } else { Verdict::NoKey }
    }

    /// The BSS uses this key identifier now.
    fn uses(&mut self, bssid: MacAddr, key_id: u8) {
        if let Some(last) = entry(&mut self.group_key_id, bssid) {
            *last = key_id;
        }
    }
}

fn open_by_given(
    tks: &mut [TemporalKey],
    transmitter: MacAddr,
    class: u8,
    frame: &Frame<'_>,
) -> Option<(usize, Opened)> {
    tks.iter_mut().enumerate().find_map(|(index, key)| Some((index, key.open(transmitter, class, frame)?)))
}

/// The entry of a bounded map, made where it is not there and there is room.
fn entry<K: Eq + std::hash::Hash, V: Default>(map: &mut HashMap<K, V>, key: K) -> Option<&mut V> {
    let room = map.len() < MAX_ENTRIES || map.contains_key(&key);
    room.then(|| map.entry(key).or_default())
}
