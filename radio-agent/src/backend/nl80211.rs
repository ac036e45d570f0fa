//! A real radio: one monitor interface to hear and to inject, one AP interface per virtual BSS for what only the
//! hardware can do in time: beacons, acknowledgements, waking sleeping devices. All are the agent's own and vanish
//! with its netlink socket, however it ends.

use std::fs;
use std::io;
use std::time::Duration;

use dot11::MacAddr;
use proto::tunnel::FrameInfo;

use super::monitor::Monitor;
use super::netlink::{Attributes, Netlink, attribute};
use super::{Backend, BackendError};
use crate::agent::{Station, Template, slot_bssids};
use crate::config::Config;
use crate::sys;

/// What mac80211 lets an MTU be at most: the longest MSDU and its LLC header (802.11-2020 table 9-25).
const LONGEST_INJECTED: libc::c_int = 2304;

#[derive(Debug)]
pub(super) struct Nl80211Radio {
    netlink: Netlink,
    monitor: Monitor,
    radio: Option<MacAddr>,
    monitor_index: u32,
    frequency: u32,
    /// Interface indices, by BSS.
    interfaces: Vec<u32>,
}

impl Nl80211Radio {
    /// Makes the interfaces on `phy`: those of virtual BSSes that matchmaking may open as well, so that what the radio does
    /// not take is found out now. On the air is none of them before [`Backend::open`].
    pub(super) fn start(phy: &str, config: &Config) -> Result<Nl80211Radio, BackendError> {
        check_capabilities()?;
        let channel = config.channel;
        let mut netlink = Netlink::open("nl80211").map_err(|error| {
            let advice = "This kernel has no Wi-Fi: load the radio's driver, or use kind = \"air\".";
            BackendError::new("talk to nl80211", error, advice)
        })?;
        let number = read_sys(phy, "index").and_then(|index| index.parse::<u32>().ok()).ok_or_else(|| {
            let advice = "`iw phy` lists those there are; write one of them into [backend].";
            BackendError::new(format!("find {phy}"), io::ErrorKind::NotFound.into(), advice)
        })?;
        let radio = config.radio.or(read_sys(phy, "macaddress").and_then(|address| address.parse().ok()));
        let mut bssids: Vec<_> = config.bsses.iter().map(|bss| bss.bssid).collect();
        match radio {
            Some(radio) => bssids.extend(slot_bssids(config, radio)),
            None if config.matchmaking.is_none() => {}
            None => {
                let advice = "Write it into the configuration: radio = \"…\".";
                let error = io::ErrorKind::NotFound.into();
                return Err(BackendError::new(format!("find the permanent address of {phy}"), error, advice));
            }
        }

        let name = format!("ttg{number}mon");
        let wanted = Attributes::new().u32(ATTR_IFTYPE, IFTYPE_MONITOR);
        let monitor_index = add_interface(&mut netlink, number, &name, wanted)?;
        // The kernel holds what is injected to the interface's MTU plus 14 octets. A driver that refuses is found out when
        // the first long frame cannot be transmitted.
        let _ = sys::set_mtu(&name, LONGEST_INJECTED);
        let tune = Attributes::new()
            .u32(ATTR_IFINDEX, monitor_index)
            .u32(ATTR_WIPHY_FREQ, channel.frequency())
            .u32(ATTR_WIPHY_CHANNEL_TYPE, CHANNEL_NO_HT);
        match netlink.request(CMD_SET_WIPHY, tune) {
            // Another interface (the primary BSS) holds the channel: the monitor follows it.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) => {
                let advice = "Choose a channel that the radio may use here (`iw phy` lists them).";
                let what = format!("set {name} to channel {}", channel.number());
                return Err(BackendError::new(what, error, advice));
            }
            Ok(_) => {}
        }
        let failed = |error| BackendError::new(format!("open {name} as a packet socket"), error, "");
        let monitor = Monitor::open(monitor_index, &bssids, config.matchmaking.is_some()).map_err(failed)?;

        let mut interfaces = Vec::new();
        for (bss, bssid) in bssids.iter().enumerate() {
            let wanted = Attributes::new().u32(ATTR_IFTYPE, IFTYPE_AP).bytes(ATTR_MAC, &bssid.0);
            interfaces.push(add_interface(&mut netlink, number, &format!("ttg{number}bss{bss}"), wanted)?);
        }
        Ok(Nl80211Radio {
            netlink,
            monitor,
            radio,
            monitor_index,
            frequency: channel.frequency(),
            interfaces,
        })
    }

    fn on(&self, bss: usize) -> Attributes {
        Attributes::new().u32(ATTR_IFINDEX, self.interfaces[bss])
    }
}

