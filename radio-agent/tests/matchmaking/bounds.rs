//! What the agent holds is bounded, whatever comes; tables of pure functions.

use dot11::element::{ElementId, Elements, ElementsBuilder, Ssid};
use dot11::frame::management::Beacon;
use dot11::{Frame, MacAddr};
use proptest::prelude::*;
use proto::matchmaking::messages::{self, Policy, answer::Answer};
use proto::tunnel::FrameInfo;
use radio_agent::agent::*;
use radio_agent::config::Channel;

use super::world::*;

fn made_up(number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddr([0x42, 0x66, a, b, c, d])
}

#[test]
fn made_up_addresses_displace_only_the_like() {
    let mut world = World::new();
    world.offers = vec![plain(HOME, DEVICE)];
    world.hear(&probe_request(DEVICE, b""));
    world.hear(&probe_request(OTHER, b""));
    world.run(milliseconds(20));
    world.associate(0, DEVICE);
    let begin = world.now;
    for number in 0..20_000 {
        world.hear(&probe_request(made_up(number), b""));
        if number % 10 == 0 {
            world.run(milliseconds(10));
        }
    }
    let took = world.now - begin;
    assert_eq!(world.agent.near(), MAX_NEAR);
    let counters = world.agent.counters();
    assert_eq!(counters.near_evicted, 20_002 - MAX_NEAR as u64);
    let allowed = 10 + 2 * took.as_secs() + 4;
    assert!(counters.look_ups <= allowed, "{} look-ups in {took:?}", counters.look_ups);
    assert!(world.look_ups().iter().all(|(_, look_up)| look_up.devices.len() <= 16));
    // Those who were there are still known, and were not kept waiting.
    assert!(world.is_shown(HOME));
    let new = MacAddr([0x40, 0x5e, 0, 0, 0, 0x50]);
    world.hear(&probe_request(new, b""));
    world.run(seconds(1));
    let asked = world.look_ups();
    let asked = asked.iter().any(|(_, look_up)| look_up.devices[0].client == new.0);
    assert!(asked, "who says more than a throw-away address goes first");
    let other =
        world.look_ups().iter().filter(|(_, l)| l.devices.iter().any(|d| d.client == OTHER.0)).count();
    assert!(other >= 1);

    // When everybody in the table is needed, newcomers wait outside.
    let mut world = World::new();
    world.offers = (0..MAX_NEAR as u32).map(|number| plain(HOME, made_up(number))).collect();
    for number in 0..MAX_NEAR as u32 {
        world.hear(&probe_request(made_up(number), b""));
        world.run(milliseconds(500));
        world.hear(&probe_request(made_up(number), b""));
        for again in 0..number {
            world.agent.frame(&probe_request(made_up(again), b""), FrameInfo::default(), world.now);
        }
    }
    world.hear(&probe_request(OTHER, b""));
    assert_eq!(world.agent.counters().near_refused, 1);
    assert_eq!(world.agent.near(), MAX_NEAR);
}

#[test]
fn who_finds_no_place_among_those_near_is_not_let_in_unseen() {
    let demanding = [
        messages::Policy { min_rssi_dbm: -70, ..Default::default() },
        messages::Policy { delay_ms: 1000, ..Default::default() },
    ];
    for (policy, let_in) in demanding.into_iter().map(|policy| (policy, 0)).chain([(Default::default(), 1)]) {
        let mut world = World::new();
        let named = |number| offer(HOME, Some(MacAddr([0x40, 0x5e, 0, 0, 4, number])), Default::default());
        world.offers = (0..=255).map(named).collect();
        world.offers.push(offer(HOME, None, policy));
        // All places are taken by devices that are needed.
        for _ in 0..30 {
            for number in 0..=255 {
                world.hear(&probe_request(MacAddr([0x40, 0x5e, 0, 0, 4, number]), b""));
            }
            world.run(seconds(1));
        }
        assert!(world.is_shown(HOME));
        let slot = usize::from(world.shown()[0] != Some(HOME));
        world.hear(&authentication(slot, OTHER));
        world.run(seconds(1));
        assert!(world.agent.counters().near_refused > 0);
        assert_eq!(world.connects().len(), let_in, "{policy:?}");
    }
}

