//! The accounting queue against loss, dead servers, restarts of the process and a full disk.

mod common;

use std::{
    collections::HashMap,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use common::{Received, TestServer, config, secret};
use radius::{
    accounting::{
        AccountingConfig, AccountingQueue, AcctEvent, AcctRecord, OpenError, StoreError, SubmitError, Usage,
    },
    client::{Association, Server},
    packet::{AttributeType, TerminateCause},
};
use tokio::{sync::oneshot, task::JoinHandle};

/// A queue being run; stop it and wait for it with [`Running::stop`].
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(queue: &Arc<AccountingQueue>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(queue.clone().run(async {
            let _ = stopped.await;
        }));
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.send(()).expect("it runs");
        self.task.await.expect("no panic");
    }
}

fn settings(servers: Vec<Server>) -> AccountingConfig {
    AccountingConfig {
        initial_retry: Duration::from_millis(50),
        maximum_retry: Duration::from_millis(400),
        ..AccountingConfig::new(config(servers))
    }
}

async fn open(directory: &Path, settings: AccountingConfig) -> Arc<AccountingQueue> {
    AccountingQueue::open(directory.join("accounting.redb"), settings).await.expect("the store opens")
}

fn record(session: &str, event: AcctEvent) -> AcctRecord {
    let mut record = AcctRecord::new(session, event, SystemTime::now() - Duration::from_secs(100));
    let association =
        Association { station: [2, 0xbb, 0, 0, 0, 9], ssid: b"ttg".to_vec(), ..Default::default() };
    record.association = Some(association);
    record.user_name = Some(b"alice".to_vec());
    record
}

fn interim(octets: u64) -> AcctEvent {
    AcctEvent::Interim(Usage { input_octets: octets, ..Usage::default() })
}

fn stop(octets: u64) -> AcctEvent {
    let usage = Usage { input_octets: octets, ..Usage::default() };
    AcctEvent::Stop(usage, TerminateCause::USER_REQUEST)
}

/// Acct-Session-Id, Acct-Status-Type, Acct-Input-Octets.
fn summary(received: &Received) -> (String, u32, Option<u32>) {
    let packet = received.packet();
    assert_eq!(packet.verify_request(&secret()), Ok(()));
    let attributes = packet.attributes();
    (
        attributes.text(AttributeType::ACCT_SESSION_ID).expect("always there"),
        attributes.u32(AttributeType::ACCT_STATUS_TYPE).expect("always there"),
        attributes.u32(AttributeType::ACCT_INPUT_OCTETS),
    )
}

async fn drained(queue: &AccountingQueue) {
    let waited = tokio::time::timeout(Duration::from_secs(20), queue.drained()).await;
    assert!(waited.is_ok(), "still pending: {:?}", queue.stats());
}

#[tokio::test]
async fn records_wait_on_disk_for_a_server_and_for_the_next_run() {
    let directory = tempfile::tempdir().expect("a directory");
    let silent = TestServer::start(|_, _| Vec::new()).await;
    let queue = open(directory.path(), settings(vec![silent.server()])).await;
    queue.submit(record("one", AcctEvent::Start)).expect("there is room");
    queue.submit(record("one", stop(7))).expect("there is room");
    queue.submit(record("two", AcctEvent::Start)).expect("there is room");
    let running = Running::start(&queue);
    let mut silent = silent;
    let first = silent.next().await;
    running.stop().await;
    assert_eq!(queue.pending(), 3);
    drop(queue);

    // Another process, so to say: same file, a server that answers.
    let mut server = TestServer::start(|_, request| vec![request.acknowledgement()]).await;
    let queue = open(directory.path(), settings(vec![server.server()])).await;
    assert_eq!(queue.pending(), 3);
    let running = Running::start(&queue);
    drained(&queue).await;
    running.stop().await;
    let mut received = Vec::new();
    while server.unread() > 0 {
        received.push(server.next().await);
    }
    let mut per_session: HashMap<String, Vec<(u32, Option<u32>)>> = HashMap::new();
    for (session, kind, octets) in received.iter().map(summary) {
        per_session.entry(session).or_default().push((kind, octets));
    }
    assert_eq!(per_session["one"], [(1, None), (2, Some(7))]);
    assert_eq!(per_session["two"], [(1, None)]);

    // The same event again, recognisable as such; only the delay may have grown.
    let (id, kind, _) = summary(&first);
    let again = received.iter().find(|again| {
        let (again_id, again_kind, _) = summary(again);
        (again_id, again_kind) == (id.clone(), kind)
    });
    let again = again.expect("it was sent again");
    let time = |received: &Received| received.packet().attributes().u32(AttributeType::EVENT_TIMESTAMP);
    let delay = |received: &Received| received.packet().attributes().u32(AttributeType::ACCT_DELAY_TIME);
    assert_eq!(time(&first), time(again));
    assert!(delay(&first) >= Some(100) && delay(again) >= delay(&first));
    drop(queue);

    // What was acknowledged is not sent a third time; "two" has not ended.
    let queue = open(directory.path(), settings(vec![server.server()])).await;
    assert_eq!(queue.pending(), 0);
    let open_sessions = queue.open_sessions().expect("it can be read");
    assert_eq!(open_sessions.len(), 1);
    assert_eq!(open_sessions[0].session_id, "two");
    assert_eq!(open_sessions[0].station, Some([2, 0xbb, 0, 0, 0, 9]));
    assert_eq!(open_sessions[0].user_name.as_deref(), Some(&b"alice"[..]));
}

