//! Known attacks on Wi-Fi encryption, each played against the gateway: nothing of them is delivered, and each is counted for what it is.

use std::time::Duration;

use dataplane::command::*;
use dataplane::config::Config;
use dataplane::counters::DropReason;
use dataplane::harness::*;
use dot11::MacAddr;
use dot11::SequenceControl;
use dot11::amsdu::AmsduBuilder;
use dot11::build::DataHeader;
use dot11::llc::{self, EtherType};

struct Scene {
    bench: Bench,
    tunnel: Tunnel,
    device: Device,
}

fn up() -> Scene {
    let mut bench = Bench::new(Config::default(), 1);
    bench.welcome(&[service(0)]);
    let tunnel = tunnel(0, &service(0));
    bench.open_tunnel(0, &tunnel, 30);
    let device = Device::new(&tunnel, mac(1), Some(tk(1)));
    bench.add_station(&device);
    bench.changes();
    Scene { bench, tunnel, device }
}

impl Scene {
    fn fragment(&mut self, number: u16, n: u8, more: bool, body: &[u8]) -> Vec<u8> {
        self.frame(
            |header| {
                header.sequence = SequenceControl::new(number, n);
                header.control = header.control.with_more_fragments(more);
            },
            body,
        )
    }

    fn frame(&mut self, edit: impl FnOnce(&mut DataHeader), body: &[u8]) -> Vec<u8> {
        let mut header = self.device.header(HOST);
        edit(&mut header);
        tunnelled(&self.device.frame(header, body))
    }

    fn inject(&mut self, datagrams: &[Vec<u8>]) {
        for datagram in datagrams {
            self.bench.from_radio(0, self.tunnel.endpoint, datagram);
        }
    }

    /// Nothing was delivered, to the network or to control, and this is what was counted.
    fn foiled(mut self, drops: &[(DropReason, u64)]) {
        assert_eq!(self.bench.to_network(0), Vec::<Vec<u8>>::new());
        assert!(!self.bench.events().iter().any(|event| matches!(event, Event::Frame(_))));
        for &(reason, n) in drops {
            assert_eq!(self.bench.total(reason), n, "{reason:?}");
        }
        let all: u64 = DropReason::ALL.iter().map(|&reason| self.bench.total(reason)).sum();
        assert_eq!(all, drops.iter().map(|&(_, n)| n).sum::<u64>());
    }
}

fn ip() -> Vec<u8> {
    llc::msdu(EtherType::IPV4, &[0; 60])
}

/// CVE-2020-24586: a fragment left behind meets one of the next association.
#[test]
fn fragments_do_not_outlive_the_association() {
    let mut s = up();
    let first = s.fragment(5, 0, true, &ip());
    s.inject(&[first]);
    s.bench.run();
    s.bench.add_station(&s.device.clone());
    s.device.pn = 1;
    let second = s.fragment(5, 1, false, &[1; 8]);
    s.inject(&[second]);
    s.foiled(&[(DropReason::FragmentEvicted, 1), (DropReason::FragmentOrphan, 1)]);
}

/// CVE-2020-24587: fragments under the replaced and under the new key, while both are good and with numbers that would fit.
#[test]
fn fragments_under_two_keys_do_not_meet() {
    let mut s = up();
    let first = s.fragment(5, 0, true, &ip());
    s.inject(&[first]);
    s.bench.run();
    s.bench.install(&s.device.clone(), tk(2), 1000, 0);
    s.device.tk = Some(tk(2));
    s.device.pn = 1;
    let second = s.fragment(5, 1, false, &[1; 8]);
    s.inject(&[second]);
    s.foiled(&[(DropReason::FragmentMixed, 2)]);
}

/// Both fragments under the replaced key are one MSDU all the same.
#[test]
fn a_key_replaced_between_fragments_loses_nothing() {
    let mut s = up();
    let first = s.fragment(5, 0, true, &ip());
    let second = s.fragment(5, 1, false, &[1; 8]);
    s.inject(&[first]);
    s.bench.run();
    s.bench.install(&s.device.clone(), tk(2), 1000, 0);
    s.inject(&[second]);
    assert_eq!(s.bench.to_network(0).len(), 1);
}

/// CVE-2020-26147: an encrypted fragment and an unencrypted one.
#[test]
fn encrypted_and_plain_fragments_do_not_meet() {
    for plain_first in [false, true] {
        let mut s = up();
        let key = s.device.tk.clone();
        s.device.tk = if plain_first { None } else { key.clone() };
        let first = s.fragment(5, 0, true, &ip());
        s.device.tk = if plain_first { key } else { None };
        s.device.pn = 1;
        let second = s.fragment(5, 1, false, &[1; 8]);
        s.inject(&[first, second]);
        if plain_first {
            s.foiled(&[(DropReason::Unprotected, 1), (DropReason::FragmentOrphan, 1)]);
        } else {
            // The first one waits, and goes for its age.
            s.bench.advance(Duration::from_millis(2050));
            s.foiled(&[(DropReason::Unprotected, 1), (DropReason::FragmentExpired, 1)]);
        }
    }
}

/// CVE-2020-26143: data in unencrypted fragments, before the key and after it; CVE-2020-26140: data unencrypted at once.
#[test]
fn plain_data_does_not_pass_in_pieces_either() {
    let mut s = up();
    s.device.tk = None;
    let pieces = [s.fragment(5, 0, true, &ip()), s.fragment(5, 1, false, &[1; 8]), s.frame(|_| (), &ip())];
    s.inject(&pieces);
    s.bench.run();
    s.bench.command(CommandKind::StationAdd(StationAdd {
        station: s.device.key(),
        aid: 1,
        qos: true,
        protect: true,
        blob: Vec::new(),
        pmf: false,
    }));
    s.bench.open_port(&s.device.clone());
    s.inject(&pieces);
    // Three before; then the two pieces make one MSDU that is none of EAPOL, and the whole frame is the third.
    s.foiled(&[(DropReason::Unprotected, 5)]);
}

