//! What control says to the data plane and what it hears back: plain Rust images of `ttg.gateway.v1`, one to one.
//!
//! The meaning of every message is in `gateway.proto`; only what the types add is said here. Two messages of the protocol are missing
//! because the daemon makes them itself: `Hello`, and `GatewayStats` (from [`crate::counters::Reader`]).

use std::net::IpAddr;

use dot11::MacAddr;
pub use dot11::rsn::{Gtk, Tk};
pub use proto::tunnel::{Proof, ServiceUuid, SessionId, TunnelKey};

use crate::endpoint::Endpoint;

/// What control left with a tunnel or a station for its own use after a restart.
pub type Blob = Vec<u8>;

/// A command and the number that [`Event::CommandFailed`] echoes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Chosen by control.
    pub id: u64,
    /// What to do.
    pub kind: CommandKind,
}

/// The commands of `ttg.gateway.v1.Command`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// The services that this gateway serves. Replaces the earlier set; tunnels of services that are gone are closed.
    Welcome(Welcome),
    /// Lets a tunnel in. Accepting a known session again changes time-out and blob only. Another session on a known BSSID
    /// replaces it: stations and keys of the old one go, their last [`Counters`] are reported.
    TunnelAccept(TunnelAccept),
    /// Ignores a tunnel's keep-alives for a while; closes it first if it was accepted.
    TunnelRefuse(TunnelRefuse),
    /// Closes a tunnel with its stations. Control asked for it, so no [`Event::TunnelDown`] follows.
    TunnelClose {
        /// Which one.
        bssid: MacAddr,
    },
    /// Adds a station, or resets one that is known: its last [`Counters`] are reported, then keys, replay windows, fragments and counters
    /// start anew and the port is closed.
    StationAdd(StationAdd),
    /// Removes a station; its last [`Counters`] are reported.
    StationRemove(StationKey),
    /// Installs the pairwise key. The key already in use is not installed again (its packet numbers would repeat); blob and
    /// times take effect all the same.
    KeyInstall(KeyInstall),
    /// Installs a group key, with the same care.
    GroupKeyInstall(GroupKeyInstall),
    /// Lets a station's data pass, or no more.
    PortOpen(PortOpen),
    /// Sends a frame to a device.
    Transmit(Transmit),
    /// Replaces a blob.
    BlobSet {
        /// The tunnel.
        bssid: MacAddr,
        /// The station; none: the tunnel's own blob.
        mac: Option<MacAddr>,
        /// The new content.
        blob: Blob,
    },
    /// Sends a datagram from the tunnel socket.
    Datagram(Datagram),
    /// Asks for [`Event::Counters`].
    CountersRequest {
        /// One station; none: all of them.
        station: Option<StationKey>,
    },
}

/// A device on a virtual BSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StationKey {
    /// The virtual BSS.
    pub bssid: MacAddr,
    /// The device.
    pub mac: MacAddr,
}

/// See `ttg.gateway.v1.Welcome`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Welcome {
    /// Drawn when the control process started.
    pub control_epoch: u64,
    /// Every service of this gateway.
    pub services: Vec<Service>,
    /// [`Event::Counters`] of every station so often; 0: only on request.
    pub counters_interval_seconds: u32,
}

/// See `ttg.gateway.v1.Service`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its UUID.
    pub uuid: ServiceUuid,
    /// Its SSID, for display.
    pub ssid: String,
    /// VLAN on the network port, 0 for untagged. Services on the same VLAN share one network segment.
    pub vlan: u16,
    /// Its devices do not reach each other through the gateway.
    pub isolate: bool,
    /// Group-addressed frames go to each device under its own key.
    pub group_to_unicast: bool,
    /// The gateway answers ARP and neighbour solicitations for its devices.
    pub proxy_arp: bool,
    /// [`Event::StationIdle`] after so long without an uplink frame; 0: never.
    pub idle_seconds: u32,
}

/// See `ttg.gateway.v1.Tunnel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Session.
    pub session_id: SessionId,
    /// The virtual BSS; the tunnel's key.
    pub bssid: MacAddr,
    /// The radio's permanent address.
    pub radio: MacAddr,
    /// What it serves.
    pub service: ServiceUuid,
    /// Where the keep-alives come from.
    pub endpoint: Endpoint,
}

