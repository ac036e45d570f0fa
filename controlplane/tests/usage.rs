//! What a device used: both sides report it, it is one record, and the matchmaker remembers who is connected.

mod common;

use common::*;
use controlplane::{Link, Sessions, core::Query, grpc};
use proto::{
    admin::{ListUsageRequest, Usage, admin_client::AdminClient},
    gateway::{self as pb, command::Command as C, event::Event as Ev},
    matchmaking::messages::{self as mm, answer::Answer, request::Request},
    tunnel::{Hello, Proof, ServiceUuid, SessionId, TunnelKey},
};
use tokio::time::timeout;
use tonic::{Code, transport::Channel};

async fn until<T>(link: &mut Link, mut wanted: impl FnMut(C) -> Option<T>) -> T {
    loop {
        let batch = timeout(PATIENCE, link.commands.recv()).await.expect("a command").expect("control lives");
        if let Some(found) = batch.into_iter().filter_map(|command| command.command).find_map(&mut wanted) {
            return found;
        }
    }
}

fn frame(frame_control: u8, body: &[u8]) -> Ev {
    let data = [&[frame_control, 0, 0, 0][..], &BSSID, &PHONE, &BSSID, &[0x10, 0], body].concat();
    Ev::Frame(pb::Frame {
        kind: 1,
        bssid: BSSID.to_vec(),
        mac: PHONE.to_vec(),
        data,
        rssi_dbm: -61,
        ..Default::default()
    })
}

/// The device comes online through the tunnel.
async fn online(link: &mut Link) {
    let rates = [1, 8, 0x82, 0x84, 0x8b, 0x96, 0x0c, 0x12, 0x18, 0x24, 50, 4, 0x30, 0x48, 0x60, 0x6c];
    let associate = [&[0x21, 4, 10, 0, 0, 4][..], b"home", &rates].concat();
    say(link, vec![frame(0xb0, &[0, 0, 1, 0, 0, 0]), frame(0x00, &associate)]).await;
    until(link, |command| matches!(command, C::PortOpen(open) if open.open).then_some(())).await;
}

/// The device leaves; the gateway says what it used.
async fn leave(link: &mut Link, up_octets: u64, down_octets: u64) {
    say(link, vec![frame(0xa0, &8u16.to_le_bytes())]).await;
    until(link, |command| matches!(command, C::CountersRequest(_)).then_some(())).await;
    let counters = pb::Counters {
        bssid: BSSID.to_vec(),
        mac: PHONE.to_vec(),
        up_octets,
        down_octets,
        up_packets: 1,
        down_packets: 1,
        ..Default::default()
    };
    say(link, vec![Ev::Counters(counters)]).await;
}

async fn usage(admin: &mut AdminClient<Channel>) -> Vec<Usage> {
    admin.list_usage(ListUsageRequest::default()).await.unwrap().into_inner().usage
}

/// Until the record is as wanted.
async fn recorded(admin: &mut AdminClient<Channel>, wanted: impl Fn(&Usage) -> bool) -> Usage {
    let found = async {
        loop {
            if let Some(found) = usage(admin).await.into_iter().find(&wanted) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    match timeout(PATIENCE, found).await {
        Ok(found) => found,
        Err(_) => panic!("not on record: {:?}", usage(admin).await),
    }
}

#[tokio::test]
async fn both_sides_report_and_it_is_one_record() {
    let (control, _state) = control(&[SERVICE, MATCHMAKER, BINDING].concat()).await;
    let listener = grpc::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mut admin = AdminClient::connect(format!("http://{}", listener.local_addr().unwrap())).await.unwrap();
    let server = grpc::Server::start(listener, control.clone());
    let at = control.matchmaker().unwrap();
    let mut link = attach(&control, "g").await;
    let mut radio = Radio::new((at.listen, at.key)).await;
    radio.register().await;
    registered(&control).await;
    let Answer::Connected(connected) = radio.connect(PHONE).await else { panic!() };
    let key = TunnelKey::new(connected.key.try_into().unwrap());
    let service = ServiceUuid(uuid().try_into().unwrap());
    let hello = Hello { bssid: dot11::MacAddr(BSSID), radio: dot11::MacAddr(RADIO), service };
    let tunnel = pb::Tunnel {
        session_id: SESSION.to_vec(),
        bssid: BSSID.to_vec(),
        radio: RADIO.to_vec(),
        service: uuid(),
        endpoint: "192.0.2.77:7000".into(),
    };
    let proof = Proof::new(&key, &SessionId(SESSION), &hello, 1).mac.to_vec();
    say(&link, vec![Ev::TunnelRequest(pb::TunnelRequest { tunnel: Some(tunnel), counter: 1, proof })]).await;
    assert_eq!(usage(&mut admin).await, []);

    // It comes, uses something, leaves; and does so again.
    online(&mut link).await;
    leave(&mut link, 1_000_000, 50).await;
    let first = recorded(&mut admin, |_| true).await;
    let totals = first.by_service.unwrap();
    assert_eq!((totals.up_octets, totals.down_octets, totals.ended), (1_000_000, 50, true));
    assert_eq!((totals.rssi_dbm, first.by_radio), (-61, None));
    assert_eq!(
        (first.client.as_str(), first.session_id.as_str()),
        ("02:00:00:00:00:07", "05".repeat(16).as_str())
    );
    assert!(!first.disagree && first.first_unix_ms > 1_700_000_000_000);
    online(&mut link).await;
    leave(&mut link, 500_000, 7).await;
    let both = recorded(&mut admin, |usage| usage.by_service.as_ref().unwrap().up_octets > 1_000_000).await;
    let totals = both.by_service.unwrap();
    assert_eq!((totals.up_octets, totals.down_octets, totals.up_packets), (1_500_000, 57, 2));

    // The radio has another view of it.
    let mut report = mm::Accounting {
        session_id: SESSION.to_vec(),
        client: PHONE.to_vec(),
        service: uuid(),
        radio: RADIO.to_vec(),
        bssid: BSSID.to_vec(),
        sequence: 1,
        up_octets: 1_500_100,
        down_octets: 60,
        ended: true,
        side: mm::accounting::Side::Radio.into(),
        ..Default::default()
    };
    assert_eq!(radio.ask(Request::Accounting(report.clone())).await, Answer::Done(mm::Done {}));
    let [agreed] = &usage(&mut admin).await[..] else { panic!("one record") };
    assert_eq!((agreed.disagree, agreed.by_radio.as_ref().unwrap().up_octets), (false, 1_500_100));
    (report.sequence, report.up_octets) = (2, 9_000_000);
    assert_eq!(radio.ask(Request::Accounting(report)).await, Answer::Done(mm::Done {}));
    let [other] = &usage(&mut admin).await[..] else { panic!("one record") };
    assert!(other.disagree);

    // The gateway's load says how many there are on it: nobody now.
    let stats = control.ask(Query::Stats).await.unwrap();
    assert_eq!(stats.control["usage_reports"], 2);
    let bad = ListUsageRequest { page_token: "x".into(), ..Default::default() };
    let refused = admin.list_usage(bad).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("page_token: `x`"), "{}", refused.message());
    let of_others = ListUsageRequest { account: Some("a@example.org".into()), ..Default::default() };
    assert_eq!(admin.list_usage(of_others).await.unwrap().into_inner().usage, []);
    drop(admin);
    control.shutdown(Sessions::GoOn).await;
    server.stop().await;
}
