//! What a radio may show: scope, precedence, policies, presence, throw-away addresses, predictions; and why.

mod common;

use common::*;
use dot11::MacAddr;
use matchmaker::objects::{Cause, KeyId, Owner, Service};
use matchmaker::presence::Load;
use matchmaker::{
    AutoBind, Change, Ground, Near, Offers, Outcome, Refusal, Settings, Signal, Unknown, WhyNot,
};
use std::time::Duration;
use visibility::{Band, Policy};

const ANY: Option<MacAddr> = None;
const A: Option<&str> = Some("a@example.org");
const B: Option<&str> = Some("b@example.org");

#[test]
fn a_binding_affects_radios_of_its_account_only_unless_granted() {
    let mut world = two_accounts();
    world.bind(None, HOME, Some(PHONE), ANY, Policy::default());
    world.bind(A, WORK, Some(PHONE), ANY, Policy::default());
    world.bind(B, CARRIER, ANY, ANY, Policy::default());
    let phone = [near(PHONE)];
    assert_eq!(world.seen(KITCHEN, &phone, at(1)), [(HOME, Some(PHONE))]);
    assert_eq!(world.seen(OFFICE, &phone, at(1)), [(WORK, Some(PHONE))]);
    assert_eq!(world.seen(STREET, &phone, at(1)), [(CARRIER, None)]);
    // B lets services of A be shown: named clients and broadcasts.
    let grant = world.grant("b@example.org", A);
    assert_eq!(world.seen(STREET, &phone, at(1)), [(WORK, Some(PHONE)), (CARRIER, None)]);
    assert_eq!(world.seen(OFFICE, &phone, at(1)), [(WORK, Some(PHONE))]);
    world.m.apply(&Change::DeleteGrant(grant));
    assert_eq!(world.seen(STREET, &phone, at(1)), [(CARRIER, None)]);
    // A lets anybody's: what names a client or a radio, no broadcasts of others.
    world.grant("a@example.org", None);
    assert_eq!(world.seen(OFFICE, &phone, at(1)), [(HOME, Some(PHONE)), (WORK, Some(PHONE))]);
    world.bind(B, CARRIER, ANY, Some(OFFICE), Policy::default());
    assert_eq!(world.seen(OFFICE, &phone, at(1)).len(), 3);
    world.grant("a@example.org", B);
    world.m.apply(&Change::DeleteAccount(account("a@example.org")));
    assert_eq!(world.seen(OFFICE, &phone, at(1)), [(WORK, Some(PHONE))]);
    assert_eq!(world.m.peer(Some(&account("a@example.org")), KeyId([1; 16])), Err(Refusal::UnknownAccount));
}

#[test]
fn bindings_of_another_account_do_not_count_for_a_service() {
    let mut world = two_accounts();
    world.grant("a@example.org", B);
    let own = world.bind(A, WORK, Some(PHONE), ANY, Policy::default());
    // More specific, but B has no say about A's service.
    world.bind(B, WORK, Some(PHONE), Some(OFFICE), Policy { min_rssi_dbm: Some(-1), ..Policy::default() });
    let offers = world.look_up(OFFICE, &[near(PHONE)], at(1));
    assert_eq!((offers.len(), offers[0].binding, offers[0].policy), (1, own, Policy::default()));
    world.bind(B, WORK, Some(LAPTOP), ANY, Policy::default());
    assert_eq!(world.seen(OFFICE, &[near(LAPTOP)], at(1)), []);
    assert_eq!(world.m.connect(&connect(LAPTOP, WORK, OFFICE), at(1), [0; 16]), Err(Refusal::NoBinding));
}

