//! Matchmaking as radios and gateways see it: datagrams on one side, a gateway's link on the other.

mod common;

use std::collections::VecDeque;

use common::*;
use controlplane::{Control, Link};
use dot11::MacAddr;
use proto::{
    gateway::{self as pb, command::Command as C, event::Event as Ev},
    matchmaking::messages::{self as mm, answer::Answer, failure::Reason, request::Request},
    tunnel::{Hello, Proof, Punch, ServiceUuid, SessionId, TunnelKey},
};
use tokio::{net::UdpSocket, time::timeout};

/// A control process, a gateway that serves the service, and a radio.
struct Served {
    control: Control,
    link: Link,
    radio: Radio,
    _state: tempfile::TempDir,
}

async fn serve() -> Served {
    let (control, state) = control(&[SERVICE, MATCHMAKER, BINDING].concat()).await;
    let at = control.matchmaker().unwrap();
    let link = attach(&control, "g").await;
    let mut radio = Radio::new((at.listen, at.key)).await;
    radio.register().await;
    registered(&control).await;
    Served { control, link, radio, _state: state }
}

/// The next command for which there is something; what comes behind it waits in `heard`.
async fn until<T>(link: &mut Link, heard: &mut VecDeque<C>, mut wanted: impl FnMut(C) -> Option<T>) -> T {
    loop {
        while let Some(command) = heard.pop_front() {
            if let Some(found) = wanted(command) {
                return found;
            }
        }
        let batch = timeout(PATIENCE, link.commands.recv()).await.expect("a command").expect("control lives");
        heard.extend(batch.into_iter().filter_map(|command| command.command));
    }
}

fn request(key: &TunnelKey, counter: u64) -> Ev {
    request_of(key, counter, uuid())
}

fn request_of(key: &TunnelKey, counter: u64, service: Vec<u8>) -> Ev {
    let hello = Hello {
        bssid: MacAddr(BSSID),
        radio: MacAddr(RADIO),
        service: ServiceUuid(service.clone().try_into().unwrap()),
    };
    let proof = Proof::new(key, &SessionId(SESSION), &hello, counter);
    Ev::TunnelRequest(pb::TunnelRequest {
        tunnel: Some(pb::Tunnel {
            session_id: SESSION.to_vec(),
            bssid: BSSID.to_vec(),
            radio: RADIO.to_vec(),
            service,
            endpoint: "192.0.2.77:7000".into(),
        }),
        counter,
        proof: proof.mac.to_vec(),
    })
}

fn authentication(mac: [u8; 6]) -> Ev {
    let body = [0, 0, 1, 0, 0, 0];
    let data = [&[0xb0, 0, 0, 0][..], &BSSID, &mac, &BSSID, &[0x10, 0], &body].concat();
    Ev::Frame(pb::Frame { kind: 1, bssid: BSSID.to_vec(), mac: mac.to_vec(), data, ..Default::default() })
}

fn connected(answer: Answer) -> (mm::Connected, TunnelKey) {
    let Answer::Connected(connected) = answer else { panic!("{answer:?}") };
    let key = TunnelKey::new(connected.key.clone().try_into().unwrap());
    (connected, key)
}