#[test]
fn offers_are_bounded_and_must_name_a_network() {
    let mut world = World::new();
    let mut offers: Vec<_> = (0..MAX_SERVICES as u8 + 6).map(|number| plain(number, DEVICE)).collect();
    offers[0].template = vec![48, 2, 1, 0];
    offers[1].template = vec![0, 0];
    offers[2].template = vec![0, 9, 1];
    offers[3].service = vec![1];
    world.offers = offers;
    world.hear(&probe_request(DEVICE, b""));
    let counters = world.agent.counters();
    assert_eq!((counters.offers, counters.offers_refused), (MAX_SERVICES as u64, 6));

    let mut world = World::new();
    world.ttl = 3600;
    let devices = 0..MAX_CLAIMS as u32 / 4 + 10;
    let all = devices.clone().flat_map(|number| (0..4).map(move |service| plain(service, made_up(number))));
    world.offers = all.collect();
    for number in devices {
        world.hear(&probe_request(made_up(number), b"x"));
    }
    world.run(seconds(20));
    let counters = world.agent.counters();
    assert_eq!(counters.offers, MAX_CLAIMS as u64);
    assert!(counters.offers_refused > 0);
}

#[test]
fn devices_that_begin_are_bounded() {
    let mut world = World::new();
    world.offers = vec![plain(HOME, DEVICE)];
    world.hear(&probe_request(DEVICE, b""));
    world.run(milliseconds(20));
    for number in 0..1000 {
        world.hear(&authentication(0, made_up(number)));
    }
    let counters = world.agent.counters();
    assert_eq!(counters.connects, 8, "not more at once");
    assert_eq!(counters.clients_full, 1000 - MAX_CLIENTS as u64);
    assert!(counters.held <= 16 + 8 * 2);
    assert_eq!(counters.held + counters.held_dropped, MAX_CLIENTS as u64, "of each the first frame");
    world.run(seconds(30));
    assert!(world.agent.counters().connects <= 8 + 4 * 31);
    world.hear(&authentication(0, DEVICE));
    world.run(seconds(1));
    assert_eq!(world.connects().last().unwrap().client, DEVICE.0, "later there is place again");
}

#[test]
fn made_up_addresses_do_not_keep_out_who_is_expected() {
    let mut world = World::new();
    world.offers = vec![plain(HOME, DEVICE), plain(WORK, OTHER)];
    world.hear(&probe_request(DEVICE, b""));
    world.hear(&probe_request(OTHER, b""));
    world.run(milliseconds(50));
    // The matchmaker is slow. On one BSS all places are taken, and more introductions under way than it has time for.
    world.waiting = Some(Vec::new());
    let home = usize::from(world.shown()[0] != Some(HOME));
    let mut flood = 0;
    for _ in 0..80 {
        for _ in 0..5 {
            flood += 1;
            world.hear(&authentication(home, made_up(flood)));
        }
        world.run(milliseconds(100));
    }
    assert!(world.agent.counters().clients_full > 0);
    assert!(!world.connects().iter().any(|connect| connect.client == DEVICE.0));
    // Who is expected is asked for within the next quarter of a second, and its frame is kept.
    let begins = |world: &mut World, slot, device: MacAddr| {
        world.hear(&authentication(slot, device));
        let asked = world.connects().len();
        world.run(milliseconds(251));
        assert_eq!(world.connects()[asked - 1..].iter().filter(|c| c.client == device.0).count(), 1);
    };
    begins(&mut world, home, DEVICE);
    begins(&mut world, 1 - home, OTHER);
    world.answer();
    world.run(milliseconds(300));
    for device in [DEVICE, OTHER] {
        let is = |(_, frame): &&(_, Vec<u8>)| dot11::Frame::parse(frame).unwrap().addr2() == Some(device);
        assert_eq!(world.delivered.iter().filter(is).count(), 1);
    }
    // Who was associated here is expected, too.
    let guest = MacAddr([0x40, 0x5e, 0, 0, 0, 0x46]);
    world.run(seconds(20));
    world.associate(home, guest);
    world.run(seconds(2));
    world.hear(&to_slot(home, dot11::ManagementSubtype::Deauthentication, guest, &3u16.to_le_bytes()));
    world.run(seconds(31));
    for _ in 0..200 {
        flood += 1;
        world.hear(&authentication(home, made_up(flood)));
    }
    begins(&mut world, home, guest);
}

