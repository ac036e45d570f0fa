//! Which instance serves a device, fail-over, repetition; and a storm of devices on virtual time.

mod common;

use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use common::*;
use dot11::MacAddr;
use matchmaker::presence::{Load, SessionKey};
use matchmaker::{Connect, Introduction, MARGIN, Refusal, Settings};
use visibility::{Policy, demanded_under_overload};

const DEVICES: u32 = 400;

/// A service for anybody near any radio, with so many instances, numbered from 1.
fn world(instances: u8) -> World {
    let mut world = World::with(Settings { instance_lifetime: at(15), ..Settings::default() });
    world.radio(None, KITCHEN, at(0)).unwrap();
    world.radio(None, OFFICE, at(0)).unwrap();
    world.service(None, HOME, "home", Policy::default(), at(0));
    (1..=instances).for_each(|n| world.instance(None, HOME, n, at(0)).unwrap());
    world.bind(None, HOME, None, None, Policy::default());
    world
}

/// With a BSS of its own.
fn alone(n: u32, session: u8) -> Connect {
    Connect { bssid: mac(0x02, n), session_id: [session; 16], ..connect(mac(0, n), HOME, KITCHEN) }
}

fn all(world: &mut World, session: u8, now: Duration) -> Vec<u8> {
    let one = |n| world.m.connect(&alone(n, session), now, [n as u8; 16]).unwrap().instance[0];
    (0..DEVICES).map(one).collect()
}

fn shares(chosen: &[u8]) -> BTreeMap<u8, usize> {
    let mut shares = BTreeMap::new();
    chosen.iter().for_each(|&instance| *shares.entry(instance).or_default() += 1);
    shares
}

#[test]
fn devices_are_spread_and_keep_their_instance() {
    let mut world = world(4);
    let first = all(&mut world, 1, at(1));
    assert!(shares(&first).values().all(|&n| (60..140).contains(&n)), "{:?}", shares(&first));
    // With other tunnels, and in another matchmaker that knows nothing of the past.
    assert_eq!(all(&mut world, 2, at(2)), first);
    assert_eq!(all(&mut self::world(4), 3, at(1)), first);
}

#[test]
fn the_more_loaded_of_two_gets_no_newcomers_and_a_full_or_draining_one_neither() {
    let mut fresh = world(4);
    let even = all(&mut fresh, 1, at(1));
    let mut world = world(4);
    let load = |load_permille| Load { load_permille, ..Load::default() };
    world.load(None, HOME, 1, load(MARGIN), at(1));
    assert_eq!(all(&mut world, 1, at(1)), even);
    let mut world = self::world(4);
    world.load(None, HOME, 1, load(MARGIN + 1), at(1));
    let chosen = all(&mut world, 1, at(1));
    assert_eq!(shares(&chosen).keys().copied().collect::<Vec<_>>(), [2, 3, 4]);
    // Nobody else moved.
    assert!(even.iter().zip(&chosen).all(|(before, after)| *before == 1 || before == after));
    // All have little to spare, but these two have none.
    let mut world = self::world(4);
    (1..=4).for_each(|n| world.load(None, HOME, n, load(950), at(1)));
    world.load(None, HOME, 1, load(1000), at(1));
    world.load(None, HOME, 2, Load { draining: true, ..Load::default() }, at(1));
    assert_eq!(shares(&all(&mut world, 1, at(1))).keys().copied().collect::<Vec<_>>(), [3, 4]);
    (3..=4).for_each(|n| world.load(None, HOME, n, load(1000), at(1)));
    assert_eq!(world.m.connect(&alone(DEVICES, 1), at(1), [0; 16]), Err(Refusal::NoInstance));
}

#[test]
fn only_devices_of_an_instance_that_is_gone_move() {
    let mut world = world(4);
    let before = all(&mut world, 1, at(1));
    // Three say that they are there.
    (2..=4).for_each(|n| world.instance(None, HOME, n, at(14)).unwrap());
    let after = all(&mut world, 2, at(15));
    assert!(before.iter().zip(&after).all(|(before, after)| *before == 1 || before == after));
    assert!(!after.contains(&1));
    assert_eq!(world.m.expire(at(15)), [(HOME, [1; 16])]);
    // All of them.
    assert_eq!(world.m.connect(&alone(1, 3), at(29), [0; 16]), Err(Refusal::NoInstance));
}

