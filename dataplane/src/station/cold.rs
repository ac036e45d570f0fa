//! What only commands, timers and rare packets of a station touch.

use std::net::IpAddr;

use zeroize::Zeroize;

use super::replay::{RareCounters, ReplayCounters};
use crate::clock::Time;
use crate::command::Blob;

/// Addresses remembered per station.
pub const ADDRESSES: usize = 8;

/// Cold state of one station.
#[derive(Default)]
pub struct Cold {
    /// Association identifier.
    pub aid: u16,
    /// Control's own.
    pub blob: Blob,
    /// The replaced pairwise key, while frames under it are still accepted.
    pub old_key: Option<Box<OldKey>>,
    /// VLAN that control chose instead of the service's; 0 for none.
    pub vlan_override: u16,
    /// Frames with a wrong MIC since the association.
    pub mic_failures: u64,
    /// Replayed frames since the association.
    pub replays: u64,
    /// Sum of both when control was last told.
    pub failures_reported: u64,
    /// When that was.
    pub failures_reported_at: Time,
    /// When totals were last reported.
    pub counters_reported_at: Time,
    /// When idleness was last reported.
    pub idle_reported_at: Time,
    /// Until when downlink waits; meaningless unless holding.
    pub hold_until: Time,
    /// Packets that wait, newest at the back, as a chain in the hold queue.
    pub held: Chain,
    /// Receive packet numbers of TIDs 8 to 15 under the pairwise key. They are those of an earlier key, and nothing counted under this one, unless
    /// [`RareTids`](super::Flag::RareTids) is set.
    pub(crate) rare_replay: Option<Box<RareCounters>>,
    /// Addresses it was seen to use, oldest first.
    pub addresses: Vec<IpAddr>,
    /// Its place in the list of its tunnel.
    pub(crate) tunnel_place: u32,
    /// Its place in the list of its segment; [`NOWHERE`] while the port is closed.
    pub(crate) segment_place: u32,
}

const _: () =
    assert!(size_of::<Cold>() + size_of::<super::Hot>() <= 400, "with indexes and blob below 1 KiB");

/// No place in a list.
pub(super) const NOWHERE: u32 = u32::MAX;

/// A chain of entries in a [`crate::hold::HoldQueue`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// First entry, meaningless if `len` is 0.
    pub head: u32,
    /// Last entry, meaningless if `len` is 0.
    pub tail: u32,
    /// Number of entries.
    pub len: u32,
}

/// A replaced key that is still good for receiving.
pub struct OldKey {
    /// Its identifier.
    pub key_id: u8,
    /// The key.
    pub key: [u8; 16],
    /// Receive packet numbers under it, going on from where they were.
    pub(crate) replay: ReplayCounters,
    /// Those of TIDs 8 to 15, if there were any.
    pub(crate) rare_replay: Option<Box<RareCounters>>,
    /// Its installation count, as in [`super::Hot::key_epoch`].
    pub epoch: u8,
    /// When it stops being good.
    pub until: Time,
}

impl OldKey {
    /// Whether a frame of this number may be opened. `index` is the TID (0 to 15) or [`MANAGEMENT`](super::MANAGEMENT).
    pub fn is_new(&self, index: usize, pn: u64) -> bool {
        let rare = || self.rare_replay.as_ref().map_or(pn > 0, |rare| rare.is_new(index, pn));
        self.replay.is_new(index, pn).unwrap_or_else(rare)
    }

    /// Moves on to a frame whose MIC was right. False, without effect, if another one moved past it since [`is_new`](Self::is_new).
    #[must_use]
    pub fn accept(&mut self, index: usize, pn: u64) -> bool {
        let rare = || self.rare_replay.get_or_insert_default().accept(index, pn);
        self.replay.accept(index, pn).unwrap_or_else(rare)
    }
}

impl Drop for OldKey {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}