/// The whole way: look-up, offer, connect, introduction, tunnel, and the device's first frame; nothing for anybody else.
#[tokio::test]
async fn a_device_is_introduced_and_nobody_else_is_heard() {
    let Served { control: _control, mut link, mut radio, _state } = serve().await;
    let offers = radio.look_up(PHONE).await;
    let offer = &offers.offers[0];
    assert_eq!((offer.service.clone(), offer.client.clone()), (uuid(), PHONE.to_vec()));
    assert_eq!(offer.policy.as_ref().unwrap().min_rssi_dbm, -75);
    assert_eq!(offer.template, [&[0, 4][..], b"home"].concat(), "its beacon names it");
    // What others may see is what they are expected to want, not what the binding says.
    assert!(radio.look_up(STRANGER).await.offers.iter().all(|offer| offer.predicted));
    let Answer::Failure(failure) = radio.connect(STRANGER).await else { panic!() };
    assert_eq!(failure.reason(), Reason::NoBinding);

    let heard = &mut VecDeque::new();
    // The keep-alive may come before the introduction, and without the key it opens nothing.
    let wrong = TunnelKey::new([9; 16]);
    say(&link, vec![request(&wrong, 1)]).await;
    let (connected, key) = connected(radio.connect(PHONE).await);
    assert_eq!(connected.endpoints, ["192.0.2.1:5247"]);
    let punch = until(&mut link, heard, |command| match command {
        C::Datagram(datagram) => Some(datagram),
        C::TunnelAccept(_) => panic!("a tunnel without proof"),
        _ => None,
    })
    .await;
    assert_eq!(punch.peer, radio.socket.local_addr().unwrap().to_string());
    let punched = Punch::parse(&punch.data).unwrap();
    assert!(punched.is_right(&key) && punched.session_id == SessionId(SESSION));
    // It is repeated until the tunnel is there.
    let again = until(&mut link, heard, |command| match command {
        C::Datagram(datagram) => Punch::parse(&datagram.data),
        _ => None,
    })
    .await;
    assert!(again.is_right(&key) && again.counter > punched.counter);
    say(&link, vec![request(&key, 7), authentication(STRANGER), authentication(PHONE)]).await;
    let accept = until(&mut link, heard, |command| match command {
        C::TunnelAccept(accept) => Some(accept),
        _ => None,
    })
    .await;
    assert_eq!((accept.key.as_slice(), accept.counter), (key.as_bytes().as_slice(), 7));
    let answered = until(&mut link, heard, |command| match command {
        C::Transmit(transmit) => Some(transmit.mac),
        _ => None,
    })
    .await;
    assert_eq!(answered, PHONE, "the stranger's frame came first and is not answered");

    // The radio closes the BSS: the tunnel goes.
    let release =
        mm::Release { radio: RADIO.to_vec(), bssid: BSSID.to_vec(), service: uuid(), gateway_lost: false };
    assert_eq!(radio.ask(Request::Release(release)).await, Answer::Done(mm::Done {}));
    let closed = until(&mut link, heard, |command| match command {
        C::TunnelClose(close) => Some(close.bssid),
        _ => None,
    })
    .await;
    assert_eq!(closed, BSSID);
}

/// Who was introduced to one service is nobody to another, also on a virtual BSS that was the first one's.
#[tokio::test]
async fn an_introduction_is_to_one_service() {
    let other = "6f3c0f62-1f52-4b7a-9d0e-5a1f7a1c0002";
    let service = SERVICE.replace("0001\"", "0002\"").replace("home", "work");
    let bound = format!("[[binding]]\nservice = \"{other}\"\nclient = \"{}\"\n", MacAddr(STRANGER));
    let (control, _state) = control(&[SERVICE, &service, MATCHMAKER, BINDING, &bound].concat()).await;
    let at = control.matchmaker().unwrap();
    let mut link = attach(&control, "g").await;
    let mut radio = Radio::new((at.listen, at.key)).await;
    radio.register().await;
    registered_times(&control, 2).await;
    connected(radio.connect(PHONE).await);
    let other = other.parse::<matchmaker::Uuid>().unwrap();
    let connect = mm::Connect {
        radio: RADIO.to_vec(),
        client: STRANGER.to_vec(),
        service: other.as_bytes().to_vec(),
        bssid: BSSID.to_vec(),
        session_id: SESSION.to_vec(),
        rssi_dbm: -60,
        ..mm::Connect::default()
    };
    let (_, key) = connected(radio.ask(Request::Connect(connect)).await);
    let request = request_of(&key, 1, other.as_bytes().to_vec());
    say(&link, vec![request, authentication(PHONE), authentication(STRANGER)]).await;
    let answered = until(&mut link, &mut VecDeque::new(), |command| match command {
        C::Transmit(transmit) => Some(transmit.mac),
        _ => None,
    })
    .await;
    assert_eq!(answered, STRANGER, "the other's frame came first and is not answered");
}

/// A tunnel that is down comes up again by a keep-alive of its radio, not by one that somebody recorded and sends from elsewhere.
#[tokio::test]
async fn a_recorded_keep_alive_brings_no_tunnel_up() {
    let Served { control: _control, mut link, mut radio, _state } = serve().await;
    let (_, key) = connected(radio.connect(PHONE).await);
    let heard = &mut VecDeque::new();
    let accepted = |command| match command {
        C::TunnelAccept(accept) => Some(accept.counter),
        _ => None,
    };
    say(&link, vec![request(&key, 7)]).await;
    assert_eq!(until(&mut link, heard, accepted).await, 7);
    let down = pb::TunnelDown {
        bssid: BSSID.to_vec(),
        session_id: SESSION.to_vec(),
        reason: "silent".to_owned(),
        counter: 9,
    };
    let down = Ev::TunnelDown(down);
    // Neither that which opened it, nor one that came later; nor by another introduction on the same tunnel.
    say(&link, vec![down, request(&key, 7), request(&key, 9)]).await;
    radio.connect(PHONE).await;
    say(&link, vec![request(&key, 8), request(&key, 10)]).await;
    assert_eq!(until(&mut link, heard, accepted).await, 10);
}