#[test]
fn a_gateway_that_a_radio_lost_is_avoided_until_it_speaks() {
    let mut world = world(2);
    let there =
        |n: &u32| self::world(2).m.connect(&alone(*n, 1), at(1), [0; 16]).unwrap().instance == [1; 16];
    let n = (0..100).find(there).unwrap();
    let connect = |world: &mut World, session, now| {
        world.m.connect(&alone(n, session), now, [session; 16]).unwrap().instance[0]
    };
    assert_eq!(connect(&mut world, 1, at(1)), 1);
    world.m.lost(OFFICE, mac(0x02, n));
    assert_eq!(connect(&mut world, 1, at(2)), 1, "it is not that radio's");
    world.m.lost(KITCHEN, mac(0x02, n));
    assert_eq!(connect(&mut world, 2, at(3)), 2);
    world.m.lost(KITCHEN, mac(0x02, n));
    // Rather one of those than none.
    let again = connect(&mut world, 3, at(4));
    assert!(again == 1 || again == 2);
    world.instance(None, HOME, 1, at(5)).unwrap();
    world.m.lost(KITCHEN, mac(0x02, n));
    let load = Load::default();
    world.load(None, HOME, 1, load, at(6));
    assert_eq!(connect(&mut world, 4, at(6)), 1);
}

#[test]
fn a_radio_that_was_started_again_has_no_tunnels() {
    let mut world = world(2);
    let of_run = |run, n: u8, radio| Connect {
        run,
        bssid: mac(0x02, n.into()),
        session_id: [n; 16],
        ..connect(PHONE, HOME, radio)
    };
    let first = world.m.connect(&of_run(1, 1, KITCHEN), at(1), [1; 16]).unwrap();
    world.m.connect(&of_run(1, 2, OFFICE), at(1), [2; 16]).unwrap();
    world.m.connect(&of_run(1, 3, KITCHEN), at(1), [3; 16]).unwrap();
    assert_eq!(world.m.restarted(KITCHEN, 1), [], "it only registers again");
    // What its next run began stays, also if it took a BSSID of the one before.
    world.m.connect(&of_run(2, 4, KITCHEN), at(2), [4; 16]).unwrap();
    world.m.connect(&Connect { session_id: [9; 16], ..of_run(2, 3, KITCHEN) }, at(2), [5; 16]).unwrap();
    assert_eq!(world.m.restarted(KITCHEN, 2), [(mac(0x02, 1), (HOME, first.instance))]);
    assert_eq!(world.m.restarted(KITCHEN, 2), []);
    let bssids = |world: &World| {
        let mut bssids: Vec<_> = world.m.shared_tunnels(at(2)).iter().map(|tunnel| tunnel.bssid).collect();
        bssids.sort_unstable();
        bssids
    };
    assert_eq!(bssids(&world), [2, 3, 4].map(|n| mac(0x02, n)), "and what is another radio's");
    // Nobody who asks under the old session gets the old key.
    let again = world.m.connect(&of_run(2, 1, KITCHEN), at(3), [6; 16]).unwrap();
    assert!(!again.existing_tunnel && again.key == SessionKey([6; 16]));
    // What it takes for its own, and what is forgotten by itself, leaves nothing behind.
    world.m.connect(&of_run(7, 2, KITCHEN), at(4), [7; 16]).unwrap();
    assert_eq!(world.m.restarted(OFFICE, 9), []);
    world.m.expire(at(700));
    assert_eq!(world.m.restarted(KITCHEN, 9), []);
}

