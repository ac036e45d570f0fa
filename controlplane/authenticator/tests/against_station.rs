//! A station of ours against a simulated device, on virtual time and with air that does its worst.

mod common;

use std::time::Duration;

use authenticator::{Input, Limits, NamedPsk, Service, State, TerminateCause};
use common::world::{Fate, Faults, World, leave};
use common::{MAC, named};
use dot11::ReasonCode;
use dot11::rsn::{Akm, Pmk};
use proptest::prelude::*;
use station::supplicant::RepeatedM4;
use station::{Command, Profile};

const SSID: &str = "example";
const MSK: [u8; 64] = [0x42; 64];

/// The kinds of service there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Open,
    Psk(Akm),
    Eap(Akm),
}

const KINDS: [Kind; 5] = [
    Kind::Open,
    Kind::Psk(Akm::Psk),
    Kind::Psk(Akm::PskSha256),
    Kind::Eap(Akm::Ieee8021x),
    Kind::Eap(Akm::Ieee8021xSha256),
];

fn passphrases() -> Vec<NamedPsk> {
    vec![named("guests", "guests guests"), named("home", "correct horse"), named("staff", "staff staff")]
}

fn service(kind: Kind) -> Service {
    let service = match kind {
        Kind::Open => Service::open(SSID.as_bytes()),
        Kind::Psk(_) => Service::psk(SSID.as_bytes(), passphrases()),
        Kind::Eap(_) => Service::eap(SSID.as_bytes()),
    };
    // What a bad air makes of a right passphrase is not to be held against the device here.
    Service { limits: Limits { max_failures: 0, ..Limits::default() }, ..service }
}

fn profile(kind: Kind) -> Profile {
    match kind {
        Kind::Open => Profile::open(SSID).expect("a profile"),
        Kind::Psk(akm) => Profile::psk(SSID, "correct horse", akm).expect("a profile"),
        Kind::Eap(akm) => {
            // The world plays the EAP peer; the device has the PMK that comes of it.
            let mut profile = Profile::psk(SSID, "correct horse", akm).expect("a profile");
            profile.security = station::profile::Security::Psk(Pmk::from_msk(&MSK).expect("a PMK"));
            profile
        }
    }
}

fn world(kind: Kind) -> World {
    world_of(&service(kind), &profile(kind))
}

fn world_of(service: &Service, profile: &Profile) -> World {
    let mut world = World::new(service.clone(), profile.clone(), 1);
    world.msk = Some(MSK);
    world
}

/// Data goes both ways.
fn flows(world: &World, up: usize, down: usize) -> bool {
    world.is_online() && world.up > up && world.down > down
}

fn comes_online(world: &mut World, limit: Duration) -> bool {
    let (up, down) = (world.up, world.down);
    world.run_until(limit, |world| flows(world, up, down))
}

#[test]
fn devices_get_online_and_data_flows() {
    for kind in KINDS {
        let mut world = world(kind);
        world.command(Command::Connect);
        assert!(comes_online(&mut world, Duration::from_secs(1)), "{kind:?}");
        let info = world.station.info();
        assert_eq!(info.psk.as_deref(), matches!(kind, Kind::Psk(_)).then_some("home"));
        assert_eq!(info.identity.as_deref(), matches!(kind, Kind::Eap(_)).then_some(&b"alice"[..]));
        world.pass(Duration::from_secs(60));
        assert_eq!((world.sessions, world.opened), (1, 1));
        world.command(leave());
        world.pass(Duration::from_secs(1));
        assert_eq!(world.station.state(), State::Unauthenticated);
    }
}

#[test]
fn keys_are_replaced_under_traffic() {
    for kind in [Kind::Psk(Akm::Psk), Kind::Eap(Akm::Ieee8021xSha256)] {
        let mut world = world(kind);
        world.command(Command::Connect);
        assert!(comes_online(&mut world, Duration::from_secs(1)));
        for _ in 0..3 {
            world.input(Input::RekeyPairwise);
            world.pass(Duration::from_secs(2));
            world.command(Command::RequestRekey { pairwise: true });
            world.pass(Duration::from_secs(2));
            world.rekey_group();
            world.pass(Duration::from_secs(2));
            world.command(Command::RequestRekey { pairwise: false });
            world.pass(Duration::from_secs(2));
            world.restart();
        }
        assert_eq!((world.rekeyed, world.group_rekeyed), (6, 6));
        assert!(comes_online(&mut world, Duration::from_secs(1)));
        assert_eq!((world.sessions, world.opened), (1, 1));
        let counters = world.device.counters();
        assert_eq!((counters.mic_failures, counters.no_key, counters.replays), (0, 0, 0), "nothing was lost");
    }
}

#[test]
fn no_single_mishap_keeps_a_device_out() {
    for kind in KINDS {
        let (service, profile) = (service(kind), profile(kind));
        let mut world = world_of(&service, &profile);
        world.command(Command::Connect);
        assert!(comes_online(&mut world, Duration::from_secs(1)));
        let frames = world.frames();
        let late = [50, 150, 1500].map(|ms| Fate::Late(Duration::from_millis(ms)));
        let replayed = (1..20).map(|n| Fate::Replayed(Duration::from_millis(n * 2 + 1)));
        let corrupted = (0..1200).step_by(37).map(Fate::Corrupted);
        let fates: Vec<_> =
            [Fate::Lost, Fate::Twice].into_iter().chain(late).chain(replayed).chain(corrupted).collect();
        for number in 0..frames {
            for &fate in &fates {
                let mut world = world_of(&service, &profile);
                world.fate = Some((number, fate));
                world.command(Command::Connect);
                let online = comes_online(&mut world, Duration::from_secs(60));
                assert!(online, "{kind:?}: frame {number} of {frames} {fate:?}");
                // It stays so, or comes back, whatever is still on its way.
                world.pass(Duration::from_secs(10));
                assert!(comes_online(&mut world, Duration::from_secs(10)), "{kind:?}: {number} {fate:?}");
            }
        }
    }
}

