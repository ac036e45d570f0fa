//! The authentication client against a server that loses, repeats, forges and dies.

mod common;

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use common::{TestServer, challenge_list, closed_port, config, secret};
use radius::{
    client::{
        AccessRequest, Association, AuthClient, BadReply, ConfigError, ExchangeError, FailureCause, Outcome,
        Server, ServerId, ServerStats,
    },
    packet::{
        AttributeList, AttributeType, Code, EapError, Secret, TerminationAction, Vlan, push_vlan, split_eap,
    },
};

fn request() -> AccessRequest {
    let association = Association {
        bssid: [2, 0xaa, 0, 0, 0, 1],
        ssid: b"ttg".to_vec(),
        station: [2, 0xbb, 0, 0, 0, 9],
        akm_suite: Some(0x000f_ac01),
        ..Association::default()
    };
    AccessRequest::eap("alice", [2, 7, 0, 10, 1, b'a', b'l', b'i', b'c', b'e'], association)
}

async fn client(servers: Vec<Server>) -> AuthClient {
    AuthClient::new(config(servers)).await.expect("loopback has ports")
}

fn stats(client: &AuthClient, index: usize) -> ServerStats {
    client.stats()[index].1
}

fn failure(result: Result<radius::client::Reply, ExchangeError>) -> (FailureCause, String) {
    match result {
        Err(error @ ExchangeError::NoServerAnswers { .. }) => {
            let text = error.to_string();
            let ExchangeError::NoServerAnswers { mut tried } = error else { unreachable!() };
            (tried.remove(0).cause, text)
        }
        other => panic!("no server should have answered: {other:?}"),
    }
}

#[tokio::test]
async fn request_has_message_authenticator_first_and_what_an_access_point_says() {
    let mut server = TestServer::start(|_, request| vec![request.challenge()]).await;
    let client = client(vec![server.server()]).await;
    let long: Vec<u8> = [2, 8, 0x02, 0x58].into_iter().chain(std::iter::repeat_n(7, 596)).collect();
    let mut ask = request();
    ask.state = Some(b"state".to_vec());
    ask.credential = radius::client::Credential::Eap(long.clone());
    ask.acct_session_id = Some("0001".into());
    ask.chargeable_user_identity = true;
    let reply = client.exchange(ask).await.expect("it is answered");
    assert_eq!(reply.server, ServerId(0));
    let Outcome::Challenge(challenge) = reply.outcome else { panic!("a challenge: {reply:?}") };
    assert_eq!((challenge.eap, challenge.state), (vec![1, 7, 0, 6, 4, 16], Some(b"s".to_vec())));

    let received = server.next().await;
    let packet = received.packet();
    assert_eq!(packet.verify_request(&secret()), Ok(()));
    let attributes = packet.attributes();
    let kinds: Vec<_> = attributes.iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds[0], AttributeType::MESSAGE_AUTHENTICATOR);
    for (kind, value) in [
        (AttributeType::USER_NAME, &b"alice"[..]),
        (AttributeType::NAS_IDENTIFIER, b"ttg-test"),
        (AttributeType::CALLED_STATION_ID, b"02-AA-00-00-00-01:ttg"),
        (AttributeType::CALLING_STATION_ID, b"02-BB-00-00-00-09"),
        (AttributeType::NAS_PORT_TYPE, &[0, 0, 0, 19]),
        (AttributeType::WLAN_AKM_SUITE, &[0, 0x0f, 0xac, 1]),
        (AttributeType::ACCT_SESSION_ID, b"0001"),
        (AttributeType::CHARGEABLE_USER_IDENTITY, &[0]),
        (AttributeType::STATE, b"state"),
    ] {
        assert_eq!(attributes.first(kind), Some(value), "attribute {}", kind.0);
    }
    assert_eq!(
        attributes.all(AttributeType::EAP_MESSAGE).map(<[u8]>::len).collect::<Vec<_>>(),
        [253, 253, 94]
    );
    assert_eq!(radius::packet::join_eap(attributes), Ok(long));
}

