//! Between the messages of `ttg.gateway.v1` and the data plane's own types. What control sends is checked here once,
//! so that nothing behind it meets an address of five octets.

use dataplane::command as dp;
use dot11::{
    MacAddr,
    rsn::{Gtk, Tk},
};
use proto::{
    gateway as pb,
    tunnel::{ServiceUuid, SessionId, TunnelKey},
};

/// A command that makes no sense; the text goes back to control.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct BadCommand {
    field: &'static str,
    problem: String,
}

fn bad(field: &'static str, problem: impl Into<String>) -> BadCommand {
    BadCommand { field, problem: problem.into() }
}

fn octets<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], BadCommand> {
    bytes.try_into().map_err(|_| bad(field, format!("{} octets instead of {N}", bytes.len())))
}

fn mac(field: &'static str, bytes: &[u8]) -> Result<MacAddr, BadCommand> {
    octets(field, bytes).map(MacAddr)
}

fn station(bssid: &[u8], sta: &[u8]) -> Result<dp::StationKey, BadCommand> {
    Ok(dp::StationKey { bssid: mac("bssid", bssid)?, mac: mac("mac", sta)? })
}

fn small<T: TryFrom<u32>>(field: &'static str, value: u32) -> Result<T, BadCommand> {
    T::try_from(value).map_err(|_| bad(field, format!("{value} is too large")))
}

fn key_id(value: u32) -> Result<u8, BadCommand> {
    if value > 3 { Err(bad("key_id", format!("{value} is above 3"))) } else { small("key_id", value) }
}

fn tunnel(tunnel: Option<pb::Tunnel>) -> Result<dp::Tunnel, BadCommand> {
    let t = tunnel.ok_or_else(|| bad("tunnel", "missing"))?;
    Ok(dp::Tunnel {
        session_id: SessionId(octets("session_id", &t.session_id)?),
        bssid: mac("bssid", &t.bssid)?,
        radio: mac("radio", &t.radio)?,
        service: ServiceUuid(octets("service", &t.service)?),
        endpoint: t
            .endpoint
            .parse()
            .map_err(|_| bad("endpoint", format!("`{}` is no address", t.endpoint)))?,
    })
}

/// From control to the data plane.
pub fn command(command: pb::Command) -> Result<dp::Command, BadCommand> {
    use pb::command::Command as Pb;
    let kind = match command.command.ok_or_else(|| bad("command", "of a kind this gateway does not know"))? {
        Pb::Welcome(c) => dp::CommandKind::Welcome(dp::Welcome {
            control_epoch: c.control_epoch,
            services: c.services.into_iter().map(service).collect::<Result<_, _>>()?,
            counters_interval_seconds: c.counters_interval_seconds,
        }),
        Pb::TunnelAccept(c) => dp::CommandKind::TunnelAccept(dp::TunnelAccept {
            tunnel: tunnel(c.tunnel)?,
            blob: c.blob,
            keepalive_timeout_seconds: c.keepalive_timeout_seconds,
            key: if c.key.is_empty() { None } else { Some(TunnelKey::new(octets("key", &c.key)?)) },
            counter: c.counter,
        }),
        Pb::TunnelRefuse(c) => dp::CommandKind::TunnelRefuse(dp::TunnelRefuse {
            tunnel: tunnel(c.tunnel)?,
            reason: c.reason,
            retry_seconds: c.retry_seconds,
        }),
        Pb::TunnelClose(c) => dp::CommandKind::TunnelClose { bssid: mac("bssid", &c.bssid)? },
        Pb::StationAdd(c) => dp::CommandKind::StationAdd(dp::StationAdd {
            station: station(&c.bssid, &c.mac)?,
            aid: small("aid", c.aid)?,
            qos: c.qos,
            protect: c.protect,
            blob: c.blob,
            pmf: c.pmf,
        }),
        Pb::StationRemove(c) => dp::CommandKind::StationRemove(station(&c.bssid, &c.mac)?),
        Pb::KeyInstall(c) => dp::CommandKind::KeyInstall(dp::KeyInstall {
            station: station(&c.bssid, &c.mac)?,
            key_id: key_id(c.key_id)?,
            tk: octets("tk", &c.tk).map(Tk::new)?,
            blob: c.blob,
            accept_old_ms: c.accept_old_ms,
            hold_downlink_ms: c.hold_downlink_ms,
        }),
        Pb::GroupKeyInstall(c) => dp::CommandKind::GroupKeyInstall(dp::GroupKeyInstall {
            bssid: mac("bssid", &c.bssid)?,
            key_id: key_id(c.key_id)?,
            gtk: octets("gtk", &c.gtk).map(Gtk::new)?,
            blob: c.blob,
            transmit: c.transmit,
        }),
        Pb::PortOpen(c) => dp::CommandKind::PortOpen(dp::PortOpen {
            station: station(&c.bssid, &c.mac)?,
            open: c.open,
            vlan: small("vlan", c.vlan)?,
            blob: c.blob,
        }),
        Pb::Transmit(c) => dp::CommandKind::Transmit(dp::Transmit {
            kind: match c.kind() {
                pb::frame::Kind::Management => dp::FrameKind::Management,
                pb::frame::Kind::Eapol => dp::FrameKind::Eapol,
                pb::frame::Kind::Unspecified => return Err(bad("kind", "unspecified")),
            },
            station: station(&c.bssid, &c.mac)?,
            data: c.data,
            protect: c.protect,
            hold_downlink_ms: c.hold_downlink_ms,
        }),
        Pb::BlobSet(c) => dp::CommandKind::BlobSet {
            bssid: mac("bssid", &c.bssid)?,
            mac: if c.mac.is_empty() { None } else { Some(mac("mac", &c.mac)?) },
            blob: c.blob,
        },
        Pb::Datagram(c) => dp::CommandKind::Datagram(dp::Datagram {
            peer: c.peer.parse().map_err(|_| bad("peer", format!("`{}` is no address", c.peer)))?,
            data: c.data,
        }),
        Pb::CountersRequest(c) => dp::CommandKind::CountersRequest {
            station: if c.bssid.is_empty() { None } else { Some(station(&c.bssid, &c.mac)?) },
        },
    };
    Ok(dp::Command { id: command.id, kind })
}

