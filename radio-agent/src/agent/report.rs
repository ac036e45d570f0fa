//! What the agent tells: events for the log, counters.

use std::fmt;
use std::net::SocketAddr;

use dot11::MacAddr;
use proto::tunnel::ServiceUuid;
use visibility::{Reason, Verdict};

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the Display form says what they mean")]
pub enum Event {
    Asking { bssid: MacAddr, gateway: SocketAddr },
    Opened { bssid: MacAddr, gateway: SocketAddr },
    GatewayGone { bssid: MacAddr, gateway: SocketAddr },
    GatewaySilent { bssid: MacAddr, gateway: SocketAddr },
    Associated { bssid: MacAddr, station: MacAddr, aid: u16 },
    Departed { bssid: MacAddr, station: MacAddr },
    Registered { seconds: u32 },
    NotRegistered,
    Offered { service: ServiceUuid, whom: Option<MacAddr>, predicted: bool, binding: u64 },
    Shown { bssid: MacAddr, service: ServiceUuid, binding: u64 },
    NotShown { service: ServiceUuid, device: MacAddr, binding: u64, verdict: Verdict },
    Hidden { bssid: MacAddr, service: ServiceUuid, why: Why },
    Changed { bssid: MacAddr, service: ServiceUuid },
    Connecting { bssid: MacAddr, station: MacAddr },
    Connected { bssid: MacAddr, station: MacAddr },
    Refused { bssid: MacAddr, station: MacAddr, seconds: u64 },
    TunnelUp { bssid: MacAddr, gateway: SocketAddr },
    TunnelDown { bssid: MacAddr },
    Kicked { bssid: MacAddr, station: MacAddr, why: Reason },
}

/// Why a virtual BSS is taken off the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the Display form says what they mean")]
pub enum Why {
    NobodyNeedsIt,
    Withdrawn,
    Evicted,
    GatewayGone,
    GatewaySilent,
    RadioFailed,
    Changed,
    NotChanged,
    End,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::NobodyNeedsIt => "nobody near needs it",
            Why::Withdrawn => "the matchmaker withdrew it",
            Why::Evicted => "another network needs its place more",
            Why::GatewayGone => "its gateway is gone",
            Why::GatewaySilent => "no gateway of it answers",
            Why::RadioFailed => "the radio could not open it",
            Why::Changed => "it has another name now, or another kind of security",
            Why::NotChanged => "the radio could not change its beacon",
            Why::End => "the agent ends",
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Asking { bssid, gateway } => write!(f, "bss {bssid}: asking gateway {gateway}"),
            Event::Opened { bssid, gateway } => write!(f, "bss {bssid}: gateway {gateway} answers, opening"),
            Event::GatewayGone { bssid, gateway } => {
                write!(f, "bss {bssid}: gateway {gateway} is gone, closing")
            }
            Event::GatewaySilent { bssid, gateway } => write!(
                f,
                "bss {bssid}: gateway {gateway} does not answer, asking for another (is it up, and is UDP let through? \
                 If a symmetric NAT is in front of it or of this radio, the other side needs one that lets anybody in, or none)"
            ),
            Event::Associated { bssid, station, aid } => {
                write!(f, "bss {bssid}: {station} associated, aid {aid}")
            }
            Event::Departed { bssid, station } => write!(f, "bss {bssid}: {station} left"),
            Event::Registered { seconds } => write!(f, "registered for {seconds} s"),
            Event::NotRegistered => f.write_str("the matchmaker does not register this radio; trying again"),
            Event::Offered { service, whom, predicted, binding } => {
                write!(f, "service {service} offered for ")?;
                match whom {
                    Some(device) => write!(f, "{device}")?,
                    None => f.write_str(if *predicted { "somebody" } else { "anybody" })?,
                }
                write!(f, "{} by binding {binding}", if *predicted { ", who is expected," } else { "" })
            }
            Event::Shown { bssid, service, binding } => {
                write!(f, "bss {bssid}: service {service} shown because binding {binding}")
            }
            Event::NotShown { service, device, binding, verdict } => {
                write!(f, "service {service} for {device}: {}", verdict.because(*binding))
            }
            Event::Hidden { bssid, service, why } => {
                write!(f, "bss {bssid}: service {service} off the air because {why}")
            }
            Event::Changed { bssid, service } => {
                write!(f, "bss {bssid}: service {service} is offered otherwise now, beacon changed")
            }
            Event::Connecting { bssid, station } => {
                write!(f, "bss {bssid}: {station} begins, asking for an introduction")
            }
            Event::Connected { bssid, station } => write!(f, "bss {bssid}: {station} is introduced"),
            Event::Refused { bssid, station, seconds } => {
                write!(f, "bss {bssid}: {station} is not introduced, ignored for {seconds} s")
            }
            Event::TunnelUp { bssid, gateway } => write!(f, "bss {bssid}: tunnel to {gateway} is up"),
            Event::TunnelDown { bssid } => write!(f, "bss {bssid}: tunnel down, no devices"),
            Event::Kicked { bssid, station, why } => {
                write!(f, "bss {bssid}: {station} sent away because {why}")
            }
        }
    }
}

/// What passed and what was thrown away, since the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Frames passed to a gateway.
    pub up: u64,
    /// Frames passed to the air.
    pub down: u64,
    /// Probe requests answered.
    pub probes: u64,
    /// Frames heard that are none of ours.
    pub not_ours: u64,
    /// Frames heard for a BSS that is closed.
    pub closed: u64,
    /// Octets heard that are no 802.11 frame.
    pub bad_frame: u64,
    /// Datagrams that are no CAPWAP data packets, or none that a gateway sends.
    pub bad_datagram: u64,
    /// Frames or keep-alives of somebody who is not the gateway of that BSS, or not now.
    pub stranger: u64,
    /// Fragments of datagrams thrown away.
    pub bad_fragment: u64,
    /// Frames too long for the tunnel.
    pub too_long: u64,
    /// Probe requests that a policy leaves unanswered.
    pub suppressed: u64,
    /// Devices forgotten because the table of those near was full.
    pub near_evicted: u64,
    /// Devices not taken into that table, because all in it are needed.
    pub near_refused: u64,
    /// Look-ups asked.
    pub look_ups: u64,
    /// Look-ups that were refused or not answered.
    pub look_ups_failed: u64,
    /// Offers taken.
    pub offers: u64,
    /// Offers without a usable template, or more than there is place for.
    pub offers_refused: u64,
    /// Virtual BSSes opened.
    pub opened: u64,
    /// Virtual BSSes that became something else because it is offered now.
    pub changed: u64,
    /// Virtual BSSes that gave their place to another.
    pub evicted: u64,
    /// Introductions asked for.
    pub connects: u64,
    /// Introductions that were refused or not answered.
    pub connects_failed: u64,
    /// Frames of devices that begin, kept until the gateway answers.
    pub held: u64,
    /// Those that were thrown away all the same.
    pub held_dropped: u64,
    /// Authentication frames of devices that the policy, or an earlier refusal, keeps out.
    pub kept_out: u64,
    /// Frames of devices that are not introduced.
    pub not_introduced: u64,
    /// Devices that begin, beyond what a virtual BSS takes at a time.
    pub clients_full: u64,
    /// Connected devices sent away.
    pub kicked: u64,
    /// Gateways of virtual BSSes that stopped answering, or never did.
    pub gateways_lost: u64,
    /// Reports of what devices used that nobody took, or for which there was no place.
    pub reports_lost: u64,
    /// Datagrams of gateways that open their NAT.
    pub punches: u64,
    /// Datagrams to gateways that came back because nobody has the port.
    pub datagrams_refused: u64,
}
