//! Every field of a policy at its boundary, the order of reasons, how policies combine, and what people read.

use std::time::Duration;

use visibility::{
    Band, Device, Dwell, Facts, MAX_OVERLOAD, Policy, Probe, Reason, Stay, Verdict, Wait, decide,
    demanded_under_overload, dwell, probe, stay,
};

const NONE: Policy = Policy {
    min_rssi_dbm: None,
    min_up_kbps: None,
    min_down_kbps: None,
    delay: None,
    max_mobility: None,
    steer_delay: None,
    dwell: None,
    kick_rssi_dbm: None,
    suppress_rssi_dbm: None,
    max_clients: None,
    hidden: None,
    yields_to_home: None,
};
const DEVICE: Device = Device {
    rssi_dbm: Some(-72),
    near_since: Duration::from_secs(100),
    can_other_band: true,
    mobility: 3,
    home_heard: true,
};
const FACTS: Facts = Facts {
    now: Duration::from_secs(102),
    band: Band::Ghz2_4,
    spare_up_kbps: Some(500),
    spare_down_kbps: Some(1000),
    clients: 2,
    device: Some(DEVICE),
};

fn of(device: Device) -> Facts {
    Facts { device: Some(device), ..FACTS }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn later(at: u64, demanded: u64, steering: bool) -> Verdict {
    Verdict::Later(seconds(at), Wait { near: seconds(2), demanded: seconds(demanded), steering })
}

#[test]
fn each_condition_holds_up_to_its_boundary() {
    let no_signal = of(Device { rssi_dbm: None, ..DEVICE });
    let unknown = Facts { spare_up_kbps: None, spare_down_kbps: None, ..FACTS };
    let away = of(Device { home_heard: false, ..DEVICE });
    let one_band = of(Device { can_other_band: false, ..DEVICE });
    let at_5 = Facts { band: Band::Ghz5, ..FACTS };
    let nobody = Facts { device: None, ..FACTS };
    let (show, no) = (Verdict::Show, Verdict::No);
    let table: &[(Policy, Facts, Verdict)] = &[
        (NONE, FACTS, show),
        (NONE, no_signal, show),
        (NONE, unknown, show),
        (Policy { min_rssi_dbm: Some(-72), ..NONE }, FACTS, show),
        (Policy { min_rssi_dbm: Some(-71), ..NONE }, FACTS, no(Reason::Signal(-72, -71))),
        (Policy { min_rssi_dbm: Some(-71), ..NONE }, no_signal, no(Reason::SignalUnknown(-71))),
        (Policy { min_rssi_dbm: Some(0), ..NONE }, no_signal, show),
        (Policy { min_up_kbps: Some(500), ..NONE }, FACTS, show),
        (Policy { min_up_kbps: Some(501), ..NONE }, FACTS, no(Reason::Up(500, 501))),
        (Policy { min_up_kbps: Some(1), ..NONE }, unknown, no(Reason::UpUnknown(1))),
        (Policy { min_up_kbps: Some(0), ..NONE }, unknown, show),
        (Policy { min_down_kbps: Some(1000), ..NONE }, FACTS, show),
        (Policy { min_down_kbps: Some(1001), ..NONE }, FACTS, no(Reason::Down(1000, 1001))),
        (Policy { min_down_kbps: Some(1), ..NONE }, unknown, no(Reason::DownUnknown(1))),
        (Policy { delay: Some(seconds(2)), ..NONE }, FACTS, show),
        (Policy { delay: Some(seconds(3)), ..NONE }, FACTS, later(103, 3, false)),
        (Policy { max_mobility: Some(3), ..NONE }, FACTS, show),
        (Policy { max_mobility: Some(2), ..NONE }, FACTS, no(Reason::Mobility(3, 2))),
        (Policy { max_mobility: Some(0), ..NONE }, FACTS, show),
        (Policy { steer_delay: Some(seconds(2)), ..NONE }, FACTS, show),
        (Policy { steer_delay: Some(seconds(5)), ..NONE }, FACTS, later(105, 5, true)),
        (Policy { steer_delay: Some(seconds(5)), ..NONE }, one_band, show),
        (Policy { steer_delay: Some(seconds(5)), ..NONE }, at_5, show),
        (
            Policy { delay: Some(seconds(1)), steer_delay: Some(seconds(5)), ..NONE },
            FACTS,
            later(106, 6, true),
        ),
        (Policy { max_clients: Some(3), ..NONE }, FACTS, show),
        (Policy { max_clients: Some(2), ..NONE }, FACTS, no(Reason::Clients(2, 2))),
        (Policy { max_clients: Some(0), ..NONE }, FACTS, show),
        (Policy { yields_to_home: Some(true), ..NONE }, FACTS, no(Reason::Home)),
        (Policy { yields_to_home: Some(true), ..NONE }, away, show),
        (Policy { yields_to_home: Some(false), ..NONE }, FACTS, show),
        // What has to do with other moments than showing.
        (
            Policy {
                kick_rssi_dbm: Some(-1),
                suppress_rssi_dbm: Some(-1),
                dwell: Some(seconds(9)),
                hidden: Some(true),
                ..NONE
            },
            FACTS,
            show,
        ),
        // Nobody is heard: the radio's conditions hold, the device's are not asked.
        (
            Policy { min_rssi_dbm: Some(-1), max_mobility: Some(1), delay: Some(seconds(9)), ..NONE },
            nobody,
            show,
        ),
        (Policy { min_up_kbps: Some(501), ..NONE }, nobody, no(Reason::Up(500, 501))),
        (Policy { max_clients: Some(1), ..NONE }, nobody, no(Reason::Clients(2, 1))),
    ];
    for (policy, facts, verdict) in table {
        assert_eq!(decide(policy, facts), *verdict, "{policy:?} {facts:?}");
    }
}

#[test]
fn reasons_are_given_in_a_fixed_order() {
    let mut policy = Policy {
        min_rssi_dbm: Some(-60),
        min_up_kbps: Some(501),
        min_down_kbps: Some(1001),
        delay: Some(seconds(9)),
        max_mobility: Some(1),
        max_clients: Some(1),
        yields_to_home: Some(true),
        ..NONE
    };
    let mut reasons = Vec::new();
    while let Verdict::No(reason) = decide(&policy, &FACTS) {
        reasons.push(reason);
        match reason {
            Reason::Home => policy.yields_to_home = None,
            Reason::Clients(..) => policy.max_clients = None,
            Reason::Signal(..) => policy.min_rssi_dbm = None,
            Reason::Mobility(..) => policy.max_mobility = None,
            Reason::Up(..) => policy.min_up_kbps = None,
            Reason::Down(..) => policy.min_down_kbps = None,
            other => panic!("{other}"),
        }
    }
    let expected = [
        Reason::Home,
        Reason::Clients(2, 1),
        Reason::Signal(-72, -60),
        Reason::Mobility(3, 1),
        Reason::Up(500, 501),
        Reason::Down(1000, 1001),
    ];
    assert_eq!(reasons, expected);
    assert_eq!(decide(&policy, &FACTS), later(109, 9, false));
}

#[test]
fn connected_devices_go_when_their_signal_or_their_own_network_says_so() {
    let kick = Policy { kick_rssi_dbm: Some(-72), min_rssi_dbm: Some(-50), max_clients: Some(1), ..NONE };
    assert_eq!(stay(&kick, &DEVICE), Stay::Stay);
    let weak = Device { rssi_dbm: Some(-73), ..DEVICE };
    assert_eq!(stay(&kick, &weak), Stay::Kick(Reason::Signal(-73, -72)));
    assert_eq!(stay(&kick, &Device { rssi_dbm: None, ..DEVICE }), Stay::Stay);
    assert_eq!(stay(&Policy { kick_rssi_dbm: Some(0), ..NONE }, &weak), Stay::Stay);
    let yields = Policy { yields_to_home: Some(true), ..NONE };
    assert_eq!(stay(&yields, &DEVICE), Stay::Kick(Reason::Home));
    assert_eq!(stay(&yields, &Device { home_heard: false, ..DEVICE }), Stay::Stay);
}

#[test]
fn probe_requests_are_suppressed_when_weak_or_when_the_network_is_hidden() {
    let policy = Policy { suppress_rssi_dbm: Some(-80), ..NONE };
    assert_eq!(probe(&policy, Some(-80), false), Probe::Answer);
    assert_eq!(probe(&policy, Some(-81), true), Probe::Suppress(Reason::Signal(-81, -80)));
    assert_eq!(probe(&policy, None, false), Probe::Answer);
    let hidden = Policy { hidden: Some(true), ..policy };
    assert_eq!(probe(&hidden, Some(-40), false), Probe::Suppress(Reason::Hidden));
    assert_eq!(probe(&hidden, Some(-40), true), Probe::Answer);
    assert_eq!(probe(&Policy { hidden: Some(false), ..NONE }, Some(-40), false), Probe::Answer);
}

#[test]
fn what_is_shown_stays_for_a_while() {
    let policy = Policy { dwell: Some(seconds(30)), ..NONE };
    assert_eq!(dwell(&policy, seconds(10), seconds(39)), Dwell::Until(seconds(40)));
    assert_eq!(dwell(&policy, seconds(10), seconds(40)), Dwell::Over);
    assert_eq!(dwell(&NONE, seconds(10), seconds(10)), Dwell::Over);
}

#[test]
fn bindings_override_field_by_field_and_overload_only_raises_the_signal() {
    let service = Policy { min_rssi_dbm: Some(-70), delay: Some(seconds(1)), hidden: Some(true), ..NONE };
    let binding = Policy { delay: Some(seconds(0)), max_clients: Some(4), ..NONE };
    let merged = service.overridden_by(&binding);
    assert_eq!(merged, Policy { delay: Some(seconds(0)), max_clients: Some(4), ..service });
    assert_eq!(service.overridden_by(&NONE), service);
    assert_eq!(NONE.overridden_by(&service), service);
    let full = Policy {
        min_rssi_dbm: Some(-1),
        min_up_kbps: Some(2),
        min_down_kbps: Some(3),
        delay: Some(seconds(4)),
        max_mobility: Some(5),
        steer_delay: Some(seconds(6)),
        dwell: Some(seconds(7)),
        kick_rssi_dbm: Some(-8),
        suppress_rssi_dbm: Some(-9),
        max_clients: Some(10),
        hidden: Some(false),
        yields_to_home: Some(false),
    };
    assert_eq!(service.overridden_by(&full), full);
    for (own, level, demanded) in [
        (None, 0, None),
        (None, 1, Some(-80)),
        (Some(0), 1, Some(-80)),
        (Some(-70), 0, Some(-70)),
        (Some(-70), 3, Some(-70)),
        (Some(-70), 4, Some(-65)),
        (None, MAX_OVERLOAD, Some(-45)),
        (None, 255, Some(-45)),
    ] {
        let merged = Policy::merge(&Policy { min_rssi_dbm: own, ..service }, &binding, level);
        assert_eq!(merged.min_rssi_dbm, demanded, "{own:?} {level}");
        assert_eq!(merged.max_clients, Some(4));
    }
    let steps: Vec<_> = (1..=MAX_OVERLOAD).filter_map(demanded_under_overload).collect();
    assert_eq!(steps, [-80, -75, -70, -65, -60, -55, -50, -45]);
}

#[test]
fn people_can_read_verdicts() {
    let weak = Policy { min_rssi_dbm: Some(-72), ..NONE };
    let facts = of(Device { rssi_dbm: Some(-78), ..DEVICE });
    assert_eq!(decide(&weak, &facts).to_string(), "not shown because −78 dBm < −72 dBm");
    assert_eq!(
        decide(&weak, &facts).because(12).to_string(),
        "binding 12, not shown because −78 dBm < −72 dBm"
    );
    assert_eq!(decide(&weak, &FACTS).because(12).to_string(), "shown because binding 12");
    let slow = Policy { steer_delay: Some(seconds(5)), ..NONE };
    assert_eq!(
        decide(&slow, &FACTS).to_string(),
        "not yet shown because near for 2000 ms < 5000 ms (the device can do another band)"
    );
    let texts = [
        (Reason::Home, "the client's own network is near"),
        (Reason::Clients(2, 2), "2 clients ≥ 2"),
        (Reason::SignalUnknown(-70), "signal unknown, demanded −70 dBm"),
        (Reason::Mobility(3, 2), "3 radios in 10 minutes > 2"),
        (Reason::Up(1, 2), "1 kbit/s up < 2 kbit/s"),
        (Reason::UpUnknown(2), "capacity up unknown, demanded 2 kbit/s"),
        (Reason::Down(1, 2), "1 kbit/s down < 2 kbit/s"),
        (Reason::DownUnknown(2), "capacity down unknown, demanded 2 kbit/s"),
    ];
    for (reason, text) in texts {
        assert_eq!(reason.to_string(), text);
    }
    assert_eq!(Stay::Kick(Reason::Signal(-90, -85)).to_string(), "sent away because −90 dBm < −85 dBm");
    assert!(Probe::Suppress(Reason::Hidden).to_string().starts_with("not answered because the network"));
}