/// CVE-2020-26142: a fragment taken for a whole frame.
#[test]
fn a_fragment_alone_is_not_a_frame() {
    let mut s = up();
    let pieces = [s.fragment(5, 1, true, &ip()), s.fragment(5, 2, false, &ip())];
    s.inject(&pieces);
    s.foiled(&[(DropReason::FragmentOrphan, 2)]);
}

/// CVE-2020-26145: unencrypted fragments to the broadcast address.
#[test]
fn broadcast_fragments_are_not_for_the_gateway() {
    let mut s = up();
    s.device.tk = None;
    let pieces = [0, 1].map(|n| {
        s.frame(
            |header| {
                header.addr1 = MacAddr::BROADCAST;
                header.sequence = SequenceControl::new(5, n);
                header.control = header.control.with_more_fragments(n == 0);
            },
            &llc::msdu(EtherType::EAPOL, &[2, 1, 0, 0]),
        )
    });
    s.inject(&pieces);
    s.foiled(&[(DropReason::WrongAddresses, 2)]);
}

/// CVE-2020-26144: an unencrypted A-MSDU that begins like an EAPOL frame.
#[test]
fn an_amsdu_does_not_pass_for_eapol() {
    let mut s = up();
    s.bench.command(CommandKind::StationAdd(StationAdd {
        station: s.device.key(),
        aid: 1,
        qos: true,
        protect: true,
        blob: Vec::new(),
        pmf: false,
    }));
    s.device.tk = None;
    let datagram = s.frame(
        |header| header.qos = header.qos.with_amsdu_present(true),
        &llc::msdu(EtherType::EAPOL, &[2, 1, 0, 0]),
    );
    s.inject(&[datagram]);
    s.foiled(&[(DropReason::Unprotected, 1)]);
}

/// CVE-2020-26139: EAPOL frames forwarded to others, from a device that is not authenticated yet.
#[test]
fn eapol_is_not_forwarded() {
    let mut s = up();
    let victim = Device::new(&s.tunnel, mac(2), Some(tk(2)));
    s.bench.add_station(&victim);
    let mut stranger = Device::new(&s.tunnel, mac(3), None);
    s.bench.command(CommandKind::StationAdd(StationAdd {
        station: stranger.key(),
        aid: 3,
        qos: true,
        protect: true,
        blob: Vec::new(),
        pmf: false,
    }));
    let eapol = [2, 1, 0, 0];
    let datagrams = [
        stranger.datagram(victim.mac, EtherType::EAPOL, &eapol),
        stranger.datagram(MacAddr::BROADCAST, EtherType::EAPOL, &eapol),
    ];
    s.inject(&datagrams);
    s.bench.from_network(0, &ethernet(victim.mac, HOST, 0, EtherType::EAPOL, &eapol));
    assert!(s.bench.to_radio(0).is_empty());
    s.foiled(&[(DropReason::MisaddressedEapol, 3)]);
}

/// Another device's address does not help without its key.
#[test]
fn a_device_cannot_send_as_another() {
    let mut s = up();
    let victim = Device::new(&s.tunnel, mac(2), Some(tk(2)));
    s.bench.add_station(&victim);
    let mut forger = Device { mac: victim.mac, ..s.device.clone() };
    let datagram = forger.datagram(HOST, EtherType::IPV4, &[0; 60]);
    s.inject(&[datagram]);
    s.foiled(&[(DropReason::MicFailure, 1)]);
}

/// Many MSDUs begun and none finished: memory stays bounded, and a device only pushes out its own.
#[test]
fn a_flood_of_first_fragments_is_bounded_for_each_device() {
    let mut s = up();
    let mut other = Device::new(&s.tunnel, mac(2), Some(tk(2)));
    s.bench.add_station(&other);
    let mut header = other.header(HOST);
    header.sequence = SequenceControl::new(1, 0);
    header.control = header.control.with_more_fragments(true);
    let first = tunnelled(&other.frame(header, &ip()));
    s.inject(&[first]);
    s.bench.run();
    let before = s.bench.workers[0].state.pool.in_use();
    for n in 0..64 {
        s.device.qos = Some((n % 16) as u8);
        let datagram = s.fragment(n, 0, true, &ip());
        s.inject(&[datagram]);
    }
    s.bench.run();
    assert_eq!(s.bench.total(DropReason::FragmentEvicted), 60);
    assert_eq!(s.bench.workers[0].state.pool.in_use(), before);
    header.sequence = SequenceControl::new(1, 1);
    header.control = header.control.with_more_fragments(false);
    let second = tunnelled(&other.frame(header, &[1; 8]));
    s.inject(&[second]);
    assert_eq!(s.bench.to_network(0).len(), 1, "the other device's MSDU is completed");
}

/// CVE-2020-24588, the other way round: an A-MSDU whose unauthenticated bit somebody cleared is not passed on as one frame.
#[test]
fn an_amsdu_is_not_taken_for_an_msdu() {
    let mut s = up();
    let mut amsdu = AmsduBuilder::new();
    amsdu.push(HOST, s.device.mac, &ip()).unwrap();
    let mut frame = s.frame(|header| header.qos = header.qos.with_amsdu_present(true), &amsdu.finish());
    // Behind the tunnel header with frame info (16 octets) and a three-address MAC header.
    frame[16 + 24] &= 0x7f;
    s.inject(&[frame]);
    s.foiled(&[(DropReason::AmsduDisguise, 1)]);
}