fn service(s: pb::Service) -> Result<dp::Service, BadCommand> {
    Ok(dp::Service {
        uuid: ServiceUuid(octets("uuid", &s.uuid)?),
        ssid: s.ssid,
        vlan: small("vlan", s.vlan)?,
        isolate: s.isolate,
        group_to_unicast: s.group_to_unicast,
        proxy_arp: s.proxy_arp,
        idle_seconds: s.idle_seconds,
    })
}

/// From the data plane to control.
pub fn event(event: dp::Event) -> pb::Event {
    use pb::event::Event as Pb;
    let event = match event {
        dp::Event::TunnelReport(r) => Pb::TunnelReport(pb::TunnelReport {
            tunnel: Some(tunnel_out(&r.tunnel)),
            blob: r.blob,
            group_pn: r.group_pn,
        }),
        dp::Event::StationReport(r) => Pb::StationReport(pb::StationReport {
            bssid: octets_of(r.station.bssid),
            mac: octets_of(r.station.mac),
            port_open: r.port_open,
            blob: r.blob,
            counters: Some(counters(&r.counters)),
        }),
        dp::Event::Synced => Pb::Synced(pb::Synced {}),
        dp::Event::TunnelRequest(t, proof) => Pb::TunnelRequest(pb::TunnelRequest {
            tunnel: Some(tunnel_out(&t)),
            counter: proof.map_or(0, |proof| proof.counter),
            proof: proof.map_or_else(Vec::new, |proof| proof.mac.to_vec()),
        }),
        dp::Event::Datagram(d) => Pb::Datagram(pb::Datagram { peer: d.peer.to_string(), data: d.data }),
        dp::Event::TunnelDown { bssid, session_id, counter, reason } => Pb::TunnelDown(pb::TunnelDown {
            counter,
            bssid: octets_of(bssid),
            session_id: session_id.0.to_vec(),
            reason: reason.to_owned(),
        }),
        dp::Event::Frame(f) => Pb::Frame(pb::Frame {
            kind: match f.kind {
                dp::FrameKind::Management => pb::frame::Kind::Management,
                dp::FrameKind::Eapol => pb::frame::Kind::Eapol,
            }
            .into(),
            bssid: octets_of(f.station.bssid),
            mac: octets_of(f.station.mac),
            data: f.data,
            was_protected: f.was_protected,
            rssi_dbm: f.signal.rssi_dbm.into(),
            snr_db: f.signal.snr_db.into(),
            rate_100kbps: f.signal.rate_100kbps.into(),
            group_pn: f.group_pn,
        }),
        dp::Event::StationIdle { station, idle_seconds } => Pb::StationIdle(pb::StationIdle {
            bssid: octets_of(station.bssid),
            mac: octets_of(station.mac),
            idle_seconds,
        }),
        dp::Event::StationAddress { station, address } => Pb::StationAddress(pb::StationAddress {
            bssid: octets_of(station.bssid),
            mac: octets_of(station.mac),
            address: match address {
                std::net::IpAddr::V4(a) => a.octets().to_vec(),
                std::net::IpAddr::V6(a) => a.octets().to_vec(),
            },
        }),
        dp::Event::Counters(c) => Pb::Counters(counters(&c)),
        dp::Event::CommandFailed { command, reason } => {
            Pb::CommandFailed(pb::CommandFailed { command, reason: reason.to_owned() })
        }
        dp::Event::DecryptFailures { station, mic_failures, replays } => {
            Pb::DecryptFailures(pb::DecryptFailures {
                bssid: octets_of(station.bssid),
                mac: octets_of(station.mac),
                mic_failures,
                replays,
            })
        }
    };
    pb::Event { event: Some(event) }
}

