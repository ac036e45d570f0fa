//! What the agent reports of what devices use.

use dot11::{Frame, MacAddr, build};
use proto::matchmaking::messages::request::Request;
use proto::matchmaking::messages::{Accounting, Policy, accounting::Side};
use proto::matchmaking::peer::MAX_REQUESTS;
use radio_agent::agent::SILENCE;

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

/// A network with so many devices.
fn crowded(devices: u8) -> World {
    let mut world = shown(Policy::default());
    for number in 0..devices {
        world.associate(0, MacAddr([0x40, 0x5e, 0, 0, 2, number]));
        world.run(milliseconds(300));
    }
    world
}

#[test]
fn many_reports_are_in_nobodys_way_and_none_is_lost() {
    let mut world = crowded(100);
    let before = world.questions.len();
    // Its gateway dies, and the matchmaker takes its time.
    world.alive.clear();
    world.waiting = Some(Vec::new());
    world.run(seconds(3));
    let waiting = world.waiting.as_ref().unwrap();
    let is_report = |request: &Request| matches!(request, Request::Accounting(_));
    assert!(waiting.iter().any(|(_, request)| matches!(request, Request::Release(_))));
    assert_eq!(waiting.iter().filter(|(_, request)| is_report(request)).count(), 4);
    // It answers nothing for a while.
    world.silent = true;
    world.answer();
    world.run(seconds(12));
    world.silent = false;
    world.run(seconds(12));
    let ended = |report: &&Accounting| report.ended;
    let reports = world.reports();
    let mut clients: Vec<_> = reports.iter().filter(ended).map(|report| report.client.clone()).collect();
    clients.sort_unstable();
    clients.dedup();
    assert_eq!((clients.len(), world.agent.counters().reports_lost), (100, 0));
    let asked = world.questions.len() - before;
    world.run(seconds(50));
    assert_eq!(world.reports().len(), reports.len(), "what was taken is not repeated");
    assert!(asked < 150);

    // Whom nobody hears gives up.
    let mut world = crowded(4);
    world.silent = true;
    world.alive.clear();
    world.run(seconds(120));
    let ends = world.reports().into_iter().filter(|report| report.ended).count();
    assert_eq!((ends, world.agent.counters().reports_lost), (4 * 5, 4));
}

#[test]
fn at_the_end_there_is_place_for_what_must_be_said() {
    let mut world = crowded(100);
    let before = world.questions.len();
    world.agent.shut_down(world.now);
    world.pump();
    let last = &world.questions[before..];
    assert!(last.len() <= MAX_REQUESTS);
    assert!(matches!(last[0].1, Request::Release(_)));
    assert!(matches!(last.last().unwrap().1, Request::Unregister(_)));
    assert!(last.len() > 50, "the rest is reports");
}

#[test]
fn what_a_device_used_goes_on_however_many_came_between() {
    let mut world = shown(Policy::default());
    let visit = |world: &mut World, device: MacAddr, octets: usize| {
        world.associate(0, device);
        world.hear(&protected(device, false, octets));
        world.hear(&to_slot(0, dot11::ManagementSubtype::Disassociation, device, &8u16.to_le_bytes()));
        world.run(SILENCE + milliseconds(300));
        let all = world.reports();
        let reports: Vec<_> = all.iter().filter(|report| report.client == device.0).collect();
        assert!(reports.is_sorted_by(|a, b| a.sequence < b.sequence), "it increases");
        reports.last().unwrap().up_octets
    };
    let guests = |world: &mut World, from: u16, to: u16| {
        for number in from..to {
            let [a, b] = number.to_be_bytes();
            visit(world, MacAddr([0x40, 0x5e, 0, 3, a, b]), 10);
        }
    };
    assert_eq!(visit(&mut world, DEVICE, 100), 100);
    guests(&mut world, 0, 300);
    assert_eq!(visit(&mut world, DEVICE, 7), 107);
    // Beyond what is remembered it begins anew, but what it says is news.
    guests(&mut world, 300, 900);
    assert_eq!(visit(&mut world, DEVICE, 150), 150);
    let sessions = |world: &World| {
        let mut all: Vec<_> = world.reports().into_iter().map(|report| report.session_id).collect();
        all.dedup();
        all.len()
    };
    assert_eq!(sessions(&world), 1);
}
