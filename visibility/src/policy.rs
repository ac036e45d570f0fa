//! What is demanded before a network is shown, and how demands combine.

use std::time::Duration;

/// When a network is shown. All conditions must hold.
///
/// A field that is `None` says nothing, and what it overrides stands. `Some` of zero, or of `false`, says that there is
/// expressly no such condition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Least signal of the device as the radio hears it, in dBm.
    pub min_rssi_dbm: Option<i8>,
    /// Least estimated spare capacity from the device, over air and backhaul, in kbit/s.
    pub min_up_kbps: Option<u32>,
    /// The same towards the device, in kbit/s.
    pub min_down_kbps: Option<u32>,
    /// How long the device must have been near.
    pub delay: Option<Duration>,
    /// Greatest mobility: radios that the device was near in the last ten minutes. Known of devices that a binding names; others have none.
    pub max_mobility: Option<u32>,
    /// More delay at 2.4 GHz, for devices that can do another band. The matchmaker leaves it only where a radio of another band may show them the same.
    pub steer_delay: Option<Duration>,
    /// Shown at least so long once shown.
    pub dwell: Option<Duration>,
    /// A connected device is sent away below this signal, in dBm.
    pub kick_rssi_dbm: Option<i8>,
    /// Probe requests below this signal, in dBm, are not answered.
    pub suppress_rssi_dbm: Option<i8>,
    /// Most clients of the service on one radio.
    pub max_clients: Option<u32>,
    /// The beacon does not name the network.
    pub hidden: Option<bool>,
    /// Not shown while the client's own network is heard near.
    pub yields_to_home: Option<bool>,
}

impl Policy {
    /// This one, with what `binding` says instead where it says something. Of a service's default and the overrides of a
    /// binding, the latter decide field by field.
    #[must_use]
    pub fn overridden_by(&self, binding: &Policy) -> Policy {
        Policy {
            min_rssi_dbm: binding.min_rssi_dbm.or(self.min_rssi_dbm),
            min_up_kbps: binding.min_up_kbps.or(self.min_up_kbps),
            min_down_kbps: binding.min_down_kbps.or(self.min_down_kbps),
            delay: binding.delay.or(self.delay),
            max_mobility: binding.max_mobility.or(self.max_mobility),
            steer_delay: binding.steer_delay.or(self.steer_delay),
            dwell: binding.dwell.or(self.dwell),
            kick_rssi_dbm: binding.kick_rssi_dbm.or(self.kick_rssi_dbm),
            suppress_rssi_dbm: binding.suppress_rssi_dbm.or(self.suppress_rssi_dbm),
            max_clients: binding.max_clients.or(self.max_clients),
            hidden: binding.hidden.or(self.hidden),
            yields_to_home: binding.yields_to_home.or(self.yields_to_home),
        }
    }

    /// This one while the service is overloaded: the demanded signal is at least that of the level. Nothing else changes, and
    /// nobody who is connected is sent away.
    #[must_use]
    pub fn under_overload(&self, level: u8) -> Policy {
        let Some(floor) = demanded_under_overload(level) else { return *self };
        let own = self.min_rssi_dbm.filter(|&own| own != 0);
        Policy { min_rssi_dbm: Some(own.map_or(floor, |own| own.max(floor))), ..*self }
    }

    /// What a service shows under, when bindings and load are considered.
    #[must_use]
    pub fn merge(service: &Policy, binding: &Policy, overload: u8) -> Policy {
        service.overridden_by(binding).under_overload(overload)
    }
}

/// The highest level of overload.
pub const MAX_OVERLOAD: u8 = 8;

/// The signal, in dBm, that a level of overload demands: -80 at level 1, 5 dB more with each, -45 at level 8. At level 0
/// there is no overload.
pub fn demanded_under_overload(level: u8) -> Option<i8> {
    let level = level.min(MAX_OVERLOAD) as i8;
    (level > 0).then_some(-85 + 5 * level)
}