/// See `ttg.gateway.v1.TunnelAccept`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelAccept {
    /// As in the request.
    pub tunnel: Tunnel,
    /// Control's own.
    pub blob: Blob,
    /// Silence after which the tunnel is down; 0: never.
    pub keepalive_timeout_seconds: u32,
    /// What keep-alives must prove to have; none: they need not.
    pub key: Option<TunnelKey>,
    /// Of the last proof; only larger ones count.
    pub counter: u64,
}

/// See `ttg.gateway.v1.Datagram`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Where it came from, or goes to.
    pub peer: Endpoint,
    /// At most [`Datagram::MAX`] octets.
    pub data: Vec<u8>,
}

impl Datagram {
    /// Longest, in octets.
    pub const MAX: usize = 1200;
}

/// See `ttg.gateway.v1.TunnelRefuse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelRefuse {
    /// As in the request.
    pub tunnel: Tunnel,
    /// For people.
    pub reason: String,
    /// Its keep-alives are dropped so long.
    pub retry_seconds: u32,
}

/// See `ttg.gateway.v1.StationAdd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationAdd {
    /// Which.
    pub station: StationKey,
    /// Association identifier.
    pub aid: u16,
    /// It takes QoS data frames.
    pub qos: bool,
    /// Data passes only under a pairwise key.
    pub protect: bool,
    /// Control's own.
    pub blob: Blob,
    /// Protected management frames were negotiated.
    pub pmf: bool,
}

/// See `ttg.gateway.v1.KeyInstall`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInstall {
    /// Whose.
    pub station: StationKey,
    /// 0 to 3; 0 for pairwise keys unless extended key identifiers were negotiated.
    pub key_id: u8,
    /// The key.
    pub tk: Tk,
    /// Replaces the station's blob.
    pub blob: Blob,
    /// Milliseconds during which frames under the replaced key are accepted.
    pub accept_old_ms: u32,
    /// Milliseconds during which downlink waits for the device to install its side. If frames under the replaced key are accepted, the first
    /// one under this key ends that early, and so does the downlink that there is no more room for.
    pub hold_downlink_ms: u32,
}

/// See `ttg.gateway.v1.GroupKeyInstall`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupKeyInstall {
    /// The virtual BSS.
    pub bssid: MacAddr,
    /// 1 or 2.
    pub key_id: u8,
    /// The key.
    pub gtk: Gtk,
    /// Replaces the tunnel's blob.
    pub blob: Blob,
    /// Send under it from now on.
    pub transmit: bool,
}

/// See `ttg.gateway.v1.PortOpen`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortOpen {
    /// Whose.
    pub station: StationKey,
    /// Whether data passes.
    pub open: bool,
    /// Overrides the service's VLAN; 0: the service's.
    pub vlan: u16,
    /// Replaces the station's blob unless empty.
    pub blob: Blob,
}

/// See `ttg.gateway.v1.Transmit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// What `data` is.
    pub kind: FrameKind,
    /// The virtual BSS and the receiver.
    pub station: StationKey,
    /// Management: a whole frame whose sequence number is filled in; EAPOL: the PDU.
    pub data: Vec<u8>,
    /// Encrypt, if the station has a pairwise key.
    pub protect: bool,
    /// Milliseconds during which other downlink traffic waits for a [`KeyInstall`]; 0: it does not.
    pub hold_downlink_ms: u32,
}

/// See `ttg.gateway.v1.Frame.Kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// A whole 802.11 frame without FCS.
    Management,
    /// An EAPOL PDU, from the protocol version octet on.
    Eapol,
}

