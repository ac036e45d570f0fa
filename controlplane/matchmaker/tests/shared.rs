//! Two matchmakers of one name: what one knows of presence, the other goes on with.

mod common;

use common::*;
use matchmaker::objects::KeyId;
use matchmaker::presence::Load;
use matchmaker::shared::{SharedInstance, Struck, Whom};
use matchmaker::{Connect, MARGIN, Refusal};
use std::time::Duration;
use visibility::Policy;

/// Two with the same records; the service has an instance at the first only.
fn two() -> (World, World) {
    let make = || {
        let mut world = World::new();
        world.radio(None, KITCHEN, at(0)).unwrap();
        world.service(None, HOME, "home", Policy::default(), at(0));
        world.bind(None, HOME, None, None, Policy::default());
        world
    };
    let (first, mut second) = (make(), make());
    let peer = second.peer(None, 100);
    second.m.unregister_instance(peer, HOME, [1; 16], at(0)).unwrap();
    (first, second)
}

#[test]
fn an_instance_elsewhere_serves_here_as_long_as_somebody_says_that_it_is_there() {
    let (mut first, mut second) = two();
    assert_eq!(second.m.connect(&connect(PHONE, HOME, KITCHEN), at(1), [7; 16]), Err(Refusal::NoInstance));
    first.load(None, HOME, 1, Load { load_permille: 300, sessions: 4, ..Load::default() }, at(1));
    let said = first.m.shared_instance(HOME, [1; 16], at(2)).unwrap();
    assert_eq!((said.load.load_permille, said.at), (300, at(1)));
    second.m.adopt_instance(&said, at(2)).unwrap();
    let introduced = second.m.connect(&connect(PHONE, HOME, KITCHEN), at(2), [7; 16]).unwrap();
    assert_eq!((introduced.instance, introduced.endpoints), ([1; 16], said.endpoints.clone()));
    assert!(
        second.m.renew_instance(HOME, [1; 16], at(16)) && !second.m.renew_instance(HOME, [2; 16], at(16))
    );
    assert!(second.m.connect(&connect(LAPTOP, HOME, KITCHEN), at(30), [7; 16]).is_ok());
    assert!(second.m.radio(KITCHEN, at(31)).is_some());
    assert_eq!(second.m.connect(&connect(RANDOM, HOME, KITCHEN), at(31), [7; 16]), Err(Refusal::NoInstance));
    // Its gateway comes here: it is registered as if nobody had spoken of it.
    second.instance(None, HOME, 1, at(32)).unwrap();
    assert_eq!(second.m.shared_instance(HOME, [1; 16], at(33)).unwrap().at, at(32));
    assert_eq!(
        second.m.adopt_instance(&matchmaker::shared::SharedInstance { service: WORK, ..said }, at(2)),
        Err(Refusal::UnknownService)
    );
}

#[test]
fn one_that_nobody_reaches_goes_last_until_it_is_heard_of_again() {
    let (mut first, mut second) = two();
    first.instance(None, HOME, 2, at(0)).unwrap();
    for id in [1, 2] {
        let said = first.m.shared_instance(HOME, [id; 16], at(1)).unwrap();
        second.m.adopt_instance(&said, at(1)).unwrap();
    }
    let asked = connect(PHONE, HOME, KITCHEN);
    let chosen = second.m.connect(&asked, at(1), [7; 16]).unwrap().instance;
    assert_eq!(first.m.connect(&asked, at(1), [7; 16]).unwrap().instance, chosen, "both choose alike");
    second.m.unreachable_instance(HOME, chosen);
    let other = second.m.connect(&asked, at(2), [7; 16]).unwrap().instance;
    assert_ne!(other, chosen);
    // Being there is not being heard of.
    assert!(second.m.renew_instance(HOME, chosen, at(3)));
    assert_eq!(second.m.connect(&asked, at(3), [7; 16]).unwrap().instance, other);
    let said = first.m.shared_instance(HOME, chosen, at(4)).unwrap();
    second.m.adopt_instance(&said, at(4)).unwrap();
    let loaded = first.m.shared_instance(HOME, other, at(4)).unwrap();
    let load = Load { load_permille: MARGIN + 1, ..Load::default() };
    second.m.adopt_instance(&matchmaker::shared::SharedInstance { load, ..loaded }, at(4)).unwrap();
    let fresh = connect(LAPTOP, HOME, OFFICE);
    second.radio(None, OFFICE, at(4)).unwrap();
    assert_eq!(second.m.connect(&fresh, at(4), [7; 16]).unwrap().instance, chosen);
}

#[test]
fn a_second_device_at_a_bss_gets_the_tunnel_that_another_matchmaker_introduced() {
    let (mut first, mut second) = two();
    second.instance(None, HOME, 1, at(0)).unwrap();
    let introduced = first.m.connect(&connect(PHONE, HOME, KITCHEN), at(1), [7; 16]).unwrap();
    let tunnel = first.m.shared_tunnel(introduced.bssid).unwrap();
    assert_eq!(first.m.shared_tunnels(at(1)), std::slice::from_ref(&tunnel));
    assert_eq!(first.m.shared_tunnels(at(301)), [], "its radio is not registered any more");
    assert!(second.m.adopt_tunnel(&tunnel, at(2)) && !second.m.adopt_tunnel(&tunnel, at(2)));
    let again = second.m.connect(&connect(LAPTOP, HOME, KITCHEN), at(3), [8; 16]).unwrap();
    assert_eq!((again.key.clone(), again.existing_tunnel), (introduced.key, true));
    assert_eq!(second.m.shared_tunnel(introduced.bssid).unwrap().at, at(1), "it is the same one");
    // Which run of the radio's software asked for it is shared, and stays known when an introduction comes without it.
    let unsaid = matchmaker::shared::SharedTunnel { run: 0, ..tunnel.clone() };
    second.m.adopt_introduction(&unsaid, RANDOM, introduced.binding, introduced.valid, at(3));
    assert_eq!((tunnel.run, second.m.shared_tunnel(introduced.bssid).unwrap().run), (1, 1));
    // A later one replaces it, an earlier one does not.
    let later = matchmaker::shared::SharedTunnel { session_id: [9; 16], at: at(4), ..tunnel.clone() };
    assert!(second.m.adopt_tunnel(&later, at(5)) && !second.m.adopt_tunnel(&tunnel, at(5)));
    // Forgotten like any other.
    second.m.expire(at(606));
    assert_eq!(second.m.shared_tunnel(introduced.bssid), None);
}

