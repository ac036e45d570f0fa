//! What peers can do to each other: nothing.

use matchmaker::{
    Uuid,
    objects::{Account, AccountKey, KeyId, Owner},
};

use super::{world::*, *};

const OTHER: Uuid = Uuid::from_u128(2);

/// What an instance calls itself is in every answer to a Connect.
#[test]
fn whoever_calls_itself_like_an_instance_of_others_takes_nothing_from_it() {
    let mut world = World::new();
    let (mut radio, mut victim, mut stranger) = (world.client(), world.client(), world.client());
    world.radio(&mut radio, RADIO);
    world.instance(&mut victim, HOME, 0x11);
    world.bind(None, HOME, None);
    world.instance(&mut stranger, OTHER, 0x11);
    for told in 1..=4 {
        assert!(matches!(world.ask(&mut radio, connect(PHONE, HOME)), Answer::Connected(_)));
        world.deliver(&mut victim);
        world.deliver(&mut stranger);
        assert_eq!((victim.introductions(), stranger.introductions()), (told, 0));
        let request = match told {
            1 => unregister(OTHER, 0x11),
            2 => register(OTHER, 0x11),
            _ => unregister(HOME, 0x11),
        };
        let answer = world.ask(&mut stranger, request);
        let refused = matches!(&answer, Answer::Failure(failure) if failure.reason() == Reason::NotYours);
        assert_eq!(refused, told >= 3, "{answer:?}");
    }
    assert_eq!(world.ask(&mut victim, unregister(HOME, 0x11)), Answer::Done(pb::Done {}));
    assert_eq!(world.desk.routes.iter().count(), 1);
}

/// A server can speak to so many peers, and whoever goes makes room.
#[test]
fn who_goes_makes_room_and_who_finds_none_is_told() {
    let limits = server::Limits { kept: 1, ..server::Limits::default() };
    let mut world = World::with(limits, Settings::default());
    let (mut one, mut other) = (world.client(), world.client());
    world.instance(&mut one, HOME, 1);
    assert_eq!(world.refusal(&mut other, register(OTHER, 1)), (Reason::Rate, 30));
    assert!(world.desk.matchmaker.instances(OTHER).iter().all(|instance| !instance.is_live(world.now)));
    world.ask(&mut one, unregister(HOME, 1));
    world.instance(&mut other, OTHER, 1);
    world.change(Change::DeleteService(OTHER));
    world.instance(&mut one, HOME, 1);
    let home = world.desk.matchmaker.service(HOME).unwrap().clone();
    world.change(Change::PutService(matchmaker::objects::Service {
        owner: Owner::Key(KeyId([9; 16])),
        ..home
    }));
    assert_eq!(world.desk.matchmaker.instances(HOME), []);
    world.instance(&mut other, OTHER, 1);
    assert_eq!(world.desk.routes.iter().count(), 1);
}

/// Everybody may make keys.
#[test]
fn strangers_together_have_so_many_services_and_the_others_are_told() {
    let settings = Settings { services_of_strangers: 1, ..Settings::default() };
    let mut world = World::with(server::Limits::default(), settings);
    let (mut one, mut other) = (world.client(), world.client());
    world.instance(&mut one, HOME, 1);
    let Answer::Failure(failure) = world.ask(&mut other, register(OTHER, 1)) else { panic!() };
    assert_eq!(failure.reason(), Reason::Rate);
    assert!(failure.text.contains("give the account a key"), "{}", failure.text);
    assert_eq!((world.desk.counters.refused, world.desk.counters.services_refused), (1, 1));
    world.instance(&mut one, HOME, 1);
    world.change(account("a@example.org", 1));
    let mut customer = world.client_of(Some(("a@example.org", [1; 32])));
    world.instance(&mut customer, OTHER, 1);
    assert_eq!(world.desk.counters.services_refused, 1);
}

