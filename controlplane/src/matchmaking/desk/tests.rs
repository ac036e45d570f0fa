//! Commits as they are acknowledged and as they are followed, in the orders that several processes bring about.

mod conflicts;
mod peers;
mod restarts;
mod sharing;
mod world;

use dot11::MacAddr;
use matchmaker::{
    Change, Settings,
    objects::{NewBinding, Origin, Pattern},
    scope::AccountRef,
};
use records::{Committed, Outcome};
use tokio::sync::oneshot;

use super::*;
use crate::matchmaking::{
    keys,
    run::{Fault, NotDurable},
};

fn desk() -> Desk {
    let state = tempfile::tempdir().unwrap();
    let keys = keys::load_or_make(&state.path().join("matchmaker.key")).unwrap();
    let config = server::Config {
        secret: keys.secret,
        tickets: server::TicketKeys::new(&keys.ticket, None),
        ticket_lifetime: Duration::from_secs(60),
        epoch: 1,
        limits: server::Limits::default(),
    };
    Desk::new(config, Settings::default(), None, Duration::ZERO)
}

fn put(id: u64) -> Change {
    let binding = NewBinding {
        service: matchmaker::Uuid::from_u128(1),
        client: Pattern::Exactly(MacAddr([2, 0, 0, 0, 0, id as u8])),
        radio: Pattern::Any,
        policy: Default::default(),
        origin: Origin::Administrator,
    };
    Change::PutBinding { account: None, binding: binding.with_id(id) }
}

fn delete(id: u64) -> Change {
    Change::DeleteBinding { account: None, id }
}

/// The store acknowledges a commit with this change.
fn acknowledge(desk: &mut Desk, version: Version, change: Change, made: bool) {
    desk.administer(vec![Draft::Change(change.clone())], oneshot::channel().0);
    let Some(Output::Commit { number, .. }) = desk.poll_output() else {
        panic!("nothing is to be committed")
    };
    let committed = Committed { version, outcomes: vec![Outcome { change, made }] };
    desk.committed(number, Ok(committed), Duration::ZERO);
}

fn there(desk: &Desk) -> Vec<u64> {
    let has = |id: &u64| desk.matchmaker.bindings().get(AccountRef::POOL, *id).is_some();
    (1..10).filter(has).collect()
}

#[test]
fn what_is_followed_before_its_acknowledgement_is_not_undone_by_it() {
    let mut desk = desk();
    desk.step(1, &[put(1)]);
    desk.step(2, &[delete(1)]);
    acknowledge(&mut desk, 1, put(1), true);
    assert_eq!(there(&desk), [0; 0]);
}

#[test]
fn a_commit_that_made_no_difference_hides_nobody_elses() {
    let mut desk = desk();
    desk.step(1, &[put(1)]);
    // Version 2 is of another process, and has not come yet.
    acknowledge(&mut desk, 2, put(1), false);
    desk.step(2, &[put(2), delete(1)]);
    assert_eq!(there(&desk), [2]);
}

#[test]
fn what_is_acknowledged_ahead_of_others_is_there_at_once_and_in_the_end() {
    let mut desk = desk();
    acknowledge(&mut desk, 1, put(1), true);
    acknowledge(&mut desk, 3, put(3), true);
    assert_eq!(there(&desk), [1, 3]);
    desk.step(2, &[put(2)]);
    desk.step(3, &[put(3)]);
    desk.step(4, &[delete(1)]);
    assert_eq!(there(&desk), [2, 3]);
}

/// A radio drops an answer with more than four, and the device would never come in.
#[test]
fn of_an_instance_with_many_endpoints_a_radio_is_told_as_many_as_it_takes() {
    use world::*;
    let mut world = World::new();
    let (mut radio, mut gateway) = (world.client(), world.client());
    let Request::RegisterService(said) = register(HOME, 1) else { panic!() };
    let endpoints = (1..=4).map(|n| format!("192.0.2.{n}:5247")).collect();
    let said = pb::RegisterService { endpoints, ..said };
    assert!(matches!(world.ask(&mut gateway, Request::RegisterService(said)), Answer::Registered(_)));
    world.radio(&mut radio, RADIO);
    world.bind(None, HOME, None);
    let Answer::Connected(connected) = world.ask(&mut radio, connect(PHONE, HOME)) else { panic!() };
    let seen = gateway.at.to_string();
    assert_eq!(connected.endpoints, [&seen, "192.0.2.1:5247", "192.0.2.2:5247", "192.0.2.3:5247"]);
}
