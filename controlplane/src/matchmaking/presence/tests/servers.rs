//! What only real servers show: a cluster, what they see, passwords, and two whole processes.

use super::*;

/// The whole suite once more, over three nodes that share the keys.
#[tokio::test]
async fn a_cluster_does_as_one_server_does() {
    let nodes = server::cluster();
    let store = |n: usize| redis(&[&nodes[n % 3], &nodes[(n + 1) % 3]], true, None);
    let empty = || nodes.iter().for_each(|node| drop(node.ask(&["FLUSHALL"])));
    instances(store(0)).await;
    empty();
    refusals(store(1)).await;
    empty();
    tunnels(store(2)).await;
    empty();
    pmks(store(0)).await;
    empty();
    emptied(store(1), empty, async || {}).await;
}

/// No key of ours is to be seen in what Redis has.
#[tokio::test]
async fn redis_sees_no_keys() {
    let server = Server::start(&["--requirepass", "correct horse"]);
    let store = redis(&[&server], false, Some("correct horse"));
    let mut first = Process::start(store.clone(), 1);
    let mut second = Process::start(store, 1);
    first.is_up().await;
    let entry = pmk(now(), Duration::from_secs(3600));
    first.say(Share::Tunnel(tunnel(2, 20))).await;
    first.say(Share::Instance(instance(1, 10))).await;
    first.say(Share::Pmk { service: HOME, client: PHONE, entry: Box::new(entry.clone()) }).await;
    assert_eq!(fetch(&mut second, PHONE).await, entry);
    let login = ["--no-auth-warning", "-a", "correct horse"];
    let ask = |question: &[&str]| server.ask(&[&login[..], question].concat());
    let key = format!("ttg:1:pmks:{HOME}:{PHONE}");
    let life: u64 = String::from_utf8(ask(&["PTTL", &key])).unwrap().trim().parse().unwrap();
    assert!((3_000_000..=3_600_000).contains(&life), "{life}");
    let names = String::from_utf8(ask(&["KEYS", "*"])).unwrap();
    assert!(names.lines().count() >= 4, "{names}");
    for name in names.lines() {
        // Whatever it holds, as it is.
        let dump = ask(&["--raw", "DUMP", name]);
        assert!(dump.len() > 10 || name == "ttg:1:key", "{name}");
        for secret in [&SECRET[..16], b"alice", b"192.0.2.1"] {
            assert!(!dump.windows(secret.len()).any(|window| window == secret), "{name} has a secret in it");
        }
        assert!(ask(&["PTTL", name]) != b"-1\n", "{name} stays for ever");
    }
}

/// Errors say what to do.
#[tokio::test]
async fn a_wrong_password_is_told() {
    let server = Server::start(&["--requirepass", "correct horse"]);
    let store = redis(&[&server], false, Some("battery staple"));
    let Err(error) = store.connect(vec!["nothing".into()]).await.map(drop) else { panic!() };
    let text = error.to_string();
    assert!(text.contains(&server.address()) && text.to_lowercase().contains("auth"), "{text}");
    let nobody = redis(&[], false, None);
    assert!(nobody.connect(vec!["nothing".into()]).await.is_err());
}

/// The authenticator of another process needs no EAP, on the BSS where the PMK was made or on another.
#[tokio::test]
async fn a_pmk_of_one_process_spares_eap_at_another() {
    use authenticator::{
        Bss, Environment, FailureTable, Input, Output, PmkCache, PmkChange, Service, Station,
    };
    use dot11::{
        AuthenticationAlgorithm, CapabilityInfo, ManagementSubtype, StatusCode, build,
        eapol::key::KeyFrame,
        element::{ElementId, Elements, ElementsBuilder, Rsn, SupportedRates},
        frame::management::{AssociationRequest, Authentication},
        rsn::pmkid,
    };
    let server = Server::start(&[]);
    let store = redis(&[&server], false, None);
    let (mut first, mut second) = (Process::start(store.clone(), 1), Process::start(store, 1));
    first.is_up().await;
    // What the first's core does with what its authenticator did.
    let mut made = PmkCache::new(10);
    made.watch();
    made.insert(PHONE, pmk(now(), Duration::from_secs(3600)));
    let Some((client, PmkChange::Made(entry))) = made.poll_change() else { panic!() };
    first.say(Share::Pmk { service: HOME, client, entry: Box::new(entry) }).await;
    let found = fetch(&mut second, PHONE).await;
    let time = Time::default() + now();
    for bssid in [MacAddr([2, 0xaa, 0, 0, 0, 1]), MacAddr([2, 0xaa, 0, 0, 0, 2])] {
        let service = Arc::new(Service::eap(b"example"));
        let mut entropy = |out: &mut [u8]| getrandom::fill(out).unwrap();
        let mut bss = Bss::new(service.clone(), bssid, time, &mut entropy);
        let mut failures = FailureTable::new(service.limits.clone());
        let mut pmks = PmkCache::new(10);
        assert!(pmks.adopt(time, PHONE, found.clone()));
        let mut station = Station::new(service, bssid, PHONE);
        let (algorithm, elements) = (AuthenticationAlgorithm::OPEN, Elements::default());
        let authentication = Authentication { algorithm, transaction: 1, status: StatusCode(0), elements };
        let pmkids = vec![pmkid(Akm::Ieee8021x, &Pmk::new(SECRET), bssid, PHONE).unwrap()];
        let rates = SupportedRates::bg();
        let elements = ElementsBuilder::new()
            .element(ElementId::SSID, b"example")
            .supported_rates(&rates)
            .extended_rates(&rates)
            .rsn(&Rsn { pmkids, ..Rsn::ccmp(&[Akm::Ieee8021x]) })
            .build();
        let elements = Elements::new(&elements);
        let capabilities = CapabilityInfo(0x0431);
        let association = AssociationRequest { capabilities, listen_interval: 10, elements };
        for (subtype, body) in [
            (ManagementSubtype::Authentication, authentication.to_vec()),
            (ManagementSubtype::AssociationRequest, association.to_vec()),
        ] {
            let frame = build::management(subtype, bssid, PHONE, bssid, &body);
            let mut environment = Environment {
                bss: &mut bss,
                failures: &mut failures,
                pmks: &mut pmks,
                entropy: &mut entropy,
            };
            station.handle(time, &mut environment, Input::Management { frame: &frame, protected: false });
        }
        let sent = std::iter::from_fn(|| station.poll_output()).find_map(|output| match output {
            Output::SendEapol { pdu, .. } => Some(pdu),
            _ => None,
        });
        assert!(KeyFrame::parse(&sent.unwrap()).is_ok(), "the first message of the 4-way handshake, at once");
    }
}
