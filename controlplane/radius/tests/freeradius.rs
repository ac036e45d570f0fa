//! Against a real FreeRADIUS: what it accepts from us, and what we understand of its answers.

mod common;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use md5::{Digest, Md5};
use radius::{
    accounting::{AccountingConfig, AccountingQueue, AcctEvent, AcctRecord, Authentic, Usage},
    client::{
        AccessRequest, Association, AuthClient, ClientConfig, ExchangeError, FailureCause, Nas, Outcome,
        Reply, Server,
    },
    packet::{Secret, TerminateCause, Vlan},
    testkit::{FreeRadius, FreeRadiusConfig, SERVER_NAME, User},
};
use station::eap::{Config, Credentials, Peer, Step};

fn nas() -> Nas {
    Nas { identifier: Some("ttg-test".into()), ip_address: None, ipv6_address: None }
}

fn association() -> Association {
    Association {
        bssid: [2, 0xaa, 0, 0, 0, 1],
        ssid: b"ttg enterprise".to_vec(),
        station: [2, 0xbb, 0, 0, 0, 9],
        connect_info: Some("CONNECT 54Mbps 802.11g".into()),
        akm_suite: Some(0x000f_ac01),
        pairwise_cipher: Some(0x000f_ac04),
        group_cipher: Some(0x000f_ac04),
        group_management_cipher: None,
    }
}

fn start(config: &FreeRadiusConfig) -> FreeRadius {
    match FreeRadius::start(config) {
        Ok(server) => server,
        Err(error) => panic!("{error}"),
    }
}

async fn client(server: Server) -> AuthClient {
    AuthClient::new(ClientConfig::new(vec![server], nas())).await.expect("loopback has ports")
}

/// The whole of EAP-MD5 (RFC 3748 §5.4) as the device would do it.
async fn eap_md5(client: &AuthClient, name: &str, password: &str) -> Reply {
    let mut response = vec![2, 0];
    response.extend((5 + name.len() as u16).to_be_bytes());
    response.push(1);
    response.extend(name.as_bytes());
    let first = client.exchange(AccessRequest::eap(name, response, association())).await.expect("an answer");
    let Outcome::Challenge(challenge) = first.outcome else { panic!("a challenge: {first:?}") };
    // Code, identifier, length, type 4, value size, value.
    let [1, identifier, _, _, 4, 16, value @ ..] = challenge.eap.as_slice() else {
        panic!("an MD5 challenge: {:?}", challenge.eap)
    };
    let hash =
        Md5::new().chain_update([*identifier]).chain_update(password).chain_update(&value[..16]).finalize();
    let mut response = vec![2, *identifier, 0, 22, 4, 16];
    response.extend(hash);
    let mut request = AccessRequest::eap(name, response, association());
    request.state = challenge.state;
    request.server = Some(first.server);
    client.exchange(request).await.expect("an answer")
}

#[tokio::test]
async fn eap_md5_is_accepted_with_all_that_the_server_knows_of_the_user() {
    // FreeRADIUS hides these keys under salts of its own: what comes out here was encrypted by someone else's code.
    let (recv, send) = ("a5".repeat(32), "3c".repeat(32));
    let bob = User::new("bob", "builder")
        .vlan(7)
        .reply("Class = \"gold\"")
        .reply("Session-Timeout = 3600")
        .reply("Acct-Interim-Interval = 120")
        .reply(format!("MS-MPPE-Recv-Key = 0x{recv}"))
        .reply(format!("MS-MPPE-Send-Key = 0x{send}"));
    let server = start(&FreeRadiusConfig {
        users: vec![bob],
        default_eap: "md5".into(),
        ..FreeRadiusConfig::default()
    });
    let client = client(server.authentication_server()).await;
    let Outcome::Accept(accept) = eap_md5(&client, "bob", "builder").await.outcome else {
        panic!("an accept:\n{}", server.log())
    };
    assert!(matches!(accept.eap.as_deref(), Some([3, _, 0, 4])));
    assert_eq!(accept.vlan, Some(Vlan::Id(7)));
    assert_eq!(accept.class, [b"gold".to_vec()]);
    assert_eq!(accept.user_name.as_deref(), Some(&b"bob"[..]));
    assert_eq!(accept.session_timeout, Some(Duration::from_secs(3600)));
    assert_eq!(accept.interim_interval, Some(Duration::from_secs(120)));
    let msk = accept.msk.expect("both keys");
    assert_eq!(msk.pmk(), &[0xa5; 32]);
    assert_eq!(msk.as_bytes()[32..], [0x3c; 32]);
    // The server understood who and where.
    for line in [
        "Called-Station-Id = \"02-AA-00-00-00-01:ttg enterprise\"",
        "Calling-Station-Id = \"02-BB-00-00-00-09\"",
        "NAS-Port-Type = Wireless-802.11",
        "NAS-Identifier = \"ttg-test\"",
        "WLAN-AKM-Suite = 1027073", // 0x000FAC01
        "WLAN-Pairwise-Cipher = 1027076",
        "Login OK: [bob]",
    ] {
        assert!(server.logged(line), "the server did not print {line}:\n{}", server.log());
    }
}