#[test]
fn the_most_specific_binding_says_the_policy_over_the_services_and_ranks() {
    let mut world = two_accounts();
    let default = Policy { min_rssi_dbm: Some(-75), delay: Some(at(2)), ..Policy::default() };
    world.service(A, WORK, "work", default, at(0));
    let delayed = |seconds| Policy { delay: Some(at(seconds)), ..Policy::default() };
    let broadcast = world.bind(A, WORK, ANY, ANY, delayed(1));
    assert_eq!(world.look_up(OFFICE, &[], at(1))[0].binding, broadcast);
    let here = world.bind(A, WORK, ANY, Some(OFFICE), Policy::default());
    let offers = world.look_up(OFFICE, &[], at(1));
    assert_eq!((offers.len(), offers[0].binding, offers[0].policy), (1, here, default));
    let client = world.bind(A, WORK, Some(PHONE), ANY, delayed(3));
    let offers = world.look_up(OFFICE, &[near(PHONE), near(LAPTOP)], at(1));
    assert_eq!(offers.iter().map(|offer| offer.binding).collect::<Vec<_>>(), [client, here]);
    assert_eq!(offers[0].policy, Policy { delay: Some(at(3)), ..default });
    let both = world.bind(A, WORK, Some(PHONE), Some(OFFICE), delayed(4));
    assert_eq!(world.look_up(OFFICE, &[near(PHONE)], at(1))[0].binding, both);
    // The older of two that name the same.
    world.bind(A, WORK, Some(PHONE), Some(OFFICE), delayed(5));
    assert_eq!(world.look_up(OFFICE, &[near(PHONE)], at(1))[0].binding, both);
    // Connected ones first, then the best signal.
    world.bind(A, WORK, Some(LAPTOP), ANY, Policy::default());
    let strong = Near { rssi_dbm: Some(-40), ..near(LAPTOP) };
    assert_eq!(world.seen(OFFICE, &[near(PHONE), strong], at(1))[0].1, Some(LAPTOP));
    let connected = Near { connected: true, ..near(PHONE) };
    assert_eq!(world.seen(OFFICE, &[strong, connected], at(1))[0].1, Some(PHONE));
}

#[test]
fn nothing_is_offered_without_radio_service_instance_or_to_whom_is_refused() {
    let mut world = two_accounts();
    world.bind(A, WORK, Some(PHONE), ANY, Policy::default());
    let mut offers = Offers::default();
    let stranger = mac(0, 77);
    assert_eq!(
        world.m.look_up(stranger, &[near(PHONE)], &[], at(1), &mut offers),
        Err(Refusal::NotRegistered)
    );
    assert_eq!(
        world.m.look_up(OFFICE, &[near(PHONE)], &[], at(300), &mut offers),
        Err(Refusal::NotRegistered)
    );
    assert_eq!(world.seen(OFFICE, &[near(PHONE)], at(14)), [(WORK, Some(PHONE))]);
    // The instance was last heard at 0.
    assert_eq!(world.seen(OFFICE, &[near(PHONE)], at(15)), []);
    world.instance(A, WORK, 1, at(20)).unwrap();
    assert_eq!(world.seen(OFFICE, &[near(PHONE)], at(21)).len(), 1);
    let draining = Load { draining: true, ..Load::default() };
    world.load(A, WORK, 1, draining, at(21));
    assert_eq!(world.seen(OFFICE, &[near(PHONE)], at(22)), []);
    assert_eq!(world.seen(OFFICE, &[Near { connected: true, ..near(PHONE) }], at(22)).len(), 1);
    world.load(A, WORK, 1, Load::default(), at(22));
    let report = |world: &mut World, failures| world.failed(A, WORK, PHONE, failures, at(23));
    assert_eq!(report(&mut world, 5), Err(Refusal::NotIntroduced));
    world.m.connect(&connect(PHONE, WORK, OFFICE), at(22), [0; 16]).unwrap();
    assert_eq!(report(&mut world, 0), Ok(None));
    assert_eq!(report(&mut world, 2), Ok(Some(at(60))), "the service says how many are too many");
    assert_eq!(world.seen(OFFICE, &[near(PHONE)], at(24)), []);
    // Everywhere.
    world.bind(None, HOME, Some(PHONE), ANY, Policy::default());
    world.instance(None, HOME, 1, at(24)).unwrap();
    assert_eq!(world.seen(KITCHEN, &[near(PHONE)], at(24)), []);
    assert_eq!(
        world.m.connect(&connect(PHONE, HOME, KITCHEN), at(24), [0; 16]),
        Err(Refusal::Refused { retry: at(59) })
    );
    world.m.forgive(PHONE, at(24));
    assert_eq!(world.seen(KITCHEN, &[near(PHONE)], at(24)).len(), 1);
    world.m.apply(&Change::DeleteService(HOME));
    assert_eq!(world.seen(KITCHEN, &[near(PHONE)], at(24)), []);
}

#[test]
fn what_is_shown_is_withdrawn_when_nobody_may_see_it_any_more() {
    let mut world = two_accounts();
    let id = world.bind(A, WORK, Some(PHONE), ANY, Policy::default());
    let withdrawn = |world: &mut World, now| {
        let mut offers = Offers::default();
        world.m.look_up(OFFICE, &[near(LAPTOP)], &[WORK, HOME], now, &mut offers).unwrap();
        offers.withdrawn
    };
    // The phone may still be there.
    assert_eq!(withdrawn(&mut world, at(1)), [HOME]);
    assert_eq!(withdrawn(&mut world, at(15)), [WORK, HOME]);
    world.instance(A, WORK, 1, at(15)).unwrap();
    assert_eq!(withdrawn(&mut world, at(16)), [HOME]);
    world.m.apply(&Change::DeleteBinding { account: A.map(account), id });
    assert_eq!(withdrawn(&mut world, at(16)), [WORK, HOME]);
}

