//! A radio is started again: what it had is gone, and whoever counts on it hears of that.

use super::{world::*, *};

#[test]
fn what_a_radio_had_before_it_was_started_again_is_withdrawn_when_it_registers() {
    let mut world = World::new();
    world.desk.begin_sharing();
    let (mut radio, mut gateway) = (world.client(), world.client());
    world.radio(&mut radio, RADIO);
    world.instance(&mut gateway, HOME, 1);
    world.bind(None, HOME, None);
    let connected = |world: &mut World, radio: &mut Client| match world.ask(radio, connect(PHONE, HOME)) {
        Answer::Connected(connected) => connected.key,
        other => panic!("{other:?}"),
    };
    let before = connected(&mut world, &mut radio);
    // It registers from time to time.
    world.radio(&mut radio, RADIO);
    world.deliver(&mut gateway);
    assert_eq!((gateway.introductions(), gateway.withdrawals()), (1, Vec::<Vec<u8>>::new()));
    world.kept.clear();

    let mut radio = world.restarted(radio);
    world.radio(&mut radio, RADIO);
    world.deliver(&mut gateway);
    assert_eq!(gateway.withdrawals(), [BSSID.0.to_vec()]);
    let told = |output: &Output| matches!(output, Output::Share(Share::Released { radio, bssid }) if (*radio, *bssid) == (RADIO, BSSID));
    assert!(world.kept.iter().any(told), "other processes hear of it: {:?}", world.kept);
    // Under the same session it is another tunnel, with a key that nobody knows from before; and that one stays.
    assert_ne!(connected(&mut world, &mut radio), before);
    world.radio(&mut radio, RADIO);
    world.deliver(&mut gateway);
    assert_eq!((gateway.introductions(), gateway.withdrawals().len()), (2, 1));
}

/// Of an instance it is no reason to release anything: its gateway may have outlived its control, and devices go on.
#[test]
fn an_instance_that_was_started_again_keeps_its_tunnels() {
    let (mut world, _radio, gateway) = World::introduced();
    let tunnel = world.desk.matchmaker.shared_tunnel(BSSID);
    assert!(tunnel.is_some());
    let mut gateway = world.restarted(gateway);
    world.instance(&mut gateway, HOME, 1);
    world.deliver(&mut gateway);
    assert_eq!((gateway.withdrawals().len(), world.desk.matchmaker.shared_tunnel(BSSID)), (0, tunnel));
}
