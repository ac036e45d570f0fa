//! What is on the air, and when.

use dot11::element::{ElementId, Elements};
use dot11::frame::management::Beacon;
use dot11::{Frame, MacAddr, ManagementSubtype};
use proto::matchmaking::messages::{self, Policy, failure::Reason, request::Request};
use radio_agent::agent::*;

use super::world::*;

#[test]
fn nothing_is_on_the_air_until_it_is_offered() {
    let mut world = World::new();
    for _ in 0..120 {
        world.hear(&probe_request(DEVICE, b""));
        world.hear(&data(0, DEVICE));
        world.run(seconds(1));
    }
    assert_eq!(world.air(), []);
    assert!(world.injected(ManagementSubtype::ProbeResponse).is_empty());
    let asked: Vec<_> = world.look_ups().iter().map(|(when, _)| *when).collect();
    assert_eq!(asked, [100, 130, 160, 190, 220].map(seconds), "a negative answer is good for its time");
    let counters = world.agent.counters();
    assert_eq!((counters.look_ups, counters.offers, counters.opened, counters.closed), (5, 0, 0, 120));
}

#[test]
fn what_is_offered_is_on_the_air_as_the_offer_says() {
    let mut world = World::new();
    world.offers = vec![plain(HOME, DEVICE)];
    world.hear(&probe_request(OTHER, b""));
    assert_eq!(world.air(), [], "not for this one");
    world.hear(&probe_request(DEVICE, b""));
    world.run(milliseconds(20));
    let [(when, 'o', 0)] = world.air()[..] else { panic!("{:?}", world.air()) };
    assert!(when <= seconds(100) + milliseconds(20));

    let template = world.agent.template(0).unwrap();
    let octets = template.beacon(7, 5);
    let frame = Frame::parse(&octets).unwrap();
    assert_eq!(frame.addr2(), Some(bssid(0)));
    let body = Beacon::parse(frame.body()).unwrap();
    let offered = super::world::template(HOME);
    let offered = Elements::parse(&offered).unwrap();
    assert_eq!(body.elements.ssid().unwrap().unwrap().as_bytes(), b"network 1");
    assert_eq!(body.elements.find(ElementId::RSN), offered.find(ElementId::RSN));
    assert_eq!(body.elements.find_vendor([1, 2, 3, 4]), Some(&[HOME][..]));
    assert!(body.elements.rates().0.len() > 4, "the radio's rates, not the offer's");
    assert_eq!(body.elements.find(ElementId::DSSS_PARAMETER_SET), Some(&[6][..]));
    assert!(template.privacy() && body.elements.find(ElementId::TIM).is_some());

    world.hear(&probe_request(DEVICE, b"network 1"));
    assert_eq!(world.injected(ManagementSubtype::ProbeResponse).len(), 1);
    assert_eq!((world.agent.counters().probes, world.agent.counters().offers), (1, 1));
    assert_eq!((world.connects().len(), world.keep_alives(0).len()), (0, 0), "no tunnel before it is needed");
}

#[test]
fn what_is_offered_is_told_once() {
    let mut world = World::new();
    let expected = messages::Offer { predicted: true, ..plain(3, OTHER) };
    world.offers = vec![plain(HOME, DEVICE), offer(WORK, None, Policy::default()), expected];
    // Looked up several times.
    for _ in 0..8 {
        world.hear(&probe_request(DEVICE, b""));
        world.run(seconds(20));
    }
    assert!(world.look_ups().len() > 2);
    let told: Vec<_> = world
        .log
        .iter()
        .filter_map(|(_, output)| match output {
            Output::Report(event @ Event::Offered { .. }) => Some(event.to_string()),
            _ => None,
        })
        .collect();
    let binding = |n: usize| world.offers[n].binding;
    let service = |n: u8| service(n).to_string();
    assert_eq!(
        told,
        [
            format!("service {} offered for {DEVICE} by binding {}", service(HOME), binding(0)),
            format!("service {} offered for anybody by binding {}", service(WORK), binding(1)),
            format!("service {} offered for {OTHER}, who is expected, by binding {}", service(3), binding(2)),
        ]
    );
    // By another binding: that is news.
    world.offers.truncate(1);
    world.offers[0].binding += 1;
    world.hear(&probe_request(DEVICE, b"x"));
    world.run(seconds(60));
    let again = Event::Offered {
        service: super::world::service(HOME),
        whom: Some(DEVICE),
        predicted: false,
        binding: world.offers[0].binding,
    };
    assert!(world.log_time(again) > seconds(160));
}