#[test]
fn throw_away_addresses_find_networks_by_name() {
    let mut world = two_accounts();
    world.bind(None, HOME, Some(PHONE), ANY, Policy::default());
    let name = [ssid("home")];
    let asks = Near { ssids: &name, ..near(RANDOM) };
    assert_eq!(world.seen(KITCHEN, &[asks], at(1)), [(HOME, Some(RANDOM))]);
    // A lasting address that has no binding is no throw-away one; other accounts' radios do not know it; other names neither.
    assert_eq!(world.seen(KITCHEN, &[Near { client: LAPTOP, ..asks }], at(1)), []);
    assert_eq!(world.seen(OFFICE, &[asks], at(1)), []);
    let mut ground = |client, radio| match &world.m.explain(client, radio, Some(HOME), None, at(1))[0].outcome
    {
        Outcome::Offered { ground, .. } => Ok(*ground),
        Outcome::Not(why) => Err(why.clone()),
    };
    assert_eq!(ground(RANDOM, KITCHEN), Ok(Ground::IfAsked));
    assert_eq!(ground(PHONE, KITCHEN), Ok(Ground::Bound));
    assert_eq!(ground(LAPTOP, KITCHEN), Err(WhyNot::NoBinding));
    assert_eq!(ground(RANDOM, OFFICE), Err(WhyNot::NoBinding));
    let other = [ssid("elsewhere")];
    assert_eq!(world.seen(KITCHEN, &[Near { ssids: &other, ..asks }], at(1)), []);
    // An address that a device made for a network is an identity like any other.
    world.bind(None, HOME, Some(RANDOM), ANY, Policy::default());
    let offers = world.look_up(KITCHEN, &[near(RANDOM)], at(1));
    assert_eq!((offers.len(), offers[0].client, offers[0].predicted), (1, Some(RANDOM), false));
    // A service that is bound elsewhere only is not plausible here.
    let elsewhere = matchmaker::Uuid::from_u128(9);
    world.service(None, elsewhere, "attic", Policy::default(), at(1));
    world.bind(None, elsewhere, Some(PHONE), Some(mac(0, 99)), Policy::default());
    let name = [ssid("attic")];
    let seen = world.seen(KITCHEN, &[Near { client: mac(2, 1), ssids: &name, ..asks }], at(1));
    assert!(seen.iter().all(|(service, _)| *service != elsewhere), "{seen:?}");
}

#[test]
fn of_many_services_with_one_name_those_lately_near_count() {
    let mut world = two_accounts();
    let service = |n: u32| matchmaker::Uuid::from_u128(100 + u128::from(n));
    for n in 0..9 {
        world.service(None, service(n), "linksys", Policy::default(), at(0));
        world.bind(None, service(n), Some(mac(0, n)), ANY, Policy::default());
    }
    let name = [ssid("linksys")];
    let asks = Near { ssids: &name, ..near(RANDOM) };
    assert_eq!(world.seen(KITCHEN, &[asks], at(1)), []);
    world.look_up(KITCHEN, &[near(mac(0, 7))], at(1));
    assert_eq!(world.seen(KITCHEN, &[asks], at(2)), [(service(7), Some(RANDOM))]);
}

#[test]
fn services_of_others_with_the_same_name_hide_nobodys() {
    let mut world = two_accounts();
    let service = |n: u32| matchmaker::Uuid::from_u128(100 + u128::from(n));
    for n in 0..9 {
        let name = format!("u{n}@example.org");
        world.account(&name);
        world.service(Some(&name), service(n), "eduroam", Policy::default(), at(0));
        world.bind(Some(&name), service(n), Some(mac(0, n)), ANY, Policy::default());
    }
    world.service(A, WORK, "eduroam", Policy::default(), at(0));
    world.bind(A, WORK, Some(PHONE), ANY, Policy::default());
    let name = [ssid("eduroam")];
    let asks = Near { ssids: &name, ..near(RANDOM) };
    assert_eq!(world.seen(OFFICE, &[asks], at(1)), [(WORK, Some(RANDOM))]);
    world.grant("a@example.org", Some("u3@example.org"));
    assert_eq!(world.seen(OFFICE, &[asks], at(1)).len(), 2);
    // Of those of anybody only whose clients are near count, but the own ones stay.
    world.grant("a@example.org", None);
    assert_eq!(world.seen(OFFICE, &[asks], at(1)).len(), 2);
    world.look_up(OFFICE, &[near(mac(0, 7))], at(1));
    let seen = world.seen(OFFICE, &[asks], at(2));
    assert!(seen.len() == 3 && seen.contains(&(service(7), Some(RANDOM))), "{seen:?}");
    // When the others go, or are called otherwise, they are few enough.
    (0..6).for_each(|n| world.m.apply(&Change::DeleteService(service(n))));
    assert_eq!(world.seen(OFFICE, &[asks], at(2)).len(), 4);
}

