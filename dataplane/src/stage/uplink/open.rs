//! Opening a burst and what a right MIC allows: the replay window moves, then the frame is looked at.

use arrayvec::ArrayVec;
use dot11::ccmp::{HEADER_LEN, MIC_LEN};

use super::{Class, Destination, Fragment, Item, Items, Opened, Protection};
use crate::command::{Event, Frame, FrameKind, Signal, StationKey};
use crate::counters::{DropReason, Forwarded};
use crate::crypto::{self, OpenJob};
use crate::packet::{BURST, Packet};
use crate::state::State;
use crate::station::{Flag, StationId};
use crate::wire::FromWorker;

impl State {
    /// Opens what is protected, all at once, but for the few under a key that was just replaced: whether the MIC was right, of each.
    pub(super) fn open(&self, items: &mut Items) -> ArrayVec<bool, BURST> {
        let mut jobs: ArrayVec<OpenJob<'_>, BURST> = ArrayVec::new();
        for (packet, item) in items.packets.iter_mut().zip(&items.items) {
            if item.class != Class::Protected {
                continue;
            }
            let header_len = item.mpdu.header_len();
            let (buf, spare) = packet.data_and_tailroom_mut();
            let key = self.stations.hot(item.station).key();
            jobs.push(OpenJob { key, header_len, buf, spare, ..OpenJob::idle() });
        }
        crypto::open(&mut jobs);
        let done: ArrayVec<bool, BURST> = jobs.iter().map(|job| job.done).collect();
        drop(jobs);
        done
    }

    /// Tries the new key, then the one that it replaced. Whether the packet number is still new under it, after the frames of this burst that came
    /// before, is for [`accept`](Self::accept) to say.
    pub(super) fn open_in_grace(&mut self, packet: &mut Packet, item: &Item) -> Opened {
        let (hot, cold) = self.stations.both_mut(item.station);
        let Some(old) = &cold.old_key else { return Opened::No };
        let header_len = item.mpdu.header_len();
        let key_id = packet.data()[header_len + 3] >> 6;
        let attempt = |key, buf: &mut [u8]| {
            let mut job = [OpenJob { key, header_len, buf, ..OpenJob::idle() }];
            crypto::open(&mut job);
            job[0].done
        };
        // A failed attempt leaves nothing to try again on.
        self.copy.clear();
        self.copy.extend_from_slice(packet.data());
        if key_id == hot.key_id && attempt(hot.key(), packet.data_mut()) {
            return Opened::Current;
        }
        packet.data_mut().copy_from_slice(&self.copy);
        if key_id == old.key_id && attempt(&old.key, packet.data_mut()) {
            return Opened::Old;
        }
        Opened::No
    }

    /// What happens to an item after crypto.
    #[inline]
    pub(super) fn finish(
        &mut self,
        mut packet: Packet,
        item: &Item,
        opened: Opened,
    ) -> Result<(), DropReason> {
        let mpdu = item.mpdu;
        let protection = match item.class {
            Class::Management => {
                let id = self.stations.find(item.bssid(&packet), item.transmitter(&packet));
                if let Some(id) = id {
                    self.stations.hot_mut(id).rssi = item.signal.rssi_dbm;
                }
                self.punt_management(&packet, item, false);
                return Ok(());
            }
            Class::Gone => return Ok(()),
            Class::Plain => None,
            Class::Protected | Class::Grace | Class::Early => Some(self.accept(item, opened)?),
        };
        let id = item.station;
        if item.class == Class::Grace && opened == Opened::Current && self.stations.hot(id).is(Flag::Holding)
        {
            // The device has installed its new key, so what waited for that can go.
            self.release_hold(id);
        }
        // Where the MSDU goes is in the header, which comes off.
        let destination = Destination { mac: item.third(&packet), aim: item.aim };
        let (index, now) = (mpdu.index(), self.now);
        let hot = self.stations.hot_mut(id);
        if protection.is_none() && hot.is(Flag::Keyed) {
            // Anybody may have sent it: it changes nothing that a frame of the device's own depends on.
            packet.trim_front(mpdu.header_len());
            return self.msdu(id, destination, packet, false, item.signal);
        }
        hot.last_seen = now;
        hot.rssi = item.signal.rssi_dbm;
        // Retransmissions keep their packet number (802.11-2020 §12.5.3.4.4), so this one repeats what was delivered. Two copies of an
        // unprotected frame in one burst are told here too.
        let duplicate = hot.is_duplicate(index, mpdu.control.retry(), mpdu.sequence.0);
        hot.note_sequence(index, mpdu.sequence.0);
        if duplicate {
            return Err(DropReason::Duplicate);
        }
        if mpdu.control.is_management() {
            self.punt_management(&packet, item, true);
            return Ok(());
        }
        let overhead = if protection.is_some() { HEADER_LEN } else { 0 };
        packet.trim_front(mpdu.header_len() + overhead);
        if protection.is_some() {
            packet.trim_back(MIC_LEN);
        }
        let amsdu = mpdu.amsdu;
        if mpdu.control.more_fragments() || mpdu.sequence.fragment() != 0 {
            if amsdu {
                return Err(DropReason::FragmentedAmsdu);
            }
            let fragment = Fragment {
                station: id,
                index,
                sequence: mpdu.sequence,
                more: mpdu.control.more_fragments(),
                destination: destination.mac,
                protection,
            };
            let outcome = self.defragmenter.push(fragment, packet, now);
            self.counters.add(DropReason::FragmentEvicted, outcome.evicted);
            self.counters.add(DropReason::FragmentExpired, outcome.expired);
            match outcome.result {
                Ok(None) => {
                    self.count(Forwarded::Fragment);
                    return Ok(());
                }
                Ok(Some(whole)) => {
                    self.count(Forwarded::Fragment);
                    self.count(Forwarded::Defragmented);
                    packet = whole;
                }
                Err((reason, with_it)) => {
                    self.counters.add(reason, with_it);
                    return Err(reason);
                }
            }
        }
        if amsdu {
            return self.amsdu(id, packet, protection.is_some(), item.signal);
        }
        self.msdu(id, destination, packet, protection.is_some(), item.signal)
    }