#[test]
fn a_hidden_network_is_not_named_before_it_is_asked_for() {
    let mut world = World::new();
    let policy = Policy { hidden: true, suppress_rssi_dbm: -80, ..Policy::default() };
    world.offers = vec![offer(HOME, Some(DEVICE), policy)];
    world.hear(&probe_request(DEVICE, b""));
    world.run(milliseconds(20));
    let template = world.agent.template(0).unwrap();
    let octets = template.beacon(7, 5);
    let body = Frame::parse(&octets).unwrap().body();
    assert_eq!(Beacon::parse(body).unwrap().elements.ssid().unwrap().unwrap().as_bytes(), b"");
    assert!(template.hidden() && template.ssid().as_bytes() == b"network 1");

    world.hear(&probe_request(DEVICE, b""));
    assert_eq!(world.agent.counters().suppressed, 1, "the wildcard");
    world.hear_at(&probe_request(DEVICE, b"network 1"), -81);
    assert_eq!(world.agent.counters().suppressed, 2, "too weak");
    world.hear(&probe_request(DEVICE, b"network 1"));
    let answers = world.injected(ManagementSubtype::ProbeResponse);
    assert_eq!(answers.len(), 1);
    let body = Frame::parse(&answers[0]).unwrap().body();
    assert_eq!(Beacon::parse(body).unwrap().elements.ssid().unwrap().unwrap().as_bytes(), b"network 1");
}

/// How the world is prepared for a policy.
type Prepare = fn(&mut World);

