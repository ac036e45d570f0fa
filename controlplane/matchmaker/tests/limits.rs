//! Whose things are, how many there may be, how much may be asked, and who is refused where.

mod common;

use common::*;
use dot11::MacAddr;
use matchmaker::objects::{Cause, Client, KeyId, Owner, Radio};
use matchmaker::{AutoBind, Change, MAX_AUTO_BOUND, Refusal, Settings};
use visibility::{Band, Policy};

const ANY: Option<MacAddr> = None;
const A: Option<&str> = Some("a@example.org");
const B: Option<&str> = Some("b@example.org");

#[test]
fn auto_bind_is_idempotent_limited_and_can_be_reset() {
    let mut world = two_accounts();
    let (gateway, stranger) = (world.peer(None, 100), world.peer(None, 3));
    let plan = |world: &World, client| world.m.plan_auto_bind(gateway, HOME, client, None, Cause::Local);
    let Ok(AutoBind::Create { account: None, binding }) = plan(&world, PHONE) else { panic!() };
    world.m.apply(&Change::PutBinding { account: None, binding: binding.with_id(7) });
    assert_eq!(plan(&world, PHONE), Ok(AutoBind::Existing(7)));
    assert_eq!(world.m.plan_auto_bind(stranger, HOME, PHONE, None, Cause::Local), Err(Refusal::NotYours));
    world.bind(None, HOME, Some(LAPTOP), ANY, Policy::default());
    let reset = world.m.plan_reset(gateway, HOME).unwrap();
    assert_eq!(reset, [Change::DeleteBinding { account: None, id: 7 }]);
    reset.iter().for_each(|change| world.m.apply(change));
    assert_eq!(world.m.bindings().len(), 1);
    // One client cannot be bound by everybody.
    for n in 0..MAX_AUTO_BOUND {
        let service = matchmaker::Uuid::from_u128(1000 + n as u128);
        let binding = matchmaker::objects::NewBinding { service, ..binding };
        world.m.apply(&Change::PutBinding { account: None, binding: binding.with_id(100 + n as u64) });
    }
    assert_eq!(plan(&world, PHONE), Err(Refusal::TooManyBindings));
}

#[test]
fn recorded_and_refused_devices_are_known() {
    let mut world = two_accounts();
    world.bind(A, WORK, Some(LAPTOP), ANY, Policy::default());
    let put = |world: &mut World, n, name: &str| {
        world.m.apply(&Change::PutClient(Client { mac: mac(2, n), name: name.to_owned() }))
    };
    (1..=4).for_each(|n| put(&mut world, n, "phone"));
    put(&mut world, 4, "tablet");
    world.m.apply(&Change::DeleteClient(mac(2, 1)));
    assert_eq!(world.m.recorded_clients(None).collect::<Vec<_>>(), [mac(2, 2), mac(2, 3), mac(2, 4)]);
    assert_eq!(world.m.client(mac(2, 4), at(1)).and_then(|client| client.name), Some("tablet"));
    assert_eq!(world.m.client(LAPTOP, at(1)), None);
    world.m.connect(&connect(LAPTOP, WORK, OFFICE), at(1), [0; 16]).unwrap();
    world.m.report_failures((world.peer(A, 100), true), WORK, LAPTOP, 9, at(1)).unwrap();
    let refused = world.m.client(LAPTOP, at(1)).unwrap();
    assert_eq!((refused.name, refused.refused, refused.strikes), (None, Some(at(61)), 1));
    let count = |world: &World, after, most, now| world.m.clients(after, most, now).count();
    assert_eq!(count(&world, None, 10, at(1)), 4);
    assert_eq!(count(&world, None, 10, at(61)), 3);
    assert_eq!(count(&world, Some(mac(2, 3)), 10, at(61)), 1);
    // Being on record changes nothing of what is decided.
    assert_eq!(world.seen(OFFICE, &[near(mac(2, 4))], at(62)), []);
}