/// A whole EAP-TTLS conversation: the device's part by its own TLS, ours only carries it. Ends with the last reply and
/// the device's last step.
async fn eap_ttls(client: &AuthClient, server: &FreeRadius, password: &str) -> (Outcome, Step, usize) {
    let authority = std::fs::read(server.ca_certificate()).expect("it was made");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let trust = Config::new(&authority, Some(SERVER_NAME), now).expect("a proper certificate");
    let credentials = Credentials {
        outer_identity: "anonymous@example.org".into(),
        identity: "alice".into(),
        password: password.into(),
    };
    let mut peer = Peer::new(trust.with_fragment(100), Arc::new(credentials));
    let mut to_device = vec![1, 0, 0, 5, 1]; // Identity request, as the access point sends it
    let mut conversation = None;
    for round in 0..40 {
        let step = peer.receive(&to_device).expect("an EAP packet");
        let Step::Respond(response) = step else { panic!("round {round}: {step:?}: {:?}", peer.failure()) };
        let mut request = AccessRequest::eap("anonymous@example.org", response, association());
        request.framed_mtu = 300;
        if let Some((responder, state)) = conversation {
            request.server = Some(responder);
            request.state = state;
        }
        let reply = client.exchange(request).await.expect("an answer");
        let eap = match &reply.outcome {
            Outcome::Challenge(challenge) => {
                to_device.clone_from(&challenge.eap);
                conversation = Some((reply.server, challenge.state.clone()));
                continue;
            }
            Outcome::Accept(accept) => accept.eap.clone(),
            Outcome::Reject(reject) => reject.eap.clone(),
        };
        let last = peer.receive(&eap.expect("EAP-Success or EAP-Failure")).expect("an EAP packet");
        return (reply.outcome, last, round);
    }
    panic!("the conversation does not end:\n{}", server.log())
}

#[tokio::test]
async fn eap_ttls_gives_device_and_access_point_the_same_keys() {
    let alice = User::new("alice", "wonderland").vlan(12).reply("Class = \"inner\"");
    let server = start(&FreeRadiusConfig {
        users: vec![alice],
        default_eap: "ttls".into(),
        ..FreeRadiusConfig::default()
    });
    let client = client(server.authentication_server()).await;
    let (outcome, last, rounds) = eap_ttls(&client, &server, "wonderland").await;
    let Outcome::Accept(accept) = outcome else { panic!("an accept:\n{}", server.log()) };
    let Step::Success(device) = last else { panic!("the device is not content: {last:?}") };
    let ours = accept.msk.expect("keys");
    assert_eq!(ours.as_bytes(), device.as_bytes());
    assert_eq!(accept.vlan, Some(Vlan::Id(12)), "from inside the tunnel");
    assert_eq!(accept.class, [b"inner".to_vec()]);
    assert!(rounds > 5, "fragments both ways: {rounds} rounds");
}

#[tokio::test]
async fn eap_ttls_with_a_wrong_password_is_rejected() {
    let server = start(&FreeRadiusConfig { default_eap: "ttls".into(), ..FreeRadiusConfig::default() });
    let client = client(server.authentication_server()).await;
    let (outcome, last, _) = eap_ttls(&client, &server, "looking-glass").await;
    assert!(matches!(outcome, Outcome::Reject(_)), "{outcome:?}");
    assert!(matches!(last, Step::Failure), "{last:?}");
}

#[tokio::test]
async fn a_wrong_password_is_rejected_with_eap_failure() {
    let server = start(&FreeRadiusConfig { default_eap: "md5".into(), ..FreeRadiusConfig::default() });
    let client = client(server.authentication_server()).await;
    let Outcome::Reject(reject) = eap_md5(&client, "alice", "looking-glass").await.outcome else {
        panic!("a reject:\n{}", server.log())
    };
    assert!(matches!(reject.eap.as_deref(), Some([4, _, 0, 4])));
    let (_, stats) = client.stats()[0];
    assert_eq!((stats.requests, stats.replies, stats.bad_authenticators), (2, 2, 0));
}