#[test]
fn policies_decide_when_it_is_shown() {
    let nothing: Prepare = |_| {};
    let near_home: Prepare = |world| {
        world.hear(&beacon(MacAddr([0x10, 1, 1, 1, 1, 1]), b"network 1"));
    };
    let virtual_home: Prepare = |world| {
        world.hear(&beacon(MacAddr([0x12, 1, 1, 1, 1, 1]), b"network 1"));
    };
    let named_home: Prepare = |world| {
        world.hear(&beacon(MacAddr([0x10, 1, 1, 1, 1, 1]), b"my own"));
        world.hear(&probe_request(DEVICE, b"my own"));
    };
    let busy: Prepare = |world| {
        world.agent.measured(Measured { octets: Some((0, 0)), air: None }, world.now);
        // In the second that follows, 9 Mbit/s of 10 up and 10 of 50 down.
        let later = world.now + seconds(1);
        world.agent.measured(Measured { octets: Some((1_125_000, 1_250_000)), air: None }, later);
    };
    let dual: Prepare = |world| world.hear(&dual_band_probe_request(DEVICE));
    let none = Policy::default();
    // policy, signal, what else there is, milliseconds until it is shown
    let cases: &[(&str, Policy, i8, Prepare, Option<u64>)] = &[
        ("none", none, -90, nothing, Some(0)),
        ("signal", Policy { min_rssi_dbm: -72, ..none }, -72, nothing, Some(0)),
        ("weak", Policy { min_rssi_dbm: -72, ..none }, -73, nothing, None),
        ("delay", Policy { delay_ms: 1500, ..none }, -55, nothing, Some(1500)),
        ("steer, one band", Policy { steer_delay_ms: 3000, ..none }, -55, nothing, Some(0)),
        ("steer", Policy { steer_delay_ms: 3000, delay_ms: 500, ..none }, -55, dual, Some(3500)),
        ("mobility", Policy { max_mobility: 3, mobility: 3, ..none }, -55, nothing, Some(0)),
        ("mobile", Policy { max_mobility: 3, mobility: 4, ..none }, -55, nothing, None),
        ("up", Policy { min_up_kbps: 10_000, ..none }, -55, nothing, Some(0)),
        ("more than there is", Policy { min_up_kbps: 10_001, ..none }, -55, nothing, None),
        ("up, in use", Policy { min_up_kbps: 1001, ..none }, -55, busy, None),
        ("up, enough", Policy { min_up_kbps: 1000, ..none }, -55, busy, Some(0)),
        ("down", Policy { min_down_kbps: 40_000, ..none }, -55, busy, Some(0)),
        ("down, in use", Policy { min_down_kbps: 40_001, ..none }, -55, busy, None),
        ("not at home", Policy { yields_to_home: true, ..none }, -55, nothing, Some(0)),
        ("at home", Policy { yields_to_home: true, ..none }, -55, near_home, None),
        ("another's slot", Policy { yields_to_home: true, ..none }, -55, virtual_home, Some(0)),
        ("asks for its own", Policy { yields_to_home: true, ..none }, -55, named_home, None),
        ("at home, does not matter", none, -55, near_home, Some(0)),
    ];
    for (name, policy, rssi, prepare, expected) in cases {
        let mut world = World::new();
        let begin = world.now;
        world.offers = vec![offer(HOME, Some(DEVICE), *policy)];
        world.ttl = 3600;
        prepare(&mut world);
        let mut shown = None;
        for at in 0..1000u64 {
            if at % 50 == 0 {
                world.hear_at(&probe_request(DEVICE, b""), *rssi);
            }
            world.run(milliseconds(10));
            if let Some((when, ..)) = world.air().first() {
                shown = Some((*when - begin).as_millis() as u64);
                break;
            }
        }
        match (shown, expected) {
            (Some(shown), Some(expected)) if shown >= *expected && shown <= expected + 50 => {}
            (None, None) => {}
            _ => panic!("{name}: {shown:?}, expected {expected:?}"),
        }
        let not_shown = world
            .log
            .iter()
            .any(|(_, output)| matches!(output, Output::Report(Event::NotShown { device: DEVICE, .. })));
        assert_eq!(not_shown, *expected != Some(0), "{name}: why not is said");
    }
}

#[test]
fn two_services_are_shown_at_once_and_the_budget_is_kept() {
    let mut world = World::new();
    world.offers = vec![plain(HOME, DEVICE), plain(WORK, OTHER)];
    world.hear(&probe_request(DEVICE, b""));
    world.hear(&probe_request(OTHER, b""));
    world.run(milliseconds(50));
    assert_eq!(world.shown(), [Some(HOME), Some(WORK)]);
    assert_ne!(bssid(0), bssid(1));
    let third = MacAddr([0x40, 0x5e, 0, 0, 0, 0x44]);
    world.offers.push(plain(3, third));
    world.hear(&probe_request(third, b""));
    world.run(seconds(5));
    assert_eq!(world.shown(), [Some(HOME), Some(WORK)], "one of the same rank displaces nothing");
    assert_eq!(world.agent.counters().evicted, 0);
}

