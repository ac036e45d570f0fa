//! What is on the air follows what is offered, and does not go to and fro.

use std::time::Duration;

use dot11::element::{ElementId, Elements, ElementsBuilder, Rsn, Ssid};
use dot11::frame::management::Beacon;
use dot11::{Akm, Frame, ManagementSubtype};
use proto::matchmaking::messages::{Offer, Policy};
use radio_agent::agent::*;

use super::connecting::shown;
use super::world::*;

const SHA256: &[Akm] = &[Akm::Psk, Akm::PskSha256];

/// A beacon's elements with another name or other suites; no suites: not protected.
fn says(ssid: &str, akms: &[Akm]) -> Vec<u8> {
    let elements = ElementsBuilder::new()
        .ssid(&Ssid::parse(ssid.as_bytes()).unwrap())
        .element(ElementId::SUPPORTED_RATES, &[0x82]);
    let elements = if akms.is_empty() { elements } else { elements.rsn(&Rsn::ccmp(akms)) };
    elements.element(ElementId::VENDOR_SPECIFIC, &[1, 2, 3, 4, HOME]).build()
}

fn offers(template: Vec<u8>, policy: Policy) -> Vec<Offer> {
    vec![Offer { template, ..offer(HOME, Some(DEVICE), policy) }]
}

/// The frame says what is offered.
fn follows(frame: &[u8], offered: &[u8]) -> bool {
    let (frame, offered) = (Frame::parse(frame).unwrap(), Elements::parse(offered).unwrap());
    let elements = Beacon::parse(frame.body()).unwrap().elements;
    [ElementId::SSID, ElementId::RSN].iter().all(|&id| elements.find(id) == offered.find(id))
}

impl World {
    fn on_the_air(&self) -> Vec<u8> {
        self.agent.template(0).unwrap().beacon(7, 5)
    }

    /// Lets time pass while DEVICE is near, with an answer of the matchmaker every five seconds.
    fn stay(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.hear(&data(0, DEVICE));
            self.run(seconds(1).min(end - self.now));
        }
    }
}

/// DEVICE is connected, and looked up every five seconds.
fn connected() -> World {
    let mut world = World::new();
    world.ttl = 5;
    world.offers = vec![plain(HOME, DEVICE)];
    world.hear(&probe_request(DEVICE, b""));
    world.run(milliseconds(20));
    world.associate(0, DEVICE);
    world
}

#[test]
fn a_beacon_is_as_it_is_offered_now_and_devices_stay() {
    let mut world = connected();
    let begin = world.now;
    let new = says("network 1", SHA256);
    world.offers = offers(new.clone(), Policy::default());
    world.stay(seconds(6));
    let [(when, 0)] = world.updates()[..] else { panic!("{:?}", world.updates()) };
    assert!(when <= begin + seconds(5) + milliseconds(20), "with the next answer");
    assert!(follows(&world.on_the_air(), &new));
    world.hear(&probe_request(OTHER, b"network 1"));
    let answers = world.injected(ManagementSubtype::ProbeResponse);
    assert!(follows(answers.last().unwrap(), &new), "so does the answer to who asks");
    assert_eq!(world.log_time(Event::Changed { bssid: bssid(0), service: service(HOME) }), when);

    // Who is there stays, and who comes is introduced on the same tunnel.
    assert!(world.injected(ManagementSubtype::Deauthentication).is_empty());
    world.associate(0, OTHER);
    let sessions: Vec<_> = world.keep_alives(0).iter().map(|(_, _, session)| *session).collect();
    assert!(sessions.iter().all(|session| *session == sessions[0]));
    let before = world.delivered.len();
    world.hear(&data(0, DEVICE));
    assert_eq!((world.delivered.len(), world.air().len()), (before + 1, 1));
    world.stay(seconds(120));
    assert_eq!((world.updates().len(), world.agent.counters().changed), (1, 1), "and that was that");
}

