//! From a device's first frame to its gateway, and what happens when that is gone.

use std::time::Duration;

use dot11::{Frame, MacAddr, ManagementSubtype, build};
use proto::matchmaking::messages::{Policy, failure::Reason, request::Request};
use proto::tunnel::{Punch, TunnelKey};
use radio_agent::agent::*;

use super::world::*;

/// A world in which slot 0 shows HOME for DEVICE and whoever else comes.
pub fn shown(policy: Policy) -> World {
    let mut world = World::new();
    world.offers = vec![offer(HOME, Some(DEVICE), policy)];
    world.ttl = 3600;
    world.hear(&probe_request(DEVICE, b""));
    world.run(milliseconds(20));
    assert!(world.is_shown(HOME));
    world
}

#[test]
fn the_first_frame_brings_the_tunnel_and_arrives() {
    let mut world = shown(Policy::default());
    world.endpoints = vec![gateway(8), gateway(9), gateway(1)];
    world.hear(&data(0, DEVICE));
    assert_eq!(world.agent.counters().not_introduced, 1, "who has not begun");
    let told = world.injected(ManagementSubtype::Deauthentication);
    assert_eq!(Frame::parse(&told[0]).unwrap().addr1(), DEVICE, "is told so");
    world.hear(&data(0, DEVICE));
    assert_eq!(world.injected(ManagementSubtype::Deauthentication).len(), 1, "but not for every frame");

    let begin = world.now;
    let frame = authentication(0, DEVICE);
    world.hear(&frame);
    world.hear(&data(0, DEVICE));
    world.hear(&frame);
    world.hear(&frame);
    let [connect] = &world.connects()[..] else { panic!("one question") };
    assert_eq!((&connect.client[..], &connect.service[..]), (&DEVICE.0[..], &[HOME; 16][..]));
    assert_eq!((&connect.bssid[..], connect.binding), (&bssid(0).0[..], 101));
    assert_eq!(connect.rssi_dbm, -55);
    let counters = world.agent.counters();
    assert_eq!((counters.held, counters.held_dropped, counters.connects), (2, 1, 1));
    assert!(world.delivered.is_empty());
    world.run(milliseconds(500));
    let tried: Vec<_> = world.keep_alives(0).iter().map(|(when, to, _)| (*when - begin, *to)).collect();
    let expected = [(0, 8), (250, 9), (500, 1)].map(|(at, to)| (milliseconds(at), gateway(to)));
    assert_eq!(tried, expected, "one endpoint after the other, the likeliest first");
    assert_eq!(world.keep_alives(0)[0].2.0.to_vec(), connect.session_id);
    assert_eq!(world.delivered, [(gateway(1), frame.clone()), (gateway(1), frame)]);
    // From now on frames pass both ways.
    world.hear(&data(0, DEVICE));
    assert_eq!(world.delivered.len(), 3);
    let down = build::DataHeader::from_ap(bssid(0), DEVICE, MacAddr([2; 6]), None).frame(&[1; 20]);
    world.down(gateway(1), &down);
    assert_eq!(world.log.last().unwrap().1, Output::Inject { frame: down.clone() });
    world.down(gateway(2), &down);
    assert_eq!(world.agent.counters().stranger, 1, "of another gateway");
}

#[test]
fn every_device_is_introduced_on_the_same_tunnel() {
    let mut world = shown(Policy::default());
    world.associate(0, DEVICE);
    world.associate(0, OTHER);
    let connects = world.connects();
    assert_eq!(connects.len(), 2);
    assert_eq!(connects[0].session_id, connects[1].session_id);
    // A matchmaker that knows nothing of the tunnel, any more or yet, hears of it.
    assert_eq!((&connects[0].instance[..], &connects[0].key[..]), (&[][..], &[][..]));
    assert_eq!((&connects[1].instance[..], &connects[1].key[..]), (&[9; 16][..], &KEY[..]));
    assert_eq!(world.delivered.len(), 4);
    world.hear(&data(0, OTHER));
    assert_eq!(world.delivered.len(), 5);
    // Again, while the introduction is good; and after.
    world.hear(&authentication(0, OTHER));
    assert_eq!((world.connects().len(), world.delivered.len()), (2, 6));
    world.run(seconds(31));
    world.hear(&authentication(0, OTHER));
    assert_eq!((world.connects().len(), world.delivered.len()), (3, 7));
    world.hear(&data(0, DEVICE));
    assert_eq!(world.delivered.len(), 8, "who is associated needs no other introduction");
}