#[test]
fn a_radio_is_its_owners_while_it_is_alive_or_recorded() {
    let mut world = two_accounts();
    let (other_key, other_account) = (world.peer(None, 77), world.peer(B, KITCHEN.0[5]));
    let kitchen = registration(KITCHEN, Band::Ghz5, &[]);
    for peer in [other_key, other_account] {
        assert_eq!(world.m.register_radio(peer, &kitchen, at(299)), Err(Refusal::NotYours));
        assert_eq!(world.m.unregister_radio(peer, KITCHEN), Err(Refusal::NotYours));
        assert_eq!(world.m.is_radio_of(peer, KITCHEN, at(1)), Err(Refusal::NotYours));
    }
    assert_eq!(world.m.register_radio(other_key, &kitchen, at(300)), Ok(()));
    // Any peer of an account.
    let colleague = world.peer(A, 77);
    assert_eq!(world.m.register_radio(colleague, &registration(OFFICE, Band::Ghz5, &[]), at(1)), Ok(()));
    // A record outlives registrations, and puts an end to a stranger's.
    let record = Radio { mac: KITCHEN, owner: Owner::Account(account("a@example.org")) };
    world.m.apply(&Change::PutRadio(record));
    let view = world.m.radio(KITCHEN, at(301)).unwrap();
    assert_eq!((view.registered, view.recorded), (false, true));
    assert_eq!(world.m.register_radio(other_key, &kitchen, at(10_000)), Err(Refusal::NotYours));
    assert_eq!(world.m.register_radio(colleague, &kitchen, at(10_000)), Ok(()));
    world.m.apply(&Change::DeleteRadio(KITCHEN));
    assert_eq!(world.m.radio(KITCHEN, at(10_000)), None);
    assert_eq!(world.m.register_radio(other_key, &kitchen, at(10_000)), Ok(()));
}

#[test]
fn what_is_over_is_forgotten_a_part_at_a_time() {
    let mut world = World::with(Settings { radio_lifetime: at(60), ..Settings::default() });
    for n in 0..10_000 {
        world.radio(None, mac(0, n), at(u64::from(n % 2) * 1000)).unwrap();
    }
    world.service(None, HOME, "home", Policy::default(), at(0));
    world.bind(None, HOME, Some(PHONE), ANY, Policy::default());
    world.m.connect(&connect(PHONE, HOME, mac(0, 2)), at(1), [0; 16]).unwrap();
    assert_eq!(world.m.expire(at(10)), []);
    assert_eq!((world.m.radios(), world.m.introductions()), (10_000, 1));
    let mut gone = Vec::new();
    (0..40).for_each(|second| gone.extend(world.m.expire(at(1000 + second))));
    assert_eq!(gone, [(HOME, [1; 16])]);
    assert_eq!((world.m.radios(), world.m.introductions()), (5000, 0));
}

#[test]
fn services_are_registered_by_their_owner_and_keep_what_their_operator_set() {
    let mut world = two_accounts();
    let (gateway, stranger) = (world.peer(A, 100), world.peer(B, 100));
    let record = world.m.service(WORK).unwrap().clone();
    assert_eq!(world.m.plan_service(gateway, &record), Ok(None));
    assert_eq!(world.m.plan_service(stranger, &record), Err(Refusal::NotYours));
    let set = matchmaker::objects::Service { capture_url: "http://portal".to_owned(), ..record.clone() };
    world.m.apply(&Change::PutService(set.clone()));
    assert_eq!(world.m.plan_service(gateway, &record), Ok(None));
    let renamed = matchmaker::objects::Service { ssid: ssid("office"), ..record.clone() };
    let expected = matchmaker::objects::Service { ssid: ssid("office"), ..set };
    assert_eq!(world.m.plan_service(gateway, &renamed), Ok(Some(Change::PutService(expected))));
    // A new one is its peer's.
    let new = matchmaker::objects::Service { uuid: matchmaker::Uuid::from_u128(50), ..record };
    let Ok(Some(Change::PutService(planned))) = world.m.plan_service(stranger, &new) else { panic!() };
    assert_eq!(planned.owner, Owner::Account(account("b@example.org")));
    let Ok(Some(Change::PutService(planned))) = world.m.plan_service(world.peer(None, 5), &new) else {
        panic!()
    };
    assert_eq!(planned.owner, Owner::Key(KeyId([5; 16])));
    assert_eq!(world.instance(None, new.uuid, 1, at(1)), Err(Refusal::UnknownService));
    assert_eq!(world.instance(B, WORK, 2, at(1)), Err(Refusal::NotYours));
}

#[test]
fn requests_are_limited_by_source_radio_and_account() {
    use matchmaker::Asker;
    use matchmaker::gate::{Rate, Rates};
    let one = |burst| Rate { per_second: 1, burst };
    let rates = Rates { source: one(5), radio: one(3), account: one(4), ..Rates::default() };
    let mut world = World::with(Settings { rates, ..Settings::default() });
    world.account("a@example.org");
    world.radio(A, OFFICE, at(0)).unwrap();
    let peer = world.peer(A, OFFICE.0[5]);
    let source = |n: u8| std::net::IpAddr::from([192, 0, 2, n]);
    let refused = |of, seconds| Err(Refusal::Rate { of, retry: at(seconds) });
    let admit = |world: &mut World, n, now| world.m.admit(source(n), peer, at(now));
    for _ in 0..4 {
        assert_eq!(admit(&mut world, 4, 1), Ok(()));
    }
    assert_eq!(admit(&mut world, 4, 1), refused(Asker::Account, 1));
    for _ in 0..3 {
        assert!(admit(&mut world, 4, 1).is_err());
    }
    assert_eq!(admit(&mut world, 4, 1), refused(Asker::Source, 1));
    assert_eq!(admit(&mut world, 5, 2), Ok(()));
    // Strangers use up nothing that is the radio's.
    let stranger = world.peer(None, 77);
    for _ in 0..100 {
        assert_eq!(world.m.admit_radio(stranger, OFFICE, at(1)), Err(Refusal::NotYours));
    }
    for _ in 0..3 {
        assert_eq!(world.m.admit_radio(peer, OFFICE, at(1)), Ok(()));
    }
    assert_eq!(world.m.admit_radio(peer, OFFICE, at(1)), refused(Asker::Radio, 1));
    assert_eq!(world.m.admit_radio(peer, OFFICE, at(2)), Ok(()));
}