#[test]
fn one_radio_alone_turns_no_other_away_from_a_gateway() {
    let mut world = world(2);
    // Each with a key and an address of its own.
    let radios: Vec<MacAddr> = (11..=13).map(|n| mac(0x10, n)).collect();
    radios.iter().for_each(|&radio| world.radio(None, radio, at(0)).unwrap());
    let first = world.m.connect(&connect(PHONE, HOME, KITCHEN), at(1), [1; 16]).unwrap();
    let chosen = |world: &mut World, radio, n| {
        let asked = Connect { bssid: mac(0x02, n), ..connect(PHONE, HOME, radio) };
        world.m.connect(&asked, at(1), [n as u8; 16]).unwrap().instance
    };
    world.m.lost(KITCHEN, first.bssid);
    // The same radio counts once, and is served by the other at once.
    let bssids = radios.iter().map(|radio| connect(LAPTOP, HOME, *radio).bssid).collect::<Vec<_>>();
    assert_ne!(chosen(&mut world, KITCHEN, 1), first.instance);
    for (&radio, &bssid) in radios[..2].iter().zip(&bssids) {
        let here =
            Connect { tunnel: Some((first.instance, SessionKey([1; 16]))), ..connect(LAPTOP, HOME, radio) };
        assert_eq!(world.m.connect(&here, at(1), [5; 16]).unwrap().instance, first.instance);
        world.m.lost(radio, bssid);
        world.m.lost(radio, bssid);
        assert_ne!(chosen(&mut world, radio, 20 + u32::from(radio.0[5])), first.instance);
    }
    // Now they were three.
    assert_ne!(chosen(&mut world, radios[2], 30), first.instance);
    world.load(None, HOME, first.instance[0], Load::default(), at(2));
    let back =
        Connect { tunnel: Some((first.instance, SessionKey([1; 16]))), ..connect(RANDOM, HOME, KITCHEN) };
    assert_eq!(world.m.connect(&back, at(2), [6; 16]).unwrap().instance, first.instance);
}

/// A stranger makes keys and radios as it likes; a carrier may own all radios that there are.
#[test]
fn whose_radios_turn_others_away_from_a_gateway() {
    const CARRIER: Option<&str> = Some("a@example.org");
    // Whose the service is and whose the radios are; whether the account has a key; the radios' keys and addresses; whether three suffice.
    let cases = [
        (None, None, true, [(1, 1), (1, 1), (1, 1)], false),
        (None, None, true, [(1, 1), (1, 2), (1, 3)], false),
        (None, None, true, [(1, 1), (2, 1), (3, 1)], false),
        (None, None, true, [(1, 1), (2, 2), (3, 3)], true),
        // The key that has the service.
        (None, None, true, [(100, 1), (100, 1), (100, 1)], true),
        (CARRIER, CARRIER, true, [(1, 1), (1, 1), (1, 1)], true),
        (CARRIER, CARRIER, false, [(1, 1), (2, 1), (3, 1)], true),
        // Of somebody else, on whose radios the carrier's service may be shown.
        (CARRIER, Some("b@example.org"), true, [(1, 1), (1, 1), (1, 1)], true),
        (CARRIER, Some("c@example.org"), true, [(1, 1), (2, 2), (3, 3)], false),
    ];
    for (n, (service, radios, has_key, made, all)) in cases.into_iter().enumerate() {
        let mut world = World::with(Settings { instance_lifetime: at(15), ..Settings::default() });
        world.account("a@example.org");
        if !has_key {
            world.account_without_key("a@example.org");
        }
        world.account("b@example.org");
        world.account_without_key("c@example.org");
        world.grant("b@example.org", CARRIER);
        world.grant("c@example.org", CARRIER);
        world.service(service, HOME, "home", Policy::default(), at(0));
        world.instance(service, HOME, 2, at(0)).unwrap();
        world.bind(service, HOME, None, None, Policy::default());
        let register = |world: &mut World, radio, of, (key, from): (u8, u8)| {
            let endpoint = ([192, 0, 2, from], 5247).into();
            let said = registration(radio, visibility::Band::Ghz2_4, &[]);
            let said = matchmaker::presence::RadioRegistration { endpoint, ..said };
            world.m.register_radio(world.peer(of, key), &said, at(0)).unwrap();
        };
        register(&mut world, OFFICE, service, (50, 50));
        let first = world.m.connect(&connect(PHONE, HOME, OFFICE), at(1), [1; 16]).unwrap().instance;
        for (nth, made) in made.into_iter().enumerate() {
            let radio = mac(0x10, nth as u32);
            register(&mut world, radio, radios, made);
            let here = connect(LAPTOP, HOME, radio);
            let tunnel = Some((first, SessionKey([1; 16])));
            let there = world.m.connect(&Connect { tunnel, ..here.clone() }, at(1), [2; 16]).unwrap();
            assert_eq!(there.instance, first, "case {n}");
            world.m.lost(radio, here.bssid);
        }
        let other = Connect { bssid: mac(0x02, 99), ..connect(PHONE, HOME, OFFICE) };
        let chosen = world.m.connect(&other, at(1), [3; 16]).unwrap().instance;
        assert_eq!(chosen != first, all, "case {n}");
    }
}