#[test]
fn who_comes_again_after_the_matchmaker_began_anew_is_introduced_anew() {
    let mut world = shown(Policy::default());
    world.associate(0, DEVICE);
    world.run(seconds(2));
    world.agent.epoch_changed(world.now);
    world.run(seconds(2));
    world.hear(&data(0, DEVICE));
    assert_eq!((world.connects().len(), world.delivered.len()), (1, 3), "who is associated stays so");
    let left = to_slot(0, ManagementSubtype::Deauthentication, DEVICE, &3u16.to_le_bytes());
    world.hear(&left);
    world.hear(&authentication(0, DEVICE));
    let connects = world.connects();
    assert_eq!((connects.len(), &connects[1].key[..]), (2, &KEY[..]), "on the same tunnel");
    assert_eq!(world.delivered.last().unwrap().1, authentication(0, DEVICE));
}

#[test]
fn two_services_have_two_tunnels() {
    let mut world = shown(Policy::default());
    world.offers.push(plain(WORK, OTHER));
    world.hear(&probe_request(OTHER, b""));
    world.run(milliseconds(50));
    world.associate(0, DEVICE);
    world.endpoints = vec![gateway(2)];
    world.associate(1, OTHER);
    assert_eq!((world.tunnel(0), world.tunnel(1)), (gateway(1), gateway(2)));
    let connects = world.connects();
    assert_ne!(connects[0].session_id, connects[1].session_id);
    let down = build::DataHeader::from_ap(bssid(1), OTHER, MacAddr([2; 6]), None).frame(&[1; 20]);
    world.down(gateway(1), &down);
    assert_eq!(world.agent.counters().stranger, 1);
    world.down(gateway(2), &down);
    assert_eq!(world.agent.counters().down, 3);
}

#[test]
fn who_is_not_introduced_is_ignored_as_long_as_the_matchmaker_says_but_not_long() {
    let mut world = shown(Policy::default());
    (world.failure, world.retry) = (Some(Reason::NoBinding), 8);
    world.hear(&authentication(0, OTHER));
    world.run(milliseconds(1));
    let counters = world.agent.counters();
    assert_eq!((counters.connects_failed, counters.held_dropped), (1, 1));
    world.failure = None;
    world.run(seconds(7));
    world.hear(&authentication(0, OTHER));
    assert_eq!((world.connects().len(), world.agent.counters().kept_out), (1, 1));
    world.run(seconds(2));
    world.hear(&authentication(0, OTHER));
    assert_eq!(world.connects().len(), 2);
    // A radio does not hear that somebody was forgiven.
    (world.failure, world.retry) = (Some(Reason::Refused), 3600);
    let guest = MacAddr([0x40, 0x5e, 0, 0, 0, 0x46]);
    world.hear(&authentication(0, guest));
    world.failure = None;
    world.run(seconds(11));
    world.hear(&authentication(0, guest));
    assert_eq!(world.connects().len(), 4);
    // An introduction without a place to go to is none.
    world.endpoints.clear();
    world.hear(&authentication(0, MacAddr([0x40, 0x5e, 0, 0, 0, 0x45])));
    assert_eq!(world.agent.counters().connects_failed, 3);
}