#[test]
fn everything_ever_sent_may_be_sent_again() {
    for kind in KINDS {
        let mut world = world(kind);
        world.command(Command::Connect);
        assert!(comes_online(&mut world, Duration::from_secs(1)));
        if kind != Kind::Open {
            world.input(Input::RekeyPairwise);
            world.pass(Duration::from_secs(1));
            world.rekey_group();
            world.pass(Duration::from_secs(1));
        }
        for index in 0..world.frames() {
            world.replay(index, None);
            world.pass(Duration::from_millis(20));
        }
        assert!(comes_online(&mut world, Duration::from_secs(60)), "{kind:?}");
    }
}

#[test]
fn a_wrong_passphrase_never_opens_the_port_and_is_blocked() {
    let limits = Limits { max_failures: 3, ..Limits::default() };
    let service = Service { limits, ..service(Kind::Psk(Akm::Psk)) };
    let wrong = Profile::psk(SSID, "incorrect horse", Akm::Psk).expect("a profile");
    let mut world = World::new(service, wrong, 2);
    world.command(Command::Connect);
    assert!(world.run_until(Duration::from_secs(60), |world| world.failed == 3));
    let until = world.failures.blocked(world.now, MAC).expect("blocked");
    world.run_until(until - world.now, |_| false);
    assert_eq!(world.failed, 3, "it got no further while it was blocked");
    assert!(world.run_until(Duration::from_secs(60), |world| world.failed == 6));
    let again = world.failures.blocked(world.now, MAC).expect("blocked again");
    assert!(again - world.now > Duration::from_secs(110), "for longer");
    world.faults = Faults { loss: 10, duplication: 20, reordering: 20, corruption: 5 };
    world.pass(Duration::from_secs(3600));
    assert_eq!((world.opened, world.sessions), (0, 0));
}

#[test]
fn radius_says_no() {
    let mut world = world(Kind::Eap(Akm::Ieee8021x));
    world.msk = None;
    world.command(Command::Connect);
    world.pass(Duration::from_secs(60));
    assert!(world.failed > 3);
    assert_eq!((world.opened, world.sessions), (0, 0));
}

/// What may happen, in any order.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Faults(Faults),
    Connect,
    Roam,
    Leave,
    DeviceRekey(bool),
    RekeyPairwise,
    RekeyGroup,
    Disconnect,
    Reauthenticate,
    LoseGateway,
    Restart,
    Replay(usize, Option<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u64..3000).prop_map(Step::Pass),
        3 => (0_u8..40, 0_u8..30, 0_u8..40, 0_u8..10).prop_map(|(loss, duplication, reordering, corruption)| {
            Step::Faults(Faults { loss, duplication, reordering, corruption })
        }),
        2 => Just(Step::Connect),
        1 => Just(Step::Roam),
        1 => Just(Step::Leave),
        2 => any::<bool>().prop_map(Step::DeviceRekey),
        2 => Just(Step::RekeyPairwise),
        2 => Just(Step::RekeyGroup),
        1 => Just(Step::Disconnect),
        1 => Just(Step::Reauthenticate),
        1 => Just(Step::LoseGateway),
        2 => Just(Step::Restart),
        6 => (any::<usize>(), proptest::option::weighted(0.3, any::<usize>()))
            .prop_map(|(index, bit)| Step::Replay(index, bit)),
    ]
}

fn take(world: &mut World, step: &Step) {
    match step {
        Step::Pass(millis) => world.pass(Duration::from_millis(*millis)),
        Step::Faults(faults) => world.faults = *faults,
        Step::Connect => world.command(Command::Connect),
        Step::Roam => world.command(Command::Roam(None)),
        Step::Leave => world.command(leave()),
        Step::DeviceRekey(pairwise) => world.command(Command::RequestRekey { pairwise: *pairwise }),
        Step::RekeyPairwise => world.input(Input::RekeyPairwise),
        Step::RekeyGroup => world.rekey_group(),
        Step::Disconnect => world
            .input(Input::Disconnect { reason: ReasonCode::UNSPECIFIED, cause: TerminateCause::AdminReset }),
        Step::Reauthenticate => world.input(Input::Reauthenticate),
        Step::LoseGateway => world.lose_gateway(),
        Step::Restart => world.restart(),
        Step::Replay(index, bit) => world.replay(*index, *bit),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The invariants are asserted at every step, by the world. In the end, with an air that is merely bad, the device
    /// gets online and data flows.
    #[test]
    fn whatever_happens_the_invariants_hold_and_the_device_gets_online(
        kind in prop::sample::select(&KINDS[..]),
        seed in any::<u64>(),
        encrypted_m4 in any::<bool>(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let repeated_m4 = if encrypted_m4 { RepeatedM4::Encrypted } else { RepeatedM4::AsAsked };
        let profile = Profile { repeated_m4, ..profile(kind) };
        let mut world = World::new(service(kind), profile, seed);
        world.msk = Some(MSK);
        world.command(Command::Connect);
        for step in &steps {
            take(&mut world, step);
        }
        world.faults = Faults { loss: 10, ..Faults::default() };
        world.command(Command::Connect);
        prop_assert!(comes_online(&mut world, Duration::from_secs(600)), "{:?}", world.station.state());
        world.input(Input::Disconnect { reason: ReasonCode::UNSPECIFIED, cause: TerminateCause::AdminReset });
        prop_assert!(world.station.info().session.is_none());
        prop_assert_eq!(world.station.state(), State::Unauthenticated);
    }
}