#[test]
fn what_did_not_fit_into_an_answer_is_asked_for_again_with_fewer_devices() {
    let mut world = World::new();
    world.more = true;
    for number in 0..60 {
        world.agent.frame(&probe_request(made_up(number), b""), FrameInfo::default(), world.now);
    }
    world.run(seconds(3));
    let sizes: Vec<_> = world.look_ups().iter().map(|(_, look_up)| look_up.devices.len()).collect();
    assert_eq!(sizes, [16, 16, 8, 8, 4, 4, 2, 2], "two at a time");
}

#[test]
fn virtual_bssids_are_made_of_the_radios_address() {
    let of = |radio, count| bssids(MacAddr(radio), count, &[]);
    assert_eq!(of([0, 1, 2, 3, 4, 5], 2), [MacAddr([6, 1, 2, 3, 4, 5]), MacAddr([10, 1, 2, 3, 4, 5])]);
    // Also when the radio's own is locally administered; and never the radio's.
    for first in [0x00, 0x02, 0x40, 0xfc, 0xfe] {
        let radio = MacAddr([first, 1, 2, 3, 4, 5]);
        let made = bssids(radio, 99, &[]);
        assert_eq!(made.len(), MAX_SLOTS);
        for (at, bssid) in made.iter().enumerate() {
            assert!(bssid.is_local() && !bssid.is_group() && *bssid != radio && !made[..at].contains(bssid));
        }
        assert!(!bssids(radio, 4, &made[..2]).contains(&made[0]), "those in use are left out");
    }
}

#[test]
fn capacity_is_the_least_of_backhaul_and_air() {
    let link = |backhaul, used, busy, rate| {
        spare_kbps(&Link { backhaul_kbps: backhaul, used_kbps: used, busy_permille: busy, rate_kbps: rate })
    };
    let some = |value| Some(value);
    // backhaul, used, busy, rate, spare
    let cases = [
        (None, None, None, None, None),
        (some(10_000), None, None, None, some(10_000)),
        (some(10_000), some(4000), None, None, some(6000)),
        (some(10_000), some(14_000), None, None, some(0)),
        (None, some(4000), None, None, None),
        (None, None, some(0), some(54_000), some(32_400)),
        (None, None, some(500), some(54_000), some(16_200)),
        (None, None, some(1000), some(54_000), some(0)),
        (None, None, some(2000), some(54_000), some(0)),
        (None, None, some(500), None, None),
        (None, None, None, some(54_000), None),
        (some(10_000), some(1000), some(500), some(54_000), some(9000)),
        (some(100_000), some(1000), some(500), some(54_000), some(16_200)),
        (some(u32::MAX), some(0), some(0), some(u32::MAX), some((u64::from(u32::MAX) * 60 / 100) as u32)),
    ];
    for (backhaul, used, busy, rate, expected) in cases {
        assert_eq!(link(backhaul, used, busy, rate), expected, "{backhaul:?} {used:?} {busy:?} {rate:?}");
    }
    let rates = [(-40, 54_000), (-65, 54_000), (-66, 48_000), (-70, 36_000), (-71, 24_000), (-74, 24_000)];
    let weak = [(-77, 18_000), (-79, 12_000), (-81, 9000), (-82, 6000), (-100, 6000)];
    for (rssi, rate) in rates.into_iter().chain(weak) {
        assert_eq!(rate_of_signal(rssi), rate, "{rssi} dBm");
    }
}

#[test]
fn the_airs_busy_time_counts_with_the_devices_rate() {
    // 54 Mbit/s expected of -55 dBm, half of the time free, 60 % of it for users: 16,200 kbit/s.
    for (min_up_kbps, down, expected) in [(0, 16_200, true), (0, 16_201, false), (10_000, 0, true)] {
        let mut world = World::new();
        world.agent.measured(Measured { octets: None, air: Some((0, 0)) }, world.now);
        let later = world.now + seconds(1);
        world.agent.measured(Measured { octets: None, air: Some((1000, 500)) }, later);
        // Counters that begin anew or stand still, and readings too soon after another, change nothing.
        world.agent.measured(Measured { octets: None, air: Some((10, 9)) }, later + seconds(1));
        world.agent.measured(Measured { octets: None, air: Some((11, 10)) }, later + milliseconds(1100));
        world.agent.measured(Measured { octets: None, air: Some((10, 9)) }, later + seconds(2));
        let policy = Policy { min_up_kbps, min_down_kbps: down, ..Policy::default() };
        world.offers = vec![offer(HOME, Some(DEVICE), policy)];
        world.hear(&probe_request(DEVICE, b""));
        world.run(milliseconds(50));
        assert_eq!(world.is_shown(HOME), expected, "{min_up_kbps} {down}");
    }
}