#[test]
fn an_authentication_frame_of_somebody_else_cuts_nobody_off() {
    let mut world = shown(Policy::default());
    world.associate(0, DEVICE);
    world.run(seconds(31));
    let before = world.delivered.len();
    // Its introduction is over, and the matchmaker is too busy to be asked.
    for number in 0..40 {
        world.hear(&authentication(0, MacAddr([0x40, 0x5e, 0, 0, 1, number])));
    }
    let others = world.delivered.len() - before;
    let asked = world.connects().len();
    world.hear(&authentication(0, DEVICE));
    assert_eq!(world.connects().len(), asked, "it waits");
    world.hear(&data(0, DEVICE));
    assert_eq!(world.delivered.len(), before + others + 1, "but only that frame");
    // Nor does a refusal.
    (world.failure, world.retry) = (Some(Reason::Refused), 8);
    world.run(seconds(9));
    assert!(world.connects().iter().skip(asked).any(|connect| connect.client == DEVICE.0));
    let before = world.delivered.len();
    world.hear(&authentication(0, DEVICE));
    world.hear(&data(0, DEVICE));
    assert_eq!(world.delivered.len(), before + 1);
    world.run(seconds(20));
    world.hear(&data(0, DEVICE));
    assert_eq!(world.delivered.len(), before + 2);
    assert!(world.injected(ManagementSubtype::Deauthentication).is_empty());
}

#[test]
fn the_policy_holds_for_who_begins_too() {
    let mut world = shown(Policy { max_clients: 1, ..Policy::default() });
    world.offers.push(offer(HOME, Some(OTHER), Policy { max_clients: 1, ..Policy::default() }));
    world.hear(&probe_request(OTHER, b""));
    world.run(milliseconds(50));
    world.associate(0, DEVICE);
    world.hear(&authentication(0, OTHER));
    assert_eq!((world.connects().len(), world.agent.counters().kept_out), (1, 1), "one is enough");
    let left = to_slot(0, ManagementSubtype::Deauthentication, DEVICE, &3u16.to_le_bytes());
    world.hear(&left);
    world.run(SILENCE);
    world.hear(&authentication(0, OTHER));
    assert_eq!(world.connects().len(), 2);
}

#[test]
fn a_gateway_that_is_gone_is_left_within_three_seconds() {
    for offset in [0, 1, 500, 999, 1000, 1001] {
        let mut world = shown(Policy::default());
        world.associate(0, DEVICE);
        world.run(seconds(7));
        world.run(milliseconds(offset));
        let alive = world.keep_alives(0);
        assert!(alive.windows(2).skip(3).all(|pair| pair[1].0 - pair[0].0 <= seconds(1)), "every second");
        let session = alive[0].2;
        world.alive.remove(&gateway(1));
        world.endpoints = vec![gateway(2)];
        let gone = world.now;
        world.run(seconds(3));
        let air = world.air();
        let [_, (closed, 'c', 0), (opened, 'o', again)] = air[..] else { panic!("{offset}: {air:?}") };
        let took = closed - gone;
        assert!(took <= seconds(3), "{offset}: {took:?}");
        assert!(opened - closed <= milliseconds(20));
        let told = world.injected(ManagementSubtype::Deauthentication);
        let told = Frame::parse(&told[0]).unwrap();
        assert_eq!((told.addr1(), told.addr2()), (MacAddr::BROADCAST, Some(bssid(0))));
        assert_eq!(world.agent.counters().gateways_lost, 1);
        let lost = |request: &Request| matches!(request, Request::Release(release) if release.gateway_lost);
        assert!(world.questions.iter().any(|(_, request)| lost(request)), "the matchmaker is told");

        // The device begins again, and is introduced to another instance.
        world.associate(again, DEVICE);
        assert_eq!(world.tunnel(again), gateway(2));
        assert_ne!(world.keep_alives(again).last().unwrap().2, session);
        let connects = world.connects();
        assert_ne!(connects[0].session_id, connects[1].session_id);
        world.hear(&data(again, DEVICE));
        assert_eq!(world.delivered.last().unwrap().0, gateway(2));
    }
}