#[test]
fn an_instance_can_report_who_was_introduced_to_it_elsewhere() {
    let (mut first, mut second) = two();
    let said = first.m.shared_instance(HOME, [1; 16], at(1)).unwrap();
    second.m.adopt_instance(&said, at(1)).unwrap();
    let introduced = second.m.connect(&connect(PHONE, HOME, KITCHEN), at(1), [7; 16]).unwrap();
    let stranger = (first.peer(None, 100), false);
    assert_eq!(first.m.report_failures(stranger, HOME, PHONE, 5, at(2)), Err(Refusal::NotIntroduced));
    // One of its own configuration, which it trusts: its fixed bindings introduce without the matchmaker.
    let peer = (first.peer(None, 100), true);
    let fixed = first.m.report_failures(peer, HOME, LAPTOP, 5, at(0));
    assert_eq!(fixed, Ok(Some((Whom::from(LAPTOP), at(60)))));
    let tunnel = second.m.shared_tunnel(introduced.bssid).unwrap();
    first.m.adopt_introduction(&tunnel, PHONE, introduced.binding, introduced.valid, at(2));
    let everywhere = Whom::from(PHONE);
    assert_eq!(first.m.report_failures(peer, HOME, PHONE, 5, at(2)), Ok(Some((everywhere.clone(), at(60)))));
    // What one refuses, the other refuses; what one forgives, the other forgives.
    let struck = first.m.struck(&everywhere).unwrap();
    assert_eq!((struck, first.m.all_struck().count()), (Struck { strikes: 1, until: at(62), at: at(2) }, 2));
    assert!(second.m.adopt_struck(&everywhere, struck) && !second.m.adopt_struck(&everywhere, struck));
    assert_eq!(second.m.refused(PHONE, at(3)), Some(at(59)));
    second.m.forgive(PHONE, at(4));
    assert!(first.m.adopt_struck(&everywhere, second.m.struck(&everywhere).unwrap()));
    assert_eq!(first.m.refused(PHONE, at(5)), None);
}

/// What each of several matchmakers admits in a minute of many who come to each, with so much in a second.
fn admitted(worlds: &mut [World], rate: u32, from: u64) -> Vec<usize> {
    let mut admitted = vec![0; worlds.len()];
    for second in from..from + 60 {
        for (n, world) in worlds.iter_mut().enumerate() {
            let now = at(second) + Duration::from_millis(n as u64);
            let load = Load { admissions_per_second: rate, ..Load::default() };
            if n == 0 {
                world.radio(None, KITCHEN, now).unwrap();
                world.instance(None, HOME, 1, now).unwrap();
                world.load(None, HOME, 1, load, now);
            } else {
                // As it hears from the first every few seconds.
                let said = SharedInstance {
                    service: HOME,
                    instance: [1; 16],
                    key: KeyId([100; 16]),
                    endpoints: Vec::new(),
                    load,
                    at: now,
                };
                world.radio(None, KITCHEN, now).unwrap();
                world.m.adopt_instance(&said, now).unwrap();
            }
            for comer in 0..2 * rate {
                let client = mac(n as u8 * 2, second as u32 * 1000 + comer);
                let asked = Connect { rssi_dbm: Some(-30), ..connect(client, HOME, KITCHEN) };
                let now = now + at(1) * comer / (2 * rate);
                admitted[n] += usize::from(world.m.connect(&asked, now, [0; 16]).is_ok());
            }
        }
    }
    admitted
}

#[test]
fn each_of_several_admits_its_share_of_what_an_instance_takes() {
    for others in [0u32, 1, 3] {
        let mut worlds: Vec<World> = (0..=others).map(|_| two().0).collect();
        worlds.iter_mut().for_each(|world| world.m.set_others(others));
        for (rate, from) in [(40, 1), (1, 1000)] {
            let (all, each) = (60 * rate as usize, 60 * rate as usize / worlds.len());
            let admitted = admitted(&mut worlds, rate, from);
            // What comes at once at first, and the one that just does not fit any more.
            let burst = rate as usize / 10 + 2;
            assert!(admitted.iter().all(|&n| n + 2 >= each && n <= each + burst), "{all}: {admitted:?}");
        }
    }
    // One goes, and the others share what it left.
    let mut alone = [two().0];
    alone[0].m.set_others(1);
    let half = admitted(&mut alone, 40, 1)[0];
    alone[0].m.set_others(0);
    let whole = admitted(&mut alone, 40, 1000)[0];
    assert!((1198..=1206).contains(&half) && (2398..=2406).contains(&whole), "{half} {whole}");
}
