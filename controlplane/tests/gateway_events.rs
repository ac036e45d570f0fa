//! Control as its gateways see it: events in, commands out, over the same link that gRPC feeds.

#[path = "common/gateway.rs"]
mod gateway;

use controlplane::{
    Control, Link, config,
    core::{Query, SessionKey, SessionsOf, SessionsPart},
};
use gateway::*;
use proto::{
    admin,
    gateway::{self as pb, command::Command as C, event::Event as Ev},
};

async fn sessions(control: &Control) -> Vec<admin::Session> {
    some_sessions(control, SessionsOf::default(), None, 1000).await.sessions
}

async fn some_sessions(
    control: &Control,
    of: SessionsOf,
    after: Option<SessionKey>,
    most: usize,
) -> SessionsPart {
    control.ask(|reply| Query::Sessions { of, after, most, reply }).await.unwrap()
}

/// One device comes online. The blobs that the gateway keeps, of the tunnel and of the station.
async fn online(link: &mut Link) -> (Vec<u8>, Vec<u8>) {
    say(link, vec![hello(), synced(), request(1, 1), authentication(DEVICE), association(DEVICE)]).await;
    let commands = hear(link).await;
    let find =
        |wanted: fn(&C) -> Option<Vec<u8>>| commands.iter().find_map(wanted).expect("the device is let in");
    (
        find(|command| if let C::TunnelAccept(accept) = command { Some(accept.blob.clone()) } else { None }),
        find(|command| if let C::PortOpen(open) = command { Some(open.blob.clone()) } else { None }),
    )
}

fn reports((tunnel_blob, blob): (Vec<u8>, Vec<u8>)) -> (Ev, Ev) {
    let station = pb::StationReport {
        bssid: BSSID.to_vec(),
        mac: DEVICE.to_vec(),
        port_open: true,
        blob,
        counters: None,
    };
    (
        Ev::TunnelReport(pb::TunnelReport { tunnel: Some(tunnel(1, 1)), blob: tunnel_blob, group_pn: 0 }),
        Ev::StationReport(station),
    )
}

#[tokio::test]
async fn what_a_device_does_before_the_report_is_complete_does_not_harm_it() {
    let (first, _directory) = control().await;
    let blobs = online(&mut first.attach().await.unwrap()).await;

    let (second, _directory) = control().await;
    let mut link = second.attach().await.unwrap();
    let (tunnel, station) = reports(blobs);
    let eapol = Ev::Frame(pb::Frame {
        kind: 2,
        bssid: BSSID.to_vec(),
        mac: DEVICE.to_vec(),
        data: vec![2, 1, 0, 0],
        ..Default::default()
    });
    // The radio was restarted just now, too: its request comes again when control has heard all.
    say(&link, vec![hello(), tunnel, eapol, request(2, 1), station, synced()]).await;
    let commands = hear(&mut link).await;
    assert!(matches!(commands[..], [C::Welcome(_)]), "{commands:?}");
    let adopted = sessions(&second).await;
    assert_eq!((adopted.len(), adopted[0].state.as_str()), (1, "online"));

    // Now it does, and the device's session ends with the tunnel that it was on.
    say(&link, vec![request(2, 1)]).await;
    let commands = hear(&mut link).await;
    assert!(commands.iter().any(|command| matches!(command, C::TunnelAccept(_))), "{commands:?}");
    assert_eq!(sessions(&second).await, []);
}

#[tokio::test]
async fn sessions_end_with_their_radio_and_leave_room() {
    let (control, _directory) = control().await;
    let mut link = control.attach().await.unwrap();
    online(&mut link).await;
    say(&link, (0..=255).map(|n| association([2, 9, 9, 9, 9, n])).collect()).await;
    let down = pb::TunnelDown {
        bssid: BSSID.to_vec(),
        session_id: vec![1; 16],
        reason: "silent".to_owned(),
        counter: 0,
    };
    say(&link, vec![Ev::TunnelDown(down)]).await;
    hear(&mut link).await;
    assert_eq!(sessions(&control).await, []);

    say(&link, vec![request(2, 2), authentication(DEVICE), association(DEVICE)]).await;
    let commands = hear(&mut link).await;
    assert!(commands.iter().any(|command| matches!(command, C::PortOpen(open) if open.open)), "{commands:?}");
}