/// What an instance says and where it is seen are five endpoints, of which a radio takes four; a radio that gets more drops the answer.
#[test]
fn a_radio_is_told_of_four_endpoints_the_seen_one_first_and_each_once() {
    let mut world = World::new();
    let (mut radio, mut gateway) = (world.client(), world.client());
    world.radio(&mut radio, RADIO);
    let said = |endpoints: &[&str]| {
        let Request::RegisterService(said) = register(HOME, 1) else { panic!() };
        let endpoints = endpoints.iter().map(|&text| text.to_owned()).collect();
        Request::RegisterService(pb::RegisterService { endpoints, ..said })
    };
    let seen = gateway.at.to_string();
    let (a, b) = ("192.0.2.2:5247", "192.0.2.3:5247");
    let told = |world: &mut World, radio: &mut Client| {
        let answer = world.ask(radio, connect(PHONE, HOME));
        let whole = pb::Answer { answer: Some(answer.clone()), ..Default::default() };
        assert_eq!(proto::matchmaking::check::answer(&whole), Ok(()));
        let Answer::Connected(connected) = answer else { panic!("{answer:?}") };
        connected.endpoints
    };
    let answer = world.ask(&mut gateway, said(&[a, b, "192.0.2.4:5247", "[2001:db8::1]:5247"]));
    assert!(matches!(answer, Answer::Registered(_)), "{answer:?}");
    world.bind(None, HOME, None);
    assert_eq!(told(&mut world, &mut radio), [&seen[..], a, b, "192.0.2.4:5247"]);
    world.ask(&mut gateway, said(&[a, b, a, &seen]));
    assert_eq!(told(&mut world, &mut radio), [&seen[..], a, b]);
    // Its NAT gives it one of those that it said itself.
    gateway.at = a.parse().unwrap();
    let load = pb::Load { service: HOME.as_bytes().to_vec(), instance: vec![1; 16], ..Default::default() };
    world.ask(&mut gateway, Request::Load(load));
    assert_eq!(told(&mut world, &mut radio), [a, b]);
}

fn account(name: &str, key: u8) -> Change {
    Change::PutAccount(Account { id: name.parse().unwrap(), key: Some(AccountKey([key; 32])) })
}

/// At once, and not when their tickets are over.
#[test]
fn who_has_an_old_key_of_an_account_does_not_speak_for_it() {
    const NAME: &str = "a@example.org";
    let mut world = World::new();
    world.change(account(NAME, 1));
    let mut gateway = world.client_of(Some((NAME, [1; 32])));
    world.instance(&mut gateway, HOME, 1);
    // The same once more is no other key.
    world.change(account(NAME, 1));
    world.instance(&mut gateway, HOME, 1);
    world.change(account(NAME, 2));
    assert_eq!(world.refusal(&mut gateway, register(HOME, 1)).0, Reason::UnknownAccount);
    world.change(Change::DeleteAccount(NAME.parse().unwrap()));
    world.change(account(NAME, 3));
    assert_eq!(world.refusal(&mut gateway, register(HOME, 1)).0, Reason::UnknownAccount);
    let mut next = world.client_of(Some((NAME, [3; 32])));
    world.instance(&mut next, HOME, 2);
}

/// A gateway goes on asking while the store does nothing, and is answered in the end.
#[test]
fn while_the_store_hangs_repetitions_are_no_jobs_and_there_is_an_end_to_jobs() {
    let mut world = World::new();
    world.store_hangs = true;
    let mut gateway = world.client();
    assert_eq!(world.try_ask(&mut gateway, register(HOME, 1)), None);
    assert_eq!(world.try_ask(&mut gateway, register(HOME, 1)), None);
    assert_eq!(world.kept.len(), 1, "one job, however often it asked");
    for connection in (0..).map(|_| Connection::next()).take(waiting::MOST.div_ceil(waiting::MOST_OF_ONE)) {
        for id in 0..waiting::MOST_OF_ONE as u32 + 1 {
            let request = register(Uuid::from_u128(1000 + u128::from(id)), 1);
            world.desk.local(Local { connection, id }, request, world.now);
        }
        world.outputs();
    }
    let jobs = world.kept.iter().filter(|output| matches!(output, Output::Commit { .. })).count();
    assert_eq!(jobs, waiting::MOST);
    let mut other = world.client();
    assert_eq!(world.refusal(&mut other, register(OTHER, 1)), (Reason::Rate, 5));
    // The store is back.
    world.store_hangs = false;
    for output in std::mem::take(&mut world.kept) {
        if let Output::Commit { number, drafts } = output {
            world.commit(number, drafts);
        }
    }
    world.instance(&mut other, OTHER, 1);
    world.instance(&mut gateway, HOME, 1);
}

