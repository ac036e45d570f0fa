//! Several control processes behind one name: what each knows of presence, the others go on with when it dies. Real Redis, real PostgreSQL, and a
//! real process to be killed.

mod common;
#[path = "common/redis.rs"]
mod redis;

use std::{path::Path, time::Instant};

use common::{process::Process, *};
use controlplane::{Control, Link, core::Query, grpc};
use proto::{
    admin::{ForgiveClientRequest, admin_client::AdminClient},
    gateway::command::Command as C,
    matchmaking::messages::{self as mm, answer::Answer, failure::Reason, request::Request},
};
use records::testkit;
use tokio::time::timeout;

/// Of a service that no configuration has: its instance registers by datagram.
const OTHER: [u8; 16] = [0x77; 16];
/// Whose everything is. What is to count everywhere must be said by somebody who proves who it is.
const ACCOUNT: &str = "info@example.org";
const LAPTOP: [u8; 6] = [2, 0, 0, 0, 0, 0x1a];

/// The configuration of each of them.
fn text(postgres: &str, redis: &str, keys: &Path) -> String {
    let other = matchmaker::Uuid::from_bytes(OTHER);
    format!(
        "listen = \"127.0.0.1:0\"\n{SERVICE}[matchmaker]\nlisten = \"127.0.0.1:0\"\nkey_file = \"{}\"\n\
         account = \"{ACCOUNT}\"\n[[account]]\nid = \"{ACCOUNT}\"\nkey = \"{}\"\n\
         [records]\npostgres = \"{postgres}\"\n[presence]\nredis = [\"{redis}\"]\n\
         [[binding]]\nservice = \"{UUID}\"\n[[binding]]\nservice = \"{other}\"\n",
        keys.display(),
        "07".repeat(32)
    )
}

/// Where the gateway is told to open its NAT: to the radio of the next introduction.
async fn punched(link: &mut Link) -> String {
    loop {
        let batch = timeout(PATIENCE, link.commands.recv()).await.expect("an introduction").unwrap();
        for command in batch {
            if let Some(C::Datagram(datagram)) = command.command {
                return datagram.peer;
            }
        }
    }
}