    /// Counts the MIC's verdict and moves the window under the key that opened the frame.
    #[inline]
    fn accept(&mut self, item: &Item, opened: Opened) -> Result<Protection, DropReason> {
        if opened != Opened::Current {
            return self.accept_old(item, opened);
        }
        let protection = Protection { epoch: self.stations.hot(item.station).key_epoch, pn: item.pn };
        if !self.stations.accept(item.station, item.mpdu.index(), item.pn) {
            // Another frame of this burst came before.
            return Err(self.replayed(item));
        }
        self.count(Forwarded::Opened);
        Ok(protection)
    }

    /// The same of a frame that the present key did not open.
    fn accept_old(&mut self, item: &Item, opened: Opened) -> Result<Protection, DropReason> {
        let cold = self.stations.cold_mut(item.station);
        let (Opened::Old, Some(old)) = (opened, &mut cold.old_key) else {
            cold.mic_failures += 1;
            return Err(DropReason::MicFailure);
        };
        let protection = Protection { epoch: old.epoch, pn: item.pn };
        if !old.accept(item.mpdu.index(), item.pn) {
            return Err(self.replayed(item));
        }
        self.count(Forwarded::OpenedOld);
        Ok(protection)
    }

    fn punt_management(&mut self, packet: &Packet, item: &Item, was_protected: bool) {
        let mpdu = &item.mpdu;
        let group_pn = self.group_pn(item.bssid(packet));
        let frame = packet.data();
        let sent = self.offer(|| {
            let data = if was_protected {
                let control = mpdu.control.with_protected(false).to_bytes();
                let body = &frame[mpdu.header_len() + HEADER_LEN..frame.len() - MIC_LEN];
                [&control, &frame[2..mpdu.header_len()], body].concat()
            } else {
                frame.to_vec()
            };
            FromWorker::Event(Event::Frame(Frame {
                kind: FrameKind::Management,
                station: StationKey { bssid: item.bssid(packet), mac: item.transmitter(packet) },
                data,
                was_protected,
                signal: item.signal,
                group_pn,
            }))
        });
        if sent {
            self.count(Forwarded::PuntManagement);
        }
    }

    /// Gives an EAPOL PDU to control.
    pub(super) fn punt_eapol(&mut self, id: StationId, pdu: &[u8], was_protected: bool, signal: Signal) {
        let hot = self.stations.hot(id);
        let station = StationKey { bssid: hot.bssid, mac: hot.mac };
        let group_pn = self.group_pn(station.bssid);
        let sent = self.offer(|| {
            FromWorker::Event(Event::Frame(Frame {
                kind: FrameKind::Eapol,
                station,
                data: pdu.to_vec(),
                was_protected,
                signal,
                group_pn,
            }))
        });
        if sent {
            self.count(Forwarded::PuntEapol);
        }
    }

    fn group_pn(&self, bssid: dot11::MacAddr) -> u64 {
        let tunnel = self.tunnels.find(bssid).and_then(|id| self.tunnels.get(id));
        tunnel.map_or(0, |tunnel| tunnel.group_pn())
    }
}