#[tokio::test]
async fn accept_and_reject_are_read() {
    let server = TestServer::start(|count, request| {
        let mut list = AttributeList::new();
        if count == 0 {
            split_eap(&mut list, &[3, 9, 0, 4]).expect("it fits");
            push_vlan(&mut list, &Vlan::Id(12)).expect("it fits");
            for (kind, seconds) in [
                (AttributeType::SESSION_TIMEOUT, 3600),
                (AttributeType::IDLE_TIMEOUT, 300),
                (AttributeType::TERMINATION_ACTION, 1),
                (AttributeType::ACCT_INTERIM_INTERVAL, 600),
            ] {
                list.push_u32(kind, seconds).expect("it fits");
            }
            for (kind, value) in [
                (AttributeType::CLASS, "one"),
                (AttributeType::CLASS, "two"),
                (AttributeType::USER_NAME, "alice@home"),
                (AttributeType::CHARGEABLE_USER_IDENTITY, "cui"),
                (AttributeType::FILTER_ID, "guests"),
            ] {
                list.push(kind, value.as_bytes()).expect("it fits");
            }
            vec![request.reply(Code::ACCESS_ACCEPT, &list)]
        } else {
            split_eap(&mut list, &[4, 9, 0, 4]).expect("it fits");
            list.push(AttributeType::REPLY_MESSAGE, b"not ").expect("it fits");
            list.push(AttributeType::REPLY_MESSAGE, b"you").expect("it fits");
            vec![request.reply(Code::ACCESS_REJECT, &list)]
        }
    })
    .await;
    let client = client(vec![server.server()]).await;
    let Ok(Outcome::Accept(accept)) = client.exchange(request()).await.map(|reply| reply.outcome) else {
        panic!("an accept")
    };
    assert_eq!(accept.eap.as_deref(), Some(&[3, 9, 0, 4][..]));
    assert!(accept.msk.is_none());
    assert_eq!(accept.vlan, Some(Vlan::Id(12)));
    assert_eq!(accept.session_timeout, Some(Duration::from_secs(3600)));
    assert_eq!(accept.idle_timeout, Some(Duration::from_secs(300)));
    assert_eq!(accept.interim_interval, Some(Duration::from_secs(600)));
    assert_eq!(accept.termination_action, TerminationAction::RadiusRequest);
    assert_eq!(accept.class, [b"one".to_vec(), b"two".to_vec()]);
    assert_eq!(accept.user_name.as_deref(), Some(&b"alice@home"[..]));
    assert_eq!(accept.chargeable_user_identity.as_deref(), Some(&b"cui"[..]));
    assert_eq!(accept.filter_id.as_deref(), Some("guests"));
    let Ok(Outcome::Reject(reject)) = client.exchange(request()).await.map(|reply| reply.outcome) else {
        panic!("a reject")
    };
    assert_eq!(reject.eap.as_deref(), Some(&[4, 9, 0, 4][..]));
    assert_eq!(reject.reply_message.as_deref(), Some("not you"));
}

#[tokio::test]
async fn a_lost_request_is_sent_again_unchanged() {
    let mut server = TestServer::start(|count, request| match count {
        0 | 1 => Vec::new(),
        _ => vec![request.challenge()],
    })
    .await;
    let client = client(vec![server.server()]).await;
    client.exchange(request()).await.expect("the third is answered");
    let first = server.next().await;
    for _ in 0..2 {
        let again = server.next().await;
        assert_eq!((again.from, &again.bytes), (first.from, &first.bytes));
    }
    let stats = stats(&client, 0);
    assert_eq!((stats.requests, stats.retransmissions, stats.replies), (1, 2, 1));
    assert_eq!((stats.timeouts, stats.pending, stats.dead), (0, 0, false));
}

#[tokio::test]
async fn a_repeated_reply_is_for_nobody() {
    let server = TestServer::start(|_, request| vec![request.challenge(); 3]).await;
    let client = client(vec![server.server()]).await;
    for _ in 0..2 {
        client.exchange(request()).await.expect("it is answered");
    }
    // The replies of the first exchange have all come before that of the second (one socket, in order).
    let stats = stats(&client, 0);
    assert_eq!(stats.replies, 2);
    assert!((2..=4).contains(&stats.unexpected), "{stats:?}");
}

