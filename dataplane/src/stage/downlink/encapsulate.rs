//! A burst of frames gets headers, packet numbers and MICs, and goes into the tunnels.

use arrayvec::ArrayVec;
use dot11::build::DataHeader;
use dot11::ccmp::{HEADER_LEN, MIC_LEN};
use dot11::llc::{self, EtherType};
use dot11::{Frame, MacAddr, QosControl, SequenceControl};
use proto::tunnel::{DATA_OCTETS, Header, fragment, max_datagram};

use super::{DownItem, Form, To};
use crate::counters::{DropReason, Forwarded};
use crate::crypto::{self, SealJob};
use crate::ethernet;
use crate::packet::{BURST, Packet};
use crate::state::State;
use crate::station::{Flag, StationId};
use crate::tunnel::{Exhausted, TunnelId};

/// What sealing a frame takes, found before the burst is sealed.
#[derive(Clone, Copy)]
struct Plan {
    key: [u8; 16],
    pn: u64,
    what: What,
    key_id: u8,
    header_len: u8,
    /// Octets of tunnel header that are in front of the frame already.
    front: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// Counted and gone.
    Nothing,
    /// Goes in clear.
    Clear,
    /// Is to be sealed.
    Seal,
}

impl Plan {
    const NONE: Plan = Plan { key: [0; 16], pn: 0, what: What::Nothing, key_id: 0, header_len: 0, front: 0 };

    /// For a frame in clear, with so many octets of header. (In place: a plan that is made elsewhere and moved costs more than all else here.)
    fn clear(&mut self, header_len: usize) {
        self.what = What::Clear;
        self.header_len = header_len as u8;
    }

    fn seal(&mut self, header_len: usize, key: &[u8; 16], key_id: u8, pn: u64) {
        self.key = *key;
        self.pn = pn;
        self.key_id = key_id;
        self.what = What::Seal;
        self.header_len = header_len as u8;
    }
}

impl State {
    /// Seals and sends everything that waits.
    pub(crate) fn seal(&mut self) {
        if self.down.is_empty() {
            return;
        }
        let mut items = std::mem::take(&mut self.down);
        let mut plans = [Plan::NONE; BURST];
        for (item, plan) in items.iter_mut().zip(&mut plans) {
            if let Err(reason) = self.plan(item, plan) {
                *plan = Plan::NONE;
                self.drop(reason);
            }
        }
        let sealed = seal_burst(&mut items, &plans);
        let mut sealed = sealed.into_iter();
        for (item, plan) in items.drain(..).zip(&plans) {
            match plan.what {
                What::Nothing => continue,
                What::Clear => {}
                What::Seal if sealed.next() == Some(true) => self.count(Forwarded::Sealed),
                What::Seal => {
                    self.drop(DropReason::UnsupportedFrame);
                    continue;
                }
            }
            self.encapsulate(item.packet, plan.front.into());
        }
        self.down = items;
    }

    /// Puts the 802.11 header on, with holes for CCMP if it will be sealed.
    #[inline]
    fn plan(&mut self, item: &mut DownItem, plan: &mut Plan) -> Result<(), DropReason> {
        match item.form {
            Form::Management => self.plan_management(item, plan),
            Form::Ethernet | Form::Eapol => match item.to {
                To::Station(id) => self.plan_unicast(item, id, plan),
                To::Group(tunnel) => self.plan_group(item, tunnel, plan),
                To::Bss(_) => Err(DropReason::UnknownStation),
            },
        }
    }