impl Backend for Nl80211Radio {
    fn radio(&self) -> Option<MacAddr> {
        self.radio
    }

    fn poll_fds(&self, fds: &mut Vec<libc::pollfd>) {
        fds.push(self.monitor.pollfd());
    }

    fn receive(&mut self, heard: &mut dyn FnMut(&[u8], FrameInfo)) -> Result<(), BackendError> {
        let advice = "The monitor interface is gone or down: start the agent again.";
        self.monitor.receive(heard).map_err(|error| BackendError::new("hear the air", error, advice))
    }

    fn open(&mut self, bss: usize, template: &Template, _now: Duration) -> Result<(), BackendError> {
        let frequency = template.channel().frequency();
        let attributes = self
            .on(bss)
            .bytes(ATTR_BEACON_HEAD, &template.beacon_head())
            .bytes(ATTR_BEACON_TAIL, &template.beacon_tail())
            .u32(ATTR_BEACON_INTERVAL, template.interval().into())
            .u32(ATTR_DTIM_PERIOD, template.dtim_period().into())
            .bytes(ATTR_SSID, template.ssid().as_bytes())
            .u32(ATTR_HIDDEN_SSID, if template.hidden() { HIDDEN_ZERO_LENGTH } else { 0 })
            .u32(ATTR_AUTH_TYPE, AUTH_OPEN_SYSTEM)
            .u32(ATTR_WIPHY_FREQ, frequency)
            .u32(ATTR_CHANNEL_WIDTH, WIDTH_20_NO_HT)
            .u32(ATTR_CENTER_FREQ1, frequency)
            .flag_if(ATTR_PRIVACY, template.privacy())
            .flag(ATTR_SOCKET_OWNER);
        let advice = "The channel must be one that access points may use here, and that of the primary BSS if there is \
                      one; the driver must allow one AP more (`iw phy`, valid interface combinations).";
        let what = || format!("start the AP of {}", template.bssid());
        let started = self.netlink.request(CMD_START_AP, attributes);
        started.map(drop).map_err(|error| BackendError::new(what(), error, advice))
    }

    fn update(&mut self, bss: usize, template: &Template) -> Result<(), BackendError> {
        let attributes = self
            .on(bss)
            .bytes(ATTR_BEACON_HEAD, &template.beacon_head())
            .bytes(ATTR_BEACON_TAIL, &template.beacon_tail());
        let what = || format!("change the beacon of {}", template.bssid());
        let changed = self.netlink.request(CMD_SET_BEACON, attributes);
        changed.map(drop).map_err(|error| BackendError::new(what(), error, "It is opened anew."))
    }

    fn close(&mut self, bss: usize) -> Result<(), BackendError> {
        let attributes = self.on(bss);
        let stopped = self.netlink.request(CMD_STOP_AP, attributes);
        stopped.map(drop).map_err(|error| BackendError::new("stop an AP", error, ""))
    }

    /// The driver may count since any moment, and may know nothing.
    fn air_time(&mut self) -> Option<(u64, u64)> {
        let (index, frequency) = (self.monitor_index, self.frequency);
        let mut found = None;
        let asked = Attributes::new().u32(ATTR_IFINDEX, index);
        let dumped =
            self.netlink.dump(CMD_GET_SURVEY, asked, &mut |entry| survey(entry, frequency, &mut found));
        dumped.ok().and(found)
    }

    fn inject(&mut self, frame: &[u8]) -> Result<(), BackendError> {
        self.monitor.inject(frame).map_err(|error| BackendError::new("transmit a frame", error, ""))
    }