#[test]
fn who_outranks_whom_when_there_is_no_place() {
    let third = MacAddr([0x40, 0x5e, 0, 0, 0, 0x44]);
    let none = Policy::default();
    let ranked = |number, client, rank| {
        let mut offer = offer(number, client, none);
        offer.rank = rank;
        offer
    };
    let predicted = |number, rank| {
        let mut offer = ranked(number, None, rank);
        offer.predicted = true;
        offer
    };
    let dwelling = |number, client| offer(number, client, Policy { dwell_seconds: 60, ..none });
    // As the matchmaker ranks: a class, and the signal as it was told.
    let rank = |class: u32, rssi: i32| class << 8 | rssi.unsigned_abs();
    let (connected, named, asked, broadcast, predictable) =
        (rank(0, -60), rank(1, -60), rank(2, -60), rank(4, 255), rank(5, 1));
    let newcomer = ranked(3, Some(third), named);
    // what is shown, the newcomer, what is shown then
    let cases = [
        ("class", [ranked(1, Some(DEVICE), named), ranked(2, Some(DEVICE), asked)], newcomer.clone(), [1, 3]),
        ("equal", [ranked(1, Some(DEVICE), named), ranked(2, Some(DEVICE), named)], newcomer.clone(), [1, 2]),
        (
            "a stronger signal alone",
            [ranked(1, Some(DEVICE), rank(1, -85)), ranked(2, Some(DEVICE), rank(1, -86))],
            ranked(3, Some(third), rank(1, -30)),
            [1, 2],
        ),
        (
            "named before anybody",
            [ranked(1, None, broadcast), ranked(2, Some(DEVICE), asked)],
            newcomer.clone(),
            [2, 3],
        ),
        (
            "anybody before predicted",
            [predicted(1, predictable), ranked(2, Some(DEVICE), named)],
            ranked(3, None, broadcast),
            [2, 3],
        ),
        (
            "predicted last",
            [ranked(1, None, broadcast), ranked(2, Some(DEVICE), named)],
            predicted(3, predictable),
            [1, 2],
        ),
        (
            "dwell",
            [dwelling(1, Some(DEVICE)), dwelling(2, Some(DEVICE))],
            ranked(3, Some(third), connected),
            [1, 2],
        ),
    ];
    for (name, shown, newcomer, expected) in cases {
        let mut world = World::new();
        world.offers = shown.to_vec();
        world.hear(&probe_request(DEVICE, b""));
        world.run(milliseconds(50));
        let before: Vec<_> = world.shown().into_iter().flatten().collect();
        assert_eq!(before.len(), 2, "{name}");
        world.offers.push(newcomer);
        world.hear(&probe_request(third, b""));
        world.run(seconds(3));
        let mut after: Vec<_> = world.shown().into_iter().flatten().collect();
        after.sort_unstable();
        assert_eq!(after, expected, "{name}");
        let evicted = u64::from(expected.contains(&3));
        assert_eq!(world.agent.counters().evicted, evicted, "{name}");
    }
    // Where devices are, nothing is displaced.
    let mut world = World::new();
    world.offers = vec![ranked(1, Some(DEVICE), named), ranked(2, Some(DEVICE), named)];
    world.hear(&probe_request(DEVICE, b""));
    world.run(milliseconds(50));
    world.associate(0, DEVICE);
    world.associate(1, OTHER);
    world.offers.push(ranked(3, Some(third), connected));
    world.hear(&probe_request(third, b""));
    world.run(seconds(1));
    assert_eq!(world.agent.counters().evicted, 0);
}

#[test]
fn what_nobody_needs_goes_off_the_air_after_its_dwell_time() {
    for (dwell_seconds, expected) in [(0, NEAR_FOR), (90, seconds(90))] {
        let mut world = World::new();
        world.offers = vec![offer(HOME, Some(DEVICE), Policy { dwell_seconds, ..Policy::default() })];
        world.hear(&probe_request(DEVICE, b""));
        world.run(seconds(200));
        let [(open, 'o', 0), (close, 'c', 0)] = world.air()[..] else { panic!("{:?}", world.air()) };
        assert!(close - open >= expected - seconds(1) && close - open <= expected + seconds(2), "{close:?}");
        assert_eq!(world.agent.near(), 0);
        let why = Event::Hidden { bssid: bssid(0), service: service(HOME), why: Why::NobodyNeedsIt };
        assert!(world.log.iter().any(|(_, output)| *output == Output::Report(why)));
        let releases = world.questions.iter().filter(|(_, request)| matches!(request, Request::Release(_)));
        assert_eq!(releases.count(), 0, "nothing was connected");
    }
}

