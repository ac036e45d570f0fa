//! Looking up the stations that frames of a burst go to, all at once and before the burst is opened: their state comes near meanwhile.

use dot11::MacAddr;

use super::{Class, Items};
use crate::packet::BURST;
use crate::state::State;
use crate::station::StationId;

/// Where a frame of a station goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The address.
    pub(crate) mac: MacAddr,
    /// What is known of it.
    pub(crate) aim: Aim,
}

/// What a look-up ahead told of a destination: good until control is heard again, so within a burst. Four octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aim(u32);

impl Aim {
    /// Nothing: it is still to be looked up.
    pub(crate) const UNKNOWN: Self = Self(u32::MAX);
    /// It is on the network side.
    pub(crate) const OUTSIDE: Self = Self(u32::MAX - 1);

    /// It is a station here.
    fn at(station: StationId) -> Self {
        debug_assert!(station.0 < Self::OUTSIDE.0);
        Self(station.0)
    }

    /// The station, if it is one here.
    #[inline]
    pub(crate) fn station(self) -> Option<StationId> {
        (self.0 < Self::OUTSIDE.0).then_some(StationId(self.0))
    }
}

/// Whether frames went from station to station lately. Where none do, looking ahead would be for nothing.
#[derive(Default)]
pub(crate) struct Across {
    bursts: u8,
}

/// Bursts without such a frame after which there is no more such traffic: looking ahead takes a frame to the network some cycles, and spares one
/// to a station a hundred times as many.
const LATELY: u8 = 4;

/// The tables of so many stations are in the cache, and nothing is to be fetched.
const FEW: usize = 4096;

impl Across {
    /// There was one.
    pub(crate) fn begins(&mut self) {
        self.bursts = LATELY;
    }

    /// With each burst: whether there was one lately.
    #[inline]
    fn goes_on(&mut self) -> bool {
        let lately = self.bursts > 0;
        self.bursts -= u8::from(lately);
        lately
    }
}

impl State {
    /// Whether to look ahead in this burst.
    #[inline]
    pub(super) fn looks_ahead(&mut self) -> bool {
        self.across.goes_on() && self.stations.len() > FEW
    }

    /// Looks where the data frames of a burst go, by the address in clear in the header. Nothing is believed of it but that: the frame is
    /// dropped as before if it turns out to be nobody's.
    pub(super) fn aim(&mut self, items: &mut Items) {
        let mut names = [(0, MacAddr::ZERO); BURST];
        let mut places = [0; BURST];
        let mut found = [None; BURST];
        let mut n = 0;
        for (place, (packet, item)) in items.packets.iter().zip(&mut items.items).enumerate() {
            // In an A-MSDU there are other addresses, each with its MSDU.
            if matches!(item.class, Class::Gone | Class::Management)
                || item.mpdu.control.is_management()
                || item.mpdu.amsdu
            {
                continue;
            }
            let (vlan, destination) = (self.stations.hot(item.station).vlan, item.third(packet));
            if self.outside.has(vlan, destination) {
                item.aim = Aim::OUTSIDE;
            } else if !destination.is_group() && n < BURST {
                (names[n], places[n]) = ((vlan, destination), place);
                n += 1;
            }
        }
        self.stations.find_in_segment_burst(&names[..n], &mut found[..n]);
        for (&place, id) in places.iter().zip(found).take(n) {
            if let Some(id) = id {
                items.items[place].aim = Aim::at(id);
                self.across.begins();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_octets_say_it_all() {
        assert_eq!((Aim::UNKNOWN.station(), Aim::OUTSIDE.station()), (None, None));
        assert_eq!(Aim::at(StationId(0)).station(), Some(StationId(0)));
        assert_eq!(Aim::at(StationId(7)).station(), Some(StationId(7)));
    }

    #[test]
    fn traffic_from_station_to_station_ends_after_a_while() {
        let mut across = Across::default();
        assert!(!across.goes_on(), "at first there is none");
        across.begins();
        assert_eq!((0..1000).filter(|_| across.goes_on()).count(), LATELY.into());
        assert!(!across.goes_on());
    }
}