#[test]
fn a_network_that_becomes_another_is_opened_anew_where_it_was() {
    for (was, new) in [
        (says("network 1", &[Akm::Psk]), says("home 1", &[Akm::Psk])),
        (says("network 1", &[Akm::Psk]), says("network 1", &[])),
        (says("network 1", &[]), says("network 1", &[Akm::Psk])),
    ] {
        let mut world = World::new();
        world.ttl = 5;
        world.offers = offers(was, Policy::default());
        world.hear(&probe_request(DEVICE, b""));
        world.run(milliseconds(20));
        world.associate(0, DEVICE);
        let session = world.keep_alives(0)[0].2;
        world.offers = offers(new.clone(), Policy::default());
        world.stay(seconds(6));
        let air = world.air();
        let [(_, 'o', 0), (closed, 'c', 0), (opened, 'o', 0)] = air[..] else { panic!("{air:?}") };
        assert_eq!((closed, world.updates().len()), (opened, 0));
        assert!(follows(&world.on_the_air(), &new));
        let told = world.injected(ManagementSubtype::Deauthentication);
        assert!(Frame::parse(&told[0]).unwrap().addr1().is_broadcast());
        let why = Why::Changed;
        world.log_time(Event::Hidden { bssid: bssid(0), service: service(HOME), why });
        // The device comes back on the new terms.
        world.associate(0, DEVICE);
        assert_ne!(world.keep_alives(0).last().unwrap().2, session);
        world.stay(seconds(60));
        assert_eq!(world.air().len(), 3);
    }
}

#[test]
fn nothing_changes_because_of_what_the_radio_says_for_itself() {
    let mut world = connected();
    let ssid = Ssid::parse(b"network 1").unwrap();
    let others = ElementsBuilder::new()
        .element(ElementId::SUPPORTED_RATES, &[0x84, 0x8b])
        .ssid(&ssid)
        .element(ElementId::DSSS_PARAMETER_SET, &[11])
        .rsn(&Rsn::ccmp(&[Akm::Psk]))
        .element(ElementId::VENDOR_SPECIFIC, &[1, 2, 3, 4, HOME])
        .element(ElementId::HT_CAPABILITIES, &[7; 26])
        .build();
    world.offers = offers(others, Policy::default());
    world.stay(seconds(20));
    assert_eq!((world.updates(), world.agent.counters().changed), (vec![], 0));
}

#[test]
fn a_policy_that_changes_holds_for_what_is_shown() {
    let mut world = World::new();
    world.ttl = 5;
    let dwelling = |dwell_seconds| Policy { dwell_seconds, ..Policy::default() };
    world.offers = offers(template(HOME), dwelling(3600));
    world.hear(&probe_request(DEVICE, b""));
    world.run(milliseconds(20));
    // It may see it no more, but the BSS stays for the dwell time.
    let weak = Policy { min_rssi_dbm: -40, ..dwelling(3600) };
    world.offers = offers(template(HOME), weak);
    world.stay(seconds(30));
    assert!(world.is_shown(HOME));
    world.offers = offers(template(HOME), Policy { min_rssi_dbm: -40, ..dwelling(10) });
    world.stay(seconds(7));
    assert!(!world.is_shown(HOME), "which is over now");

    // Hidden from now on; devices stay.
    let mut world = connected();
    let hidden = Policy { hidden: true, suppress_rssi_dbm: -60, ..Policy::default() };
    world.offers = offers(template(HOME), hidden);
    world.stay(seconds(6));
    assert_eq!((world.updates().len(), world.air().len()), (1, 1));
    let octets = world.on_the_air();
    let body = Frame::parse(&octets).unwrap().body();
    assert_eq!(Beacon::parse(body).unwrap().elements.ssid().unwrap().unwrap().as_bytes(), b"");
    world.hear(&probe_request(OTHER, b""));
    world.hear_at(&probe_request(OTHER, b"network 1"), -61);
    assert_eq!(world.agent.counters().suppressed, 2, "for who is not named too");

    // A binding that is another now is the one that counts for who is not named.
    world.offers[0].binding = 777;
    world.stay(seconds(6));
    world.hear(&authentication(0, OTHER));
    assert_eq!(world.connects().last().unwrap().binding, 777);

    // And the weak are sent away.
    assert_eq!(world.agent.counters().kicked, 0);
    world.offers = offers(template(HOME), Policy { kick_rssi_dbm: -40, ..hidden });
    world.stay(seconds(6));
    assert_eq!(world.agent.counters().kicked, 1);
}