#[test]
fn a_gateway_that_its_control_lost_is_avoided_until_it_speaks() {
    let mut world = world(2);
    let first = world.m.connect(&connect(PHONE, HOME, KITCHEN), at(1), [1; 16]).unwrap().instance;
    world.m.silent(HOME, first);
    // At the same BSS too: whoever is connected there stays, and nobody could begin.
    for radio in [KITCHEN, OFFICE] {
        assert_ne!(world.m.connect(&connect(PHONE, HOME, radio), at(2), [2; 16]).unwrap().instance, first);
    }
    world.instance(None, HOME, first[0], at(3)).unwrap();
    world.m.silent(HOME, [3 - first[0]; 16]);
    assert_eq!(world.m.connect(&connect(PHONE, HOME, OFFICE), at(4), [3; 16]).unwrap().instance, first);
}

#[test]
fn asking_again_gives_the_same_and_a_bss_has_one_tunnel() {
    let mut world = world(4);
    let asked = connect(PHONE, HOME, KITCHEN);
    let first = world.m.connect(&asked, at(1), [1; 16]).unwrap();
    assert_eq!((first.existing_tunnel, &first.key, first.specific), (false, &SessionKey([1; 16]), false));
    let again = world.m.connect(&asked, at(2), [2; 16]).unwrap();
    assert_eq!(again, Introduction { existing_tunnel: true, ..first.clone() });
    // Others come to the same BSS, whatever instance they would have had.
    for n in 0..20 {
        let other = Connect { client: mac(0, n), ..asked.clone() };
        let other = world.m.connect(&other, at(3), [n as u8; 16]).unwrap();
        assert_eq!((other.instance, &other.key), (first.instance, &first.key));
    }
    let introduced = world.m.introduced(asked.bssid, PHONE).unwrap();
    assert_eq!((introduced.valid_until, introduced.binding), (at(32), first.binding));
    // Unless it drains: those get another, to which the radio needs another tunnel.
    let draining = Load { draining: true, ..Load::default() };
    world.load(None, HOME, first.instance[0], draining, at(4));
    let moved = world.m.connect(&Connect { client: mac(0, 30), ..asked.clone() }, at(4), [5; 16]).unwrap();
    assert!(moved.instance != first.instance && !moved.existing_tunnel);
    assert_eq!(world.m.release(OFFICE, asked.bssid), None);
    assert_eq!(world.m.release(KITCHEN, asked.bssid), Some((HOME, moved.instance)));
    assert_eq!(world.m.release(KITCHEN, asked.bssid), None);
}

#[test]
fn a_matchmaker_that_forgot_a_tunnel_learns_of_it_from_the_radio() {
    let mut before = world(4);
    let asked = connect(PHONE, HOME, KITCHEN);
    let first = before.m.connect(&asked, at(1), [1; 16]).unwrap();
    let of_bss = Some((first.instance, first.key.clone()));
    // This one was just started.
    let mut after = world(4);
    for n in 0..20 {
        let other = Connect { client: mac(0, n), tunnel: of_bss.clone(), ..asked.clone() };
        let other = after.m.connect(&other, at(2), [n as u8; 16]).unwrap();
        assert!(other.existing_tunnel);
        assert_eq!((other.instance, &other.key), (first.instance, &first.key));
    }
    // What it knows itself counts; and an instance that is not there serves nobody.
    let false_key = Some((first.instance, SessionKey([9; 16])));
    let known = after.m.connect(&Connect { tunnel: false_key, ..asked.clone() }, at(3), [7; 16]).unwrap();
    assert_eq!(known.key, first.key);
    let nobody = Some(([0xee; 16], SessionKey([9; 16])));
    let elsewhere = Connect { tunnel: nobody, ..alone(3, 3) };
    let elsewhere = after.m.connect(&elsewhere, at(3), [8; 16]).unwrap();
    assert_eq!((elsewhere.existing_tunnel, &elsewhere.key), (false, &SessionKey([8; 16])));
}