#[test]
fn what_is_withdrawn_goes_off_the_air_at_once() {
    let mut world = World::new();
    world.offers = vec![plain(HOME, DEVICE)];
    world.hear(&probe_request(DEVICE, b""));
    world.run(milliseconds(20));
    world.associate(0, DEVICE);
    world.offers.clear();
    world.withdrawn = vec![vec![HOME; 16], vec![1, 2]];
    world.hear(&probe_request(OTHER, b""));
    assert!(!world.is_shown(HOME));
    assert_eq!(world.injected(ManagementSubtype::Deauthentication).len(), 1, "its devices are told");
    assert_eq!(world.look_ups()[1].1.shown, [vec![HOME; 16]], "the matchmaker knew what is shown");
    let [.., (_, Request::Release(release)), (_, Request::Accounting(_))] = &world.questions[..] else {
        panic!("{:?}", world.questions)
    };
    assert_eq!((&release.bssid[..], &release.service[..]), (&bssid(0).0[..], &[HOME; 16][..]));

    // An answer that no longer offers is enough, after the dwell time.
    let mut world = World::new();
    world.offers = vec![plain(HOME, DEVICE)];
    world.hear(&probe_request(DEVICE, b""));
    world.run(milliseconds(20));
    world.offers.clear();
    world.run(seconds(31));
    assert!(!world.is_shown(HOME));
}

#[test]
fn a_radio_that_cannot_open_is_asked_again_later() {
    let mut world = World::new();
    world.offers = vec![plain(HOME, DEVICE)];
    world.hear(&probe_request(DEVICE, b""));
    world.run(milliseconds(20));
    assert!(world.is_shown(HOME));
    world.agent.open_failed(0, world.now);
    world.agent.open_failed(1, world.now);
    world.run(seconds(9));
    assert!(!world.is_shown(HOME));
    world.run(seconds(2));
    assert!(world.is_shown(HOME));
}

#[test]
fn devices_under_throw_away_addresses_see_what_they_ask_for() {
    let mut world = World::new();
    // Whom a directed probe request names a network for, is offered it under the address it used.
    let scanning = |number: u8| MacAddr([0x42, 0x99, 0, 0, 0, number]);
    world.offers = (0..3).map(|number| plain(HOME, scanning(number))).collect();
    world.hear(&probe_request(scanning(0), b"network 1"));
    world.run(milliseconds(20));
    let (_, asked) = &world.look_ups()[0];
    assert_eq!(asked.devices[0].ssids, [b"network 1".to_vec()]);
    assert_eq!(asked.devices[0].rssi_dbm, -55);
    assert!(world.is_shown(HOME));
    // It scans again under other addresses: the network stays where it is.
    for number in 1..3 {
        world.run(seconds(40));
        world.hear(&probe_request(scanning(number), b"network 1"));
    }
    world.run(seconds(40));
    assert!(world.is_shown(HOME));
    assert_eq!(world.air().len(), 1);
    // It connects under an address that nobody has heard of.
    world.hear(&authentication(0, MacAddr([0x46, 1, 2, 3, 4, 5])));
    assert_eq!(world.connects().len(), 1);

    // Who only scans, without a name, is shown what is predicted, or for anybody.
    let mut world = World::new();
    let mut predicted = plain(WORK, OTHER);
    predicted.predicted = true;
    world.offers = vec![predicted, offer(HOME, None, Policy { min_rssi_dbm: -60, ..Policy::default() })];
    world.hear_at(&probe_request(scanning(7), b""), -70);
    world.run(milliseconds(50));
    assert_eq!(
        (world.is_shown(WORK), world.is_shown(HOME)),
        (true, false),
        "too weak for what is for anybody"
    );
    world.hear_at(&probe_request(scanning(8), b""), -50);
    world.run(milliseconds(50));
    assert!(world.is_shown(HOME));
    world.run(NEAR_FOR + seconds(2));
    assert_eq!(world.shown(), [None, None], "nobody is near, so nobody needs either");
}