#[tokio::test]
async fn forged_and_broken_replies_never_evict_the_request() {
    let server = TestServer::start(|_, request| {
        let list = challenge_list();
        let wrong = Secret::new("guess").expect("not empty");
        let mut flipped = request.challenge();
        flipped[30] ^= 1;
        let mut other_identifier = request.challenge();
        other_identifier[1] = other_identifier[1].wrapping_add(1);
        let mut cut = request.challenge();
        cut.truncate(25);
        vec![
            request.reply_under(Code::ACCESS_ACCEPT, &list, &wrong, true), // bad authenticator
            flipped,                                                       // bad authenticator
            request.reply_under(Code::ACCESS_REJECT, &AttributeList::new(), &secret(), false), // no M-A
            request.reply(Code::ACCOUNTING_RESPONSE, &list),               // unknown type
            other_identifier,                                              // unexpected
            cut,                                                           // malformed
            b"no".to_vec(),                                                // malformed
            request.challenge(),
        ]
    })
    .await;
    let client = client(vec![server.server()]).await;
    let reply = client.exchange(request()).await.expect("the good reply counts");
    assert!(matches!(reply.outcome, Outcome::Challenge(_)));
    let stats = stats(&client, 0);
    let expected = ServerStats {
        requests: 1,
        replies: 1,
        bad_authenticators: 2,
        missing_message_authenticators: 1,
        unknown_types: 1,
        unexpected: 1,
        malformed: 2,
        ..ServerStats::default()
    };
    assert_eq!(stats, expected);
}

#[tokio::test]
async fn wrong_secret_is_told_apart() {
    let wrong = Secret::new("another secret").expect("not empty");
    let server = TestServer::start(move |_, request| {
        vec![request.reply_under(Code::ACCESS_CHALLENGE, &challenge_list(), &wrong, true)]
    })
    .await;
    let client = client(vec![server.server()]).await;
    let (cause, text) = failure(client.exchange(request()).await);
    assert_eq!(cause, FailureCause::SecretDiffers);
    let expected = format!(
        "replies from {} fail the Message-Authenticator check: the shared secret differs",
        server.address
    );
    assert!(text.contains(&expected), "{text}");
    assert!(stats(&client, 0).dead);
}

#[tokio::test]
async fn unreachable_and_silent_servers_are_told_apart() {
    let nobody = closed_port(Ipv4Addr::LOCALHOST).await;
    let refusing = client(vec![Server::new(nobody, secret())]).await;
    let (cause, text) = failure(refusing.exchange(request()).await);
    assert_eq!(cause, FailureCause::Refused);
    assert!(text.contains(&format!("{nobody} is unreachable (connection refused)")), "{text}");

    let server = TestServer::start(|_, _| Vec::new()).await;
    let silent = client(vec![server.server()]).await;
    let (cause, text) = failure(silent.exchange(request()).await);
    assert_eq!(cause, FailureCause::Silent);
    assert!(text.contains("stayed silent (3 requests in") && text.contains("shared secret"), "{text}");
    assert_eq!(stats(&silent, 0).timeouts, 1);
}

#[tokio::test]
async fn missing_message_authenticator_is_told_apart_and_can_be_allowed_without_eap_only() {
    let plain = |_: usize, request: &common::Received| {
        vec![request.reply_under(Code::ACCESS_REJECT, &AttributeList::new(), &secret(), false)]
    };
    let server = TestServer::start(plain).await;
    let strict = client(vec![server.server()]).await;
    let (cause, text) = failure(strict.exchange(request()).await);
    assert_eq!(cause, FailureCause::NoMessageAuthenticator);
    assert!(text.contains("require_message_authenticator = false"), "{text}");
    let legacy = |server: &TestServer| Server { require_message_authenticator: false, ..server.server() };
    let lenient = client(vec![legacy(&server)]).await;
    let reply = lenient.exchange(request()).await.expect("a legacy server is believed");
    assert!(matches!(reply.outcome, Outcome::Reject(_)));

    let with_eap = TestServer::start(|_, request| {
        vec![request.reply_under(Code::ACCESS_CHALLENGE, &challenge_list(), &secret(), false)]
    })
    .await;
    let lenient = client(vec![legacy(&with_eap)]).await;
    assert_eq!(failure(lenient.exchange(request()).await).0, FailureCause::NoMessageAuthenticator);
}

