//! Control processes that share their records in PostgreSQL: real servers, and where one is killed, real processes.

mod common;

use std::time::Instant;

use common::{process::Process, *};
use controlplane::{Control, config, core::Query, grpc};
use proto::admin::{
    Binding, CreateAccountRequest, CreateBindingRequest, CreateGrantRequest, DeleteBindingRequest,
    DeleteNetworkRequest, DrainGatewayRequest, GetNetworkRequest, GetStatsRequest, Grant,
    ListAccountsRequest, ListBindingsRequest, ListGrantsRequest, ListNetworksRequest, Network, Policy,
    UpdateBindingRequest, UpdateNetworkRequest, admin_client::AdminClient,
};
use proto::matchmaking::messages::{self as mm, answer::Answer, failure::Reason, request::Request};
use records::{Embedded, Postgres, Records, migrate, testkit::Server};
use tonic::{Code, transport::Channel};

async fn postgres() -> Server {
    tokio::task::spawn_blocking(|| Server::start().unwrap_or_else(|error| panic!("{error}"))).await.unwrap()
}

/// The configuration of a process with these records.
fn text(connection: &str) -> String {
    format!("listen = \"127.0.0.1:0\"\n{MATCHMAKER}[records]\npostgres = \"{connection}\"\n")
}

async fn admin_of(process: &Process) -> AdminClient<Channel> {
    AdminClient::connect(process.admin.clone()).await.unwrap()
}

/// A control process within this one.
struct Here {
    control: Control,
    _server: grpc::Server,
    admin: AdminClient<Channel>,
    _state: tempfile::TempDir,
}

async fn here(text: &str) -> Here {
    let (control, state) = control(text).await;
    let listener = grpc::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let server = grpc::Server::start(listener, control.clone());
    Here { control, _server: server, admin: AdminClient::connect(at).await.unwrap(), _state: state }
}

fn binding(n: u8) -> CreateBindingRequest {
    CreateBindingRequest {
        service: UUID.into(),
        client: format!("02:00:00:00:01:{n:02x}"),
        policy: Some(Policy::default()),
        ..CreateBindingRequest::default()
    }
}

async fn create(admin: &mut AdminClient<Channel>, n: u8) -> Binding {
    admin.create_binding(binding(n)).await.unwrap().into_inner().binding.unwrap()
}

async fn clients(admin: &mut AdminClient<Channel>) -> Vec<String> {
    let list = admin.list_bindings(ListBindingsRequest::default()).await.unwrap().into_inner();
    list.bindings.into_iter().map(|binding| binding.client).collect()
}