    /// AUTHENTICATED and ASSOCIATED make the kernel buffer for the device while it sleeps and decline its block
    /// acknowledgement agreements. Not AUTHORIZED, without which the host's own traffic stays off the air; no keys.
    fn add_station(&mut self, bss: usize, station: &Station) -> Result<(), BackendError> {
        let wmm = if station.wmm { STA_WME } else { 0 };
        let mask = STA_AUTHENTICATED | STA_ASSOCIATED | STA_WME;
        let set = STA_AUTHENTICATED | STA_ASSOCIATED | wmm;
        let attributes = self
            .on(bss)
            .bytes(ATTR_MAC, &station.address.0)
            .u16(ATTR_STA_AID, station.aid)
            .u16(ATTR_STA_LISTEN_INTERVAL, station.listen_interval)
            .bytes(ATTR_STA_SUPPORTED_RATES, &station.rates)
            .bytes(ATTR_STA_FLAGS2, &[mask.to_ne_bytes(), set.to_ne_bytes()].concat());
        let what = || format!("make the radio know {}", station.address);
        let added = self.netlink.request(CMD_NEW_STATION, attributes);
        added.map(drop).map_err(|error| BackendError::new(what(), error, ""))
    }

    fn remove_station(&mut self, bss: usize, address: MacAddr) -> Result<(), BackendError> {
        let attributes = self.on(bss).bytes(ATTR_MAC, &address.0);
        let what = || format!("make the radio forget {address}");
        match self.netlink.request(CMD_DEL_STATION, attributes) {
            // The kernel forgot it by itself.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            result => result.map(drop).map_err(|error| BackendError::new(what(), error, "")),
        }
    }
}

impl Drop for Nl80211Radio {
    /// The kernel would do it soon after the socket is closed; so it is done when the process has ended.
    fn drop(&mut self) {
        for index in self.interfaces.iter().chain([&self.monitor_index]) {
            let _ = self.netlink.request(CMD_DEL_INTERFACE, Attributes::new().u32(ATTR_IFINDEX, *index));
        }
    }
}

/// Takes an entry of a survey if it is that of the channel: milliseconds that the radio was on it and that it found it busy, of
/// which a driver may know neither. `None` for an entry that is none.
fn survey(entry: &[u8], frequency: u32, found: &mut Option<(u64, u64)>) -> Option<()> {
    let survey = attribute(entry, ATTR_SURVEY_INFO)?;
    let of = attribute(survey, SURVEY_FREQUENCY)?.try_into().ok().map(u32::from_ne_bytes)?;
    if of == frequency {
        let time = |kind| attribute(survey, kind)?.try_into().ok().map(u64::from_ne_bytes);
        *found = time(SURVEY_TIME).zip(time(SURVEY_TIME_BUSY));
    }
    Some(())
}

/// Makes an interface of our own and sets it up; gives its index.
fn add_interface(
    netlink: &mut Netlink,
    phy: u32,
    name: &str,
    wanted: Attributes,
) -> Result<u32, BackendError> {
    let attributes = wanted.u32(ATTR_WIPHY, phy).string(ATTR_IFNAME, name).flag(ATTR_SOCKET_OWNER);
    let reply = netlink.request(CMD_NEW_INTERFACE, attributes).map_err(|error| {
        let advice = match error.raw_os_error() {
            Some(libc::EEXIST | libc::ENFILE) => {
                "An interface of that name exists: another agent runs on this phy."
            }
            Some(libc::EOPNOTSUPP) => "The driver has no such interfaces: this radio cannot be used.",
            _ => "`iw phy` tells what this radio can do.",
        };
        BackendError::new(format!("make interface {name}"), error, advice)
    })?;
    // The host must not speak on this interface by itself. Without IPv6 in the kernel there is no such file.
    let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
    let up = |error| BackendError::new(format!("set {name} up"), error, "See `rfkill` and `dmesg`.");
    sys::set_up(name).map_err(up)?;
    let index = attribute(&reply, ATTR_IFINDEX).and_then(|index| index.try_into().ok());
    let missing =
        || BackendError::new(format!("make interface {name}"), io::ErrorKind::InvalidData.into(), "");
    index.map(u32::from_ne_bytes).ok_or_else(missing)
}