#[test]
fn who_proves_nothing_has_nobody_refused_by_others() {
    let mut world = two_accounts();
    let stranger = matchmaker::Uuid::from_u128(66);
    world.service(None, stranger, "mine", Policy::default(), at(0));
    world.radio(None, mac(0, 66), at(0)).unwrap();
    world.bind(None, stranger, Some(PHONE), ANY, Policy::default());
    world.bind(A, WORK, Some(PHONE), ANY, Policy::default());
    world.m.connect(&connect(PHONE, stranger, mac(0, 66)), at(1), [0; 16]).unwrap();
    assert_eq!(world.failed(None, stranger, PHONE, 9, at(1)), Ok(Some(at(60))));
    assert_eq!(world.m.refused(PHONE, at(2)), None);
    assert_eq!(world.seen(OFFICE, &[near(PHONE)], at(2)), [(WORK, Some(PHONE))]);
    assert!(world.m.connect(&connect(PHONE, WORK, OFFICE), at(2), [0; 16]).is_ok());
    // Nor by those of other keys.
    world.bind(None, HOME, Some(PHONE), ANY, Policy::default());
    let other = Owner::Key(KeyId([99; 16]));
    let home = world.m.service(HOME).unwrap().clone();
    world.m.apply(&Change::PutService(matchmaker::objects::Service { owner: other, ..home }));
    let gateway = world.peer(None, 99);
    world.m.register_instance(gateway, HOME, [9; 16], &[], 0, at(2)).unwrap();
    assert!(world.m.connect(&connect(PHONE, HOME, KITCHEN), at(2), [0; 16]).is_ok());
    // By its own it is refused, and forgiven with the others.
    let again = connect(PHONE, stranger, mac(0, 66));
    assert_eq!(world.m.connect(&again, at(3), [0; 16]), Err(Refusal::Refused { retry: at(58) }));
    assert_eq!(world.seen(mac(0, 66), &[near(PHONE)], at(3)), [(HOME, Some(PHONE))]);
    assert_eq!(world.m.refused_anywhere(PHONE, at(3)), Some(at(58)));
    assert_eq!(world.m.forgive(PHONE, at(3)).len(), 2);
    assert!(world.m.connect(&again, at(3), [0; 16]).is_ok());
}

#[test]
fn an_account_without_key_refuses_for_itself() {
    let mut world = two_accounts();
    world.account_without_key("a@example.org");
    world.bind(A, WORK, Some(PHONE), ANY, Policy::default());
    world.m.connect(&connect(PHONE, WORK, OFFICE), at(1), [0; 16]).unwrap();
    assert_eq!(world.failed(A, WORK, PHONE, 9, at(1)), Ok(Some(at(60))));
    assert_eq!((world.m.refused(PHONE, at(2)), world.seen(OFFICE, &[near(PHONE)], at(2))), (None, vec![]));
    // Another matchmaker that is told of it knows where.
    let (whom, struck) = world.m.all_struck().next().unwrap();
    let mut other = two_accounts();
    assert!(other.m.adopt_struck(&whom, struck));
    other.bind(A, WORK, Some(PHONE), ANY, Policy::default());
    assert_eq!(other.seen(OFFICE, &[near(PHONE)], at(2)), []);
    assert_eq!(other.m.refused(PHONE, at(2)), None);
}

