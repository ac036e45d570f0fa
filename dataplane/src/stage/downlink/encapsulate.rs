//! A burst of frames gets headers, packet numbers and MICs, and goes into the tunnels.

use dot11::build::DataHeader;
use dot11::ccmp::{HEADER_LEN, MIC_LEN};
use dot11::llc::{self, EtherType};
use dot11::{Frame, MacAddr, QosControl, SequenceControl};
use proto::tunnel::{DATA_OCTETS, Header, fragment, max_datagram};

use super::{DownItem, Form, To};
use crate::counters::{DropReason, Forwarded};
use crate::crypto::{self, SealJob};
use crate::endpoint::Endpoint;
use crate::ethernet;
use crate::packet::{BURST, Packet};
use crate::state::State;
use crate::station::{Flag, StationId};
use crate::tunnel::{Exhausted, TunnelId};

/// What sealing a frame takes, found before the burst is sealed.
#[derive(Clone, Copy)]
struct Plan {
    endpoint: Endpoint,
    header_len: usize,
    /// Whose key, its identifier and the packet number; `None`: in clear.
    key: Option<(Owner, u8, u64)>,
}

#[derive(Clone, Copy)]
enum Owner {
    Station(StationId),
    Group(TunnelId, usize),
}

impl State {
    /// Seals and sends everything that waits.
    pub(crate) fn seal(&mut self) {
        if self.down.is_empty() {
            return;
        }
        let mut items = std::mem::take(&mut self.down);
        let mut plans: [Option<Plan>; BURST] = [const { None }; BURST];
        for (item, plan) in items.iter_mut().zip(&mut plans) {
            match self.plan(item) {
                Ok(found) => *plan = Some(found),
                Err(reason) => self.drop(reason),
            }
        }
        let sealed = self.seal_burst(&mut items, &plans);
        for ((item, plan), sealed) in items.drain(..).zip(plans).zip(sealed) {
            let Some(plan) = plan else { continue };
            if plan.key.is_some() {
                if !sealed {
                    self.drop(DropReason::UnsupportedFrame);
                    continue;
                }
                self.count(Forwarded::Sealed);
            }
            self.encapsulate(item.packet, plan.endpoint);
        }
        self.down = items;
    }