/// Says what is missing before the kernel says only that something is.
fn check_capabilities() -> Result<(), BackendError> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(u64::MAX);
    let missing: Vec<_> = [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW")]
        .into_iter()
        .filter(|(bit, _)| effective >> bit & 1 == 0)
        .map(|(_, name)| name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let what = format!("use the radio without {}", missing.join(" and "));
    let advice = "Run the agent as root, or give it what it needs: `setcap cap_net_admin,cap_net_raw+ep radio-agent`, \
                  or AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW in its systemd unit.";
    Err(BackendError::new(what, io::ErrorKind::PermissionDenied.into(), advice))
}

fn read_sys(phy: &str, file: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/sys/class/ieee80211/{phy}/{file}")).ok()?;
    Some(text.trim().to_owned())
}

// <linux/nl80211.h>

const CMD_SET_WIPHY: u8 = 2;
const CMD_NEW_INTERFACE: u8 = 7;
const CMD_DEL_INTERFACE: u8 = 8;
const CMD_SET_BEACON: u8 = 14;
const CMD_START_AP: u8 = 15;
const CMD_STOP_AP: u8 = 16;
const CMD_NEW_STATION: u8 = 19;
const CMD_DEL_STATION: u8 = 20;
const CMD_GET_SURVEY: u8 = 50;

const ATTR_WIPHY: u16 = 1;
const ATTR_IFINDEX: u16 = 3;
const ATTR_IFNAME: u16 = 4;
const ATTR_IFTYPE: u16 = 5;
const ATTR_MAC: u16 = 6;
const ATTR_BEACON_INTERVAL: u16 = 12;
const ATTR_DTIM_PERIOD: u16 = 13;
const ATTR_BEACON_HEAD: u16 = 14;
const ATTR_BEACON_TAIL: u16 = 15;
const ATTR_STA_AID: u16 = 16;
const ATTR_STA_LISTEN_INTERVAL: u16 = 18;
const ATTR_STA_SUPPORTED_RATES: u16 = 19;
const ATTR_WIPHY_FREQ: u16 = 38;
const ATTR_WIPHY_CHANNEL_TYPE: u16 = 39;
const ATTR_SSID: u16 = 52;
const ATTR_AUTH_TYPE: u16 = 53;
const ATTR_STA_FLAGS2: u16 = 67;
const ATTR_PRIVACY: u16 = 70;
const ATTR_SURVEY_INFO: u16 = 84;
const ATTR_HIDDEN_SSID: u16 = 126;
const ATTR_CHANNEL_WIDTH: u16 = 159;
const ATTR_CENTER_FREQ1: u16 = 160;
const ATTR_SOCKET_OWNER: u16 = 204;

const SURVEY_FREQUENCY: u16 = 1;
const SURVEY_TIME: u16 = 4;
const SURVEY_TIME_BUSY: u16 = 5;

const HIDDEN_ZERO_LENGTH: u32 = 1;
const IFTYPE_AP: u32 = 3;
const IFTYPE_MONITOR: u32 = 6;
const CHANNEL_NO_HT: u32 = 0;
const WIDTH_20_NO_HT: u32 = 0;
const AUTH_OPEN_SYSTEM: u32 = 0;
const STA_WME: u32 = 1 << 3;
const STA_AUTHENTICATED: u32 = 1 << 5;
const STA_ASSOCIATED: u32 = 1 << 7;

// The octets below are written as a little-endian host has them; netlink's numbers are the host's.
#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::super::netlink::{entries, message};
    use super::*;

    /// The answer to a dump of NL80211_CMD_GET_SURVEY, octet by octet after <linux/netlink.h> (struct nlmsghdr, struct nlattr),
    /// <linux/genetlink.h> (struct genlmsghdr) and <linux/nl80211.h> (enum nl80211_commands, nl80211_attrs,
    /// nl80211_survey_info), in the order in which nl80211_send_survey puts them.
    #[rustfmt::skip]
    const DUMP: &[u8] = &[
        // nlmsghdr: length 68, type (the family's) 0x1b, flags NLM_F_MULTI, sequence 7, port 9
        68, 0, 0, 0,  0x1b, 0,  2, 0,  7, 0, 0, 0,  9, 0, 0, 0,
        // genlmsghdr: NL80211_CMD_NEW_SURVEY_RESULTS (51), version 1
        51, 1, 0, 0,
        8, 0, 3, 0,  5, 0, 0, 0, // NL80211_ATTR_IFINDEX (3): 5
        40, 0, 84, 0x80, // NL80211_ATTR_SURVEY_INFO (84) | NLA_F_NESTED, of a channel on which nobody is
            8, 0, 1, 0,  0x6c, 0x09, 0, 0, // NL80211_SURVEY_INFO_FREQUENCY (1): 2412
            5, 0, 2, 0,  0xa1, 0, 0, 0, // NL80211_SURVEY_INFO_NOISE (2): -95
            12, 0, 4, 0,  40, 0, 0, 0, 0, 0, 0, 0, // NL80211_SURVEY_INFO_TIME (4): 40
            8, 0, 12, 0,  0, 0, 0, 0, // NL80211_SURVEY_INFO_FREQUENCY_OFFSET (12)

        // length 100
        100, 0, 0, 0,  0x1b, 0,  2, 0,  7, 0, 0, 0,  9, 0, 0, 0,
        51, 1, 0, 0,
        8, 0, 3, 0,  5, 0, 0, 0,
        72, 0, 84, 0x80, // of the channel of an access point
            8, 0, 1, 0,  0x85, 0x09, 0, 0, // 2437
            5, 0, 2, 0,  0xa4, 0, 0, 0,
            4, 0, 3, 0, // NL80211_SURVEY_INFO_IN_USE (3)
            12, 0, 4, 0,  0x10, 0x27, 0, 0, 1, 0, 0, 0, // 2^32 + 10000
            12, 0, 5, 0,  0xc4, 0x09, 0, 0, 0, 0, 0, 0, // NL80211_SURVEY_INFO_TIME_BUSY (5): 2500
            12, 0, 7, 0,  0x2c, 0x01, 0, 0, 0, 0, 0, 0, // NL80211_SURVEY_INFO_TIME_RX (7): 300
            12, 0, 8, 0,  0x64, 0, 0, 0, 0, 0, 0, 0, // NL80211_SURVEY_INFO_TIME_TX (8): 100
    ];

    /// nlmsghdr: length 20, NLMSG_DONE (3), NLM_F_MULTI, sequence 7, port 9; what the dump gave: 0.
    #[rustfmt::skip]
    const DONE: &[u8] = &[20, 0, 0, 0,  3, 0,  2, 0,  7, 0, 0, 0,  9, 0, 0, 0,  0, 0, 0, 0];

    fn air_time(datagram: &[u8], frequency: u32) -> (Option<(u64, u64)>, bool) {
        let mut found = None;
        let end = entries(datagram, 7, &mut |entry| survey(entry, frequency, &mut found)).unwrap();
        (found, end)
    }

    #[test]
    fn a_survey_is_asked_for() {
        let asked = Attributes::new().u32(ATTR_IFINDEX, 5);
        let flags = libc::NLM_F_REQUEST | libc::NLM_F_DUMP;
        // nlmsghdr: length 28, type 0x1b, NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH, sequence 7; genlmsghdr: NL80211_CMD_GET_SURVEY
        // (50), version 1; NL80211_ATTR_IFINDEX (3): 5
        let expected =
            [[28, 0, 0, 0, 0x1b, 0, 1, 3, 7, 0, 0, 0, 0, 0], [0, 0, 50, 1, 0, 0, 8, 0, 3, 0, 5, 0, 0, 0]];
        assert_eq!(message(0x1b, flags, 7, CMD_GET_SURVEY, &asked), expected.concat());
    }

    #[test]
    fn the_channel_s_time_is_found_in_a_survey() {
        assert_eq!(air_time(DUMP, 2437), (Some(((1 << 32) + 10_000, 2500)), false), "there may be more");
        assert!(air_time(&[DUMP, DONE].concat(), 2437).1, "the list ends");
        assert_eq!(air_time(DUMP, 2412).0, None, "how long it was busy is not known");
        assert_eq!(air_time(DUMP, 2442).0, None, "not surveyed");
        let mut other = DUMP.to_vec();
        (other[8], other[76]) = (6, 6);
        assert_eq!(air_time(&other, 2437).0, None, "the answer to an earlier question");
        // Cut anywhere: all of an entry or nothing.
        for len in 0..DUMP.len() {
            assert_eq!(air_time(&DUMP[..len], 2437).0, None, "{len}");
        }
    }

    #[test]
    fn a_driver_without_surveys_is_no_error_of_ours() {
        // nlmsghdr: length 36, NLMSG_ERROR (2); nlmsgerr: -EOPNOTSUPP (95), the header of what was asked
        #[rustfmt::skip]
        let error = [
            36, 0, 0, 0,  2, 0,  0, 0,  7, 0, 0, 0,  9, 0, 0, 0,
            0xa1, 0xff, 0xff, 0xff,  28, 0, 0, 0,  0x1b, 0,  1, 3,  7, 0, 0, 0,  9, 0, 0, 0,
        ];
        let error = entries(&error, 7, &mut |_| Some(())).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP));
    }
}