/// The events of `ttg.gateway.v1.Event`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A live tunnel (answer to a report request).
    TunnelReport(TunnelReport),
    /// A live station (answer to a report request); its tunnel was reported before it.
    StationReport(StationReport),
    /// The report is complete.
    Synced,
    /// A keep-alive from an endpoint that nobody introduced yet, with its proof.
    TunnelRequest(Tunnel, Option<Proof>),
    /// A datagram that is not of the tunnel.
    Datagram(Datagram),
    /// A tunnel fell silent. Its stations are gone; their last [`Counters`] came before.
    TunnelDown {
        /// Which one.
        bssid: MacAddr,
        /// Its session.
        session_id: SessionId,
        /// Of the last proof.
        counter: u64,
        /// For people.
        reason: &'static str,
    },
    /// A frame for control.
    Frame(Frame),
    /// A device sent nothing for its service's idle time. Repeated after each further such time.
    StationIdle {
        /// Which.
        station: StationKey,
        /// Since its last frame.
        idle_seconds: u32,
    },
    /// An address that a device was seen to use, once per address.
    StationAddress {
        /// Which.
        station: StationKey,
        /// The address.
        address: IpAddr,
    },
    /// Totals of a station.
    Counters(Counters),
    /// A command was not carried out.
    CommandFailed {
        /// [`Command::id`].
        command: u64,
        /// For people.
        reason: &'static str,
    },
    /// Totals of frames that failed decryption since [`StationAdd`], at most once a second while they grow.
    DecryptFailures {
        /// Which.
        station: StationKey,
        /// Wrong MIC.
        mic_failures: u64,
        /// Packet number not above the last.
        replays: u64,
    },
}

/// See `ttg.gateway.v1.TunnelReport`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelReport {
    /// As it stands.
    pub tunnel: Tunnel,
    /// What control last gave.
    pub blob: Blob,
    /// Last packet number used under the group key that is transmitted with.
    pub group_pn: u64,
}

/// See `ttg.gateway.v1.StationReport`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationReport {
    /// Which.
    pub station: StationKey,
    /// Whether data passes.
    pub port_open: bool,
    /// What control last gave.
    pub blob: Blob,
    /// Totals.
    pub counters: Counters,
}

/// See `ttg.gateway.v1.Frame`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What `data` is.
    pub kind: FrameKind,
    /// The virtual BSS and the transmitter.
    pub station: StationKey,
    /// The frame or PDU.
    pub data: Vec<u8>,
    /// It arrived encrypted and passed MIC and replay check.
    pub was_protected: bool,
    /// How the radio heard it.
    pub signal: Signal,
    /// Last packet number used under the BSS's group key.
    pub group_pn: u64,
}

/// How a radio heard a frame (RFC 5416 §6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signal {
    /// 0: unknown.
    pub rssi_dbm: i8,
    /// 0: unknown.
    pub snr_db: u8,
    /// In 100 kbit/s; 0: unknown.
    pub rate_100kbps: u16,
}

/// See `ttg.gateway.v1.Counters`: totals since [`StationAdd`]; octets are those of MSDUs (LLC header included).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Whose.
    pub station: StationKey,
    /// MSDUs from the device.
    pub up_packets: u64,
    /// Their octets.
    pub up_octets: u64,
    /// MSDUs to the device.
    pub down_packets: u64,
    /// Their octets.
    pub down_octets: u64,
    /// Of its last frame; 0: unknown.
    pub rssi_dbm: i8,
    /// Since its last frame.
    pub idle_milliseconds: u32,
    /// Last packet number used under the pairwise key.
    pub tx_pn: u64,
}

impl CommandKind {
    /// The virtual BSS that the command is about, if it is about one.
    pub fn bssid(&self) -> Option<MacAddr> {
        match self {
            Self::Welcome(_) | Self::Datagram(_) => None,
            Self::TunnelAccept(c) => Some(c.tunnel.bssid),
            Self::TunnelRefuse(c) => Some(c.tunnel.bssid),
            Self::TunnelClose { bssid } | Self::BlobSet { bssid, .. } => Some(*bssid),
            Self::StationAdd(c) => Some(c.station.bssid),
            Self::StationRemove(station) => Some(station.bssid),
            Self::KeyInstall(c) => Some(c.station.bssid),
            Self::GroupKeyInstall(c) => Some(c.bssid),
            Self::PortOpen(c) => Some(c.station.bssid),
            Self::Transmit(c) => Some(c.station.bssid),
            Self::CountersRequest { station } => station.map(|s| s.bssid),
        }
    }
}
