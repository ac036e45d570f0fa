//! What may be restarted under traffic: control without any device noticing, the radio agent with the devices coming back.
//! Real programs, simulated air, a real RADIUS server.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use benches::demo::{
    devices::{Devices, Progress},
    world::{Meeting, Ports, Shape, World},
};
use proto::admin::{
    DisconnectRequest, ListSessionsRequest, RekeyRequest, Session, admin_client::AdminClient,
};
use tonic::transport::Channel;

const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for what `look` finds.
async fn until<T>(what: &str, world: &World, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{what} did not happen\n--- ttg\n{}\n--- controlplane\n{}\n--- radio-agent\n{}",
            world.log("ttg"),
            world.log("controlplane"),
            world.log("radio-agent")
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn connect(world: &World) -> AdminClient<Channel> {
    until("connecting to control", world, async || AdminClient::connect(world.admin.clone()).await.ok()).await
}

async fn sessions(admin: &mut AdminClient<Channel>) -> BTreeMap<String, Session> {
    let list = admin.list_sessions(ListSessionsRequest::default()).await.unwrap().into_inner().sessions;
    list.into_iter().map(|session| (session.client.clone(), session)).collect()
}

/// All three are online; what control says of them.
async fn all_online(world: &World, admin: &mut AdminClient<Channel>) -> BTreeMap<String, Session> {
    until("three sessions", world, async || {
        let sessions = sessions(admin).await;
        (sessions.values().filter(|session| session.state == "online").count() == 3).then_some(sessions)
    })
    .await
}

/// Every device has had that many more answers, and lost none meanwhile.
async fn pings_go_on(world: &World, devices: &Devices, more: u32) {
    let before = devices.progress();
    until("pings", world, async || {
        let now = devices.progress();
        before.iter().zip(&now).all(|(b, n)| n.echoes >= b.echoes + more).then_some(())
    })
    .await;
    for (before, now) in before.iter().zip(devices.progress()) {
        assert_eq!(now.lost, before.lost, "{} lost pings", now.name);
        assert_eq!(now.associations, before.associations, "{} associated again", now.name);
    }
}

fn of<'a>(progress: &'a [Progress], name: &str) -> &'a Progress {
    progress.iter().find(|p| p.name == name).unwrap()
}

/// Accounting sessions of the device that the server has a start and a stop of. A record whose acknowledgement was under way
/// when control was killed is sent again: servers tell by Acct-Session-Id.
fn accounting(world: &World, device: &Progress) -> (BTreeSet<String>, BTreeSet<String>) {
    let calling = device.mac.to_string().replace(':', "-").to_uppercase();
    let ids = |status: &str| {
        world
            .radius
            .accounting_records()
            .into_iter()
            .filter(|record| {
                record.get("Calling-Station-Id") == Some(&calling)
                    && record.get("Acct-Status-Type").map(String::as_str) == Some(status)
            })
            .filter_map(|record| record.get("Acct-Session-Id").cloned())
            .collect()
    };
    (ids("Start"), ids("Stop"))
}

#[tokio::test]
async fn control_is_killed_and_comes_back_without_a_device_noticing() {
    let mut world = World::start(Shape::Apart, Ports::Any, Meeting::Fixed).unwrap();
    let mut devices = Devices::start(&world).unwrap();
    let mut admin = connect(&world).await;
    let before = all_online(&world, &mut admin).await;
    until("addresses", &world, async || devices.progress().iter().all(|p| p.address.is_some()).then_some(()))
        .await;

    world.kill_control().unwrap();
    pings_go_on(&world, &devices, 10).await;
    world.restart_control().unwrap();
    let mut admin = connect(&world).await;
    let after = all_online(&world, &mut admin).await;
    for (client, session) in &before {
        let adopted = &after[client];
        assert_eq!(
            adopted.acct_session_id, session.acct_session_id,
            "{client} has another accounting session"
        );
        assert_eq!(adopted.identity, session.identity);
        assert_eq!(adopted.since_unix_ms, session.since_unix_ms);
    }
    pings_go_on(&world, &devices, 5).await;

    // The next rekey works, under traffic and without loss…
    let laptop = of(&devices.progress(), "laptop").mac.to_string();
    admin.rekey(RekeyRequest { client: laptop.clone(), service: String::new() }).await.unwrap();
    until("a pairwise rekey", &world, async || {
        (sessions(&mut admin).await[&laptop].rekeys == 1).then_some(())
    })
    .await;
    let service = before[&laptop].service.clone();
    admin.rekey(RekeyRequest { client: String::new(), service }).await.unwrap();
    pings_go_on(&world, &devices, 10).await;

    // … and so does sending a device away: it comes back with a new session.
    let phone = of(&devices.progress(), "phone").clone();
    admin.disconnect(DisconnectRequest { client: phone.mac.to_string(), reason: 3 }).await.unwrap();
    until("the phone's return", &world, async || {
        (of(&devices.progress(), "phone").associations > phone.associations).then_some(())
    })
    .await;
    all_online(&world, &mut admin).await;

    devices.leave().unwrap();
    for device in devices.progress() {
        let sessions = if device.name == "phone" { 2 } else { 1 };
        until("accounting", &world, async || {
            let (started, stopped) = accounting(&world, &device);
            (stopped.len() >= sessions && started.len() >= sessions).then_some(())
        })
        .await;
        let (started, stopped) = accounting(&world, &device);
        assert_eq!((started.len(), stopped.len()), (sessions, sessions), "{}: each once", device.name);
        assert_eq!(started, stopped, "{}", device.name);
    }
}

#[tokio::test]
async fn the_radio_agent_is_killed_and_the_devices_come_back() {
    let mut world = World::start(Shape::Standalone, Ports::Any, Meeting::Fixed).unwrap();
    let devices = Devices::start(&world).unwrap();
    let mut admin = connect(&world).await;
    let before = all_online(&world, &mut admin).await;

    world.restart_agent().unwrap();
    until("new sessions of all", &world, async || {
        let now = sessions(&mut admin).await;
        let renewed = before.iter().all(|(client, session)| {
            now.get(client)
                .is_some_and(|n| n.state == "online" && n.acct_session_id != session.acct_session_id)
        });
        renewed.then_some(())
    })
    .await;
    let echoes: Vec<_> = devices.progress().iter().map(|p| p.echoes).collect();
    until("pings", &world, async || {
        devices.progress().iter().zip(&echoes).all(|(p, before)| p.echoes >= before + 5).then_some(())
    })
    .await;
}