/// Behind NATs they come from elsewhere, now and then.
#[test]
fn radio_and_instance_are_where_they_spoke_from_last() {
    let mut world = world(1);
    let asked = alone(1, 1);
    let first = world.m.connect(&asked, at(1), [1; 16]).unwrap();
    let elsewhere = |n: u8| std::net::SocketAddr::from(([203, 0, 113, n], 40_000));
    world.m.radio_at(KITCHEN, elsewhere(1));
    let peer = world.peer(None, 100);
    let nobody = world.m.instance_at(peer, HOME, [0xee; 16], elsewhere(3), at(2));
    assert_eq!(nobody, Err(Refusal::NotRegistered));
    assert!(world.m.instance_at(world.peer(None, 101), HOME, first.instance, elsewhere(3), at(2)).is_err());
    world.m.instance_at(peer, HOME, first.instance, elsewhere(2), at(2)).unwrap();
    let moved = world.m.connect(&alone(2, 2), at(2), [2; 16]).unwrap();
    assert_eq!((moved.radio_endpoint, moved.endpoints[0]), (elsewhere(1), elsewhere(2)));
    assert_eq!(moved.endpoints[1..], first.endpoints[1..], "where it says it is stays");
}

#[test]
fn who_is_connected_roams_under_overload_and_keys_are_not_printed() {
    let mut world = world(1);
    world.load(None, HOME, 1, Load { admissions_per_second: 1, ..Load::default() }, at(1));
    let weak = |client, radio| Connect { rssi_dbm: Some(-85), ..connect(client, HOME, radio) };
    let introduction = world.m.connect(&weak(PHONE, KITCHEN), at(1), [7; 16]).unwrap();
    assert!(format!("{introduction:?}").contains("key: …"));
    // More came than fit, and so do those with a little better signal.
    assert!(matches!(
        world.m.connect(&weak(LAPTOP, KITCHEN), at(1), [0; 16]),
        Err(Refusal::Overload { demanded_dbm: None, .. })
    ));
    for n in 0..2 {
        let better = Connect { rssi_dbm: Some(-79), ..weak(mac(0, 90 + n), KITCHEN) };
        assert!(world.m.connect(&better, at(1), [0; 16]).is_err());
    }
    let now = at(1) + Duration::from_millis(300);
    assert!(world.m.overload(HOME, now) > 0);
    assert!(matches!(
        world.m.connect(&weak(LAPTOP, KITCHEN), now, [0; 16]),
        Err(Refusal::Overload { demanded_dbm: Some(-80), .. })
    ));
    assert!(world.m.connect(&weak(PHONE, OFFICE), now, [8; 16]).is_ok());
    // Offers say so: others do not even try.
    let offers = world.look_up(KITCHEN, &[], now);
    assert_eq!(offers[0].policy.min_rssi_dbm, Some(-80));
    // Long afterwards it is a newcomer, unless somebody accounts for it.
    world.m.keep(connect(PHONE, HOME, OFFICE).bssid, PHONE, at(500));
    for second in [800, 1_200] {
        world.radio(None, KITCHEN, at(second)).unwrap();
        world.instance(None, HOME, 1, at(second)).unwrap();
        let bound = world.m.connect(&weak(PHONE, KITCHEN), at(second), [9; 16]);
        assert!(bound.is_ok());
    }
}

