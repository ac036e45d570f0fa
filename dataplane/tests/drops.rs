//! Every reason for dropping a packet is reached by a scenario of its own, with exactly the counters it says and nothing delivered.

use std::time::Duration;

use dataplane::command::*;
use dataplane::config::Config;
use dataplane::counters::DropReason;
use dataplane::harness::*;
use dataplane::packet::PoolConfig;
use dataplane::station::LAST_PN;
use dot11::amsdu::AmsduBuilder;
use dot11::build::{DataHeader, management, ps_poll};
use dot11::llc::{self, EtherType};
use dot11::{MacAddr, ManagementSubtype, SequenceControl};

struct Scene {
    bench: Bench,
    tunnel: Tunnel,
    device: Device,
}

/// One service, one tunnel, one device with key and open port.
fn up_with(config: Config, service: Service, workers: usize) -> Scene {
    let mut bench = Bench::new(config, workers);
    bench.welcome(std::slice::from_ref(&service));
    let tunnel = tunnel(0, &service);
    bench.open_tunnel(0, &tunnel, 30);
    let device = Device::new(&tunnel, mac(1), Some(tk(1)));
    bench.add_station(&device);
    let mut scene = Scene { bench, tunnel, device };
    scene.settle();
    scene
}

fn up() -> Scene {
    up_with(Config::default(), service(0), 1)
}

impl Scene {
    fn settle(&mut self) {
        self.bench.events();
        self.bench.to_radio(0);
        self.bench.to_network(0);
        self.bench.changes();
    }

    fn radio(&mut self, datagram: &[u8]) {
        self.bench.from_radio(0, self.tunnel.endpoint, datagram);
        self.bench.run();
    }

    fn network(&mut self, frame: &[u8]) {
        self.bench.from_network(0, frame);
        self.bench.run();
    }

    /// A device that is associated, but not further.
    fn stranger(&mut self, protect: bool, open: bool) -> Device {
        let device = Device::new(&self.tunnel, mac(2), None);
        self.bench.command(CommandKind::StationAdd(StationAdd {
            station: device.key(),
            aid: 2,
            qos: true,
            protect,
            blob: Vec::new(),
            pmf: false,
        }));
        if open {
            self.bench.open_port(&device);
        }
        self.settle();
        device
    }

    fn sealed(&mut self, edit: impl FnOnce(&mut DataHeader), body: &[u8]) -> Vec<u8> {
        let mut header = self.device.header(HOST);
        edit(&mut header);
        tunnelled(&self.device.frame(header, body))
    }
}

fn ip() -> Vec<u8> {
    llc::msdu(EtherType::IPV4, &[0; 60])
}

fn fragment(header: &mut DataHeader, number: u16, fragment: u8, more: bool) {
    header.sequence = SequenceControl::new(number, fragment);
    header.control = header.control.with_more_fragments(more);
}