fn elements() -> impl Strategy<Value = Vec<u8>> {
    let element = (any::<u8>(), prop::collection::vec(any::<u8>(), 0..40));
    prop::collection::vec(element, 0..12).prop_map(|all| {
        all.iter()
            .fold(ElementsBuilder::new(), |built, (id, body)| built.element(ElementId(*id), body))
            .build()
    })
}

proptest! {
    /// Whatever is offered as a template: none, or a frame that is whole and says the network's name once.
    #[test]
    fn any_template_is_refused_or_makes_a_beacon(
        mut octets in prop_oneof![prop::collection::vec(any::<u8>(), 0..400), elements()],
        named in any::<bool>(),
        hidden in any::<bool>(),
    ) {
        if named {
            octets = [&ElementsBuilder::new().ssid(&Ssid::parse(b"name").unwrap()).build()[..], &octets].concat();
        }
        let channel = Channel::new(6).unwrap();
        if let Some(template) = Template::offered(bssid(0), &octets, channel, hidden) {
            prop_assert!(Elements::parse(&octets).is_ok() && !template.ssid().is_wildcard());
            for frame in [template.beacon(1, 2), template.probe_response(DEVICE, 1, 2)] {
                let body = Beacon::parse(Frame::parse(&frame).unwrap().body()).unwrap();
                let body = Elements::parse(body.elements.bytes()).unwrap();
                prop_assert_eq!(body.iter().filter(|element| element.id == ElementId::SSID).count(), 1);
                prop_assert_eq!(body.iter().filter(|element| element.id == ElementId::SUPPORTED_RATES).count(), 1);
            }
        }
    }

    /// Whatever the air, gateways and the matchmaker say, the agent survives it, rests, and stays within its bounds.
    #[test]
    fn any_input_is_survived(
        inputs in prop::collection::vec(
            (0u8..8, prop::collection::vec(any::<u8>(), 0..60), 0u64..4000, any::<u8>()),
            1..60,
        ),
    ) {
        let mut world = World::new();
        world.offers = vec![plain(HOME, DEVICE), offer(WORK, None, Policy { dwell_seconds: 3, ..Policy::default() })];
        for (kind, mut octets, wait, number) in inputs {
            match kind {
                0 => world.agent.datagram(gateway(number % 3), &octets, world.now),
                1 => world.agent.frame(&octets, FrameInfo::default(), world.now),
                2 => world.hear(&probe_request(made_up(u32::from(number)), &octets[..octets.len().min(32)])),
                3 => world.hear(&probe_request(DEVICE, b"")),
                4 => world.hear(&authentication(usize::from(number % 2), made_up(u32::from(number % 4)))),
                5 => world.hear(&data(usize::from(number % 2), made_up(u32::from(number % 4)))),
                6 => {
                    let offers = messages::Offers { ttl_seconds: 1, offers: vec![plain(number, DEVICE)], withdrawn: vec![octets], more: false };
                    world.agent.answered(u32::from(number % 8), Some(Answer::Offers(offers)), world.now);
                }
                _ => {
                    // A gateway comes or goes; and something that is nearly right.
                    if number % 2 == 0 {
                        world.alive.remove(&gateway(1));
                    } else {
                        world.alive.entry(gateway(1)).or_default();
                    }
                    octets.resize(octets.len().max(24), 0);
                    octets[0] &= 0xfc;
                    octets[4..10].copy_from_slice(&bssid(0).0);
                    world.hear(&octets);
                }
            }
            world.run(milliseconds(wait));
            prop_assert!(world.agent.near() <= MAX_NEAR);
        }
        world.agent.shut_down(world.now);
        world.pump();
        prop_assert_eq!(world.agent.deadline(), None);
    }
}
