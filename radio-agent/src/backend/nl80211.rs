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
        let dumped = self.netlink.dump(CMD_GET_SURVEY, asked, &mut |reply| {
            let survey = attribute(reply, ATTR_SURVEY_INFO)?;
            let of = attribute(survey, SURVEY_FREQUENCY).and_then(|value| value.try_into().ok());
            if of.map(u32::from_ne_bytes) == Some(frequency) {
                let time = |kind| attribute(survey, kind)?.try_into().ok().map(u64::from_ne_bytes);
                found = time(SURVEY_TIME).zip(time(SURVEY_TIME_BUSY));
            }
            Some(())
        });
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
const CMD_START_AP: u8 = 15;
const CMD_STOP_AP: u8 = 16;
const CMD_NEW_STATION: u8 = 19;
const CMD_DEL_STATION: u8 = 20;
const CMD_GET_SURVEY: u8 = 49;

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