#[tokio::test]
async fn a_session_that_a_crash_left_open_is_closed_with_its_last_usage() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = TestServer::start(|_, request| vec![request.acknowledgement()]).await;
    let queue = open(directory.path(), settings(vec![server.server()])).await;
    queue.submit_all(&[record("one", AcctEvent::Start), record("one", interim(42))]).expect("there is room");
    drop(queue);
    let queue = open(directory.path(), settings(vec![server.server()])).await;
    let at = SystemTime::now();
    assert!(queue.close("one", TerminateCause::NAS_REBOOT, at).expect("there is room"));
    assert!(!queue.close("one", TerminateCause::NAS_REBOOT, at).expect("there is room"), "once only");
    assert_eq!(queue.open_sessions().expect("it can be read"), []);
    let running = Running::start(&queue);
    drained(&queue).await;
    running.stop().await;
    assert_eq!(summary(&server.next().await), ("one".into(), 1, None));
    let last = server.next().await;
    assert_eq!(summary(&last), ("one".into(), 2, Some(42)), "and the interim update is superseded");
    let packet = last.packet();
    let attributes = packet.attributes();
    assert_eq!(attributes.u32(AttributeType::ACCT_TERMINATE_CAUSE), Some(TerminateCause::NAS_REBOOT.0));
    assert!(attributes.u32(AttributeType::ACCT_DELAY_TIME) < Some(60), "counted from its closing");
    assert_eq!(server.unread(), 0);
}

/// Where the process of [`what_is_submitted_outlives_the_process`] finds its directory.
const CRASH_DIRECTORY: &str = "RADIUS_TEST_CRASH_DIRECTORY";

#[tokio::test]
async fn what_is_submitted_outlives_the_process() {
    let unreachable = || settings(vec![Server::new(([127, 0, 0, 1], 9).into(), secret())]);
    if let Some(directory) = std::env::var_os(CRASH_DIRECTORY) {
        // This is the process that dies, the moment submit has returned.
        let queue = open(Path::new(&directory), unreachable()).await;
        queue.submit(record("one", AcctEvent::Start)).expect("there is room");
        std::process::abort();
    }
    let directory = tempfile::tempdir().expect("a directory");
    let test = std::env::current_exe().expect("this test");
    let status = tokio::process::Command::new(test)
        .args(["--exact", "what_is_submitted_outlives_the_process"])
        .env(CRASH_DIRECTORY, directory.path())
        .stdout(std::process::Stdio::null())
        .status()
        .await
        .expect("it runs");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6), "it died by SIGABRT");
    let queue = open(directory.path(), unreachable()).await;
    assert_eq!(queue.pending(), 1);
    assert_eq!(queue.open_sessions().expect("it can be read")[0].session_id, "one");
}

#[tokio::test]
async fn newer_interim_updates_take_the_place_of_unsent_ones() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = TestServer::start(|_, request| vec![request.acknowledgement()]).await;
    let queue = open(directory.path(), settings(vec![server.server()])).await;
    queue.submit(record("one", AcctEvent::Start)).expect("there is room");
    for octets in 1..=5 {
        queue.submit(record("one", interim(octets))).expect("there is room");
    }
    assert_eq!((queue.pending(), queue.stats().superseded), (2, 4));
    queue.submit(record("two", interim(9))).expect("there is room");
    queue.submit(record("two", stop(10))).expect("there is room");
    assert_eq!((queue.pending(), queue.stats().superseded), (3, 5));
    let running = Running::start(&queue);
    drained(&queue).await;
    running.stop().await;
    let mut seen = Vec::new();
    while server.unread() > 0 {
        seen.push(summary(&server.next().await));
    }
    seen.sort();
    assert_eq!(seen, [("one".into(), 1, None), ("one".into(), 3, Some(5)), ("two".into(), 2, Some(10))]);
}

#[tokio::test]
async fn loss_and_repetition_change_neither_order_nor_completeness() {
    let directory = tempfile::tempdir().expect("a directory");
    // Every third request is lost, every answer comes twice.
    let mut server = TestServer::start(|count, request| match count % 3 {
        0 => Vec::new(),
        _ => vec![request.acknowledgement(); 2],
    })
    .await;
    let queue = open(directory.path(), settings(vec![server.server()])).await;
    let running = Running::start(&queue);
    for session in 0..20 {
        let name = format!("session-{session}");
        queue
            .submit_all(&[record(&name, AcctEvent::Start), record(&name, stop(session))])
            .expect("there is room");
    }
    drained(&queue).await;
    running.stop().await;
    let mut last: HashMap<String, u32> = HashMap::new();
    while server.unread() > 0 {
        let (session, kind, _) = summary(&server.next().await);
        let before = last.insert(session, kind);
        assert!(before.is_none_or(|before| before <= kind), "Start (1) never comes after Stop (2)");
    }
    assert_eq!(last.len(), 20);
    assert!(last.values().all(|kind| *kind == 2));
    assert_eq!(queue.stats().acknowledged, 40);
}