    #[inline]
    fn plan_unicast(
        &mut self,
        item: &mut DownItem,
        id: StationId,
        plan: &mut Plan,
    ) -> Result<(), DropReason> {
        let max = self.config.path_mtu;
        let hot = self.stations.hot_mut(id);
        let eapol = item.form == Form::Eapol;
        if !eapol {
            if !hot.is(Flag::PortOpen) {
                return Err(DropReason::PortClosed);
            }
            if hot.is(Flag::Protect) && !hot.is(Flag::Keyed) {
                return Err(DropReason::NoDownlinkKey);
            }
        }
        item.packet.meta.endpoint = hot.endpoint;
        let seal = hot.is(Flag::Keyed) && item.protect;
        let header: &[u8; ethernet::HEADER] =
            item.packet.data().first_chunk().ok_or(DropReason::MalformedEthernet)?;
        let ether_type = u16::from_be_bytes([header[12], header[13]]);
        // Encrypted QoS data of EtherType II in one datagram: nearly all there is.
        if seal && hot.is(Flag::Qos) && ether_type >= ethernet::FIRST_ETHER_TYPE {
            let [_, _, _, _, _, _, source @ ..] = *header;
            let source = u64::from_le_bytes(source);
            let octets = item.packet.len() - ethernet::HEADER + llc::LEN;
            if max_datagram(max, hot.endpoint.is_ipv6()) >= Front::BEFORE_MSDU + octets + MIC_LEN {
                let pn = hot.next_pn().ok_or(DropReason::PnExhausted)?;
                let tid = item.priority & 7;
                let number = hot.next_sequence(tid);
                let front = Front { ether_type, source, tid, number };
                front.write(&mut item.packet, hot.mac, hot.bssid)?;
                plan.seal(Front::HEADER, hot.key(), hot.key_id, pn);
                plan.front = DATA_OCTETS.len() as u8;
                if !eapol {
                    hot.down_packets += 1;
                    hot.down_octets += octets as u64;
                    self.count(Forwarded::MsduDown);
                }
                return Ok(());
            }
        }
        self.plan_other(item, id, seal, plan)
    }

    /// Every other unicast frame.
    fn plan_other(
        &mut self,
        item: &mut DownItem,
        id: StationId,
        seal: bool,
        plan: &mut Plan,
    ) -> Result<(), DropReason> {
        let hot = self.stations.hot_mut(id);
        let source = MacAddr::from_slice(item.packet.data().get(6..).unwrap_or_default())
            .ok_or(DropReason::MalformedEthernet)?;
        let octets = into_msdu(&mut item.packet)?;
        let qos = hot.is(Flag::Qos).then(|| QosControl::new(item.priority & 7));
        let (bssid, mac, tunnel) = (hot.bssid, hot.mac, hot.tunnel);
        let pn = if seal { hot.next_pn().ok_or(DropReason::PnExhausted)? } else { 0 };
        let number = match qos {
            Some(qos) => hot.next_sequence(qos.tid()),
            None => self.tunnels.get_mut(tunnel).map_or(0, |state| state.next_sequence()),
        };
        let header = DataHeader::from_ap(bssid, mac, source, qos);
        let header_len = write_header(&mut item.packet, header, number, seal)?;
        let hot = self.stations.hot_mut(id);
        if seal {
            plan.seal(header_len, hot.key(), hot.key_id, pn);
        } else {
            plan.clear(header_len);
        }
        if item.form != Form::Eapol {
            hot.down_packets += 1;
            hot.down_octets += octets as u64;
            self.count(Forwarded::MsduDown);
        }
        Ok(())
    }

    fn plan_group(
        &mut self,
        item: &mut DownItem,
        tunnel: TunnelId,
        plan: &mut Plan,
    ) -> Result<(), DropReason> {
        let state = self.tunnels.get_mut(tunnel).ok_or(DropReason::UnknownTunnel)?;
        let header = ethernet::parse(item.packet.data()).ok_or(DropReason::MalformedEthernet)?;
        let numbers = match state.next_group_pn() {
            Some(Ok(numbers)) => Some(numbers),
            Some(Err(Exhausted)) => return Err(DropReason::PnExhausted),
            None if item.protect => return Err(DropReason::NoDownlinkKey),
            None => None,
        };
        let (bssid, number) = (state.tunnel.bssid, state.next_sequence());
        item.packet.meta.endpoint = state.tunnel.endpoint;
        into_msdu(&mut item.packet)?;
        let header = DataHeader::from_ap(bssid, header.destination, header.source, None);
        let header_len = write_header(&mut item.packet, header, number, numbers.is_some())?;
        match numbers {
            Some((key_id, pn)) => {
                let key =
                    state.group_keys[usize::from(key_id) - 1].as_ref().ok_or(DropReason::NoDownlinkKey)?;
                plan.seal(header_len, key.key.as_bytes(), key_id, pn);
            }
            None => plan.clear(header_len),
        }
        self.count(Forwarded::GroupFrame);
        Ok(())
    }

