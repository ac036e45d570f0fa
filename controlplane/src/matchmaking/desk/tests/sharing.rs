//! What other processes say, and who hears of it.

use dot11::element::Ssid;
use matchmaker::{
    Uuid,
    objects::{Owner, Security, Service},
    presence::Load,
    shared::SharedInstance,
};

use super::{world::*, *};
use crate::matchmaking::presence::{ProcessId, Shared};

const SERVICE: Uuid = Uuid::from_u128(7);
const OTHER: ProcessId = ProcessId([3; 16]);

fn said(sessions: u32, at: u64) -> SharedInstance {
    SharedInstance {
        service: SERVICE,
        instance: [4; 16],
        key: KeyId([5; 16]),
        endpoints: vec!["192.0.2.1:5247".parse().unwrap()],
        load: Load { sessions, ..Load::default() },
        at: Duration::from_secs(at),
    }
}

#[test]
fn who_watches_networks_hears_of_instances_at_other_processes() {
    let mut desk = desk();
    desk.begin_sharing();
    desk.apply(&Change::PutService(Service {
        uuid: SERVICE,
        owner: Owner::Key(KeyId([5; 16])),
        ssid: Ssid::try_from("elsewhere").unwrap(),
        security: Security::Open,
        capture_url: String::new(),
        template: Vec::new(),
        policy: Default::default(),
    }));
    let mut watched = desk.watch();
    let now = Duration::from_secs(100);
    let mut heard = |desk: &mut Desk, shared, now| {
        desk.shared(shared, now);
        let mut touched = Vec::new();
        while let Ok(what) = watched.try_recv() {
            touched.push(what);
        }
        touched
    };
    let there =
        |said| Shared::Instances { process: OTHER, whole: false, there: vec![said], gone: Vec::new() };
    let news = [Touched::Network(SERVICE)];
    assert_eq!(heard(&mut desk, there(said(0, 100)), now), news);
    // The same again is no news.
    assert_eq!(heard(&mut desk, there(said(0, 101)), now), []);
    assert_eq!(heard(&mut desk, there(said(1, 102)), now), news);
    // Its process falls silent, and is back.
    let beat = |alive: &[ProcessId]| Shared::Beat { alive: alive.to_vec() };
    assert_eq!(heard(&mut desk, beat(&[OTHER]), now), []);
    assert_eq!(heard(&mut desk, beat(&[]), now), news);
    assert_eq!(heard(&mut desk, beat(&[OTHER]), now), news);
    let gone =
        Shared::Instances { process: OTHER, whole: false, there: Vec::new(), gone: vec![(SERVICE, [4; 16])] };
    assert_eq!(heard(&mut desk, gone, now), news);
}

#[test]
fn each_process_admits_its_share_of_what_an_instance_takes() {
    let mut world = World::new();
    let (mut radio, mut gateway) = (world.client(), world.client());
    world.desk.begin_sharing();
    world.radio(&mut radio, RADIO);
    world.instance(&mut gateway, SERVICE, 1);
    world.bind(None, SERVICE, None);
    let load = pb::Load {
        service: SERVICE.as_bytes().to_vec(),
        instance: vec![1; 16],
        admissions_per_second: 100,
        ..Default::default()
    };
    let taken = world.ask(&mut gateway, Request::Load(load));
    assert_eq!(taken, Answer::Done(pb::Done {}));
    // All come at once after a quiet time: a tenth of a second's share, and one.
    let mut comers = 0u32..;
    let mut at_once = |world: &mut World, others: u8| {
        let alive = (1..=others).map(|n| ProcessId([n; 16])).collect();
        world.desk.shared(Shared::Beat { alive }, world.now);
        world.now += Duration::from_secs(1);
        let Request::Connect(said) = connect(PHONE, SERVICE) else { panic!() };
        let mut next = || {
            let [a, b, c, d] = comers.next().unwrap().to_be_bytes();
            let said = pb::Connect { client: vec![0, 9, a, b, c, d], rssi_dbm: -30, ..said.clone() };
            matches!(world.ask(&mut radio, Request::Connect(said)), Answer::Connected(_))
        };
        (0..20).take_while(|_| next()).count()
    };
    assert_eq!(at_once(&mut world, 0), 11);
    assert_eq!(at_once(&mut world, 1), 6);
    assert_eq!(at_once(&mut world, 4), 3);
    // Two of five fell silent.
    assert_eq!(at_once(&mut world, 2), 4);
}