#[tokio::test]
async fn a_record_that_the_server_ignores_holds_up_only_its_session() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = TestServer::start(|_, request| match summary(request).0.as_str() {
        "poison" => Vec::new(),
        _ => vec![request.acknowledgement()],
    })
    .await;
    let queue = open(directory.path(), settings(vec![server.server()])).await;
    queue.submit(record("poison", AcctEvent::Start)).expect("there is room");
    let running = Running::start(&queue);
    for count in 1..=10 {
        queue.submit(record(&format!("fine-{count}"), AcctEvent::Start)).expect("there is room");
        let acknowledged = tokio::time::timeout(Duration::from_secs(10), async {
            while queue.stats().acknowledged < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(acknowledged.await.is_ok(), "{count}: {:?}", queue.stats());
    }
    running.stop().await;
    assert_eq!(queue.pending(), 1);
}

#[tokio::test]
async fn the_second_server_takes_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let silent = TestServer::start(|_, _| Vec::new()).await;
    let mut server = TestServer::start(|_, request| vec![request.acknowledgement()]).await;
    let queue = open(directory.path(), settings(vec![silent.server(), server.server()])).await;
    let running = Running::start(&queue);
    queue.submit(record("one", AcctEvent::Start)).expect("there is room");
    drained(&queue).await;
    running.stop().await;
    assert_eq!(summary(&server.next().await).0, "one");
    assert!(queue.stats().servers[0].1.dead);
}

#[tokio::test]
async fn a_full_store_gives_up_interim_updates_first_and_then_says_no() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = TestServer::start(|_, request| vec![request.acknowledgement()]).await;
    let mut small = settings(vec![server.server()]);
    small.maximum_bytes = 3000;
    let queue = open(directory.path(), small.clone()).await;
    let mut sessions = 0;
    while queue.submit(record(&format!("interim-{sessions:03}"), interim(1))).is_ok() {
        sessions += 1;
        assert!(sessions < 100, "it is bounded");
    }
    assert_eq!(queue.stats().dropped, 1, "the one refused");
    let before = queue.pending();
    let mut stops = 0;
    let error = loop {
        match queue.submit(record(&format!("stop-{stops:03}"), stop(1))) {
            Ok(()) => stops += 1,
            Err(error) => break error,
        }
        assert!(stops < 100, "it is bounded");
    };
    assert!(stops > 0 && stops <= before);
    assert_eq!(queue.pending(), stops, "all interim updates have given way");
    assert!(queue.stats().bytes <= 3000);
    let SubmitError::Full { path, .. } = &error else { panic!("full: {error}") };
    assert_eq!(*path, directory.path().join("accounting.redb"));
    assert!(error.to_string().contains("is full") && error.to_string().contains("reachable?"), "{error}");
    // What was taken is on disk.
    drop(queue);
    let queue = open(directory.path(), small).await;
    assert_eq!(queue.pending(), stops);
    let running = Running::start(&queue);
    drained(&queue).await;
    running.stop().await;
    queue.submit(record("again", AcctEvent::Start)).expect("there is room again");
}

#[tokio::test]
async fn records_that_cannot_be_packets_are_refused_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = TestServer::start(|_, _| Vec::new()).await;
    let queue = open(directory.path(), settings(vec![server.server()])).await;
    assert!(matches!(queue.submit(record("", AcctEvent::Start)), Err(SubmitError::Record(_))));
    let mut long = record("one", AcctEvent::Start);
    long.class = vec![vec![1; 250]; 16];
    assert!(matches!(queue.submit(long), Err(SubmitError::Record(_))));
    assert_eq!(queue.pending(), 0);
}

#[tokio::test]
async fn stores_that_cannot_be_opened_say_why() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = || settings(vec![Server::new(([127, 0, 0, 1], 1813).into(), secret())]);
    let attempt = async |path: std::path::PathBuf| match AccountingQueue::open(path, config()).await {
        Err(OpenError::Store(error)) => error,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it opened"),
    };
    let _held = open(directory.path(), config()).await;
    let error = attempt(directory.path().join("accounting.redb")).await;
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    assert!(error.to_string().contains("in use by another process"), "{error}");

    let error = attempt(directory.path().join("missing/accounting.redb")).await;
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert!(error.to_string().contains("directory must exist"), "{error}");

    let garbage = directory.path().join("garbage");
    std::fs::write(&garbage, "this is a text, and it is longer than the header of a store. ".repeat(100))
        .expect("it can be written");
    let error = attempt(garbage.clone()).await;
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("move it away"), "{error}");
    assert!(std::fs::read(&garbage).expect("it is there").starts_with(b"this is"), "and it is left alone");
}