#[test]
fn services_of_lately_seen_clients_are_predicted_within_the_budget_and_hits_are_counted() {
    let mut world = two_accounts();
    let near_kitchen = mac(0, 50);
    world.radio_near(None, near_kitchen, Band::Ghz2_4, &[], at(0)).unwrap();
    world.radio_near(None, KITCHEN, Band::Ghz2_4, &[near_kitchen], at(0)).unwrap();
    let service = |n: u32| matchmaker::Uuid::from_u128(100 + u128::from(n));
    for n in 0..6 {
        world.service(None, service(n), &format!("home {n}"), Policy::default(), at(0));
        world.bind(None, service(n), Some(mac(0, n)), ANY, Policy::default());
    }
    let again =
        |world: &mut World, now| (0..6).for_each(|n| world.instance(None, service(n), 1, now).unwrap());
    // 1 came often, 0 and 2 once, 3 to the neighbour.
    for visit in 0..4 {
        again(&mut world, at(visit * 310));
        world.radio_near(None, near_kitchen, Band::Ghz2_4, &[], at(visit * 310)).unwrap();
        world.radio_near(None, KITCHEN, Band::Ghz2_4, &[near_kitchen], at(visit * 310)).unwrap();
        world.look_up(KITCHEN, &[near(mac(0, 1))], at(visit * 310));
    }
    world.look_up(KITCHEN, &[near(mac(0, 0)), near(mac(0, 2))], at(931));
    world.look_up(near_kitchen, &[near(mac(0, 3)), near(mac(0, 4))], at(931));
    // Nobody unknown is here: nothing to predict.
    assert_eq!(world.seen(KITCHEN, &[near(LAPTOP)], at(940)), []);
    let offers = world.look_up(KITCHEN, &[near(RANDOM)], at(940));
    assert!(offers.iter().all(|offer| offer.predicted && offer.client.is_none()));
    let predicted: Vec<_> = offers.iter().map(|offer| offer.service).collect();
    // Four BSSIDs.
    assert_eq!(predicted, [service(1), service(0), service(2), service(3)]);
    assert_eq!(world.m.predictions().offered, 4);
    let explained = world.m.explain(RANDOM, KITCHEN, None, None, at(940));
    assert_eq!(explained.iter().map(|one| one.service).collect::<Vec<_>>(), [0, 1, 2, 3, 4].map(service));
    for one in &explained {
        let Outcome::Offered { ground, .. } = &one.outcome else { panic!("{one}") };
        assert_eq!(*ground, Ground::Predicted);
        assert!(one.to_string().ends_with("so it is expected, while BSSIDs are left"), "{one}");
    }
    assert_eq!(world.m.predictions().offered, 4, "to explain is not to offer");
    world.m.connect(&connect(mac(0, 1), service(1), KITCHEN), at(941), [1; 16]).unwrap();
    world.bind(None, service(5), Some(RANDOM), ANY, Policy::default());
    world.m.connect(&connect(RANDOM, service(5), KITCHEN), at(941), [1; 16]).unwrap();
    assert_eq!((world.m.predictions().hits, world.m.predictions().misses), (1, 1));
    // What is offered by name takes a BSSID too.
    let offers = world.look_up(KITCHEN, &[near(mac(2, 9)), near(RANDOM), near(mac(0, 4))], at(942));
    assert_eq!(offers.iter().filter(|offer| offer.predicted).count(), 2);
    assert!(!offers[0].predicted && !offers[1].predicted);
}