    fn plan_management(&mut self, item: &mut DownItem, plan: &mut Plan) -> Result<(), DropReason> {
        let (tunnel, station) = match item.to {
            To::Station(id) => (self.stations.hot(id).tunnel, Some(id)),
            To::Bss(tunnel) | To::Group(tunnel) => (tunnel, None),
        };
        let state = self.tunnels.get_mut(tunnel).ok_or(DropReason::UnknownTunnel)?;
        item.packet.meta.endpoint = state.tunnel.endpoint;
        let frame = Frame::parse(item.packet.data()).map_err(|_| DropReason::MalformedFrame)?;
        let (header_len, fragment) =
            (frame.header_len(), frame.sequence().ok_or(DropReason::UnsupportedFrame)?.fragment());
        let number = state.next_sequence();
        let sequence = SequenceControl::new(number, fragment);
        item.packet.data_mut()[22..24].copy_from_slice(&sequence.0.to_le_bytes());
        let Some(id) = station.filter(|&id| item.protect && self.stations.hot(id).is(Flag::Keyed)) else {
            plan.clear(header_len);
            return Ok(());
        };
        let hot = self.stations.hot_mut(id);
        let pn = hot.next_pn().ok_or(DropReason::PnExhausted)?;
        item.packet.prepend(HEADER_LEN).ok_or(DropReason::NoHeadroom)?;
        item.packet.data_mut().copy_within(HEADER_LEN..HEADER_LEN + header_len, 0);
        item.packet.append(MIC_LEN).ok_or(DropReason::NoHeadroom)?;
        plan.seal(header_len, hot.key(), hot.key_id, pn);
        Ok(())
    }

    /// Puts a frame into the tunnel that its `meta` names: one datagram, or fragments if the path is too narrow for that. `front` octets of
    /// tunnel header are there already, in front of what fits.
    #[inline]
    fn encapsulate(&mut self, packet: Packet, front: usize) {
        if front > 0 {
            return self.send_to_tunnel(packet);
        }
        self.encapsulate_any(packet);
    }

    fn encapsulate_any(&mut self, mut packet: Packet) {
        let endpoint = packet.meta.endpoint;
        let max = max_datagram(self.config.path_mtu, endpoint.is_ipv6());
        if packet.len() + DATA_OCTETS.len() <= max {
            let Some(space) = packet.prepend(DATA_OCTETS.len()) else {
                return self.drop(DropReason::NoHeadroom);
            };
            space.copy_from_slice(&DATA_OCTETS);
            return self.send_to_tunnel(packet);
        }
        let id = self.fragment_ids.next_id();
        let Ok(fragments) = fragment(Header::DATA, packet.data(), max, id) else {
            return self.drop(DropReason::TooLong);
        };
        for part in fragments {
            let Some(mut packet) = self.copy_of(part.payload) else { return };
            let Some(space) = packet.prepend(part.header.as_bytes().len()) else {
                return self.drop(DropReason::NoHeadroom);
            };
            space.copy_from_slice(part.header.as_bytes());
            packet.meta.endpoint = endpoint;
            self.count(Forwarded::TunnelFragmentTx);
            self.send_to_tunnel(packet);
        }
    }
}

/// Seals what is to be sealed: whether it was, of each.
fn seal_burst(items: &mut [DownItem], plans: &[Plan; BURST]) -> ArrayVec<bool, BURST> {
    let mut jobs: ArrayVec<SealJob<'_>, BURST> = ArrayVec::new();
    for (item, plan) in items.iter_mut().zip(plans) {
        if plan.what != What::Seal {
            continue;
        }
        let (buf, spare) = item.packet.data_and_tailroom_mut();
        let buf = buf.get_mut(usize::from(plan.front)..).unwrap_or_default();
        let Plan { ref key, pn, key_id, header_len, .. } = *plan;
        let header_len = header_len.into();
        jobs.push(SealJob { key, key_id, pn, header_len, buf, spare, ..SealJob::idle() });
    }
    crypto::seal(&mut jobs);
    jobs.iter().map(|job| job.done).collect()
}