#[test]
fn a_gateway_that_goes_while_nobody_is_there_is_left_within_three_seconds_too() {
    // At any moment between two keep-alives, from when the last device left to when the tunnel would go down anyway.
    for (later, back) in (0..50).flat_map(|n| [(3000 + n * 500, false), (3000 + n * 500, true)]) {
        let mut world = shown(Policy::default());
        world.associate(0, DEVICE);
        world.hear(&to_slot(0, ManagementSubtype::Deauthentication, DEVICE, &3u16.to_le_bytes()));
        world.run(milliseconds(later));
        world.alive.remove(&gateway(1));
        if back {
            world.hear(&authentication(0, DEVICE));
        }
        let begin = world.now;
        world.run(seconds(3));
        let gone = Event::GatewayGone { bssid: bssid(0), gateway: gateway(1) };
        assert!(world.log_time(gone) <= begin + seconds(3), "{later} {back}");
        assert_eq!(world.air()[1].1, 'c', "{later} {back}");
    }
}

/// A world with DEVICE connected, whose gateway's process ends after a while. What its host quotes: so much.
fn refusing(quoted: usize, while_sending: bool) -> (World, Duration) {
    let mut world = shown(Policy::default());
    world.associate(0, DEVICE);
    world.run(milliseconds(7300));
    world.refusing.insert(gateway(1), quoted);
    let gone = world.now;
    for _ in 0..150 {
        if while_sending && world.air().len() == 1 {
            world.hear(&data(0, DEVICE));
        }
        world.run(milliseconds(20));
    }
    (world, gone)
}

#[test]
fn a_gateway_whose_port_is_closed_is_left_at_once() {
    for (while_sending, within) in [(true, 25), (false, 1005)] {
        let (world, gone) = refusing(548, while_sending);
        let closed = world.air()[1];
        assert_eq!((closed.1, closed.2), ('c', 0));
        assert!(closed.0 - gone <= milliseconds(within), "{:?}", closed.0 - gone);
        assert_eq!(world.agent.counters().gateways_lost, 1);
    }
}

#[test]
fn who_cannot_quote_a_keep_alive_is_not_believed() {
    // All that a router has to quote: 8 octets of the datagram, which are those of UDP.
    let (world, gone) = refusing(0, true);
    let closed = world.air()[1].0 - gone;
    assert!(closed >= seconds(1) && closed <= seconds(3), "as if nothing were said: {closed:?}");

    let mut world = shown(Policy::default());
    world.associate(0, DEVICE);
    world.run(seconds(5));
    let before = world.keep_alives(0).len();
    for _ in 0..500 {
        world.agent.refused(gateway(1), &[7; 100], world.now);
        world.agent.refused(gateway(2), &[7; 100], world.now);
        world.run(milliseconds(10));
    }
    assert_eq!(world.air().len(), 1, "the gateway answers");
    let asked = world.keep_alives(0).len() - before;
    assert!((4..=11).contains(&asked), "{asked} keep-alives in five seconds");
}

#[test]
fn a_gateway_that_never_answers_is_given_up_and_another_asked_for() {
    let mut world = shown(Policy::default());
    world.endpoints = vec![gateway(8)];
    world.hear(&authentication(0, DEVICE));
    world.run(seconds(5));
    let counters = world.agent.counters();
    assert_eq!((counters.gateways_lost, counters.held_dropped), (1, 1));
    assert_eq!(world.air().len(), 1, "nobody was associated, so it stays");
    let Some((_, Request::Release(told))) = world.questions.last() else { panic!("{:?}", world.questions) };
    assert!(told.gateway_lost);
    world.run(seconds(2));
    world.endpoints = vec![gateway(2)];
    world.hear(&authentication(0, DEVICE));
    world.run(milliseconds(1));
    assert_eq!(world.delivered.len(), 1);
    assert_ne!(world.connects()[0].session_id, world.connects()[1].session_id);
}