/// Until the process has heard of it from the others.
async fn until(admin: &mut AdminClient<Channel>, wanted: &[&str]) {
    let began = Instant::now();
    loop {
        let found = clients(admin).await;
        if found == wanted {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{found:?} instead of {wanted:?}");
        tokio::task::yield_now().await;
    }
}

/// Until the gateway there takes newcomers, or does not.
async fn drained(control: &Control, wanted: bool) {
    let began = Instant::now();
    loop {
        let gateways = control.ask(Query::Gateways).await.unwrap();
        if gateways.first().is_some_and(|gateway| gateway.draining == wanted) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{gateways:?}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_gateway_that_is_drained_at_one_process_is_drained_at_all() {
    let server = postgres().await;
    let text = [&text(&server.database().await), SERVICE].concat();
    let start = async |state: &tempfile::TempDir| {
        let path = written(state.path(), &text);
        Control::start(config::load(&path).unwrap()).await.unwrap().0
    };
    let states = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    // What an earlier version wrote down goes on record.
    std::fs::write(states[0].path().join("draining"), "g\n").unwrap();
    let one = start(&states[0]).await;
    assert_eq!(std::fs::read_to_string(states[0].path().join("draining")).unwrap(), "");
    let two = start(&states[1]).await;
    let _link = attach(&two, "g").await;
    drained(&two, true).await;
    let listener = grpc::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let _server = grpc::Server::start(listener, one.clone());
    let mut admin = AdminClient::connect(at).await.unwrap();
    // It is attached elsewhere, and known here because it is drained.
    let request = DrainGatewayRequest { gateway: "g".into(), drain: false };
    assert!(admin.drain_gateway(request).await.unwrap().into_inner().changed);
    drained(&two, false).await;
}

#[tokio::test]
async fn one_process_is_killed_and_the_other_knows_all() {
    let server = postgres().await;
    let text = [&text(&server.database().await), SERVICE].concat();
    let (one, two) = (Process::start(&text), Process::start(&text));
    let (mut first, mut second) = (admin_of(&one).await, admin_of(&two).await);
    let a = create(&mut first, 1).await;
    // Whether it has heard of it or not: it is there, and there once.
    let again = second.create_binding(binding(1)).await.unwrap().into_inner();
    assert_eq!((again.created, again.binding.unwrap().id), (false, a.id));
    until(&mut second, &["02:00:00:00:01:01"]).await;
    let b = create(&mut first, 2).await;
    drop(one);
    // Deleted without having been heard of, perhaps.
    let delete = DeleteBindingRequest { account: String::new(), id: b.id };
    second.delete_binding(delete.clone()).await.unwrap();
    assert_eq!(second.delete_binding(delete).await.unwrap_err().code(), Code::NotFound);
    let c = create(&mut second, 3).await;
    assert_eq!((a.id, b.id, c.id), (1, 2, 3));
    until(&mut second, &["02:00:00:00:01:01", "02:00:00:00:01:03"]).await;
    let three = Process::start(&text);
    until(&mut admin_of(&three).await, &["02:00:00:00:01:01", "02:00:00:00:01:03"]).await;
}

#[tokio::test]
async fn while_the_database_is_away_look_ups_go_on_and_changes_wait_or_are_refused() {
    let server = postgres().await;
    let mut served = here(&[&text(&server.database().await), BINDING, SERVICE].concat()).await;
    let link = served.control.attach().await.unwrap();
    let radio = served.control.matchmaker().unwrap();
    let mut radio = Radio::new((radio.listen, radio.key)).await;
    radio.register().await;
    create(&mut served.admin, 1).await;
    server.crash();
    let mut other = served.admin.clone();
    let waits = tokio::spawn(async move { other.create_binding(binding(2)).await });
    let bound = [2, 0, 0, 0, 1, 1];
    radio.look_up(bound).await;
    assert_eq!(clients(&mut served.admin).await, ["02:00:00:00:01:01", "02:00:00:00:00:07"]);
    server.restart().unwrap();
    assert!(waits.await.unwrap().unwrap().into_inner().created, "it came back soon enough");
    server.crash();
    // All at a time: none waits for the others' patience.
    let asked = (3..20).map(|n| {
        let mut admin = served.admin.clone();
        async move { admin.create_binding(binding(n)).await }
    });
    let began = Instant::now();
    for refused in futures_util::future::join_all(asked).await {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert!(refused.message().contains("nothing was changed: try again later"), "{refused}");
    }
    assert!(began.elapsed() < 3 * PATIENCE / 2);
    radio.look_up(bound).await;
    server.restart().unwrap();
    assert!(served.admin.create_binding(binding(20)).await.unwrap().into_inner().created);
    let there = ["02:00:00:00:01:01", "02:00:00:00:01:02", "02:00:00:00:01:14", "02:00:00:00:00:07"];
    assert_eq!(clients(&mut served.admin).await, there);
    drop(link);
}

/// What vanished from the records while nobody could follow vanishes from those who follow, and what the configuration says stays.
#[tokio::test]
async fn what_is_gone_when_all_is_loaded_again_is_gone() {
    let server = postgres().await;
    let connection = server.database().await;
    let account = "[[account]]\nid = \"fixed@example.org\"\n";
    let text = [&text(&connection), account, BINDING, SERVICE].concat();
    let (mut served, mut other) = (here(&text).await, here(&text).await);
    // Its gateway's service is on record, by it.
    registered_by(&other).await;
    let key = CreateAccountRequest { id: "a@example.org".into(), ..CreateAccountRequest::default() };
    served.admin.create_account(key).await.unwrap();
    let grant = Some(Grant { radios_of: "a@example.org".into(), services_of: "*".into() });
    served.admin.create_grant(CreateGrantRequest { grant }).await.unwrap();
    for n in 1..=3 {
        create(&mut served.admin, n).await;
    }
    until(
        &mut other.admin,
        &["02:00:00:00:01:01", "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:00:07"],
    )
    .await;
    // A store of another history, with one binding.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("records.redb");
    let file = Embedded::open(&path).unwrap();
    let pattern = |text: &str| text.parse().unwrap();
    let new = matchmaker::objects::NewBinding {
        service: UUID.parse().unwrap(),
        client: pattern("02:00:00:00:01:09"),
        radio: pattern("*"),
        policy: Default::default(),
        origin: matchmaker::objects::Origin::Administrator,
    };
    file.commit(vec![records::Draft::NewBinding { account: None, binding: new }]).await.unwrap();
    drop(file);
    migrate(&path, &connection, true, &mut |_| {}).await.unwrap();
    for admin in [&mut served.admin, &mut other.admin] {
        until(admin, &["02:00:00:00:01:09", "02:00:00:00:00:07"]).await;
        let accounts =
            admin.list_accounts(ListAccountsRequest::default()).await.unwrap().into_inner().accounts;
        let ids: Vec<_> = accounts.iter().map(|account| account.id.as_str()).collect();
        assert_eq!(ids, ["fixed@example.org"]);
        let grants = admin.list_grants(ListGrantsRequest::default()).await.unwrap().into_inner().grants;
        assert_eq!(grants, []);
        // It goes on from there: what is made now is followed.
    }
    let made = create(&mut served.admin, 10).await;
    assert_eq!(made.id, 2);
    until(&mut other.admin, &["02:00:00:00:01:09", "02:00:00:00:01:0a", "02:00:00:00:00:07"]).await;
}

async fn registered_by(served: &Here) {
    let _link = attach(&served.control, "g").await;
    registered(&served.control).await;
    let networks = served.admin.clone().list_networks(ListNetworksRequest::default()).await.unwrap();
    assert_eq!(networks.into_inner().networks.len(), 1);
}

const ACCOUNT: &str = "info@example.org";

/// A gateway whose control is elsewhere, with the key of its account.
async fn gateway_of(served: &Here) -> Radio {
    let at = served.control.matchmaker().unwrap();
    Radio::of((at.listen, at.key), Some((ACCOUNT, [7; 32]))).await
}

/// It describes the service.
async fn describe(gateway: &mut Radio, ssid: &str) -> Answer {
    let register = mm::RegisterService {
        service: uuid(),
        instance: vec![0x78; 16],
        ssid: ssid.into(),
        security: mm::Security::Open.into(),
        endpoints: vec!["192.0.2.2:5247".into()],
        ..Default::default()
    };
    gateway.ask(Request::RegisterService(register)).await
}

async fn update(served: &Here, change: UpdateNetworkRequest) -> Result<Network, tonic::Status> {
    let request = UpdateNetworkRequest { uuid: UUID.into(), ..change };
    served.admin.clone().update_network(request).await.map(tonic::Response::into_inner)
}

/// What the operator says of the service.
fn says(min_rssi_dbm: Option<i32>, capture_url: Option<&str>) -> UpdateNetworkRequest {
    let policy = min_rssi_dbm.map(|dbm| Policy { min_rssi_dbm: Some(dbm), ..Policy::default() });
    UpdateNetworkRequest { policy, capture_url: capture_url.map(str::to_owned), ..Default::default() }
}

/// Until the process knows the service so: its name, signal and capture URL.
async fn known_as(served: &Here, wanted: (&str, Option<i32>, &str)) {
    let began = Instant::now();
    loop {
        let request = GetNetworkRequest { uuid: UUID.into() };
        let found = served.admin.clone().get_network(request).await.map(tonic::Response::into_inner);
        if let Ok(Network { ssid, policy, capture_url, .. }) = &found {
            let dbm = policy.as_ref().and_then(|policy| policy.min_rssi_dbm);
            if (ssid.as_str(), dbm, capture_url.as_str()) == wanted {
                return;
            }
        }
        assert!(began.elapsed() < PATIENCE, "{found:?} instead of {wanted:?}");
        tokio::task::yield_now().await;
    }
}

/// How many commits the store refused because the process was behind.
async fn conflicts(served: &Here) -> u64 {
    let stats = served.admin.clone().get_stats(GetStatsRequest {}).await.unwrap().into_inner();
    stats.control["matchmaker_conflicts"]
}

async fn until_conflicts(served: &Here, wanted: u64) {
    let began = Instant::now();
    while conflicts(served).await < wanted {
        assert!(began.elapsed() < PATIENCE, "not {wanted}");
        tokio::task::yield_now().await;
    }
}

/// Who follows the records, once there are so many.
async fn followers(server: &Server, wanted: usize) -> Vec<i32> {
    let began = Instant::now();
    loop {
        let found = server.followers().await;
        if found.len() == wanted {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{found:?}");
        tokio::task::yield_now().await;
    }
}

/// One process does not hear of what the other commits, and plans from what it knows; nothing of either is lost.
#[tokio::test]
async fn what_is_planned_behind_the_others_back_undoes_nothing() {
    let server = postgres().await;
    let connection = server.database().await;
    let account = format!("[[account]]\nid = \"{ACCOUNT}\"\nkey = \"{}\"\n", "07".repeat(32));
    let text = [&text(&connection), account.as_str()].concat();
    let quick = here(&text).await;
    let before = followers(&server, 1).await;
    let slow = here(&text).await;
    let both = followers(&server, 2).await;
    let feed = *both.iter().find(|process| !before.contains(process)).unwrap();
    let (mut near, mut other) = (gateway_of(&slow).await, gateway_of(&quick).await);
    assert!(matches!(describe(&mut near, "old").await, Answer::Registered(_)));
    for served in [&quick, &slow] {
        known_as(served, ("old", None, "")).await;
    }

    // The operator says something at one; at the other a gateway and an operator say something else.
    server.stop(feed, true);
    update(&quick, says(Some(-60), None)).await.unwrap();
    let url = "https://portal.example.org/";
    let resume = async {
        until_conflicts(&slow, 2).await;
        known_as(&slow, ("old", None, "")).await;
        server.stop(feed, false);
    };
    let (registered, updated, ()) =
        tokio::join!(describe(&mut near, "new"), update(&slow, says(None, Some(url))), resume);
    assert!(matches!(registered, Answer::Registered(_)), "{registered:?}");
    updated.unwrap();
    for served in [&quick, &slow] {
        known_as(served, ("new", Some(-60), url)).await;
    }

    // A service that is new to one is not new.
    let unregister = mm::Unregister { service: uuid(), instance: vec![0x78; 16], ..Default::default() };
    assert!(matches!(near.ask(Request::Unregister(unregister)).await, Answer::Done(_)));
    slow.admin.clone().delete_network(DeleteNetworkRequest { uuid: UUID.into() }).await.unwrap();
    let (began, request) = (Instant::now(), GetNetworkRequest { uuid: UUID.into() });
    while quick.admin.clone().get_network(request.clone()).await.is_ok() {
        assert!(began.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    }
    server.stop(feed, true);
    assert!(matches!(describe(&mut other, "made").await, Answer::Registered(_)));
    update(&quick, says(Some(-50), None)).await.unwrap();
    let before = conflicts(&slow).await;
    let resume = async {
        until_conflicts(&slow, before + 1).await;
        server.stop(feed, false);
    };
    let (registered, ()) = tokio::join!(describe(&mut near, "known"), resume);
    assert!(matches!(registered, Answer::Registered(_)), "{registered:?}");
    for served in [&quick, &slow] {
        known_as(served, ("known", Some(-50), "")).await;
    }
}

/// One process has not heard what the other made and removed: what it changes does not bring that back, and does not hide that it differs.
#[tokio::test]
async fn a_binding_that_another_process_removed_stays_removed() {
    let server = postgres().await;
    let text = [&text(&server.database().await), SERVICE].concat();
    let mut quick = here(&text).await;
    let before = followers(&server, 1).await;
    let mut slow = here(&text).await;
    let both = followers(&server, 2).await;
    let feed = *both.iter().find(|process| !before.contains(process)).unwrap();
    let made = create(&mut quick.admin, 1).await;
    until(&mut slow.admin, &["02:00:00:00:01:01"]).await;

    server.stop(feed, true);
    let delete = DeleteBindingRequest { account: String::new(), id: made.id };
    quick.admin.delete_binding(delete).await.unwrap();
    create(&mut quick.admin, 2).await;
    let policy = Some(Policy { min_rssi_dbm: Some(-60), ..Policy::default() });
    let other = CreateBindingRequest { policy, ..binding(2) };
    let differs = slow.admin.create_binding(other).await.unwrap_err();
    assert_eq!(differs.code(), Code::AlreadyExists);
    let set = UpdateBindingRequest { account: String::new(), id: made.id, policy };
    let mut admin = slow.admin.clone();
    let resume = async {
        until_conflicts(&slow, 1).await;
        server.stop(feed, false);
    };
    let (refused, ()) = tokio::join!(admin.update_binding(set), resume);
    assert_eq!(refused.unwrap_err().code(), Code::NotFound);
    for served in [&mut quick, &mut slow] {
        until(&mut served.admin, &["02:00:00:00:01:02"]).await;
    }
}

/// Somebody wrote past the software, so that what is known is never what is there: everybody is told in the end.
#[tokio::test]
async fn who_is_always_behind_is_told() {
    let server = postgres().await;
    let connection = server.database().await;
    let account = format!("[[account]]\nid = \"{ACCOUNT}\"\nkey = \"{}\"\n", "07".repeat(32));
    let served = here(&[&text(&connection), account.as_str()].concat()).await;
    let mut gateway = gateway_of(&served).await;
    assert!(matches!(describe(&mut gateway, "old").await, Answer::Registered(_)));
    let client = server.connect(&connection).await;
    let wrote = "UPDATE records.object SET body = body || '\\x00'::bytea WHERE kind = 4";
    assert_eq!(client.execute(wrote, &[]).await.unwrap(), 1);
    let refused = update(&served, says(Some(-60), None)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    assert!(refused.message().contains("others change service") && refused.message().contains("do it again"));
    let Answer::Failure(failure) = describe(&mut gateway, "new").await else { panic!("it is registered") };
    assert_eq!((failure.reason(), failure.retry_seconds), (Reason::Rate, 5));
    assert!(failure.text.contains("has changed meanwhile"), "{failure:?}");
    assert_eq!(conflicts(&served).await, 10);
}

#[tokio::test]
async fn a_process_that_starts_while_the_database_is_away_waits_for_it() {
    let server = postgres().await;
    let text = text(&server.database().await);
    server.crash();
    let (process, reason) = tokio::task::spawn_blocking(move || {
        let mut reason = String::new();
        let process = Process::start_seeing(&text, |line| {
            if reason.is_empty() && line.contains("control starts when its records can be reached") {
                reason = line.to_owned();
                server.restart().unwrap();
            }
        });
        (process, (reason, server))
    })
    .await
    .unwrap();
    assert!(reason.0.contains(", database d0, cannot be reached: "), "{}", reason.0);
    let accounts = admin_of(&process).await.list_accounts(ListAccountsRequest::default()).await.unwrap();
    assert_eq!(accounts.into_inner().accounts, []);
}

#[tokio::test]
async fn what_is_wrong_with_the_database_is_said() {
    let server = postgres().await;
    let connection = server.database().await;
    let client = server.connect(&connection).await;
    client.batch_execute("CREATE ROLE guest LOGIN PASSWORD 'right'").await.unwrap();
    let hba: String = client.query_one("SHOW hba_file", &[]).await.unwrap().get(0);
    std::fs::write(&hba, "local all guest scram-sha-256\nlocal all ttg trust\n").unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    client.batch_execute("GRANT ALL ON DATABASE d0 TO guest").await.unwrap();
    let state = tempfile::tempdir().unwrap();
    let password = state.path().join("password");
    let fails = async |text: &str| {
        let config = config::load(&written(state.path(), text)).unwrap();
        Control::start(config).await.err().expect("it does not start").to_string()
    };
    let said = fails(&text("host=127.0.0.1 dbname=d sslmode=require")).await;
    assert!(said.contains("connections are not encrypted") && said.contains("leave `sslmode` out"), "{said}");
    let missing = connection.replace("dbname=d0", "dbname=d7");
    let said = fails(&text(&missing)).await;
    assert!(said.contains("database d7, refuses us: ") && said.contains("does not exist"), "{said}");

    let as_guest = text(&connection.replace("user=ttg", "user=guest"));
    let as_guest = format!("{as_guest}password_file = \"{}\"\n", password.display());
    let said = fails(&as_guest).await;
    assert!(said.contains("`password_file` of [records] is /") && said.contains("No such file"), "{said}");
    std::fs::write(&password, "\n").unwrap();
    assert!(fails(&as_guest).await.contains("it is empty"));
    std::fs::write(&password, "wrong\n").unwrap();
    let said = fails(&as_guest).await;
    assert!(said.contains("refuses us: password authentication failed") && !said.contains("wrong"), "{said}");
    std::fs::write(&password, "right\n").unwrap();
    let config = config::load(&written(state.path(), &as_guest)).unwrap();
    assert!(!format!("{config:?}").contains("guest"));
    drop(Control::start(config).await.unwrap());

    client.batch_execute("INSERT INTO records.schema (number) VALUES (9)").await.unwrap();
    let said = fails(&as_guest).await;
    assert!(said.contains("has records of format 9, and this software knows formats up to 2"), "{said}");
    client.batch_execute("DELETE FROM records.schema WHERE number = 9").await.unwrap();

    // There are records in the file, and none in the database: somebody forgot to move them.
    drop(Embedded::open(&state.path().join("records.redb")).unwrap());
    let said = fails(&as_guest).await;
    assert!(said.contains("`controlplane migrate` moves them there"), "{said}");
    let store = Postgres::open(&connection).await.unwrap();
    store.commit(vec![matchmaker::Change::DeleteClient(dot11::MacAddr::ZERO).into()]).await.unwrap();
    assert!(fails(&as_guest).await.contains("records.redb"), "nothing was changed yet");

    let path = written(state.path(), "[records]\npostgres = \"host=a\"\n");
    let said = config::load(&path).err().unwrap().to_string();
    assert!(said.contains("there is no [matchmaker]"), "{said}");
}