#[test]
fn who_comes_every_day_is_expected_and_who_is_elsewhere_is_not() {
    let forever = at(1 << 30);
    let settings = Settings { radio_lifetime: forever, instance_lifetime: forever, ..Settings::default() };
    let mut world = World::with(settings);
    for radio in [OFFICE, STREET] {
        world.radio(None, radio, at(0)).unwrap();
    }
    world.radio_near(None, KITCHEN, Band::Ghz2_4, &[OFFICE], at(0)).unwrap();
    for (service, name, client) in [(HOME, "home", PHONE), (WORK, "work", LAPTOP)] {
        world.service(None, service, name, Policy::default(), at(0));
        world.bind(None, service, Some(client), ANY, Policy::default());
    }
    let day = 24 * 3600;
    let expected = |world: &mut World, now| world.seen(KITCHEN, &[near(RANDOM)], now);
    // The phone comes at nine on two days, the laptop once at noon.
    for visit in [9 * 3600, day + 9 * 3600] {
        world.look_up(KITCHEN, &[near(PHONE)], at(visit));
    }
    world.look_up(KITCHEN, &[near(LAPTOP)], at(day + 12 * 3600));
    let morning = 2 * day + 9 * 3600;
    assert_eq!(expected(&mut world, at(morning)), [(HOME, None), (WORK, None)], "both, the phone first");
    // While the phone is heard elsewhere it is not on its way here; a minute and a half later it may be.
    world.look_up(STREET, &[near(PHONE)], at(morning + 10));
    assert_eq!(expected(&mut world, at(morning + 20)), [(WORK, None)]);
    assert_eq!(expected(&mut world, at(morning + 200)), [(HOME, None), (WORK, None)]);
    // From a neighbour it may just be coming.
    world.look_up(OFFICE, &[near(PHONE)], at(morning + 300));
    assert_eq!(expected(&mut world, at(morning + 310)), [(HOME, None), (WORK, None)]);
    // A quarter of a year later nobody is.
    assert_eq!(expected(&mut world, at(90 * day)), []);
}

#[test]
fn mobility_is_counted_and_steering_needs_somewhere_to_steer_to() {
    let mut world = two_accounts();
    let steer = Policy { steer_delay: Some(at(3)), ..Policy::default() };
    world.service(None, HOME, "home", steer, at(0));
    world.bind(None, HOME, Some(PHONE), ANY, Policy::default());
    for n in 0..3 {
        world.radio(None, mac(0, 60 + n), at(0)).unwrap();
        assert_eq!(world.look_up(mac(0, 60 + n), &[near(PHONE)], at(1))[0].mobility, n + 1);
    }
    assert_eq!(world.look_up(KITCHEN, &[near(PHONE)], at(1))[0].policy.steer_delay, None);
    let upstairs = mac(0, 70);
    world.radio_near(None, upstairs, Band::Ghz5, &[], at(1)).unwrap();
    world.radio_near(None, KITCHEN, Band::Ghz2_4, &[upstairs], at(1)).unwrap();
    assert_eq!(world.look_up(KITCHEN, &[near(PHONE)], at(1))[0].policy.steer_delay, Some(at(3)));
}

const UPSTAIRS: MacAddr = MacAddr([0, 0x25, 0x86, 0, 0, 70]);
const STEERING: Policy = Policy {
    min_rssi_dbm: None,
    min_up_kbps: None,
    min_down_kbps: None,
    delay: None,
    max_mobility: None,
    steer_delay: Some(Duration::from_secs(3)),
    dwell: None,
    kick_rssi_dbm: None,
    suppress_rssi_dbm: None,
    max_clients: None,
    hidden: None,
    yields_to_home: None,
};

/// A radio at 2.4 GHz and one at 5 GHz, which do not hear each other, and a service that steers.
fn two_bands() -> World {
    let mut world = two_accounts();
    world.service(None, HOME, "home", STEERING, at(0));
    world.radio_near(None, UPSTAIRS, Band::Ghz5, &[], at(0)).unwrap();
    world
}

/// Whether the offer of the service at the radio steers.
fn steered(world: &mut World, radio: MacAddr, device: MacAddr, now: u64) -> bool {
    world.instance(None, HOME, 1, at(now)).unwrap();
    let offers = world.look_up(radio, &[near(device)], at(now));
    let offer = offers.iter().find(|offer| offer.service == HOME).unwrap();
    let judged = world.m.explain(device, radio, Some(HOME), None, at(now)).remove(0);
    let Outcome::Offered { judged, policy, .. } = judged.outcome else { panic!("{judged}") };
    let explained = judged.unknown.contains(&Unknown::Steered(at(3)));
    let steered = offer.policy.steer_delay.is_some();
    assert_eq!((explained, policy.steer_delay.is_some()), (steered, steered), "explain tells the truth");
    steered
}

