//! What other processes say, and who hears of it.

use dot11::element::Ssid;
use matchmaker::{
    Uuid,
    objects::{Owner, Security, Service},
    presence::Load,
    shared::SharedInstance,
};

use super::*;
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
