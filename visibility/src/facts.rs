//! What a radio knows of itself and of a device near it.

use std::time::Duration;

/// A band of IEEE 802.11.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Band {
    /// 2.4 GHz.
    Ghz2_4,
    /// 5 GHz.
    Ghz5,
    /// 6 GHz.
    Ghz6,
}

/// The radio's side, and the device if one is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The present.
    pub now: Duration,
    /// In which the radio is.
    pub band: Band,
    /// Estimated capacity to spare from a device, over air and backhaul, in kbit/s; unknown if `None`.
    pub spare_up_kbps: Option<u32>,
    /// The same towards a device.
    pub spare_down_kbps: Option<u32>,
    /// Clients of the service on this radio.
    pub clients: u32,
    /// `None`: nobody is heard, and the network is to be shown because somebody may come. What is demanded of a device is
    /// then not asked.
    pub device: Option<Device>,
}

/// A device near the radio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Its signal, in dBm; unknown if `None`.
    pub rssi_dbm: Option<i8>,
    /// Since when it is near.
    pub near_since: Duration,
    /// It can do another band than 2.4 GHz.
    pub can_other_band: bool,
    /// Radios that it was near in the last ten minutes.
    pub mobility: u32,
    /// Its own network is heard near.
    pub home_heard: bool,
}