fn octets_of(address: MacAddr) -> Vec<u8> {
    address.0.to_vec()
}

fn tunnel_out(t: &dp::Tunnel) -> pb::Tunnel {
    pb::Tunnel {
        session_id: t.session_id.0.to_vec(),
        bssid: octets_of(t.bssid),
        radio: octets_of(t.radio),
        service: t.service.0.to_vec(),
        endpoint: t.endpoint.to_string(),
    }
}

fn counters(c: &dp::Counters) -> pb::Counters {
    pb::Counters {
        bssid: octets_of(c.station.bssid),
        mac: octets_of(c.station.mac),
        up_packets: c.up_packets,
        up_octets: c.up_octets,
        down_packets: c.down_packets,
        down_octets: c.down_octets,
        rssi_dbm: c.rssi_dbm.into(),
        idle_milliseconds: c.idle_milliseconds,
        tx_pn: c.tx_pn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pb::command::Command as Pb;

    fn translate(kind: Pb) -> Result<dp::Command, BadCommand> {
        command(pb::Command { id: 7, command: Some(kind) })
    }

    #[test]
    fn a_malformed_command_is_named_and_goes_no_further() {
        let key = |bssid: usize, tk: usize, key_id| {
            translate(Pb::KeyInstall(pb::KeyInstall {
                bssid: vec![2; bssid],
                mac: vec![2; 6],
                key_id,
                tk: vec![0; tk],
                ..Default::default()
            }))
        };
        assert!(key(6, 16, 0).is_ok());
        assert_eq!(key(5, 16, 0).unwrap_err().to_string(), "bssid: 5 octets instead of 6");
        assert_eq!(key(6, 32, 0).unwrap_err().to_string(), "tk: 32 octets instead of 16");
        assert_eq!(key(6, 16, 4).unwrap_err().to_string(), "key_id: 4 is above 3");
        assert!(command(pb::Command { id: 1, command: None }).is_err());
    }

    #[test]
    fn a_tunnel_survives_the_way_there_and_back() {
        let tunnel = pb::Tunnel {
            session_id: vec![9; 16],
            bssid: vec![2, 0, 0, 0, 0, 1],
            radio: vec![2, 0, 0, 0, 0, 2],
            service: vec![3; 16],
            endpoint: "[2001:db8::1]:5247".to_owned(),
        };
        let accept = pb::TunnelAccept {
            tunnel: Some(tunnel.clone()),
            blob: vec![1],
            keepalive_timeout_seconds: 15,
            ..Default::default()
        };
        let dp::CommandKind::TunnelAccept(got) = translate(Pb::TunnelAccept(accept)).unwrap().kind else {
            panic!("another command")
        };
        let Some(pb::event::Event::TunnelRequest(back)) =
            event(dp::Event::TunnelRequest(got.tunnel, None)).event
        else {
            panic!("another event")
        };
        assert_eq!(back.tunnel, Some(tunnel));
    }
}