/// Asks until the answer is as wanted: what another process said is on its way.
async fn connect_until<T>(
    radio: &mut Radio,
    service: &[u8],
    client: [u8; 6],
    mut wanted: impl FnMut(&Answer) -> Option<T>,
) -> T {
    let began = Instant::now();
    loop {
        let connect = mm::Connect {
            radio: RADIO.to_vec(),
            client: client.to_vec(),
            service: service.to_vec(),
            bssid: [&BSSID[..5], &service[..1]].concat(),
            session_id: SESSION.to_vec(),
            rssi_dbm: -60,
            ..Default::default()
        };
        let answer = radio.ask(Request::Connect(connect)).await;
        if let Some(found) = wanted(&answer) {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{answer:?}");
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
}

fn connected(answer: &Answer) -> Option<mm::Connected> {
    match answer {
        Answer::Connected(connected) => Some(connected.clone()),
        _ => None,
    }
}

fn refused(answer: &Answer) -> Option<()> {
    matches!(answer, Answer::Failure(failure) if failure.reason() == Reason::Refused).then_some(())
}

#[tokio::test]
async fn any_process_may_die_and_what_it_knew_the_others_know() {
    let database =
        tokio::task::spawn_blocking(|| testkit::Server::start().unwrap_or_else(|error| panic!("{error}")));
    let database = database.await.unwrap();
    let mut redis = redis::Server::start(&[]);
    let keys = tempfile::tempdir().unwrap();
    let text = text(&database.database().await, &redis.address(), &keys.path().join("matchmaker.key"));
    let (here, _state) = control(&text).await;
    let at = here.matchmaker().unwrap();
    let there = Process::start(&text);
    let mut link = attach(&here, "g").await;

    // A radio at one process, a gateway at the other.
    let mut radio = Radio::of((there.matchmaker, at.key), Some((ACCOUNT, [7; 32]))).await;
    radio.also_at(&[there.matchmaker, at.listen]);
    radio.register().await;
    let first = connect_until(&mut radio, &uuid(), PHONE, connected).await;
    assert_eq!(first.endpoints, ["192.0.2.1:5247"]);
    let endpoint = radio.socket.local_addr().unwrap().to_string();
    assert_eq!(
        punched(&mut link).await,
        endpoint,
        "the introduction came through the process that has the gateway"
    );

    // A gateway whose control is elsewhere is at this one as well, and says who fails.
    let mut gateway = Radio::of((at.listen, at.key), Some((ACCOUNT, [7; 32]))).await;
    let register = mm::RegisterService {
        service: OTHER.to_vec(),
        instance: vec![0x78; 16],
        ssid: "other".into(),
        security: mm::Security::Open.into(),
        endpoints: vec!["192.0.2.2:5247".into()],
        ..Default::default()
    };
    assert!(matches!(gateway.ask(Request::RegisterService(register)).await, Answer::Registered(_)));
    connect_until(&mut radio, &OTHER, PHONE, connected).await;
    let failures = mm::AuthenticationFailures {
        service: OTHER.to_vec(),
        client: PHONE.to_vec(),
        radio: RADIO.to_vec(),
        failures: 5,
    };
    let began = Instant::now();
    // Until the introduction has reached its process.
    while gateway.ask(Request::AuthenticationFailures(failures.clone())).await != Answer::Done(mm::Done {}) {
        assert!(began.elapsed() < PATIENCE);
    }
    connect_until(&mut radio, &uuid(), PHONE, refused).await;
    // An operator forgives it here, and it may come there.
    let listener = grpc::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let admin = format!("http://{}", listener.local_addr().unwrap());
    let _server = grpc::Server::start(listener, here.clone());
    let mut admin = AdminClient::connect(admin).await.unwrap();
    let forgive = ForgiveClientRequest { client: "02:00:00:00:00:07".into() };
    assert!(admin.forgive_client(forgive).await.unwrap().into_inner().was_refused);
    connect_until(&mut radio, &uuid(), PHONE, connected).await;

    // Redis forgets everything, and all goes on.
    let introduced = async || here.ask(Query::Stats).await.unwrap().control["introductions"];
    let more_than = async |before: u64| {
        let began = Instant::now();
        while introduced().await <= before {
            assert!(began.elapsed() < PATIENCE, "introductions are missing");
            tokio::task::yield_now().await;
        }
    };
    let before = introduced().await;
    redis.restart();
    let again = connect_until(&mut radio, &uuid(), LAPTOP, connected).await;
    assert_eq!((&again.instance, &again.key), (&first.instance, &first.key));
    more_than(before).await;
    drop(there);
    let before = introduced().await;
    radio.register().await;
    let after = connect_until(&mut radio, &uuid(), LAPTOP, connected).await;
    assert_eq!((after.instance, after.key), (first.instance, first.key), "a second device shares the tunnel");
    more_than(before).await;
}

/// One whose keys are not those of the others says so, and goes on by itself.
#[tokio::test]
async fn a_process_with_another_key_shares_nothing() {
    let redis = redis::Server::start(&[]);
    let presence = format!("[presence]\nredis = [\"{}\"]\n", redis.address());
    let (first, _one) = control(&[SERVICE, MATCHMAKER, &presence, BINDING].concat()).await;
    let _link = attach(&first, "g").await;
    registered(&first).await;
    let count = async |control: &Control, name: &str| {
        let listener = grpc::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        let _server = grpc::Server::start(listener, control.clone());
        let mut admin = AdminClient::connect(at).await.unwrap();
        let stats = admin.get_stats(proto::admin::GetStatsRequest {}).await.unwrap().into_inner();
        stats.control.get(name).copied().unwrap_or_default()
    };
    let began = Instant::now();
    while count(&first, "presence_connected").await == 0 {
        assert!(began.elapsed() < PATIENCE);
    }
    let (second, _two) = control(&[SERVICE, MATCHMAKER, &presence, BINDING].concat()).await;
    while count(&second, "presence_other_key").await == 0 {
        assert!(began.elapsed() < PATIENCE);
    }
    assert_eq!(count(&second, "presence_connected").await, 0);
    let _link = attach(&second, "h").await;
    registered(&second).await;
    let at = second.matchmaker().unwrap();
    let mut radio = Radio::new((at.listen, at.key)).await;
    radio.register().await;
    connect_until(&mut radio, &uuid(), PHONE, connected).await;
}