fn punch(world: &mut World, from: u8, key: [u8; 16], counter: u64) {
    let session = world.keep_alives(0).last().unwrap().2;
    let punch = Punch::new(&TunnelKey::new(key), session, counter);
    world.agent.datagram(gateway(from), &punch.datagram(), world.now);
    world.pump();
}

#[test]
fn a_gateway_is_found_where_its_punch_comes_from() {
    let mut world = shown(Policy::default());
    world.endpoints = vec![gateway(8)];
    world.hear(&authentication(0, DEVICE));
    world.run(milliseconds(100));
    punch(&mut world, 1, [0x78; 16], 1);
    assert!(world.delivered.is_empty(), "of somebody without the key");
    punch(&mut world, 2, KEY, 1);
    assert_eq!(world.delivered.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [gateway(2)]);
    assert_eq!(world.log_time(Event::TunnelUp { bssid: bssid(0), gateway: gateway(2) }), world.now);
    world.run(seconds(3));
    assert_eq!(world.tunnel(0), gateway(2));
}

#[test]
fn a_gateway_that_is_elsewhere_now_is_followed_if_it_proves_and_answers() {
    let mut world = shown(Policy::default());
    world.associate(0, DEVICE);
    let sent = |world: &World| world.keep_alives(0).len();
    punch(&mut world, 1, KEY, 5);
    let before = sent(&world);
    for (from, key, counter) in [(2, KEY, 5), (2, KEY, 4), (2, [0x78; 16], 6)] {
        punch(&mut world, from, key, counter);
    }
    assert_eq!(sent(&world), before, "repeated, old, of somebody else");
    // Where nobody answers is asked once, and the tunnel stays where it is.
    punch(&mut world, 8, KEY, 6);
    assert_eq!((sent(&world), world.tunnel(0)), (before + 1, gateway(8)));
    world.hear(&data(0, DEVICE));
    assert_eq!(world.delivered.last().unwrap().0, gateway(1));
    // Its NAT gave it another port: from the first of these it is late.
    world.alive.remove(&gateway(1));
    world.run(milliseconds(1300));
    punch(&mut world, 2, KEY, 7);
    world.hear(&data(0, DEVICE));
    assert_eq!(world.delivered.last().unwrap().0, gateway(2));
    world.run(seconds(5));
    assert_eq!((world.tunnel(0), world.air().len()), (gateway(2), 1), "nobody noticed");
}

#[test]
fn a_network_whose_gateways_do_not_answer_rests_for_longer_and_longer() {
    let mut world = shown(Policy::default());
    world.endpoints = vec![gateway(8)];
    let attempt = |world: &mut World| {
        let shown = world.air().iter().filter(|(_, what, _)| *what == 'o').count();
        let slot = world.air().last().unwrap().2;
        world.hear(&authentication(slot, DEVICE));
        world.run(seconds(7));
        shown
    };
    assert_eq!((attempt(&mut world), world.is_shown(HOME)), (1, true), "another may answer");
    for (opened, rest) in [(1, 30), (2, 60), (3, 120)] {
        assert_eq!((attempt(&mut world), world.is_shown(HOME)), (opened, false));
        let is_silence = |output: &Output| matches!(output, Output::Report(Event::GatewaySilent { .. }));
        let silent = world.log.iter().rfind(|(_, output)| is_silence(output)).unwrap().0;
        for _ in 0..rest {
            assert!(!world.is_shown(HOME) || world.now >= silent + seconds(rest));
            world.hear(&probe_request(DEVICE, b""));
            world.run(seconds(1));
        }
        assert!(world.is_shown(HOME));
    }
    // One that answers ends it.
    world.endpoints = vec![gateway(1)];
    let slot = world.air().last().unwrap().2;
    world.associate(slot, DEVICE);
    assert!(world.is_shown(HOME));
}