#[tokio::test]
async fn a_wrong_secret_is_named_as_a_possible_cause() {
    let server = start(&FreeRadiusConfig::default());
    let wrong = Secret::new("not that one").expect("not empty");
    let client = AuthClient::new(common::config(vec![Server::new(server.authentication(), wrong)]))
        .await
        .expect("ports");
    let request = AccessRequest::eap("alice", [2, 0, 0, 10, 1, b'a', b'l', b'i', b'c', b'e'], association());
    let Err(error @ ExchangeError::NoServerAnswers { .. }) = client.exchange(request).await else {
        panic!("it cannot verify the request")
    };
    let text = error.to_string();
    let ExchangeError::NoServerAnswers { tried } = error else { unreachable!() };
    // FreeRADIUS drops what fails its Message-Authenticator check, and says so only in its own log.
    assert_eq!(tried[0].cause, FailureCause::Silent);
    assert!(text.contains("both have the same shared secret"), "{text}");
    assert!(server.logged("invalid Message-Authenticator"), "{}", server.log());
}

#[tokio::test]
async fn accounting_arrives_complete_and_in_order() {
    let server = start(&FreeRadiusConfig::default());
    let directory = tempfile::tempdir().expect("a directory");
    let config = AccountingConfig::new(ClientConfig::new(vec![server.accounting_server()], nas()));
    assert!(config.message_authenticator, "FreeRADIUS takes it, and checks it");
    let queue =
        AccountingQueue::open(directory.path().join("accounting.redb"), config).await.expect("a new store");
    let record = |event| {
        let mut record = AcctRecord::new("session-1", event, SystemTime::now());
        record.association = Some(association());
        record.user_name = Some(b"alice".to_vec());
        record.class = vec![b"gold".to_vec()];
        record.authentic = Some(Authentic::Radius);
        record.ip_address = Some([10, 0, 0, 7].into());
        record
    };
    let usage = Usage {
        session_time: Duration::from_secs(90),
        input_octets: (3 << 32) + 5,
        output_octets: 77,
        input_packets: 4,
        output_packets: 6,
    };
    queue.submit(record(AcctEvent::Start)).expect("there is room");
    queue.submit(record(AcctEvent::Stop(usage, TerminateCause::USER_REQUEST))).expect("there is room");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(queue.clone().run(async {
        let _ = stopped.await;
    }));
    let drained = tokio::time::timeout(Duration::from_secs(20), queue.drained()).await;
    assert!(drained.is_ok(), "not acknowledged: {:?}\n{}", queue.stats(), server.log());
    stop.send(()).expect("it runs");
    running.await.expect("no panic");
    assert_eq!(queue.pending(), 0);

    let records = server.accounting_records();
    let kinds: Vec<_> = records.iter().map(|record| record["Acct-Status-Type"].as_str()).collect();
    assert_eq!(kinds, ["Start", "Stop"]);
    for (name, value) in [
        ("Acct-Session-Id", "session-1"),
        ("User-Name", "alice"),
        ("Class", "0x676f6c64"),
        ("Framed-IP-Address", "10.0.0.7"),
        ("Acct-Session-Time", "90"),
        ("Acct-Input-Octets", "5"),
        ("Acct-Input-Gigawords", "3"),
        ("Acct-Output-Octets", "77"),
        ("Acct-Output-Packets", "6"),
        ("Acct-Terminate-Cause", "User-Request"),
        ("Acct-Authentic", "RADIUS"),
        ("Called-Station-Id", "02-AA-00-00-00-01:ttg enterprise"),
    ] {
        assert_eq!(records[1].get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!records[0].contains_key("Acct-Input-Octets"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_server_is_found_back_with_status_server() {
    let server = start(&FreeRadiusConfig { default_eap: "md5".into(), ..FreeRadiusConfig::default() });
    let mut settings = common::config(vec![Server { status_server: true, ..server.authentication_server() }]);
    settings.timings.dead_time = Duration::from_millis(200);
    let client = AuthClient::new(settings).await.expect("loopback has ports");
    server.pause().expect("it runs");
    let request = AccessRequest::eap("alice", [2, 0, 0, 10, 1, b'a', b'l', b'i', b'c', b'e'], association());
    assert!(matches!(client.exchange(request).await, Err(ExchangeError::NoServerAnswers { .. })));
    assert!(client.stats()[0].1.dead);
    server.resume().expect("it is there");
    assert!(server.logged("Received Status-Server"), "{}", server.log());
    let back = tokio::time::timeout(Duration::from_secs(10), async {
        while client.stats()[0].1.dead {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(back.await.is_ok(), "{:?}\n{}", client.stats(), server.log());
    let reply = eap_md5(&client, "alice", "wonderland").await;
    assert!(matches!(reply.outcome, Outcome::Accept(_)), "{reply:?}");
}