#[tokio::test]
async fn the_next_server_answers_and_the_dead_one_is_passed_over_until_it_is_back() {
    let (mut first, second) = (
        TestServer::start(|count, request| if count < 3 { vec![] } else { vec![request.challenge()] }).await,
        TestServer::start(|_, request| vec![request.challenge()]).await,
    );
    let mut settings = config(vec![first.server(), second.server()]);
    settings.timings.dead_time = Duration::from_millis(400);
    let client = AuthClient::new(settings).await.expect("loopback has ports");
    let ask = async || client.exchange(request()).await.expect("one server answers").server;
    assert_eq!(ask().await, ServerId(1));
    assert_eq!(stats(&client, 0).requests, 1);
    assert!(stats(&client, 0).dead);
    assert_eq!(ask().await, ServerId(1));
    assert_eq!(stats(&client, 0).requests, 1, "it is passed over");
    tokio::time::sleep(Duration::from_millis(450)).await;
    assert_eq!(ask().await, ServerId(1), "the probe is lost");
    assert_eq!((stats(&client, 0).requests, stats(&client, 0).retransmissions), (2, 1), "sent once only");
    tokio::time::sleep(Duration::from_millis(450)).await;
    assert_eq!(ask().await, ServerId(0), "the probe is answered");
    assert_eq!(ask().await, ServerId(0));
    assert!(!stats(&client, 0).dead);
    for _ in 0..5 {
        first.next().await;
    }
    assert_eq!(first.unread(), 0);
}

#[tokio::test]
async fn a_refusing_server_costs_no_wait() {
    let nobody = closed_port(Ipv4Addr::LOCALHOST).await;
    let second = TestServer::start(|_, request| vec![request.challenge()]).await;
    let mut settings = config(vec![Server::new(nobody, secret()), second.server()]);
    settings.timings.initial_retransmission = Duration::from_secs(4);
    let client = AuthClient::new(settings).await.expect("loopback has ports");
    let reply = tokio::time::timeout(Duration::from_secs(3), client.exchange(request())).await;
    assert_eq!(reply.expect("without waiting").expect("the second answers").server, ServerId(1));
}

#[tokio::test]
async fn a_conversation_stays_with_its_server() {
    let mut first = TestServer::start(|_, request| vec![request.challenge()]).await;
    let second = TestServer::start(|count, request| match count {
        0 => vec![request.challenge()],
        _ => Vec::new(),
    })
    .await;
    let client = client(vec![first.server(), second.server()]).await;
    let ask = |server| AccessRequest { server, ..request() };
    let reply = client.exchange(ask(Some(ServerId(1)))).await.expect("it is answered");
    assert_eq!(reply.server, ServerId(1));
    let result = client.exchange(ask(Some(ServerId(1)))).await;
    let Err(ExchangeError::NoServerAnswers { tried }) = result else { panic!("it is dead: {result:?}") };
    assert_eq!(tried.len(), 1);
    assert!(first.received.try_recv().is_err(), "State is of no use to another server");
    assert!(matches!(
        client.exchange(ask(Some(ServerId(2)))).await,
        Err(ExchangeError::UnknownServer(ServerId(2)))
    ));
}

