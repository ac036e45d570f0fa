//! Group-addressed frames: one copy for each station under its own key, or one for each BSS under its group key. A frame to a great many
//! stations is spread over passes, so that it does not hold up everything else.

use std::collections::VecDeque;

use dot11::MacAddr;

use super::{DownItem, Form, To};
use crate::counters::{DropReason, Forwarded};
use crate::ethernet;
use crate::packet::Packet;
use crate::state::State;
use crate::station::{Flag, StationId};

/// Frames that are being copied, oldest first.
pub struct Fanout {
    jobs: VecDeque<Job>,
    capacity: usize,
}

/// One such frame.
pub struct Job {
    packet: Packet,
    vlan: u16,
    priority: u8,
    source: MacAddr,
    from_station: bool,
    unknown_only: bool,
    /// Place of the next tunnel to look at; `None` when all were.
    tunnels_from: Option<u32>,
    /// Members of the VLAN before this one are still to be looked at. From the back to the front, because members that leave are replaced
    /// from the back: at worst one station gets the frame twice.
    members_before: usize,
    receivers: usize,
}

impl Job {
    /// A frame from `source` for the stations of a VLAN; with `unknown_only` for those only whose IPv4 address nobody knows.
    pub fn new(
        packet: Packet,
        vlan: u16,
        priority: u8,
        source: MacAddr,
        from_station: bool,
        unknown_only: bool,
    ) -> Self {
        Self {
            packet,
            vlan,
            priority,
            source,
            from_station,
            unknown_only,
            tunnels_from: Some(0),
            members_before: usize::MAX,
            receivers: 0,
        }
    }
}

impl Fanout {
    /// With room for `capacity` frames.
    pub fn new(capacity: usize) -> Self {
        Self { jobs: VecDeque::with_capacity(capacity), capacity }
    }

    /// Appends a frame; false (it is gone) if there is no room.
    pub fn push(&mut self, job: Job) -> bool {
        let room = self.jobs.len() < self.capacity;
        if room {
            self.jobs.push_back(job);
        }
        room
    }

    /// Whether nothing is being copied.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}

impl State {
    /// Makes some of the copies that are due.
    pub(crate) fn fan_out(&mut self) {
        let mut budget = self.config.fanout_per_pass;
        while budget > 0 {
            let Some(mut job) = self.fanout.jobs.pop_front() else { return };
            self.fan_out_to_groups(&mut job, &mut budget);
            if job.tunnels_from.is_none() {
                self.fan_out_to_stations(&mut job, &mut budget);
            }
            if job.tunnels_from.is_some() || job.members_before > 0 {
                self.fanout.jobs.push_front(job);
                return;
            }
            if job.receivers == 0 && !job.from_station {
                self.drop(DropReason::Contained);
            }
        }
    }

    /// One copy for each BSS of the VLAN that has a group key in use.
    fn fan_out_to_groups(&mut self, job: &mut Job, budget: &mut usize) {
        while let Some(from) = job.tunnels_from {
            if *budget == 0 {
                return;
            }
            // An empty BSS costs as much of the budget as looking at it does.
            *budget -= 1;
            let Some((id, state)) = self.tunnels.iter_from(from).next() else {
                job.tunnels_from = None;
                return;
            };
            job.tunnels_from = Some(id.0 + 1);
            let Some(service) = self.services.get(state.service) else { continue };
            let wanted = service.vlan == job.vlan
                && !service.group_to_unicast
                && !(job.from_station && service.isolate)
                && state.stations.iter().any(|&id| self.wants(id, job));
            // A BSS whose stations need keys has a group key; an open one has none.
            let protect = state.stations.iter().any(|&id| self.stations.hot(id).is(Flag::Protect));
            if wanted {
                self.copy_down(job, To::Group(id), protect);
            }
        }
    }

    /// One copy for each station that gets group-addressed frames by unicast.
    fn fan_out_to_stations(&mut self, job: &mut Job, budget: &mut usize) {
        job.members_before = job.members_before.min(self.stations.members(job.vlan).len());
        while job.members_before > 0 && *budget > 0 {
            *budget -= 1;
            job.members_before -= 1;
            let Some(&id) = self.stations.members(job.vlan).get(job.members_before) else { continue };
            let hot = self.stations.hot(id);
            let service = self.services.get(hot.service);
            // A station that control put on another VLAN does not share its service's group key there.
            let by_unicast = service.is_none_or(|s| s.group_to_unicast || s.vlan != job.vlan);
            let isolated = job.from_station && service.is_some_and(|service| service.isolate);
            if by_unicast && !isolated && self.wants(id, job) {
                self.copy_down(job, To::Station(id), true);
            }
        }
    }

    fn wants(&self, id: StationId, job: &Job) -> bool {
        let hot = self.stations.hot(id);
        hot.is(Flag::PortOpen)
            && hot.vlan == job.vlan
            && hot.mac != job.source
            && (!job.unknown_only || hot.ipv4().is_unspecified())
    }

    fn copy_down(&mut self, job: &mut Job, to: To, protect: bool) {
        job.receivers += 1;
        let Some(mut packet) = self.copy_of(job.packet.data()) else { return };
        match to {
            To::Station(id) => {
                // As mac80211's own conversion does: the group stays visible in the IP header.
                ethernet::set_destination(&mut packet, self.stations.hot(id).mac);
                self.count(Forwarded::GroupCopy);
                self.msdu_down(id, packet, job.priority);
            }
            To::Group(_) | To::Bss(_) => {
                self.push_down(DownItem {
                    packet,
                    to,
                    form: Form::Ethernet,
                    priority: job.priority,
                    protect,
                });
            }
        }
    }
}