#[test]
fn a_device_that_names_another_network_is_looked_up_again() {
    let mut world = World::new();
    world.hear(&probe_request(DEVICE, b""));
    world.run(seconds(6));
    world.hear(&probe_request(DEVICE, b"network 1"));
    assert_eq!(world.look_ups().len(), 2);
    world.hear(&probe_request(DEVICE, b"network 2"));
    world.run(seconds(4));
    assert_eq!(world.look_ups().len(), 2, "not more often than every 5 s");
    world.run(seconds(2));
    assert_eq!(world.look_ups()[2].1.devices[0].ssids.len(), 2);
}

#[test]
fn a_silent_matchmaker_changes_nothing_on_the_air() {
    let mut world = World::new();
    world.offers = vec![plain(HOME, DEVICE), offer(WORK, None, Policy::default())];
    world.hear(&probe_request(DEVICE, b""));
    world.run(milliseconds(50));
    world.associate(0, DEVICE);
    world.silent = true;
    for _ in 0..30 {
        world.hear(&data(0, DEVICE));
        world.run(seconds(10));
    }
    assert_eq!(world.air().len(), 2, "{:?}", world.air());
    assert!(world.agent.counters().look_ups_failed >= 20);
    world.hear(&authentication(0, OTHER));
    world.run(seconds(1));
    let counters = world.agent.counters();
    assert_eq!((counters.connects_failed, counters.held_dropped), (1, 1), "who is new cannot begin");
    world.silent = false;
    world.run(seconds(2));
    world.hear(&authentication(0, OTHER));
    assert_eq!(world.connects().len(), 3);
}

#[test]
fn a_look_up_that_fails_is_repeated_when_the_matchmaker_says() {
    let mut world = World::new();
    (world.failure, world.retry) = (Some(Reason::Rate), 20);
    world.hear(&probe_request(DEVICE, b""));
    world.run(seconds(19));
    assert_eq!((world.look_ups().len(), world.agent.counters().look_ups_failed), (1, 1));
    world.failure = None;
    world.run(seconds(2));
    assert_eq!(world.look_ups().len(), 2);
}

#[test]
fn the_radio_registers_again_before_it_is_forgotten() {
    let registrations = |world: &World| -> Vec<u64> {
        let of = world.questions.iter().filter(|(_, request)| matches!(request, Request::RegisterRadio(_)));
        of.map(|(when, _)| when.as_secs()).collect()
    };
    let mut world = World::new();
    let Request::RegisterRadio(registration) = &world.questions[0].1 else { panic!("{:?}", world.questions) };
    assert_eq!((&registration.radio[..], registration.channel, registration.bssids), (&RADIO.0[..], 6, 2));
    assert_eq!((registration.up_kbps, registration.down_kbps), (10_000, 50_000));
    let location = registration.location.as_ref().unwrap();
    assert_eq!((location.latitude_e7, location.longitude_e7), (525_163_000, 133_777_000));
    world.run(seconds(700));
    assert_eq!(registrations(&world), [100, 400, 700]);
    world.agent.epoch_changed(world.now);
    world.run(seconds(1));
    assert_eq!(registrations(&world).last(), Some(&800), "the matchmaker lost it");
    // It says so in an answer.
    world.failure = Some(Reason::NotRegistered);
    world.hear(&beacon(MacAddr([0x10, 1, 1, 1, 1, 1]), b"else"));
    world.hear(&probe_request(DEVICE, b""));
    assert_eq!(registrations(&world).len(), 5);
    let Some((_, Request::RegisterRadio(last))) =
        world.questions.iter().rfind(|(_, request)| matches!(request, Request::RegisterRadio(_)))
    else {
        panic!("a registration")
    };
    assert_eq!(last.neighbours, [vec![0x10, 1, 1, 1, 1, 1]]);
    // No answer: again after 5 s.
    world.silent = true;
    world.agent.epoch_changed(world.now);
    world.run(seconds(6));
    assert_eq!(registrations(&world).len(), 7);
    world.agent.shut_down(world.now);
    world.pump();
    assert!(matches!(world.questions.last(), Some((_, Request::Unregister(_)))));
    assert_eq!(world.agent.deadline(), None);
}