#[tokio::test]
async fn status_server_finds_a_dead_server_back() {
    let mut server = TestServer::start(|_, request| match request.packet().code() {
        Code::STATUS_SERVER => {
            vec![request.reply_under(Code::ACCESS_ACCEPT, &AttributeList::new(), &secret(), false)]
        }
        _ => Vec::new(),
    })
    .await;
    let other = TestServer::start(|_, request| vec![request.challenge()]).await;
    let mut settings = config(vec![Server { status_server: true, ..server.server() }, other.server()]);
    settings.timings.dead_time = Duration::from_millis(200);
    let client = AuthClient::new(settings).await.expect("loopback has ports");
    assert_eq!(client.exchange(request()).await.expect("the other answers").server, ServerId(1));
    let status = loop {
        let received = server.next().await;
        if received.packet().code() == Code::STATUS_SERVER {
            break received;
        }
    };
    assert_eq!(status.packet().verify_request(&secret()), Ok(()));
    tokio::time::timeout(Duration::from_secs(5), async {
        while stats(&client, 0).dead {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("its answer brings it back");
}

#[tokio::test]
async fn more_requests_than_identifiers_use_more_ports() {
    const REQUESTS: usize = 600;
    let mut held = Vec::new();
    let mut seen = std::collections::HashSet::new();
    // Holds back all answers until every request is there: they are all outstanding at once.
    let (all, release) = tokio::sync::oneshot::channel();
    let mut all = Some(all);
    let mut server = TestServer::start(move |_, request| {
        if seen.insert((request.from, request.packet().identifier())) {
            held.push(request.clone());
        }
        if held.len() == REQUESTS
            && let Some(all) = all.take()
        {
            all.send(held.clone()).expect("the test waits");
        }
        Vec::new()
    })
    .await;
    let mut settings = config(vec![server.server()]);
    settings.timings.initial_retransmission = Duration::from_secs(2);
    settings.timings.maximum_retransmission = Duration::from_secs(2);
    settings.timings.maximum_count = 15;
    settings.timings.maximum_duration = Duration::from_secs(30);
    let client = AuthClient::new(settings).await.expect("loopback has ports");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..REQUESTS {
        let client = client.clone();
        tasks.spawn(async move { client.exchange(request()).await });
    }
    let held = release.await.expect("every request arrives");
    assert_eq!(stats(&client, 0).pending as usize, REQUESTS);
    let ports: std::collections::HashSet<_> = held.iter().map(|request| request.from).collect();
    assert_eq!(ports.len(), 3, "256 each");
    // A client believes only what comes from the server's address: free it for a socket of the test's own.
    server.received.close();
    let address = server.address;
    drop(server);
    let socket = loop {
        match tokio::net::UdpSocket::bind(address).await {
            Ok(socket) => break socket,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    // No more at a time than the sockets' buffers hold.
    for some in held.chunks(64) {
        for request in some {
            socket.send_to(&request.challenge(), request.from).await.expect("loopback sends");
        }
        for _ in some {
            let result = tasks.join_next().await.expect("as many as were answered");
            result.expect("no panic").expect("it is answered");
        }
    }
    assert_eq!(stats(&client, 0).pending, 0);
}

#[tokio::test]
async fn a_dropped_exchange_frees_its_identifier() {
    let mut server = TestServer::start(|_, _| Vec::new()).await;
    let client = client(vec![server.server()]).await;
    let task = tokio::spawn({
        let client = client.clone();
        async move { client.exchange(request()).await }
    });
    server.next().await;
    assert_eq!(stats(&client, 0).pending, 1);
    task.abort();
    assert!(task.await.expect_err("it was aborted").is_cancelled());
    assert_eq!(stats(&client, 0).pending, 0);
}

#[tokio::test]
async fn a_believed_reply_without_sense_is_a_bad_reply() {
    let server =
        TestServer::start(|_, request| vec![request.reply(Code::ACCESS_CHALLENGE, &AttributeList::new())])
            .await;
    let client = client(vec![server.server()]).await;
    match client.exchange(request()).await {
        Err(ExchangeError::BadReply { address, problem }) => {
            assert_eq!((address, problem), (server.address, BadReply::Eap(EapError::Absent)));
        }
        other => panic!("a challenge without EAP-Message: {other:?}"),
    }
}

#[tokio::test]
async fn ipv6_works() {
    let server = TestServer::start_at((Ipv6Addr::LOCALHOST, 0), |_, request| vec![request.challenge()]).await;
    let mut settings = config(vec![server.server()]);
    settings.local_address = Some(Ipv4Addr::LOCALHOST.into()); // of the other family: ignored
    settings.nas.ipv6_address = Some(Ipv6Addr::LOCALHOST);
    let client = AuthClient::new(settings).await.expect("loopback has ports");
    client.exchange(request()).await.expect("it is answered");
}

#[tokio::test]
async fn configurations_that_cannot_work_are_refused() {
    let new = async |change: fn(&mut radius::client::ClientConfig)| {
        let mut settings = config(vec![Server::new(([127, 0, 0, 1], 1812).into(), secret())]);
        change(&mut settings);
        AuthClient::new(settings).await.err()
    };
    assert!(new(|_| {}).await.is_none());
    assert!(matches!(new(|c| c.servers.clear()).await, Some(ConfigError::NoServer)));
    assert!(matches!(new(|c| c.nas.identifier = None).await, Some(ConfigError::NoNas)));
    assert!(matches!(
        new(|c| c.nas.identifier = Some("x".repeat(254))).await,
        Some(ConfigError::NasIdentifier(254))
    ));
    assert!(matches!(new(|c| c.timings.maximum_count = 0).await, Some(ConfigError::Timings)));
    let elsewhere = new(|c| c.local_address = Some([192, 0, 2, 1].into())).await.expect("not ours");
    let text = elsewhere.to_string();
    assert!(text.contains("cannot open a UDP socket towards RADIUS server 127.0.0.1:1812"), "{text}");
}