fn used(client: MacAddr, service: Uuid, side: pb::accounting::Side) -> Request {
    Request::Accounting(pb::Accounting {
        session_id: SESSION.to_vec(),
        client: client.0.to_vec(),
        service: service.as_bytes().to_vec(),
        radio: RADIO.0.to_vec(),
        bssid: BSSID.0.to_vec(),
        sequence: 1,
        up_octets: 1 << 40,
        side: side.into(),
        ..Default::default()
    })
}

#[test]
fn nobody_puts_anything_into_the_books_of_others() {
    use pb::accounting::Side;
    const NAME: &str = "a@example.org";
    let mut world = World::new();
    world.change(account(NAME, 1));
    let (mut radio, mut gateway) = (world.client(), world.client_of(Some((NAME, [1; 32]))));
    world.radio(&mut radio, RADIO);
    world.instance(&mut gateway, HOME, 1);
    world.bind(Some(NAME), HOME, None);
    // A radio and a service that have nothing to do with each other.
    for (client, side) in [(&mut radio, Side::Radio), (&mut gateway, Side::Service)] {
        assert_eq!(world.refusal(client, used(PHONE, HOME, side)).0, Reason::NotYours);
    }
    assert!(!world.kept.iter().any(|output| matches!(output, Output::Account { .. })));
    // One that this matchmaker has not heard of yet may have shown it: what was used there is in no other books.
    let Request::Accounting(said) = used(PHONE, HOME, Side::Service) else { panic!() };
    let elsewhere = Request::Accounting(pb::Accounting { radio: vec![0, 0, 0, 0, 0, 0x99], ..said });
    assert_eq!(world.ask(&mut gateway, elsewhere), Answer::Done(pb::Done {}));
    // Its account's radios show it, now or before this matchmaker forgot.
    world.change(Change::PutRadio(matchmaker::objects::Radio {
        mac: RADIO,
        owner: Owner::Account(NAME.parse().unwrap()),
    }));
    let mut radio = world.client_of(Some((NAME, [1; 32])));
    world.radio(&mut radio, RADIO);
    for (client, side) in [(&mut radio, Side::Radio), (&mut gateway, Side::Service)] {
        assert_eq!(world.ask(client, used(PHONE, HOME, side)), Answer::Done(pb::Done {}));
    }
    // A device that was introduced while there was a grant.
    let grant = matchmaker::objects::Grant {
        radios_of: "b@example.org".parse().unwrap(),
        services_of: matchmaker::objects::Grantee::Account(NAME.parse().unwrap()),
    };
    world.change(account("b@example.org", 2));
    world.change(Change::PutGrant(grant.clone()));
    world.change(Change::DeleteRadio(RADIO));
    let mut roamed = world.client_of(Some(("b@example.org", [2; 32])));
    world.radio(&mut roamed, RADIO);
    assert!(matches!(world.ask(&mut roamed, connect(PHONE, HOME)), Answer::Connected(_)));
    world.change(Change::DeleteGrant(grant));
    assert_eq!(world.ask(&mut roamed, used(PHONE, HOME, Side::Radio)), Answer::Done(pb::Done {}));
    let other = MacAddr([2, 0, 0, 0, 0, 8]);
    assert_eq!(world.refusal(&mut roamed, used(other, HOME, Side::Radio)).0, Reason::NotYours);
}

/// Pushes are due often, and going through radios takes long.
#[test]
fn what_is_due_is_sent_without_a_sweep() {
    let (mut world, _radio, _gateway) = World::introduced();
    // Nobody acknowledges it for so long that everything is over.
    world.now += Duration::from_secs(400);
    assert!(world.desk.deadline().is_some_and(|due| due < world.now));
    let before = world.desk.counted();
    world.desk.due(world.now);
    assert_ne!(world.desk.counted(), before, "it is sent again");
    assert_eq!((world.desk.matchmaker.radios(), world.desk.routes.iter().count()), (1, 1));
    world.desk.tick(world.now);
    assert_eq!((world.desk.matchmaker.radios(), world.desk.routes.iter().count()), (0, 0));
}
