//! Any octets behind any link type, and damaged captures of real traffic: nothing panics, every frame counts once.

mod common;
#[path = "../../fuzz/src/ttgctl.rs"]
mod fuzz;

use common::{Network, capture, gtk, udp};
use dot11::{QosControl, amsdu::AmsduBuilder, rsn::Akm};
use proptest::prelude::*;

/// A record as the fuzz target takes it, of the link type with this number.
fn record(link_type: u16, octets: &[u8]) -> Vec<u8> {
    let kind = fuzz::LINK_TYPES.iter().position(|known| *known == link_type).unwrap();
    [&[kind as u8][..], &(octets.len() as u16).to_le_bytes(), octets].concat()
}

/// Frames of every sort, behind every sort of link header.
fn traffic() -> Vec<Vec<u8>> {
    let mut net = Network::new(Akm::Psk);
    net.pmk = dot11::rsn::Pmk::new([0x11; 32]);
    let mut air = net.join(gtk(0));
    air.push(net.association_request());
    air.extend(net.fragments(Some(QosControl::new(0)), &udp(&[1; 90]), 40));
    let mut body = AmsduBuilder::new();
    body.push(common::HOST, common::DEVICE, &udp(b"one")).unwrap();
    body.push(common::HOST, common::DEVICE, &udp(b"two")).unwrap();
    air.push(net.up(Some(QosControl::new(0).with_amsdu_present(true)), &body.finish()));
    let pdu = net.group_message(gtk(1));
    air.push(net.down(None, &dot11::llc::msdu(dot11::llc::EtherType::EAPOL, &pdu)));
    air.push(net.group(&udp(b"three")));
    let mut records = Vec::new();
    for frame in &air {
        records.push(record(105, frame));
        records.push(record(127, &capture::radiotap_flags(0x30, &capture::with_fcs(frame))));
        records.push(record(119, &capture::prism(true, frame)));
        records.push(record(163, &capture::avs(frame)));
        records.push(record(192, &capture::ppi(1, &capture::with_fcs(frame))));
        for datagram in capture::capwap(frame, 100, records.len() as u16) {
            let v4 = capture::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 5247, 5247, &datagram);
            records.push(record(1, &capture::ethernet(&[0x81, 0, 0, 1], 0x0800, &v4)));
            records.push(record(101, &capture::ipv6(5247, 5247, &datagram)));
        }
    }
    records
}

#[test]
fn undamaged_traffic() {
    fuzz::decrypt(&traffic().concat());
}

#[test]
fn traffic_cut_anywhere() {
    for record in traffic() {
        for length in 3..record.len() {
            fuzz::decrypt(&record[..length]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_octets(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz::decrypt(&octets);
    }

    #[test]
    fn any_octets_behind_each_link_type(octets in prop::collection::vec(any::<u8>(), 0..200)) {
        for link_type in fuzz::LINK_TYPES {
            fuzz::decrypt(&record(link_type, &octets));
        }
    }

    #[test]
    fn damaged_traffic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40)) {
        let mut octets = traffic().concat();
        for (index, value) in changes {
            let at = index.index(octets.len());
            octets[at] = value;
        }
        fuzz::decrypt(&octets);
    }
}
