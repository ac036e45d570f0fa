//! The devices that are heard near the radio. Bounded: who sends under made-up addresses displaces only the like.

use std::time::Duration;

use dot11::MacAddr;
use dot11::element::Ssid;
use proto::tunnel::FrameInfo;

/// Devices that are remembered.
pub const MAX_NEAR: usize = 256;

/// A device that was not heard for so long is not near any more. Telephones in a pocket scan about once a minute.
pub const NEAR_FOR: Duration = Duration::from_secs(60);

/// Names of networks that are remembered of a device (as many as a look-up takes).
const MAX_SSIDS: usize = 4;

/// After such a silence a signal says nothing about the next one.
const SIGNAL_FOR: Duration = Duration::from_secs(10);

/// A device that names another network is looked up again, but not more often than this.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// One device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) address: MacAddr,
    pub(super) first: Duration,
    pub(super) last: Duration,
    /// Smoothed, in sixteenths of a dBm.
    signal: Option<i32>,
    /// Of its data frames, smoothed, in kbit/s.
    rate: Option<u32>,
    /// In its directed probe requests.
    pub(super) ssids: Vec<Ssid>,
    /// It can do another band than the radio's.
    pub(super) other_band: bool,
    /// It did more than to scan: the address is one that it keeps for a while.
    spoke: bool,
    /// When it is to be looked up; `None` while an answer is waited for.
    pub(super) look_up: Option<Duration>,
    asked: Option<Duration>,
}

impl Device {
    /// As the radio hears it, in dBm.
    pub(super) fn rssi(&self) -> Option<i8> {
        self.signal.and_then(|signal| i8::try_from((signal + 8).div_euclid(16)).ok())
    }

    /// Of its data frames, in kbit/s.
    pub(super) fn rate_kbps(&self) -> Option<u32> {
        self.rate
    }

    pub(super) fn is_near(&self, now: Duration) -> bool {
        now < self.last + NEAR_FOR
    }

    /// A look-up of it can bring more than what is for everybody: scanning addresses are thrown away.
    pub(super) fn is_telling(&self) -> bool {
        self.spoke || !self.address.is_local() || !self.ssids.is_empty()
    }

    /// Its look-up is on its way.
    pub(super) fn is_asked(&mut self, now: Duration) {
        (self.look_up, self.asked) = (None, Some(now));
    }

    fn received(&mut self, heard: &Heard<'_>, now: Duration) {
        let FrameInfo { rssi, rate, .. } = heard.info;
        if rssi != 0 {
            let sample = i32::from(rssi) * 16;
            let known = self.signal.filter(|_| now < self.last + SIGNAL_FOR);
            self.signal = Some(known.map_or(sample, |known| known + (sample - known) / 4));
        }
        if heard.data && rate != 0 {
            let sample = u32::from(rate) * 100;
            self.rate = Some(self.rate.map_or(sample, |known| (known * 3 + sample) / 4));
        }
        self.last = now;
        self.other_band |= heard.other_band;
        self.spoke |= heard.spoke;
        if let Some(ssid) = heard.ssid.filter(|ssid| !self.ssids.contains(ssid)) {
            if self.ssids.len() == MAX_SSIDS {
                self.ssids.remove(0);
            }
            self.ssids.push(*ssid);
            let again = self.asked.map_or(now, |asked| now.max(asked + ASK_AGAIN));
            self.look_up = self.look_up.map(|due| due.min(again));
        }
    }
}

/// What a frame tells of its sender.
#[derive(Debug)]
pub(super) struct Heard<'a> {
    pub(super) device: MacAddr,
    pub(super) info: FrameInfo,
    /// It asks for this network.
    pub(super) ssid: Option<&'a Ssid>,
    /// It says that it can do another band.
    pub(super) other_band: bool,
    /// It is no probe request.
    pub(super) spoke: bool,
    /// It is a data frame.
    pub(super) data: bool,
}

/// What became of a frame's sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    Known,
    New,
    /// New, and this one was forgotten for it.
    Instead(MacAddr),
    /// All others are needed.
    Refused,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Near(Vec<Device>);

impl Near {
    /// Notes a frame's sender. `is_needed` tells which devices must not be forgotten for it.
    pub(super) fn hear(
        &mut self,
        heard: &Heard<'_>,
        now: Duration,
        is_needed: impl Fn(MacAddr) -> bool,
    ) -> Noted {
        if let Some(device) = self.0.iter_mut().find(|device| device.address == heard.device) {
            device.received(heard, now);
            return Noted::Known;
        }
        let mut noted = Noted::New;
        if self.0.len() == MAX_NEAR {
            // Those that only scan under an address that they throw away go first.
            let others = (0..self.0.len()).filter(|&at| !is_needed(self.0[at].address));
            let Some(at) = others.min_by_key(|&at| (self.0[at].is_telling(), self.0[at].last)) else {
                return Noted::Refused;
            };
            noted = Noted::Instead(self.0.swap_remove(at).address);
        }
        let mut device = Device {
            address: heard.device,
            first: now,
            last: now,
            signal: None,
            rate: None,
            ssids: Vec::new(),
            other_band: false,
            spoke: false,
            look_up: Some(now),
            asked: None,
        };
        device.received(heard, now);
        self.0.push(device);
        noted
    }

    /// Forgets devices that are gone; gives them.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<MacAddr> {
        let gone = |device: &Device| !device.is_near(now);
        let forgotten = self.0.iter().filter(|device| gone(device)).map(|device| device.address).collect();
        self.0.retain(|device| !gone(device));
        forgotten
    }

    pub(super) fn get(&self, address: MacAddr) -> Option<&Device> {
        self.0.iter().find(|device| device.address == address)
    }

    pub(super) fn get_mut(&mut self, address: MacAddr) -> Option<&mut Device> {
        self.0.iter_mut().find(|device| device.address == address)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Device> {
        self.0.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the next device is to be looked up.
    pub(super) fn next_look_up(&self) -> Option<Duration> {
        self.0.iter().filter_map(|device| device.look_up).min()
    }

    /// Devices to be looked up now, the most telling first, of these the one that waits longest.
    pub(super) fn due(&self, now: Duration) -> Vec<&Device> {
        let mut due: Vec<_> =
            self.0.iter().filter(|device| device.look_up.is_some_and(|due| due <= now)).collect();
        due.sort_by_key(|device| (!device.is_telling(), device.look_up));
        due
    }
}