#[test]
fn a_device_is_steered_to_a_radio_of_another_band_that_hears_it_too() {
    let mut world = two_bands();
    world.bind(None, HOME, Some(PHONE), ANY, Policy::default());
    world.bind(None, HOME, Some(LAPTOP), ANY, Policy::default());
    assert!(!steered(&mut world, KITCHEN, PHONE, 1));
    world.look_up(UPSTAIRS, &[near(PHONE)], at(2));
    assert!(steered(&mut world, KITCHEN, PHONE, 3));
    // Where one is steered, another may be that just came: the radio upstairs may hear it next.
    assert!(steered(&mut world, KITCHEN, LAPTOP, 4));
    // One that nobody of another band hears is not.
    world.radio(None, mac(0, 60), at(0)).unwrap();
    assert!(!steered(&mut world, mac(0, 60), LAPTOP, 5));
    // It was a moment ago. After that it is somewhere else, or another radio's.
    world.look_up(UPSTAIRS, &[near(LAPTOP)], at(8));
    assert!(steered(&mut world, mac(0, 60), LAPTOP, 80));
    world.radio(None, mac(0, 61), at(0)).unwrap();
    assert!(!steered(&mut world, mac(0, 61), LAPTOP, 97));
    // Gone: there is nothing to steer to.
    let peer = world.peer(None, UPSTAIRS.0[5]);
    world.m.unregister_radio(peer, UPSTAIRS).unwrap();
    assert!(!steered(&mut world, KITCHEN, PHONE, 98));
    // Another at its place is another.
    world.radio_near(None, mac(0, 62), Band::Ghz5, &[], at(98)).unwrap();
    assert!(!steered(&mut world, KITCHEN, PHONE, 99));
}

#[test]
fn a_radio_of_another_band_is_near_for_an_hour_after_it_heard_the_same_device() {
    let mut world = two_bands();
    world.bind(None, HOME, Some(PHONE), ANY, Policy::default());
    world.bind(None, HOME, Some(LAPTOP), ANY, Policy::default());
    world.look_up(UPSTAIRS, &[near(PHONE)], at(2));
    assert!(steered(&mut world, KITCHEN, PHONE, 3));
    let later = |world: &mut World, now| {
        world.radio(None, KITCHEN, at(now)).unwrap();
        world.radio_near(None, UPSTAIRS, Band::Ghz5, &[], at(now)).unwrap();
        steered(world, KITCHEN, LAPTOP, now)
    };
    assert!(later(&mut world, 3603));
    assert!(!later(&mut world, 3604));
}

#[test]
fn nobody_is_steered_to_where_the_service_may_not_be_shown_or_from_another_band() {
    // At the radio upstairs no binding names the phone, and the one next door is another account's.
    let mut world = two_bands();
    world.bind(None, HOME, Some(PHONE), Some(KITCHEN), Policy::default());
    world.bind(None, HOME, Some(LAPTOP), ANY, Policy::default());
    world.bind(A, WORK, Some(PHONE), ANY, Policy::default());
    let next_door = mac(0, 71);
    world.radio_near(A, next_door, Band::Ghz6, &[], at(0)).unwrap();
    for radio in [UPSTAIRS, next_door] {
        world.look_up(radio, &[near(PHONE), near(LAPTOP)], at(1));
    }
    assert!(!steered(&mut world, KITCHEN, PHONE, 2));
    // Nor because a radio hears it that is no use.
    world.radio_near(None, KITCHEN, Band::Ghz2_4, &[next_door, OFFICE], at(2)).unwrap();
    assert!(!steered(&mut world, KITCHEN, PHONE, 3));
    assert!(steered(&mut world, KITCHEN, LAPTOP, 4));
    // A radio at 5 GHz has nothing to wait for, whatever its offer says.
    let offer = world.look_up(UPSTAIRS, &[near(LAPTOP)], at(5)).remove(0);
    let device = visibility::Device {
        rssi_dbm: None,
        near_since: at(5),
        can_other_band: true,
        mobility: 0,
        home_heard: false,
    };
    let facts = |band| visibility::Facts {
        now: at(5),
        band,
        spare_up_kbps: None,
        spare_down_kbps: None,
        clients: 0,
        device: Some(device),
    };
    assert_eq!(visibility::decide(&offer.policy, &facts(Band::Ghz5)), visibility::Verdict::Show);
    let offer = world.look_up(KITCHEN, &[near(LAPTOP)], at(5)).remove(0);
    let verdict = visibility::decide(&offer.policy, &facts(Band::Ghz2_4));
    assert!(matches!(verdict, visibility::Verdict::Later(when, _) if when == at(8)), "{verdict}");
}

#[test]
fn devices_that_nobody_names_are_steered_too() {
    for (client, radio) in [(ANY, ANY), (ANY, Some(KITCHEN))] {
        let mut world = two_bands();
        world.bind(None, HOME, client, radio, Policy::default());
        assert!(!steered(&mut world, KITCHEN, RANDOM, 1));
        world.look_up(UPSTAIRS, &[near(RANDOM)], at(2));
        // In the second case the radio upstairs does not show it.
        assert_eq!(steered(&mut world, KITCHEN, RANDOM, 3), radio.is_none());
        assert_eq!(steered(&mut world, KITCHEN, LAPTOP, 3), radio.is_none());
    }
    // By name, under an address that it throws away.
    let mut world = two_bands();
    world.bind(None, HOME, Some(PHONE), ANY, Policy::default());
    world.radio_near(None, KITCHEN, Band::Ghz2_4, &[UPSTAIRS], at(0)).unwrap();
    let ssids = [ssid("home")];
    let offer = world.look_up(KITCHEN, &[Near { ssids: &ssids, ..near(RANDOM) }], at(1)).remove(0);
    assert_eq!((offer.client, offer.policy.steer_delay), (Some(RANDOM), Some(at(3))));
}

