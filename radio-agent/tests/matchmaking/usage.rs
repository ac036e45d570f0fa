//! What the agent reports of what devices use.

use dot11::{Frame, MacAddr, build};
use proto::matchmaking::messages::{Accounting, Policy, accounting::Side};

use super::connecting::shown;
use super::world::*;

/// A protected frame of so many octets of MSDU, to the device or from it.
fn protected(device: MacAddr, down: bool, octets: usize) -> Vec<u8> {
    let header = match down {
        true => build::DataHeader::from_ap(bssid(0), device, MacAddr([2; 6]), None),
        false => build::DataHeader::to_ap(bssid(0), MacAddr([2; 6]), device, None),
    };
    let mut frame = header.frame(&vec![0x5a; octets + 16]);
    // 802.11-2020 §9.2.4.1.1: Protected Frame is bit 14 of Frame Control.
    frame[1] |= 0x40;
    assert!(Frame::parse(&frame).unwrap().control().protected());
    frame
}

fn totals(report: &Accounting) -> (u32, [u64; 4], u32, bool) {
    let counts = [report.up_octets, report.down_octets, report.up_packets, report.down_packets];
    (report.sequence, counts, report.seconds, report.ended)
}

#[test]
fn the_matchmaker_hears_what_devices_use_now_and_then_and_at_the_end() {
    let mut world = shown(Policy::default());
    world.associate(0, DEVICE);
    world.hear(&protected(DEVICE, false, 100));
    // Neither what is not protected nor what is empty is what a device used; nor is a frame of somebody else.
    world.hear(&data(0, DEVICE));
    world.hear(&protected(DEVICE, false, 0));
    world.hear(&protected(OTHER, false, 100));
    let from = world.tunnel(0);
    world.down(from, &protected(DEVICE, true, 1000));
    world.run(seconds(59));
    assert_eq!(world.reports(), []);
    world.run(seconds(3));
    let [report] = &world.reports()[..] else { panic!("{:?}", world.reports()) };
    assert_eq!(report.side(), Side::Radio);
    assert_eq!((&report.client[..], &report.bssid[..]), (&DEVICE.0[..], &bssid(0).0[..]));
    assert_eq!(&report.service[..], &[HOME; 16]);
    assert_eq!(report.session_id, world.connects()[0].session_id);
    assert_eq!((report.rssi_dbm, totals(report).1), (-55, [100, 1000, 1, 1]));
    world.hear(&protected(DEVICE, false, 50));
    for _ in 0..24 {
        world.run(seconds(10));
        world.hear(&data(0, DEVICE));
    }
    assert_eq!(totals(&world.reports()[1]), (2, [150, 1000, 2, 1], 300, false));
    // It leaves, comes back on the same tunnel, and the tunnel goes.
    let leave = to_slot(0, dot11::ManagementSubtype::Disassociation, DEVICE, &8u16.to_le_bytes());
    world.hear(&leave);
    world.run(seconds(2));
    let left = totals(&world.reports()[2]);
    assert_eq!((left.0, left.1, left.3), (3, [150, 1000, 2, 1], true));
    world.associate(0, DEVICE);
    world.hear(&protected(DEVICE, false, 7));
    world.run(seconds(1));
    world.agent.shut_down(world.now);
    world.pump();
    let reports = world.reports();
    assert_eq!(reports.len(), 4);
    let end = totals(&reports[3]);
    assert_eq!((end.0, end.1, end.3), (4, [157, 1000, 3, 1], true));
    assert!((left.2..left.2 + 3).contains(&end.2), "the time between does not count");
}
