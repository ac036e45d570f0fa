//! Pushes: delivered once, repeated until they are acknowledged, bounded.

use std::time::Duration;

use proto::matchmaking::datagram::kind;
use proto::matchmaking::messages::{Introduction, Refusals, Withdrawal, push};
use proto::matchmaking::peer::Output;
use proto::matchmaking::server::*;

use crate::world::*;

const SECOND: Duration = Duration::from_secs(1);

fn withdrawal(n: u8) -> push::Push {
    push::Push::Withdrawal(Withdrawal { bssid: vec![n; 6], client: vec![] })
}

/// An instance that asked something and is kept.
fn kept(seed: u64) -> World {
    let mut world = World::new(seed, 1, 1);
    world.keep = true;
    world.ask(0, release(1));
    world.run(SECOND);
    assert_eq!(world.answers(0).len(), 1);
    world.sent.clear();
    world
}

fn push(world: &mut World, push: push::Push) -> Result<u32, PushError> {
    let now = UNIX + world.now;
    let peer = peer_config(10).secret.public();
    world.server(0).push(&peer, push, now)
}

fn pushed(world: &World) -> Vec<push::Push> {
    let pushed = world.outputs.iter().filter_map(|(_, output)| match output {
        Output::Pushed(push) => Some(push.clone()),
        _ => None,
    });
    pushed.collect()
}

#[test]
fn pushes_are_acknowledged_together() {
    let mut world = kept(1);
    let first = push(&mut world, withdrawal(0)).unwrap();
    for n in 1..20 {
        assert_eq!(push(&mut world, withdrawal(n)), Ok(first.wrapping_add(n.into())));
    }
    world.run(SECOND / 4);
    assert_eq!(pushed(&world), (0..20).map(withdrawal).collect::<Vec<_>>());
    assert_eq!((world.count(kind::PUSH), world.count(kind::REQUEST), world.count(kind::ANSWER)), (20, 1, 1));
    let counters = *world.server(0).counters();
    assert_eq!((counters.pushes, counters.pushes_sent, counters.pushes_acknowledged), (20, 20, 20));
    assert_eq!(
        (counters.requests, world.server(0).deadline()),
        (1, None),
        "an acknowledgement is the server's own"
    );
    assert_eq!(world.answers(0).len(), 1);
}

#[test]
fn pushes_get_through_bad_networks_once() {
    for seed in 0..30 {
        let mut world = kept(seed);
        world.weather = Weather { loss: 30, duplicates: 30, corruption: 5, jitter: 300 };
        for n in 0..40 {
            push(&mut world, withdrawal(n)).unwrap();
            world.run(SECOND / 10);
        }
        world.run(60 * SECOND);
        let mut got: Vec<u8> = pushed(&world)
            .iter()
            .map(|push| match push {
                push::Push::Withdrawal(withdrawal) => withdrawal.bssid[0],
                other => panic!("{other:?}"),
            })
            .collect();
        got.sort_unstable();
        assert_eq!(got, (0..40).collect::<Vec<_>>(), "seed {seed}");
        assert_eq!((world.server(0).deadline(), world.gave_up.len()), (None, 0), "seed {seed}");
    }
}

#[test]
fn pushes_follow_their_peer() {
    let mut world = kept(3);
    // To another address, and under another ticket.
    world.peers[0].0 = peer_address(60);
    world.ask(0, release(2));
    world.run(SECOND);
    push(&mut world, withdrawal(1)).unwrap();
    world.run(SECOND);
    assert_eq!(pushed(&world).len(), 1);
    // The peer has a new ticket that the matchmaker has not seen used: the old one's key still opens.
    world.run(2710 * SECOND);
    assert_eq!(world.count(kind::RESPONSE), 1);
    push(&mut world, withdrawal(2)).unwrap();
    world.run(SECOND);
    assert_eq!(pushed(&world).len(), 2);
    // Its acknowledgement was under the new one.
    push(&mut world, withdrawal(3)).unwrap();
    world.run(SECOND);
    assert_eq!(pushed(&world).len(), 3);
    assert_eq!(world.server(0).counters().pushes_sent, 3);
}

#[test]
fn a_matchmaker_that_was_started_again_pushes_under_other_ids() {
    let mut world = kept(4);
    let before = push(&mut world, withdrawal(1)).unwrap();
    world.run(SECOND);
    *world.server(0) = server(config(small()), UNIX + world.now, &mut Dice(5));
    assert_eq!(push(&mut world, withdrawal(2)), Err(PushError::NotKept));
    world.ask(0, release(2));
    world.run(SECOND);
    assert_ne!(push(&mut world, withdrawal(2)).unwrap(), before);
    world.run(SECOND);
    assert_eq!(pushed(&world), [withdrawal(1), withdrawal(2)]);
}

#[test]
fn pushes_are_bounded_and_given_up() {
    let mut world = World::new(5, 1, 0);
    let limits = Limits { waiting: 3, kept: 1, ..small() };
    *world.server(0) = server(config(limits), UNIX, &mut Dice(1));
    world.keep = true;
    world.add_peer(peer_config(10), 0);
    world.ask(0, release(1));
    world.run(SECOND);
    world.keep = false;
    world.add_peer(peer_config(11), 1);
    world.ask(1, release(1));
    world.run(SECOND);
    let other = world.last.take().unwrap();
    assert!(!world.server(0).keep(&other, &mut |out| out.fill(0)), "one is kept already");

    let long = push::Push::Refusals(Refusals { clients: vec![vec![1; 6]; 200], seconds: 1 });
    assert_eq!(push(&mut world, long), Err(PushError::TooLong));
    world.weather.loss = 100;
    let ids: Vec<u32> = (0..3).map(|n| push(&mut world, withdrawal(n)).unwrap()).collect();
    assert_eq!(push(&mut world, withdrawal(3)), Err(PushError::Full));
    world.sent.clear();
    world.run(120 * SECOND);
    assert_eq!((world.count(kind::PUSH), world.gave_up.clone()), (30, ids));
    // Let go, nothing waits any more.
    push(&mut world, withdrawal(4)).unwrap();
    world.server(0).let_go(&peer_config(10).secret.public());
    assert_eq!(world.server(0).deadline(), None);
    assert_eq!(push(&mut world, withdrawal(4)), Err(PushError::NotKept));
    assert!(world.server(0).keep(&other, &mut |out| out.fill(0)));
}

#[test]
fn a_malformed_push_is_not_repeated_for_ever() {
    let mut world = kept(6);
    push(&mut world, push::Push::Introduction(Introduction::default())).unwrap();
    world.run(SECOND);
    assert_eq!((pushed(&world).len(), world.server(0).counters().pushes_acknowledged), (0, 1));
}
