//! Registrations whose service was changed elsewhere before the desk heard of it.

use std::sync::LazyLock;

use dot11::element::Ssid;
use matchmaker::objects::{KeyId, Owner, Security, Service};
use visibility::Policy;

use super::{
    world::{HOME, World, register},
    *,
};

/// A gateway of this process describes the service.
fn describe(world: &mut World, ssid: &str) {
    static CONNECTION: LazyLock<Connection> = LazyLock::new(Connection::next);
    let local = Local { connection: *CONNECTION, id: 1 };
    world.desk.local(local, request(ssid), world.now);
}

fn request(ssid: &str) -> Request {
    match register(HOME, 1) {
        Request::RegisterService(said) => {
            Request::RegisterService(pb::RegisterService { ssid: ssid.into(), ..said })
        }
        other => panic!("{other:?}"),
    }
}

/// What the store is asked next; nothing else is done.
fn asked(world: &mut World) -> (u64, Vec<Draft>) {
    match done(world).as_slice() {
        [Output::Commit { number, drafts }] => (*number, drafts.clone()),
        other => panic!("{other:?}"),
    }
}

/// What is done, by a store that does nothing.
fn done(world: &mut World) -> Vec<Output> {
    std::iter::from_fn(|| world.desk.poll_output()).collect()
}

/// The store has come to this version, and the service is not as it was said to be.
fn refuse(world: &mut World, number: u64, version: Version) {
    let why = NotDurable { text: "it has changed".into(), changed: Some(version), fault: Fault::Others };
    world.desk.committed(number, Err(why), world.now);
    world.desk.plan_again(world.now);
}

/// A commit of another process is heard of.
fn hear(world: &mut World, version: Version, change: Change) {
    world.desk.step(version, &[change]);
    world.desk.plan_again(world.now);
}

fn known(world: &World) -> Service {
    world.desk.matchmaker.service(HOME).unwrap().clone()
}

fn ssid(text: &str) -> Ssid {
    Ssid::parse(text.as_bytes()).unwrap()
}

/// It is on record, and its gateway describes it otherwise.
fn renamed() -> World {
    let mut world = World::new();
    let service = Service {
        uuid: HOME,
        owner: Owner::Key(KeyId::OWN),
        ssid: ssid("old"),
        security: Security::Open,
        capture_url: String::new(),
        template: Vec::new(),
        policy: Policy::default(),
    };
    hear(&mut world, 1, Change::PutService(service));
    describe(&mut world, "new");
    world
}

#[test]
fn what_an_operator_changed_elsewhere_is_kept_once_it_is_heard_of() {
    let mut world = renamed();
    let old = known(&world);
    let (number, drafts) = asked(&mut world);
    let (seen, wanted) = (Change::PutService(old.clone()), Service { ssid: ssid("new"), ..old.clone() });
    assert_eq!(drafts, [Draft::change_if(Some(seen), Change::PutService(wanted))]);
    refuse(&mut world, number, 3);
    hear(&mut world, 2, put(1));
    // What is said again meanwhile is not planned from what is known to be old.
    describe(&mut world, "new");
    assert!(done(&mut world).is_empty(), "it is behind");
    let policy = Policy { min_rssi_dbm: Some(-60), ..old.policy };
    let theirs = Change::PutService(Service { policy, ..old.clone() });
    hear(&mut world, 3, theirs.clone());
    let (number, drafts) = asked(&mut world);
    let wanted = Service { policy, ssid: ssid("new"), ..old };
    let put = Change::PutService(wanted.clone());
    assert_eq!(drafts, [Draft::change_if(Some(theirs), put.clone())]);
    let outcomes = vec![Outcome { change: put, made: true }];
    world.desk.committed(number, Ok(Committed { version: 4, outcomes }), world.now);
    assert_eq!(known(&world), wanted);
    let done = done(&mut world);
    assert!(matches!(&done[..], [Output::Answer { answer: Answer::Registered(_), .. }]), "{done:?}");
    assert_eq!(world.desk.counters.conflicts, 1);
}

#[test]
fn one_that_somebody_else_made_first_is_theirs() {
    let mut world = World::new();
    describe(&mut world, "home");
    let (number, drafts) = asked(&mut world);
    assert!(matches!(&drafts[..], [Draft::ChangeIf { seen: None, .. }]), "{drafts:?}");
    refuse(&mut world, number, 1);
    let mut other = renamed();
    asked(&mut other);
    let theirs = Service { owner: Owner::Key(KeyId([9; 16])), ..known(&other) };
    hear(&mut world, 1, Change::PutService(theirs));
    let done = done(&mut world);
    let [Output::Answer { answer: Answer::Failure(failure), .. }] = &done[..] else { panic!("{done:?}") };
    assert_eq!(failure.reason(), Reason::NotYours);
}

#[test]
fn who_is_behind_for_long_is_told() {
    let mut world = renamed();
    let (number, _) = asked(&mut world);
    refuse(&mut world, number, 9);
    let (reply, mut answer) = oneshot::channel();
    world.desk.administer(vec![Draft::Change(put(1))], reply);
    let (number, _) = asked(&mut world);
    refuse(&mut world, number, 9);
    world.desk.tick(world.now + Duration::from_secs(9));
    assert!(done(&mut world).is_empty() && answer.try_recv().is_err());
    world.desk.tick(world.now + Duration::from_secs(10));
    let why = answer.try_recv().unwrap().unwrap_err();
    assert!(why.changed.is_none() && why.text.contains("has not heard how"), "{why:?}");
    let done = done(&mut world);
    let [Output::Answer { answer: Answer::Failure(failure), .. }] = &done[..] else { panic!("{done:?}") };
    assert_eq!((failure.reason(), failure.retry_seconds, &failure.text), (Reason::Rate, 5, &why.text));
}

#[test]
fn who_always_comes_too_late_asks_again_later() {
    let mut world = renamed();
    for _ in 0..5 {
        let (number, _) = asked(&mut world);
        refuse(&mut world, number, 1);
    }
    let done = done(&mut world);
    let [Output::Answer { answer: Answer::Failure(failure), .. }] = &done[..] else { panic!("{done:?}") };
    assert_eq!((failure.reason(), failure.retry_seconds), (Reason::Rate, 5));
    assert_eq!(world.desk.counters.conflicts, 5);
}

#[test]
fn who_loaded_everything_anew_waits_for_no_version_of_another_history() {
    let mut world = renamed();
    let (number, _) = asked(&mut world);
    refuse(&mut world, number, 100);
    world.desk.loaded(0);
    world.desk.plan_again(world.now);
    assert!(done(&mut world).is_empty(), "only a part is there");
    world.desk.loaded(7);
    world.desk.plan_again(world.now);
    asked(&mut world);
}