    fn seal_burst(&self, items: &mut [DownItem], plans: &[Option<Plan>; BURST]) -> [bool; BURST] {
        let mut jobs: [SealJob<'_>; BURST] = std::array::from_fn(|_| SealJob::idle());
        let mut places = [usize::MAX; BURST];
        let mut n = 0;
        for (i, (item, plan)) in items.iter_mut().zip(plans).enumerate() {
            let Some(Plan { header_len, key: Some((owner, key_id, pn)), .. }) = *plan else { continue };
            let key = match owner {
                Owner::Station(id) => Some(self.stations.hot(id).key()),
                Owner::Group(tunnel, index) => self
                    .tunnels
                    .get(tunnel)
                    .and_then(|state| state.group_keys[index].as_ref())
                    .map(|key| key.key.as_bytes()),
            };
            let Some(key) = key else { continue };
            let (buf, spare) = item.packet.data_and_tailroom_mut();
            jobs[n] = SealJob { key, key_id, pn, header_len, buf, spare, ..SealJob::idle() };
            places[n] = i;
            n += 1;
        }
        crypto::seal(&mut jobs[..n]);
        let mut sealed = [false; BURST];
        for (job, &place) in jobs[..n].iter().zip(&places) {
            sealed[place] = job.done;
        }
        sealed
    }

    /// Puts the 802.11 header on, with holes for CCMP if it will be sealed.
    fn plan(&mut self, item: &mut DownItem) -> Result<Plan, DropReason> {
        match item.form {
            Form::Management => self.plan_management(item),
            Form::Ethernet | Form::Eapol => match item.to {
                To::Station(id) => self.plan_unicast(item, id),
                To::Group(tunnel) => self.plan_group(item, tunnel),
                To::Bss(_) => Err(DropReason::UnknownStation),
            },
        }
    }

    fn plan_unicast(&mut self, item: &mut DownItem, id: StationId) -> Result<Plan, DropReason> {
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
        let seal = hot.is(Flag::Keyed) && item.protect;
        let source = MacAddr::from_slice(item.packet.data().get(6..).unwrap_or_default())
            .ok_or(DropReason::MalformedEthernet)?;
        let octets = into_msdu(&mut item.packet)?;
        let qos = hot.is(Flag::Qos).then(|| QosControl::new(item.priority & 7));
        let (bssid, mac) = (hot.bssid, hot.mac);
        let key = if seal {
            let pn = hot.next_pn().ok_or(DropReason::PnExhausted)?;
            Some((Owner::Station(id), hot.key_id, pn))
        } else {
            None
        };
        let tunnel = hot.tunnel;
        let plan = Plan { endpoint: hot.endpoint, header_len: 0, key };
        let number = match qos {
            Some(qos) => hot.next_sequence(qos.tid()),
            None => self.tunnels.get_mut(tunnel).map_or(0, |state| state.next_sequence()),
        };
        let header = DataHeader::from_ap(bssid, mac, source, qos);
        let header_len = write_header(&mut item.packet, header, number, seal)?;
        if !eapol {
            let hot = self.stations.hot_mut(id);
            hot.down_packets += 1;
            hot.down_octets += octets as u64;
            self.count(Forwarded::MsduDown);
        }
        Ok(Plan { header_len, ..plan })
    }

    fn plan_group(&mut self, item: &mut DownItem, tunnel: TunnelId) -> Result<Plan, DropReason> {
        let state = self.tunnels.get_mut(tunnel).ok_or(DropReason::UnknownTunnel)?;
        let header = ethernet::parse(item.packet.data()).ok_or(DropReason::MalformedEthernet)?;
        let key = match state.next_group_pn() {
            Some(Ok((key_id, pn))) => Some((Owner::Group(tunnel, usize::from(key_id) - 1), key_id, pn)),
            Some(Err(Exhausted)) => return Err(DropReason::PnExhausted),
            None if item.protect => return Err(DropReason::NoDownlinkKey),
            None => None,
        };
        let (bssid, endpoint, number) = (state.tunnel.bssid, state.tunnel.endpoint, state.next_sequence());
        into_msdu(&mut item.packet)?;
        let header = DataHeader::from_ap(bssid, header.destination, header.source, None);
        let header_len = write_header(&mut item.packet, header, number, key.is_some())?;
        self.count(Forwarded::GroupFrame);
        Ok(Plan { endpoint, header_len, key })
    }

    fn plan_management(&mut self, item: &mut DownItem) -> Result<Plan, DropReason> {
        let (tunnel, station) = match item.to {
            To::Station(id) => (self.stations.hot(id).tunnel, Some(id)),
            To::Bss(tunnel) | To::Group(tunnel) => (tunnel, None),
        };
        let state = self.tunnels.get_mut(tunnel).ok_or(DropReason::UnknownTunnel)?;
        let endpoint = state.tunnel.endpoint;
        let frame = Frame::parse(item.packet.data()).map_err(|_| DropReason::MalformedFrame)?;
        let (header_len, fragment) =
            (frame.header_len(), frame.sequence().ok_or(DropReason::UnsupportedFrame)?.fragment());
        let number = state.next_sequence();
        let sequence = SequenceControl::new(number, fragment);
        item.packet.data_mut()[22..24].copy_from_slice(&sequence.0.to_le_bytes());
        let Some(id) = station.filter(|&id| item.protect && self.stations.hot(id).is(Flag::Keyed)) else {
            return Ok(Plan { endpoint, header_len, key: None });
        };
        let hot = self.stations.hot_mut(id);
        let pn = hot.next_pn().ok_or(DropReason::PnExhausted)?;
        item.packet.prepend(HEADER_LEN).ok_or(DropReason::NoHeadroom)?;
        item.packet.data_mut().copy_within(HEADER_LEN..HEADER_LEN + header_len, 0);
        item.packet.append(MIC_LEN).ok_or(DropReason::NoHeadroom)?;
        Ok(Plan { endpoint, header_len, key: Some((Owner::Station(id), hot.key_id, pn)) })
    }

    /// Puts a frame into the tunnel: one datagram, or fragments if the path is too narrow for that.
    fn encapsulate(&mut self, mut packet: Packet, endpoint: Endpoint) {
        let max = max_datagram(self.config.path_mtu, endpoint.is_ipv6());
        if packet.len() + DATA_OCTETS.len() <= max {
            let Some(space) = packet.prepend(DATA_OCTETS.len()) else {
                return self.drop(DropReason::NoHeadroom);
            };
            space.copy_from_slice(&DATA_OCTETS);
            packet.meta.endpoint = endpoint;
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