#[tokio::test]
async fn a_radio_that_is_heard_is_not_replaced_from_elsewhere() {
    let (control, _directory) = control().await;
    let mut link = control.attach().await.unwrap();
    online(&mut link).await;
    say(&link, vec![request(2, 2)]).await;
    let commands = hear(&mut link).await;
    assert!(
        matches!(&commands[..], [C::TunnelRefuse(refuse)] if refuse.reason.contains("127.0.0.1")),
        "{commands:?}"
    );
    assert_eq!(sessions(&control).await.len(), 1);
}

#[tokio::test]
async fn a_device_that_goes_through_addresses_costs_no_more_than_another() {
    let (control, _directory) = control().await;
    let mut link = control.attach().await.unwrap();
    online(&mut link).await;
    let address = |n: u32| {
        Ev::StationAddress(pb::StationAddress {
            bssid: BSSID.to_vec(),
            mac: DEVICE.to_vec(),
            address: n.to_be_bytes().to_vec(),
        })
    };
    say(&link, (0x0a00_0000..0x0a00_0200).map(address).collect()).await;
    let commands = hear(&mut link).await;
    let longest =
        commands.iter().map(|command| if let C::BlobSet(set) = command { set.blob.len() } else { 0 }).max();
    assert!(longest.is_some_and(|octets| octets < 1024), "{longest:?}");
    assert_eq!(sessions(&control).await[0].addresses.len(), 8);
}

#[tokio::test]
async fn nobody_is_let_in_where_no_binding_introduces_him() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("controlplane.toml");
    let text = format!(
        "state = \"{}\"\n[[service]]\nuuid = \"{UUID}\"\nssid = \"x\"\nsecurity = \"open\"\n[[binding]]\nservice = \"{UUID}\"\nclient = \"02:00:00:00:00:08\"\n",
        directory.path().display()
    );
    std::fs::write(&path, text).unwrap();
    let control = Control::start(config::load(&path).unwrap()).await.unwrap().0;
    let mut link = control.attach().await.unwrap();
    say(&link, vec![hello(), synced(), request(1, 1), authentication(DEVICE), association(DEVICE)]).await;
    let commands = hear(&mut link).await;
    assert!(
        !commands.iter().any(|command| matches!(command, C::Transmit(_) | C::StationAdd(_))),
        "{commands:?}"
    );
    let stats = control.ask(Query::Stats).await.unwrap();
    assert_eq!(stats.control["frames_not_introduced"], 2);
}

#[tokio::test]
async fn sessions_come_in_parts_by_bssid_and_device() {
    let (control, _state) = control().await;
    let mut link = control.attach().await.unwrap();
    let mut events = vec![hello(), synced(), request(1, 1)];
    events.extend([5, 3, 1, 4, 2].map(|n| authentication([2, 0, 0, 0, 1, n])));
    say(&link, events).await;
    hear(&mut link).await;
    let (mut after, mut sizes, mut clients) = (None, Vec::new(), Vec::new());
    loop {
        let part = some_sessions(&control, SessionsOf::default(), after, 2).await;
        sizes.push(part.sessions.len());
        clients.extend(part.sessions.into_iter().map(|session| session.client));
        after = part.more;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(clients, [1, 2, 3, 4, 5].map(|n| format!("02:00:00:00:01:{n:02x}")));
    let client = Some("02:00:00:00:01:03".parse().unwrap());
    let one = some_sessions(&control, SessionsOf { client, service: None }, None, 2).await;
    assert_eq!((one.sessions.len(), one.more), (1, None));
    let service = Some(matchmaker::Uuid::from_u128(77));
    let none = some_sessions(&control, SessionsOf { client: None, service }, None, 2).await;
    assert_eq!((none.sessions.len(), none.more), (0, None));
}