type Changes = Vec<(&'static str, i64)>;

/// Plays the scene in which a packet is dropped for this reason; gives the bench and what its counters must show.
fn play(reason: DropReason) -> (Scene, Changes) {
    use DropReason::*;
    let mut s = up();
    let rx = ("tunnel_rx", 1);
    let net = ("network_rx", 1);
    let mut expected = vec![(reason.name(), 1)];
    match reason {
        MalformedTunnel => {
            s.radio(&[0x10; 40]);
            expected.push(rx);
        }
        NotNative => {
            let mut datagram = s.device.datagram(HOST, EtherType::IPV4, &[0; 60]);
            datagram[2] &= !1; // flag T
            s.radio(&datagram);
            expected.push(rx);
        }
        UnknownTunnel => {
            let mut device = Device { bssid: mac(99), ..s.device.clone() };
            s.radio(&device.datagram(HOST, EtherType::IPV4, &[0; 60]));
            expected.push(rx);
        }
        WrongEndpoint => {
            let datagram = s.device.datagram(HOST, EtherType::IPV4, &[0; 60]);
            s.bench.from_radio(0, "203.0.113.9:9".parse().unwrap(), &datagram);
            expected.push(rx);
        }
        TunnelRefused => {
            let other = tunnel(5, &service(0));
            s.bench.command(CommandKind::TunnelRefuse(TunnelRefuse {
                tunnel: other,
                reason: "not today".into(),
                retry_seconds: 60,
            }));
            s.bench.run();
            s.bench.from_radio(0, other.endpoint, &keep_alive(&other));
            expected.extend([("commands", 1), rx]);
        }
        KeepAliveProof => {
            let other = tunnel(5, &service(0));
            s.bench.from_radio(0, other.endpoint, &keep_alive(&other));
            s.bench.command(CommandKind::TunnelAccept(TunnelAccept {
                tunnel: other,
                blob: Vec::new(),
                keepalive_timeout_seconds: 60,
                key: Some(TunnelKey::new([7; 16])),
                counter: 0,
            }));
            s.settle();
            s.bench.from_radio(0, other.endpoint, &keep_alive(&other));
            expected.push(rx);
        }
        DatagramLimited => {
            s = up_with(Config { datagrams_per_second: 1, ..Config::default() }, service(0), 1);
            s.radio(&[0x85; 40]);
            s.radio(&[0x85; 40]);
            expected.extend([("punt_datagram", 1), ("tunnel_rx", 2)]);
        }
        RequestLimited => {
            let other = tunnel(5, &service(0));
            for _ in 0..2 {
                s.bench.from_radio(0, other.endpoint, &keep_alive(&other));
            }
            expected.extend([("tunnel_request", 1), ("tunnel_rx", 2)]);
        }
        TunnelFragment => {
            let header = s.device.header(HOST);
            let frame = s.device.frame(header, &[0; 600]);
            let parts = fragmented(&frame, 200, 1);
            let mut forged = parts[1].clone();
            *forged.last_mut().unwrap() ^= 1;
            s.radio(&parts[1]);
            s.radio(&forged);
            expected.extend([("tunnel_fragment_rx", 2), ("tunnel_rx", 2)]);
        }
        TooLong => {
            // Longer than a packet buffer, in fragments that are not.
            let header = s.device.header(HOST);
            let frame = s.device.frame(header, &[0; 6000]);
            for part in fragmented(&frame, 1400, 1) {
                s.bench.from_radio(0, s.tunnel.endpoint, &part);
            }
            expected.extend([("tunnel_fragment_rx", 5), ("tunnel_rx", 5)]);
        }
        NoBuffer => {
            let pool = PoolConfig { packets: 1, buffer: 4352, headroom: 128 };
            s.bench = Bench::with_pool(Config::default(), 1, pool);
            s.bench.welcome(&[service(0)]);
            s.bench.open_tunnel(0, &s.tunnel, 30);
            s.bench.add_station(&s.device);
            s.bench.changes();
            s.bench.events();
            let hostage = s.bench.workers[0].state.pool.alloc();
            let body = {
                let mut amsdu = AmsduBuilder::new();
                amsdu.push(HOST, s.device.mac, &ip()).unwrap();
                amsdu.finish()
            };
            let datagram = s.sealed(|h| h.qos = h.qos.with_amsdu_present(true), &body);
            s.radio(&datagram);
            drop(hostage);
            expected.extend([("amsdu_rx", 1), ("ccmp_opened", 1), rx]);
        }
        MalformedFrame => {
            s.radio(&tunnelled(&[0x08, 0x01, 0, 0, 1, 2, 3]));
            expected.push(rx);
        }
        UnsupportedFrame => {
            s.radio(&tunnelled(&ps_poll(1, s.device.bssid, s.device.mac)));
            expected.push(rx);
        }
        WrongAddresses => {
            let datagram = s.sealed(|h| h.control = h.control.with_from_ds(true), &ip());
            s.radio(&datagram);
            expected.push(rx);
        }
        UnknownStation => {
            let mut device = Device::new(&s.tunnel, mac(77), None);
            s.radio(&device.datagram(HOST, EtherType::IPV4, &[0; 60]));
            expected.extend([("class3_deauth", 1), rx, ("tunnel_tx", 1)]);
        }
        Unprotected => {
            let mut device = Device { tk: None, ..s.device.clone() };
            s.radio(&device.datagram(HOST, EtherType::IPV4, &[0; 60]));
            expected.push(rx);
        }
        NoKey => {
            let mut device = Device { tk: Some(tk(2)), ..s.stranger(true, true) };
            s.radio(&device.datagram(HOST, EtherType::IPV4, &[0; 60]));
            s.bench.advance(Duration::from_millis(1010)); // It waits so long for a key.
            expected.extend([("parked", 1), rx]);
        }
        WrongKeyId => {
            let mut datagram = s.device.datagram(HOST, EtherType::IPV4, &[0; 60]);
            datagram[16 + 26 + 3] |= 0x40;
            s.radio(&datagram);
            expected.push(rx);
        }
        MalformedCcmp => {
            let mut datagram = s.device.datagram(HOST, EtherType::IPV4, &[0; 60]);
            datagram[16 + 26 + 3] &= !0x20;
            s.radio(&datagram);
            expected.push(rx);
        }
        Replay => {
            let datagram = s.device.datagram(HOST, EtherType::IPV4, &[0; 60]);
            s.radio(&datagram);
            assert_eq!(s.bench.to_network(0).len(), 1);
            s.bench.changes();
            s.radio(&datagram);
            expected.push(rx);
        }
        MicFailure => {
            let mut datagram = s.device.datagram(HOST, EtherType::IPV4, &[0; 60]);
            *datagram.last_mut().unwrap() ^= 1;
            s.radio(&datagram);
            expected.push(rx);
        }
        Duplicate => {
            let mut datagram = s.device.datagram(HOST, EtherType::IPV4, &[0; 60]);
            s.radio(&datagram);
            assert_eq!(s.bench.to_network(0).len(), 1);
            s.bench.changes();
            datagram[16 + 1] |= 0x08; // Retry
            s.radio(&datagram);
            expected.push(rx);
        }
        FragmentOrphan => {
            let datagram = s.sealed(|h| fragment(h, 9, 1, false), &ip());
            s.radio(&datagram);
            expected.extend([("ccmp_opened", 1), rx]);
        }
        FragmentPn => {
            let first = s.sealed(|h| fragment(h, 9, 0, true), &ip());
            s.device.pn += 1;
            let second = s.sealed(|h| fragment(h, 9, 1, false), &[0; 8]);
            s.radio(&first);
            s.radio(&second);
            // Both are lost.
            expected = vec![("ccmp_opened", 2), (reason.name(), 2), ("fragment_rx", 1), ("tunnel_rx", 2)];
        }
        FragmentMixed => {
            let first = s.sealed(|h| fragment(h, 9, 0, true), &ip());
            s.radio(&first);
            s.bench.install(&s.device.clone(), tk(3), 0, 0);
            s.device = Device { tk: Some(tk(3)), pn: 1, ..s.device.clone() };
            let second = s.sealed(|h| fragment(h, 9, 1, false), &[0; 8]);
            s.radio(&second);
            expected = vec![
                ("ccmp_opened", 2),
                ("commands", 1),
                (reason.name(), 2),
                ("fragment_rx", 1),
                ("tunnel_rx", 2),
            ];
        }
        FragmentExpired => {
            let first = s.sealed(|h| fragment(h, 9, 0, true), &ip());
            s.radio(&first);
            s.bench.advance(Duration::from_millis(2020));
            expected.extend([("ccmp_opened", 1), ("fragment_rx", 1), rx]);
        }
        FragmentEvicted => {
            let first = s.sealed(|h| fragment(h, 9, 0, true), &ip());
            let next = s.sealed(|h| fragment(h, 10, 0, true), &ip());
            s.radio(&first);
            s.radio(&next);
            expected = vec![("ccmp_opened", 2), (reason.name(), 1), ("fragment_rx", 2), ("tunnel_rx", 2)];
        }
        FragmentedAmsdu => {
            let datagram = s.sealed(
                |h| {
                    fragment(h, 9, 0, true);
                    h.qos = h.qos.with_amsdu_present(true);
                },
                &ip(),
            );
            s.radio(&datagram);
            expected.extend([("ccmp_opened", 1), rx]);
        }
        MalformedAmsdu => {
            let datagram = s.sealed(|h| h.qos = h.qos.with_amsdu_present(true), &[1; 10]);
            s.radio(&datagram);
            expected.extend([("amsdu_rx", 1), ("ccmp_opened", 1), rx]);
        }
        AmsduDisguise => {
            // An ordinary frame whose A-MSDU Present bit an attacker set: the bit is not under the MIC.
            let mut datagram = s.device.datagram(HOST, EtherType::IPV4, &[0; 60]);
            datagram[16 + 24] |= 0x80;
            s.radio(&datagram);
            expected.extend([("ccmp_opened", 1), rx]);
        }
        SpoofedSource => {
            let mut amsdu = AmsduBuilder::new();
            amsdu.push(HOST, mac(50), &ip()).unwrap();
            let datagram = s.sealed(|h| h.qos = h.qos.with_amsdu_present(true), &amsdu.finish());
            s.radio(&datagram);
            expected.extend([("amsdu_rx", 1), ("ccmp_opened", 1), rx]);
        }
        MalformedLlc => {
            let datagram = s.sealed(|_| {}, &[0xaa, 0xaa]);
            s.radio(&datagram);
            expected.extend([("ccmp_opened", 1), rx]);
        }
        TaggedByDevice => {
            let datagram = s.device.datagram(HOST, EtherType::VLAN, &[0, 7, 8, 0, 1, 2]);
            s.radio(&datagram);
            expected.extend([("ccmp_opened", 1), rx]);
        }
        MisaddressedEapol => {
            let datagram = s.device.datagram(HOST, EtherType::EAPOL, &[2, 1, 0, 0]);
            s.radio(&datagram);
            expected.extend([("ccmp_opened", 1), rx]);
        }
        PortClosed => {
            let mut device = s.stranger(false, false);
            s.radio(&device.datagram(HOST, EtherType::IPV4, &[0; 60]));
            expected.push(rx);
        }
        ReservedGroup => {
            let stp = MacAddr([0x01, 0x80, 0xc2, 0, 0, 0]);
            let header = s.device.header(stp);
            let datagram = tunnelled(&s.device.frame(header, &[0x42, 0x42, 3, 0, 0]));
            s.radio(&datagram);
            expected.extend([("ccmp_opened", 1), rx]);
        }
        Isolated => {
            s = up_with(Config::default(), Service { isolate: true, ..service(0) }, 1);
            let other = Device::new(&s.tunnel, mac(2), Some(tk(2)));
            s.bench.add_station(&other);
            s.settle();
            let datagram = s.device.datagram(other.mac, EtherType::IPV4, &[0; 60]);
            s.radio(&datagram);
            expected.extend([("ccmp_opened", 1), ("msdu_up", 1), rx]);
        }
        MalformedEthernet => {
            s.network(&[2; 13]);
            expected.push(net);
        }
        UnknownVlan => {
            s.network(&ethernet(MacAddr::BROADCAST, HOST, 99, EtherType::IPV4, &[0; 46]));
            expected.push(net);
        }
        UnknownDestination => {
            s.network(&ethernet(mac(88), HOST, 0, EtherType::IPV4, &[0; 46]));
            expected.push(net);
        }
        Contained => {
            s.bench.command(CommandKind::StationRemove(s.device.key()));
            s.bench.run();
            s.settle();
            s.network(&ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::IPV4, &[0; 46]));
            expected.push(net);
        }
        NoDownlinkKey => {
            let device = s.stranger(true, true);
            s.network(&ethernet(device.mac, HOST, 0, EtherType::IPV4, &[0; 46]));
            expected.push(net);
        }
        PnExhausted => {
            let state = &mut s.bench.workers[0].state;
            let id = state.stations.find(s.device.bssid, s.device.mac).unwrap();
            state.stations.hot_mut(id).skip_to_pn(LAST_PN);
            s.network(&ethernet(s.device.mac, HOST, 0, EtherType::IPV4, &[0; 46]));
            expected.push(net);
        }
        HoldFull | HoldLost => {
            let config = Config { held_per_station: 1, ..Config::default() };
            s = up_with(config, service(0), 1);
            s.bench.command(CommandKind::Transmit(Transmit {
                kind: FrameKind::Eapol,
                station: s.device.key(),
                data: vec![2, 3, 0, 0],
                protect: true,
                hold_downlink_ms: 1000,
            }));
            s.bench.run();
            s.settle();
            let frame = ethernet(s.device.mac, HOST, 0, EtherType::IPV4, &[0; 46]);
            s.network(&frame);
            expected.extend([("held", 1)]);
            if reason == HoldFull {
                s.network(&frame);
                expected.push(("network_rx", 2));
            } else {
                s.bench.command(CommandKind::StationRemove(s.device.key()));
                s.bench.run();
                expected.extend([net, ("commands", 1), ("stations", -1)]);
            }
        }
        FanoutFull => {
            s = up_with(Config { fanout: 0, ..Config::default() }, service(0), 1);
            s.network(&ethernet(MacAddr::BROADCAST, HOST, 0, EtherType::IPV4, &[0; 46]));
            expected.push(net);
        }
        PuntFull => {
            s = up_with(Config { events: 4, ..Config::default() }, service(0), 1);
            for n in 0..5 {
                let mut device = Device { tk: None, ..s.device.clone() };
                device.mac = mac(100 + n);
                let frame = management(
                    ManagementSubtype::Authentication,
                    device.bssid,
                    device.mac,
                    device.bssid,
                    &[0, 0, 1, 0, 0, 0],
                );
                s.bench.from_radio(0, s.tunnel.endpoint, &tunnelled(&frame));
            }
            expected.extend([("punt_management", 4), ("tunnel_rx", 5)]);
        }
        HandoffFull => {
            s = up_with(Config { handoff_octets: 64, ..Config::default() }, service(0), 2);
            let datagram = s.device.datagram(HOST, EtherType::IPV4, &[0; 60]);
            s.bench.from_radio(1, s.tunnel.endpoint, &datagram);
            expected.push(rx);
        }
        HandoffLost => {
            s = up_with(Config::default(), service(0), 2);
            // The owner forgot what the directory still says it owns.
            let state = &mut s.bench.workers[0].state;
            let id = state.stations.find(s.device.bssid, s.device.mac).unwrap();
            state.stations.leave_segment(id);
            s.bench.from_network(1, &ethernet(s.device.mac, HOST, 0, EtherType::IPV4, &[0; 46]));
            expected.extend([("handoff_rx", 1), ("handoff_tx", 1), net]);
        }
        TunnelTxFull => {
            s.bench.workers[0].state.config.tx_queue = 0;
            s.network(&ethernet(s.device.mac, HOST, 0, EtherType::IPV4, &[0; 46]));
            expected.extend([("ccmp_sealed", 1), ("msdu_down", 1), net]);
        }
        NetworkTxFull => {
            s.bench.workers[0].state.config.tx_queue = 0;
            let datagram = s.device.datagram(HOST, EtherType::ARP, &[0; 60]);
            s.radio(&datagram);
            expected.extend([("ccmp_opened", 1), ("msdu_up", 1), rx]);
        }
        NoHeadroom => {
            let pool = PoolConfig { packets: 64, buffer: 400, headroom: 0 };
            s.bench = Bench::with_pool(Config::default(), 1, pool);
            s.bench.welcome(&[service(0)]);
            s.bench.open_tunnel(0, &s.tunnel, 30);
            s.bench.add_station(&s.device);
            s.settle();
            s.network(&ethernet(s.device.mac, HOST, 0, EtherType::IPV4, &[0; 46]));
            expected.push(net);
        }
    }
    s.bench.run();
    expected.retain(|&(_, change)| change != 0);
    expected.sort();
    (s, expected)
}

#[test]
fn every_reason_is_reached_and_nothing_dropped_is_delivered() {
    for &reason in DropReason::ALL {
        let (mut scene, expected) = play(reason);
        assert_eq!(scene.bench.changes(), expected, "{reason:?}");
        assert!(expected.iter().any(|&(name, _)| name == reason.name()));
        assert!(scene.bench.to_network(0).is_empty(), "{reason:?}");
        for (_, datagram) in scene.bench.to_radio(0) {
            assert!(scene.device.open(&datagram).is_none(), "{reason:?}");
        }
    }
}