/// Everything that goes before the payload of an encrypted QoS data frame from the distribution system, in one piece:
///
/// ```text
/// CAPWAP (8) | Frame Control, Duration (4) | A1 A2 A3 (18) | Sequence, QoS Control (4) | CCMP (8) | LLC, SNAP (6) | EtherType, as it was
/// ```
struct Front {
    ether_type: u16,
    /// In the low six octets. (A number stays in a register.)
    source: u64,
    tid: u8,
    number: u16,
}

impl Front {
    /// Octets of the MAC header.
    const HEADER: usize = 26;
    /// Octets before LLC.
    const BEFORE_MSDU: usize = DATA_OCTETS.len() + Self::HEADER + HEADER_LEN;
    /// Octets before the EtherType.
    const LEN: usize = Self::BEFORE_MSDU + llc::LEN - 2;

    /// Replaces the addresses of an Ethernet frame by it, and makes room for the MIC. Straight to where it goes: copies would cost more.
    #[inline]
    fn write(&self, packet: &mut Packet, mac: MacAddr, bssid: MacAddr) -> Result<(), DropReason> {
        const DATA: usize = DATA_OCTETS.len();
        packet.append(MIC_LEN).ok_or(DropReason::NoHeadroom)?;
        packet.prepend(Self::LEN - 12).ok_or(DropReason::NoHeadroom)?;
        let front: &mut [u8; Self::LEN] =
            packet.data_mut().first_chunk_mut().ok_or(DropReason::NoHeadroom)?;
        front[..DATA].copy_from_slice(&DATA_OCTETS);
        front[DATA..][..4].copy_from_slice(&[0x88, 0x02, 0, 0]); // QoS Data, From DS
        front[DATA + 4..][..6].copy_from_slice(&mac.0);
        front[DATA + 10..][..6].copy_from_slice(&bssid.0);
        front[DATA + 16..][..8].copy_from_slice(&self.source.to_le_bytes());
        front[DATA + 22..][..2].copy_from_slice(&SequenceControl::new(self.number, 0).0.to_le_bytes());
        front[DATA + 24..][..2].copy_from_slice(&[self.tid, 0]);
        let llc = llc::header(EtherType(self.ether_type));
        front[Self::BEFORE_MSDU..].copy_from_slice(&llc[..llc::LEN - 2]);
        Ok(())
    }
}

/// From Ethernet frame to MSDU; its octets.
fn into_msdu(packet: &mut Packet) -> Result<usize, DropReason> {
    let header = ethernet::parse(packet.data()).ok_or(DropReason::MalformedEthernet)?;
    packet.trim_front(ethernet::HEADER);
    if header.ether_type >= ethernet::FIRST_ETHER_TYPE {
        let llc = llc::header(EtherType(header.ether_type));
        packet.prepend(llc.len()).ok_or(DropReason::NoHeadroom)?.copy_from_slice(&llc);
    } else {
        // An LLC PDU of this length, and perhaps padding (802.3-2018 §3.2.6, §3.2.8).
        let length = usize::from(header.ether_type);
        if length < 3 || length > packet.len() {
            return Err(DropReason::MalformedEthernet);
        }
        packet.truncate(length);
    }
    Ok(packet.len())
}

/// Puts a data header on an MSDU; its length. With `seal`, CCMP's holes too.
fn write_header(
    packet: &mut Packet,
    mut header: DataHeader,
    number: u16,
    seal: bool,
) -> Result<usize, DropReason> {
    header.sequence = SequenceControl::new(number, 0);
    let len = header.len();
    let hole = if seal { HEADER_LEN } else { 0 };
    let space = packet.prepend(len + hole).ok_or(DropReason::NoHeadroom)?;
    header.write(space).ok_or(DropReason::NoHeadroom)?;
    if seal {
        packet.append(MIC_LEN).ok_or(DropReason::NoHeadroom)?;
    }
    Ok(len)
}