/// Newcomers are sent elsewhere from the moment on in which control loses a gateway.
#[tokio::test]
async fn nobody_is_sent_to_a_gateway_that_control_has_lost() {
    let (control, _state) = control(&[SERVICE, MATCHMAKER, BINDING].concat()).await;
    let at = control.matchmaker().unwrap();
    let mut radio = Radio::new((at.listen, at.key)).await;
    radio.register().await;
    let mut links = Vec::new();
    for (at, name) in ["one", "two"].into_iter().enumerate() {
        links.push((name, attach(&control, name).await));
        registered_times(&control, at as u64 + 1).await;
    }
    for round in 0..2 {
        let (before, _) = connected(radio.connect(PHONE).await);
        let told = |command: &C| matches!(command, C::Datagram(datagram) if datagram.data[0] == 0x89);
        let mut its = None;
        while its.is_none() {
            for (at, (_, link)) in links.iter_mut().enumerate() {
                while let Ok(batch) = link.commands.try_recv() {
                    if batch.iter().filter_map(|command| command.command.as_ref()).any(told) {
                        its = Some(at);
                    }
                }
            }
            tokio::task::yield_now().await;
        }
        let (name, link) = links.remove(its.unwrap());
        drop(link);
        let began = std::time::Instant::now();
        loop {
            let (after, _) = connected(radio.connect(PHONE).await);
            if after.instance != before.instance {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{name} is gone");
            tokio::task::yield_now().await;
        }
        links.push((name, attach(&control, name).await));
        registered_times(&control, round + 3).await;
    }
}

/// A gateway elsewhere registers through its own socket, and is told through it: where its datagrams come from is where radios are sent.
#[tokio::test]
async fn a_gateway_elsewhere_registers_through_its_tunnel_socket() {
    let (here, _state) = control(&[MATCHMAKER, BINDING].concat()).await;
    let at = here.matchmaker().unwrap();
    let text = format!("{SERVICE}[matchmaking]\nserver = \"{}\"\nkey = \"{}\"\n", at.listen, at.key);
    let (there, _state) = control(&text).await;
    let mut link = attach(&there, "g").await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let gateway = socket.local_addr().unwrap();
    let mut radio = Radio::new((at.listen, at.key)).await;
    let endpoint = radio.socket.local_addr().unwrap().to_string();
    // The gateway: passes datagrams between its socket and control, until it is told to open its NAT for a radio.
    let conversation = async {
        let mut buffer = [0; 2048];
        loop {
            tokio::select! {
                batch = link.commands.recv() => for command in batch.unwrap() {
                    let Some(C::Datagram(datagram)) = command.command else { continue };
                    if datagram.data[0] == 0x89 {
                        return datagram.peer;
                    }
                    socket.send_to(&datagram.data, &datagram.peer).await.unwrap();
                },
                received = socket.recv_from(&mut buffer) => {
                    let (len, from) = received.unwrap();
                    let datagram = pb::Datagram { peer: from.to_string(), data: buffer[..len].to_vec() };
                    say(&link, vec![Ev::Datagram(datagram)]).await;
                }
            }
        }
    };
    let asking = async {
        radio.register().await;
        registered(&there).await;
        connected(radio.connect(PHONE).await).0
    };
    let (punched, connected) = timeout(PATIENCE, async { tokio::join!(conversation, asking) }).await.unwrap();
    assert_eq!(connected.endpoints[0], gateway.to_string(), "as the matchmaker sees it");
    assert_eq!(punched, endpoint);
}

/// The services of the configuration are not those of strangers.
#[tokio::test]
async fn the_configuration_says_how_many_services_strangers_have() {
    for (most, taken) in [("services_of_strangers = 0\n", false), ("", true)] {
        let (control, _state) = control(&[SERVICE, MATCHMAKER, most].concat()).await;
        let _link = attach(&control, "own").await;
        registered(&control).await;
        let at = control.matchmaker().unwrap();
        let mut gateway = Radio::new((at.listen, at.key)).await;
        let register = mm::RegisterService {
            service: vec![9; 16],
            instance: vec![7; 16],
            ssid: "other".into(),
            security: mm::Security::Open.into(),
            endpoints: vec!["192.0.2.1:5247".into()],
            ..mm::RegisterService::default()
        };
        match gateway.ask(Request::RegisterService(register)).await {
            Answer::Registered(_) => assert!(taken),
            Answer::Failure(failure) => {
                assert!(!taken && failure.text.contains("give the account a key"), "{}", failure.text);
            }
            other => panic!("{other:?}"),
        }
    }
}