#[test]
fn an_enterprise_service_that_nobody_can_see_is_noticed() {
    let mut world = two_accounts();
    let suggested = |world: &World, of: &str| world.m.broadcast_suggestions(&account(of));
    let suggestion = suggested(&world, "a@example.org");
    assert_eq!((suggestion.len(), suggestion[0].service), (1, WORK));
    world.bind(A, WORK, Some(PHONE), ANY, Policy::default());
    assert_eq!(suggested(&world, "a@example.org").len(), 1);
    world.m.apply(&Change::PutBinding { account: A.map(account), binding: suggestion[0].with_id(9) });
    assert_eq!(suggested(&world, "a@example.org"), []);
    assert_eq!(world.seen(OFFICE, &[], at(1)), [(WORK, None)]);
    // Which radios there are does not matter: each matchmaker knows of others.
    let peer = world.peer(B, STREET.0[5]);
    world.m.unregister_radio(peer, STREET).unwrap();
    assert_eq!(suggested(&world, "b@example.org").len(), 1);
    let lonely = world.m.lonely_services().map(|(owner, service)| (owner.cloned(), service.uuid));
    assert_eq!(lonely.collect::<Vec<_>>(), [(B.map(account), CARRIER)]);
    // One where a device was at home has a network of its own, which binds devices; one that came through another's radio has not.
    let mut asked = |cause, id| {
        let peer = world.peer(B, 100);
        let plan = world.m.plan_auto_bind(peer, CARRIER, mac(0, id), None, cause).unwrap();
        let AutoBind::Create { account, binding } = plan else { panic!() };
        world.m.apply(&Change::PutBinding { account, binding: binding.with_id(u64::from(id)) });
        suggested(&world, "b@example.org").len()
    };
    assert_eq!((asked(Cause::Remote, 70), asked(Cause::Local, 71), asked(Cause::Wired, 72)), (1, 0, 0));
    for (id, left) in [(71, 0), (72, 1)] {
        world.m.apply(&Change::DeleteBinding { account: B.map(account), id });
        assert_eq!(suggested(&world, "b@example.org").len(), left);
    }
    // A stranger's is not suggested, the configuration's is.
    let work = world.m.service(WORK).unwrap().clone();
    for (key, uuid) in [(KeyId([100; 16]), 60), (KeyId::OWN, 61)] {
        let (owner, uuid) = (Owner::Key(key), matchmaker::Uuid::from_u128(uuid));
        world.m.apply(&Change::PutService(Service { owner, uuid, ..work.clone() }));
    }
    let lonely: Vec<_> = world.m.lonely_services().map(|(_, service)| service.uuid.as_u128()).collect();
    assert_eq!(lonely, [CARRIER.as_u128(), 61]);
}

#[test]
fn explanations_say_which_binding_or_what_is_missing() {
    let mut world = two_accounts();
    let weak = Policy { min_rssi_dbm: Some(-72), ..Policy::default() };
    let id = world.bind(A, WORK, Some(PHONE), ANY, weak);
    let explain = |world: &mut World, client, radio, service, signal: Option<i8>, now| {
        let explained = world.m.explain(client, radio, service, signal, now);
        explained.iter().map(|one| one.outcome.to_string()).collect::<Vec<_>>()
    };
    let all = None;
    let mut phone = |signal: Option<i8>| explain(&mut world, PHONE, OFFICE, all, signal, at(5)).remove(0);
    let open = format!("shown because binding {id}, if what only the radio knows holds: a signal of -72 dBm");
    assert_eq!(phone(None), format!("{open} (not heard in the last ten minutes)"));
    assert_eq!(phone(Some(-70)), format!("shown because binding {id}"));
    assert_eq!(phone(Some(-78)), format!("binding {id}, not shown because −78 dBm < −72 dBm"));
    let street = explain(&mut world, PHONE, STREET, all, None, at(5));
    assert_eq!(
        street,
        [format!(
            "not shown because binding {id} is of a@example.org, whose services the radio's account has not granted"
        )]
    );
    let named = |world: &mut World, client, radio, service, now| {
        explain(world, client, radio, Some(service), None, now).remove(0)
    };
    let nowhere = matchmaker::Uuid::from_u128(77);
    assert_eq!(named(&mut world, LAPTOP, OFFICE, WORK, at(5)), "not shown because no binding says so");
    assert_eq!(
        named(&mut world, LAPTOP, OFFICE, nowhere, at(5)),
        "not shown because there is no such service"
    );
    assert_eq!(
        named(&mut world, PHONE, mac(0, 99), WORK, at(5)),
        "not shown because the radio is not registered"
    );
    assert_eq!(
        named(&mut world, PHONE, OFFICE, WORK, at(20)),
        format!("not shown because no instance of the service takes newcomers (binding {id})")
    );
    world.m.connect(&connect(PHONE, WORK, OFFICE), at(5), [0; 16]).unwrap();
    world.failed(A, WORK, PHONE, 9, at(5)).unwrap();
    assert_eq!(
        named(&mut world, PHONE, OFFICE, WORK, at(10)),
        "not shown because the client failed to authenticate too often, refused for 55 s more"
    );
    let whole = world.m.explain(PHONE, OFFICE, Some(WORK), None, at(10))[0].to_string();
    assert!(whole.starts_with("service 00000000-0000-0000-0000-000000000002: not shown"), "{whole}");
}