/// Keys cost nothing, so all together are limited too.
#[test]
fn all_who_prove_nothing_have_so_many_services_together() {
    let settings = Settings { services_of_strangers: 3, ..Settings::default() };
    let mut world = World::with(settings);
    world.account("a@example.org");
    world.account_without_key("b@example.org");
    world.service(A, WORK, "work", Policy::default(), at(0));
    let work = world.m.service(WORK).unwrap().clone();
    let said = |n: u128| matchmaker::objects::Service {
        uuid: matchmaker::Uuid::from_u128(1000 + n),
        ..work.clone()
    };
    let put = |world: &mut World, peer, n| {
        let change = world.m.plan_service(peer, &said(n))?;
        change.iter().for_each(|change| world.m.apply(change));
        Ok::<(), Refusal>(())
    };
    let full = Err(Refusal::TooManyServices);
    let key = |n| World::new().peer(None, n);
    let (a, b, own) = (world.peer(A, 5), world.peer(B, 5), world.m.peer(None, KeyId::OWN).unwrap());
    let count = |world: &World| world.m.services_of_strangers();
    assert_eq!(put(&mut world, key(1), 1), Ok(()));
    assert_eq!(put(&mut world, key(2), 2), Ok(()));
    assert_eq!(put(&mut world, b, 3), Ok(()));
    assert_eq!((count(&world), put(&mut world, key(3), 4)), (3, full));
    assert_eq!(put(&mut world, b, 4), full);
    // What is there may be registered and described anew; who proves who it is, and the matchmaker's own process, may have more.
    assert_eq!(world.m.plan_service(b, &said(3)), Ok(None));
    let renamed = matchmaker::objects::Service { ssid: ssid("office"), ..said(3) };
    let change = world.m.plan_service(b, &renamed).unwrap().unwrap();
    world.m.apply(&change);
    assert_eq!((put(&mut world, a, 5), put(&mut world, own, 6), count(&world)), (Ok(()), Ok(()), 3));
    // An account gets a key, and is none of them any more; one that loses its key is, with all that it has.
    world.account("b@example.org");
    assert_eq!((count(&world), put(&mut world, b, 7)), (2, Ok(())));
    assert_eq!((put(&mut world, key(3), 8), count(&world)), (Ok(()), 3));
    world.account_without_key("b@example.org");
    world.account_without_key("b@example.org");
    assert_eq!(count(&world), 5);
    world.m.apply(&Change::DeleteAccount(account("a@example.org")));
    assert_eq!(count(&world), 7);
    world.account("a@example.org");
    for n in [1, 1, 3] {
        world.m.apply(&Change::DeleteService(said(n).uuid));
    }
    assert_eq!((count(&world), put(&mut world, key(4), 9)), (3, full));
    // Another's from now on.
    let given = matchmaker::objects::Service { owner: Owner::Account(account("a@example.org")), ..said(2) };
    world.m.apply(&Change::PutService(given));
    assert_eq!((count(&world), put(&mut world, key(4), 9)), (2, Ok(())));
    for n in [2, 5, 6, 7, 8, 9] {
        world.m.apply(&Change::DeleteService(said(n).uuid));
    }
    assert_eq!(count(&world), 0);
}

#[test]
fn who_proves_nothing_has_few_services_and_a_service_has_an_end_of_instances() {
    use matchmaker::{MAX_INSTANCES, MAX_SERVICES};
    let mut world = two_accounts();
    let home = world.m.service(HOME).unwrap().clone();
    let said = |n: u128| matchmaker::objects::Service {
        uuid: matchmaker::Uuid::from_u128(1000 + n),
        ..home.clone()
    };
    let plan = |world: &World, peer, n| world.m.plan_service(peer, &said(n));
    // Whether all that are wanted become durable.
    let put_all = |world: &mut World, peer, from| {
        (from..from + 2 * u128::from(MAX_SERVICES)).try_for_each(|n| {
            let change = plan(world, peer, n)?.unwrap();
            world.m.apply(&change);
            Ok::<(), Refusal>(())
        })
    };
    let stranger = world.peer(None, 5);
    assert_eq!(put_all(&mut world, stranger, 0), Err(Refusal::TooManyServices));
    world.m.apply(&Change::DeleteService(said(0).uuid));
    world.m.apply(&plan(&world, stranger, 0).unwrap().unwrap());
    assert_eq!(plan(&world, stranger, 500), Err(Refusal::TooManyServices));
    assert_eq!(plan(&world, stranger, 1), Ok(None), "what there is may be registered");
    // Who proves who it is, and the matchmaker's own process.
    let (customer, own) = (world.peer(A, 5), world.m.peer(None, KeyId::OWN).unwrap());
    assert_eq!(put_all(&mut world, customer, 1000), Ok(()));
    assert_eq!(put_all(&mut world, own, 2000), Ok(()));
    world.account_without_key("a@example.org");
    assert_eq!(plan(&world, customer, 500), Err(Refusal::TooManyServices));

    let gateway = world.peer(A, 100);
    let id = |n: usize| (n as u128).to_be_bytes();
    let register = |world: &mut World, n| world.m.register_instance(gateway, WORK, id(n), &[], 0, at(1));
    let there = world.m.instances(WORK).len();
    assert!((there..MAX_INSTANCES).all(|n| register(&mut world, 1000 + n).is_ok()));
    assert_eq!(register(&mut world, 9999), Err(Refusal::TooManyInstances));
    assert_eq!(register(&mut world, 1000 + there), Ok(()));
}
