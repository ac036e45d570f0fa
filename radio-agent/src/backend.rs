//! The air: what the agent wants of a radio, and the two kinds of radio there are.

mod air;
mod filter;
mod monitor;
mod netlink;
mod nl80211;

use std::fmt;
use std::io;
use std::time::Duration;

use dot11::{MacAddr, radiotap};
use proto::tunnel::{FrameInfo, MAX_FRAME};

use crate::agent::{Station, Template};
use crate::config::{BackendConfig, Config};

/// A radio. BSSes are numbered as the agent does. No call waits.
pub trait Backend {
    /// The radio's permanent address, if it has one.
    fn radio(&self) -> Option<MacAddr>;

    /// Adds what is to be waited for.
    fn poll_fds(&self, fds: &mut Vec<libc::pollfd>);

    /// Passes received frames, without FCS, to `heard`: at most some dozens, the rest next time.
    fn receive(&mut self, heard: &mut dyn FnMut(&[u8], FrameInfo)) -> Result<(), BackendError>;

    /// Begins to beacon and to acknowledge for a BSS.
    fn open(&mut self, bss: usize, template: &Template, now: Duration) -> Result<(), BackendError>;

    /// Changes the beacon of a BSS that is open; its devices stay. What [`Template::is_another_network`] is opened anew instead.
    fn update(&mut self, bss: usize, template: &Template) -> Result<(), BackendError>;

    /// Ends that.
    fn close(&mut self, bss: usize) -> Result<(), BackendError>;

    /// Transmits a frame exactly as it is.
    fn inject(&mut self, frame: &[u8]) -> Result<(), BackendError>;

    /// Makes the radio know a device.
    fn add_station(&mut self, bss: usize, station: &Station) -> Result<(), BackendError>;

    /// Makes it forget a device.
    fn remove_station(&mut self, bss: usize, address: MacAddr) -> Result<(), BackendError>;

    /// Milliseconds that the radio was on its channel and that it found it busy, since any fixed moment; `None` if it does
    /// not know.
    fn air_time(&mut self) -> Option<(u64, u64)> {
        None
    }

    /// When [`Backend::timeout`] has something to do.
    fn deadline(&self) -> Option<Duration> {
        None
    }

    /// Does what the time demands.
    fn timeout(&mut self, _now: Duration) {}
}

/// Makes the backend that the configuration names, with everything in place but no BSS open. What it made goes with
/// it when it is dropped.
pub fn start(config: &Config) -> Result<Box<dyn Backend>, BackendError> {
    Ok(match &config.backend {
        BackendConfig::Nl80211 { phy } => Box::new(nl80211::Nl80211Radio::start(phy, config)?),
        BackendConfig::Air { socket } => {
            let radio = config.radio.or(config.bsses.first().map(|bss| bss.bssid));
            Box::new(air::Air::listen(socket.as_ref(), config.channel, radio)?)
        }
    })
}

/// What a radio could not do, why, and what helps.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}: {source}{}", Advice(.advice))]
pub struct BackendError {
    what: String,
    advice: &'static str,
    source: io::Error,
}

impl BackendError {
    pub(crate) fn new(what: impl Into<String>, source: io::Error, advice: &'static str) -> BackendError {
        BackendError { what: what.into(), advice, source }
    }
}

struct Advice<'a>(&'a str);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ". {}", self.0) }
    }
}

/// Octets of a message from the air: the longest frame, its FCS, and a generous radiotap header.
const MAX_MESSAGE: usize = MAX_FRAME + 4 + 256;

/// Messages that one call of [`Backend::receive`] takes from one source.
const ROUND: usize = 32;

/// A received radiotap message's frame without FCS, and how it was received. `None` for what is no reception: copies
/// of what was transmitted, frames with a bad FCS, anything that is not radiotap.
fn reception(message: &[u8]) -> Option<(&[u8], FrameInfo)> {
    let tap = radiotap::parse(message).ok()?;
    if tap.tx_flags.is_some() || tap.bad_fcs() || tap.data_pad() {
        return None;
    }
    let mut frame = message.get(tap.len..)?;
    if tap.fcs_present() {
        frame = frame.get(..frame.len().checked_sub(4)?)?;
    }
    let rssi = tap.signal_dbm.unwrap_or(0);
    let snr = tap.noise_dbm.map_or(0, |noise| rssi.saturating_sub(noise));
    let rate = tap.rate_100kbps().and_then(|rate| u16::try_from(rate).ok()).unwrap_or(0);
    Some((frame, FrameInfo { rssi, snr, rate }))
}