#[test]
fn neighbours_are_those_that_were_heard_and_are_found_by_their_bsses() {
    let mut world = two_accounts();
    let (gone, next) = (mac(0, 50), mac(0, 51));
    world.radio_near(None, gone, Band::Ghz5, &[], at(0)).unwrap();
    // What a beacon of a virtual BSS of the radio in the office shows.
    let MacAddr([_, b, c, d, e, f]) = OFFICE;
    let heard = [gone, MacAddr([0x06, b, c, d, e, f]), mac(0, 99)];
    world.radio_near(None, KITCHEN, Band::Ghz2_4, &heard, at(0)).unwrap();
    let neighbours = |world: &World| world.m.radio(KITCHEN, at(1)).unwrap().registration.neighbours;
    assert_eq!(neighbours(&world), [gone, OFFICE]);
    // Another comes to where it was.
    let peer = world.peer(None, gone.0[5]);
    world.m.unregister_radio(peer, gone).unwrap();
    let places = world.m.radio_places();
    world.radio_near(None, next, Band::Ghz5, &[], at(0)).unwrap();
    assert_eq!((neighbours(&world), world.m.radio_places()), (vec![OFFICE], places));
}

#[test]
fn an_explanation_goes_by_what_was_heard_and_says_what_is_not_known() {
    let mut world = two_accounts();
    let demanding = Policy {
        min_rssi_dbm: Some(-72),
        max_mobility: Some(1),
        min_up_kbps: Some(500),
        delay: Some(Duration::from_millis(1500)),
        ..Policy::default()
    };
    let id = world.bind(A, WORK, Some(PHONE), ANY, demanding);
    let heard = |rssi| Near { rssi_dbm: Some(rssi), ..near(PHONE) };
    world.look_up(OFFICE, &[heard(-78)], at(5));
    let judged = |world: &mut World, radio, signal, now| {
        let explained = world.m.explain(PHONE, radio, Some(WORK), signal, now).remove(0);
        let Outcome::Offered { judged, .. } = &explained.outcome else { panic!("{explained}") };
        ((**judged).clone(), explained.outcome.to_string())
    };
    world.instance(A, WORK, 1, at(16)).unwrap();
    let (weak, said) = judged(&mut world, OFFICE, None, at(16));
    assert_eq!(said, format!("binding {id}, not shown because −78 dBm < −72 dBm (heard 16 s ago)"));
    assert_eq!(weak.signal, Some(Signal { dbm: -78, age: Some(at(16)) }));
    let rest = "if what only the radio knows holds: 500 kbit/s up to spare, near for 1500 ms";
    let (as_asked, said) = judged(&mut world, OFFICE, Some(-60), at(16));
    assert_eq!(said, format!("shown because binding {id}, {rest}"));
    assert_eq!(as_asked.unknown, [Unknown::Up(500), Unknown::Near(Duration::from_millis(1500))]);
    world.look_up(OFFICE, &[heard(-60)], at(16));
    let (_, said) = judged(&mut world, OFFICE, None, at(16));
    assert_eq!(said, format!("shown because binding {id} (-60 dBm, heard 0 s ago), {rest}"));
    // After ten minutes nobody knows any more.
    world.radio(A, OFFICE, at(900)).unwrap();
    world.instance(A, WORK, 1, at(900)).unwrap();
    let (none, _) = judged(&mut world, OFFICE, None, at(900));
    assert_eq!((none.signal, none.unknown.len()), (None, 4));
}