#[test]
fn what_is_offered_in_turn_does_not_go_to_and_fro() {
    // The other thing that is said, whether devices are there, changes within an hour at most.
    for (other, devices, most) in [
        (says("network 1", SHA256), true, 61),
        (says("home 1", &[Akm::Psk]), true, 7),
        (says("home 1", &[Akm::Psk]), false, 61),
    ] {
        let mut world = connected();
        if !devices {
            world.hear(&to_slot(0, ManagementSubtype::Deauthentication, DEVICE, &3u16.to_le_bytes()));
            world.run(SILENCE);
        }
        let (begin, asked) = (world.now, world.look_ups().len());
        for round in 0..720 {
            let said = if round % 2 == 0 { other.clone() } else { template(HOME) };
            world.offers = offers(said, Policy::default());
            if devices {
                let before = world.delivered.len();
                world.hear(&data(0, DEVICE));
                // Who was sent away comes back at once.
                if world.delivered.len() == before {
                    world.associate(0, DEVICE);
                }
            } else {
                world.hear(&probe_request(DEVICE, b""));
            }
            world.run(seconds(5));
        }
        assert!(world.look_ups().len() > asked + 600);
        let changed = world.agent.counters().changed;
        assert!((2..=most).contains(&changed), "{changed} changes, {most} at most");
        let times: Vec<_> = world.air().iter().map(|(when, ..)| *when).chain([begin]).collect();
        assert!(times.len() as u64 <= 2 + 2 * most);
        // In the end all say the same.
        world.offers = offers(other.clone(), Policy::default());
        for _ in 0..130 {
            world.hear(&data(0, DEVICE));
            world.run(seconds(5));
        }
        assert!(follows(&world.on_the_air(), &other));
    }
}

#[test]
fn who_is_nearer_does_not_matter_to_what_is_shown() {
    let mut world = shown(Policy::default());
    let hidden = Policy { hidden: true, ..Policy::default() };
    world.offers.push(offer(HOME, Some(OTHER), hidden));
    for round in 0..200 {
        let (near, far) = if round / 10 % 2 == 0 { (DEVICE, OTHER) } else { (OTHER, DEVICE) };
        world.hear_at(&probe_request(near, b""), -30);
        world.hear_at(&probe_request(far, b""), -80);
        world.run(seconds(1));
    }
    assert_eq!((world.updates(), world.air().len()), (vec![], 1));
    // It is gone, and the other's offer is what there is.
    for _ in 0..70 {
        world.hear(&probe_request(OTHER, b""));
        world.run(seconds(1));
    }
    assert_eq!(world.updates().len(), 1);
    assert!(world.agent.template(0).unwrap().hidden());
}

#[test]
fn a_radio_that_cannot_change_a_beacon_opens_the_bss_anew() {
    let mut world = connected();
    world.offers = offers(says("network 1", SHA256), Policy::default());
    world.stay(seconds(6));
    assert_eq!(world.updates().len(), 1);
    world.agent.update_failed(0, world.now);
    world.pump();
    let what: Vec<_> = world.air().iter().map(|(_, what, slot)| (*what, *slot)).collect();
    assert_eq!(what, [('o', 0), ('c', 0), ('o', 0)]);
    assert!(follows(&world.on_the_air(), &says("network 1", SHA256)));
    assert_eq!(world.injected(ManagementSubtype::Deauthentication).len(), 1);
    // Of a BSS that shows nothing, or that is none.
    world.agent.update_failed(1, world.now);
    world.agent.update_failed(9, world.now);
    world.pump();
    assert_eq!(world.air().len(), 3);
}