/// 100,000 devices want to connect within two seconds; two instances take 1000 a second each.
#[test]
fn in_a_storm_the_best_links_are_admitted_the_rate_holds_and_the_level_comes_down() {
    const STORM: u32 = 100_000;
    const RATE: u32 = 1000;
    let mut world = World::with(Settings { instance_lifetime: at(3600), ..Settings::default() });
    let radios = 1000;
    (0..radios).for_each(|n| world.radio(None, mac(0x10, n), at(0)).unwrap());
    world.service(None, HOME, "home", Policy::default(), at(0));
    world.bind(None, HOME, None, None, Policy::default());
    for n in 1..=2 {
        world.instance(None, HOME, n, at(0)).unwrap();
        world.load(None, HOME, n, Load { admissions_per_second: RATE, ..Load::default() }, at(0));
    }
    let mut random = 1u64;
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let signals: Vec<i8> = (0..STORM).map(|_| -90 + draw(51) as i8).collect();
    // Who tries when, in microseconds; the earliest first.
    let mut tries: BinaryHeap<std::cmp::Reverse<(u64, u32)>> =
        (0..STORM).map(|n| std::cmp::Reverse((1_000_000 + draw(2_000_000), n))).collect();
    let mut admitted: Vec<(Duration, i8)> = Vec::new();
    let mut by_instance: HashMap<u8, u32> = HashMap::new();
    let (mut attempts, mut levels) = (0u64, vec![0u8]);
    let mut last = Duration::ZERO;
    while let Some(std::cmp::Reverse((micros, n))) = tries.pop() {
        let now = Duration::from_micros(micros);
        // Radios say that they are there.
        if now.as_secs() / 200 != last.as_secs() / 200 {
            (0..radios).for_each(|n| world.radio(None, mac(0x10, n), now).unwrap());
        }
        last = now;
        let asked = Connect {
            radio: mac(0x10, n % radios),
            run: 1,
            client: mac(0x00, n),
            service: HOME,
            bssid: mac(0x02, n),
            session_id: [1; 16],
            rssi_dbm: Some(signals[n as usize]),
            tunnel: None,
        };
        attempts += 1;
        assert!(attempts < 100 * u64::from(STORM), "{} of them admitted, levels {levels:?}", admitted.len());
        match world.m.connect(&asked, now, [draw(256) as u8; 16]) {
            Ok(introduction) => {
                admitted.push((now, signals[n as usize]));
                *by_instance.entry(introduction.instance[0]).or_default() += 1;
            }
            Err(Refusal::Overload { retry, demanded_dbm }) => {
                let level = world.m.overload(HOME, now);
                if *levels.last().unwrap() != level {
                    levels.push(level);
                }
                assert!(demanded_dbm.is_none_or(|demanded| Some(demanded) == demanded_under_overload(level)));
                tries.push(std::cmp::Reverse((micros + retry.as_micros() as u64 + draw(100_000), n)));
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(admitted.len(), STORM as usize);
    // The rate: never more in any second than the two take, with their bursts.
    let mut start = 0;
    for end in 0..admitted.len() {
        while admitted[end].0 - admitted[start].0 >= at(1) {
            start += 1;
        }
        assert!(end - start < (2 * (RATE + RATE / 10 + 2)) as usize, "at {:?}", admitted[end].0);
    }
    // What fits is used: it is over in little more than the least possible time.
    let took = (last - at(1)).as_secs();
    assert!((45..=90).contains(&took), "{took} s, levels {levels:?}");
    // The best links first: after the first moment, in which nobody knew, each tenth is better than the one after the next.
    let mean = |part: &[(Duration, i8)]| {
        part.iter().map(|&(_, rssi)| f64::from(rssi)).sum::<f64>() / part.len() as f64
    };
    let after: Vec<_> =
        admitted.iter().filter(|(when, _)| *when > Duration::from_millis(1500)).copied().collect();
    let tenths: Vec<f64> = after.chunks(after.len() / 10 + 1).map(mean).collect();
    assert!(tenths.windows(3).all(|three| three[0] > three[2]), "{tenths:?}");
    assert!(tenths[0] > -50.0 && tenths[9] < -78.0, "{tenths:?}");
    assert!(by_instance.values().all(|&n| n > STORM / 3), "{by_instance:?}");
    assert!(
        levels.contains(&visibility::MAX_OVERLOAD) || levels.iter().any(|&level| level >= 6),
        "{levels:?}"
    );
    assert_eq!(world.m.overload(HOME, last + at(20)), 0);
    println!("{attempts} attempts in {took} s; mean signal by tenth: {tenths:.0?}; levels {levels:?}");
}

#[test]
fn nobody_connects_without_binding_radio_or_service() {
    let mut world = world(1);
    world.service(None, WORK, "work", Policy::default(), at(0));
    let mut connect =
        |client: MacAddr, service, radio| world.m.connect(&connect(client, service, radio), at(1), [0; 16]);
    assert_eq!(connect(PHONE, WORK, KITCHEN).err(), Some(Refusal::NoBinding));
    assert_eq!(connect(PHONE, CARRIER, KITCHEN).err(), Some(Refusal::UnknownService));
    assert_eq!(connect(PHONE, HOME, STREET).err(), Some(Refusal::NotRegistered));
    assert!(connect(PHONE, HOME, KITCHEN).is_ok());
}