#[test]
fn a_tunnel_without_devices_goes_down_and_the_network_stays() {
    let mut world = shown(Policy::default());
    world.associate(0, DEVICE);
    let left = to_slot(0, ManagementSubtype::Disassociation, DEVICE, &8u16.to_le_bytes());
    world.hear(&left);
    for _ in 0..20 {
        world.hear(&probe_request(DEVICE, b""));
        world.run(seconds(5));
    }
    let alive = world.keep_alives(0);
    let last = alive.last().unwrap().0 - seconds(100);
    assert!(last >= seconds(30) && last <= TUNNEL_IDLE + seconds(12), "{last:?}");
    assert!(world.is_shown(HOME) && world.air().len() == 1);
    let down = world.log_time(Event::TunnelDown { bssid: bssid(0) });
    assert!(down <= seconds(145), "{down:?}");
    // Who comes now brings another tunnel.
    world.associate(0, DEVICE);
    let connects = world.connects();
    assert_ne!(connects[0].session_id, connects.last().unwrap().session_id);
    assert_eq!(world.tunnel(0), gateway(1));
}

#[test]
fn a_weak_device_is_sent_away_and_the_gateway_told() {
    let mut world = shown(Policy { kick_rssi_dbm: -80, ..Policy::default() });
    world.associate(0, DEVICE);
    for _ in 0..5 {
        world.hear_at(&data(0, DEVICE), -81);
        world.run(seconds(1));
    }
    assert_eq!(world.agent.counters().kicked, 0, "its signal is smoothed");
    while world.agent.counters().kicked == 0 {
        world.hear_at(&data(0, DEVICE), -90);
        world.run(seconds(1));
        assert!(world.now < seconds(130));
    }
    let sent = world.injected(ManagementSubtype::Disassociation);
    assert_eq!(Frame::parse(&sent[0]).unwrap().addr1(), DEVICE);
    let told = world.delivered.iter().rfind(|(_, frame)| frame[0] == 0xa0).expect("the gateway is told");
    assert_eq!(Frame::parse(&told.1).unwrap().addr2(), Some(DEVICE));
    let gone = Output::RemoveStation { bss: 0, address: DEVICE };
    assert!(world.log.iter().any(|(_, output)| *output == gone));
    world.hear(&authentication(0, DEVICE));
    assert_eq!(world.agent.counters().kept_out, 1, "not at once again");
}

#[test]
fn late_answers_and_punches_do_no_harm() {
    let mut world = shown(Policy::default());
    world.agent.datagram(gateway(1), &[&[0x89, 1][..], &[7; 40]].concat(), world.now);
    world.agent.datagram(gateway(1), &[&[0x89, 1][..], &[7; 16]].concat(), world.now);
    assert_eq!((world.agent.counters().punches, world.agent.counters().bad_datagram), (1, 1));
    world.agent.answered(4711, None, world.now);
    world.pump();
    world.associate(0, DEVICE);
    let before = world.log.len();
    world.agent.answered(1, None, world.now);
    world.pump();
    assert_eq!(world.log.len(), before);
}

#[test]
fn the_end_closes_releases_and_unregisters() {
    let mut world = shown(Policy::default());
    world.associate(0, DEVICE);
    world.agent.shut_down(world.now);
    world.pump();
    let last: Vec<_> = world.questions.iter().rev().take(3).map(|(_, request)| request.clone()).collect();
    let [Request::Unregister(_), Request::Accounting(_), Request::Release(release)] = &last[..] else {
        panic!("{last:?}")
    };
    assert!(!release.gateway_lost);
    assert_eq!(world.air().last().unwrap().1, 'c');
    assert_eq!(world.injected(ManagementSubtype::Deauthentication).len(), 1);
    assert_eq!(world.agent.deadline(), None);
}
