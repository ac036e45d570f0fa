//! Watching what devices and radios do: sessions with the reason why they end, virtual BSSes, services.

#[path = "common/gateway.rs"]
mod gateway;

use controlplane::{Link, grpc};
use gateway::*;
use proto::{
    admin::{
        DisconnectRequest, ObjectChange, ObjectKind, Radio, Service, Session, SessionChange, WatchRequest,
        WatchSessionsRequest, admin_client::AdminClient, object_change::Object, session_change::Kind,
    },
    gateway::{self as pb, event::Event as Ev},
};
use tokio::time::timeout;
use tonic::{Code, Streaming, transport::Channel};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
const OTHER_BSSID: [u8; 6] = [2, 0xaa, 0, 0, 0, 2];
const OTHER_DEVICE: [u8; 6] = [2, 0, 0, 0, 0, 8];
const DEVICE_TEXT: &str = "02:00:00:00:00:07";

struct Served {
    link: Link,
    admin: AdminClient<Channel>,
    _server: grpc::Server,
    _state: tempfile::TempDir,
}

/// Control with one gateway, which has one tunnel.
async fn serve() -> Served {
    let (control, state) = control().await;
    let listener = grpc::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let server = grpc::Server::start(listener, control.clone());
    let admin = AdminClient::connect(at).await.unwrap();
    let mut link = control.attach().await.unwrap();
    say(&link, vec![hello(), synced(), request(1, 1)]).await;
    hear(&mut link).await;
    Served { link, admin, _server: server, _state: state }
}

fn comes() -> Vec<Ev> {
    vec![authentication(DEVICE), association(DEVICE)]
}

fn down() -> Ev {
    let (bssid, session_id) = (BSSID.to_vec(), vec![1; 16]);
    Ev::TunnelDown(pb::TunnelDown { bssid, session_id, reason: "silent".to_owned(), counter: 0 })
}

struct Sessions(Streaming<SessionChange>);

impl Sessions {
    async fn next(&mut self) -> (Kind, Option<Session>, String) {
        let change = timeout(PATIENCE, self.0.message()).await.expect("a change").unwrap().unwrap();
        (change.kind(), change.session, change.reason)
    }

    /// Until one is online; no change before it has a reason.
    async fn online(&mut self) -> Session {
        loop {
            let (kind, session, reason) = self.next().await;
            let session = session.expect("a session");
            assert_eq!((kind, reason.as_str()), (Kind::Updated, ""));
            if session.state == "online" && session.online_unix_ms != 0 {
                return session;
            }
        }
    }

    /// Until one is gone: which, and why.
    async fn gone(&mut self) -> (Session, String) {
        loop {
            if let (Kind::Removed, Some(session), reason) = self.next().await {
                return (session, reason);
            }
        }
    }
}

impl Served {
    async fn sessions(&mut self, client: &str) -> Sessions {
        let asked = WatchSessionsRequest { client: client.into(), service: UUID.to_uppercase() };
        Sessions(self.admin.watch_sessions(asked).await.unwrap().into_inner())
    }

    async fn watch(&mut self, of: ObjectKind) -> Streaming<ObjectChange> {
        let asked = WatchRequest { of: of.into(), ..WatchRequest::default() };
        self.admin.watch(asked).await.unwrap().into_inner()
    }
}

#[tokio::test]
async fn sessions_come_and_change_and_go_for_a_reason() {
    let mut served = serve().await;
    let mut sessions = served.sessions("").await;
    assert!(matches!(sessions.next().await, (Kind::Synced, None, _)));
    say(&served.link, comes()).await;
    let session = sessions.online().await;
    assert_eq!((session.client.as_str(), session.bssid.as_str()), (DEVICE_TEXT, "02:aa:00:00:00:01"));
    // Who watches from now on begins with what there is; addresses may be written in any way that people do.
    let mut others = served.sessions("02-00-00-00-00-07").await;
    let (kind, there, _) = others.next().await;
    assert_eq!((kind, there.unwrap().client.as_str()), (Kind::Present, DEVICE_TEXT));
    assert!(matches!(others.next().await, (Kind::Synced, None, _)));

    let (bssid, mac) = (BSSID.to_vec(), DEVICE.to_vec());
    let address = pb::StationAddress { bssid: bssid.clone(), mac: mac.clone(), address: vec![192, 0, 2, 7] };
    say(&served.link, vec![Ev::StationAddress(address)]).await;
    let (kind, changed, _) = others.next().await;
    assert_eq!((kind, changed.unwrap().addresses), (Kind::Updated, vec!["192.0.2.7".to_owned()]));

    // It is silent for too long; it leaves; an operator sends it away; its radio goes.
    say(&served.link, vec![Ev::StationIdle(pb::StationIdle { bssid, mac, idle_seconds: 300 })]).await;
    let (session, reason) = sessions.gone().await;
    assert_eq!(
        (session.client.as_str(), reason.as_str()),
        (DEVICE_TEXT, "it was silent for too long (disconnected, reason 4)")
    );
    say(&served.link, comes()).await;
    sessions.online().await;
    say(&served.link, vec![management(DEVICE, 0xc0, &[3, 0])]).await;
    assert_eq!(sessions.gone().await.1, "device left, reason 3");
    say(&served.link, comes()).await;
    sessions.online().await;
    let disconnect = DisconnectRequest { client: DEVICE_TEXT.into(), reason: 5 };
    served.admin.disconnect(disconnect).await.unwrap();
    assert_eq!(sessions.gone().await.1, "an operator sent it away (disconnected, reason 5)");
    say(&served.link, comes()).await;
    sessions.online().await;

    // It turns up at another radio of the service.
    let moved = pb::Tunnel { bssid: OTHER_BSSID.to_vec(), radio: vec![2, 0, 0, 0, 0, 10], ..tunnel(3, 3) };
    let request = Ev::TunnelRequest(pb::TunnelRequest { tunnel: Some(moved), ..Default::default() });
    let events = vec![request, authentication_on(OTHER_BSSID, DEVICE), association_on(OTHER_BSSID, DEVICE)];
    say(&served.link, events).await;
    let (session, reason) = sessions.gone().await;
    assert_eq!(
        (session.bssid.as_str(), reason.as_str()),
        ("02:aa:00:00:00:01", "it went online at radio 02:00:00:00:00:0a")
    );
    say(&served.link, vec![authentication(OTHER_DEVICE), association(OTHER_DEVICE), down()]).await;
    let (session, reason) = sessions.gone().await;
    assert_eq!(
        (session.client.as_str(), reason.as_str()),
        ("02:00:00:00:00:08", "its tunnel is gone: silent")
    );

    // Who watches one device heard of no other.
    let mut removed = 0;
    while removed < 4 {
        let (kind, session, _) = others.next().await;
        assert_eq!(session.unwrap().client, DEVICE_TEXT);
        removed += u32::from(kind == Kind::Removed);
    }
    let wrong = WatchSessionsRequest { client: "foo".into(), ..WatchSessionsRequest::default() };
    let refused = served.admin.watch_sessions(wrong).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("client: `foo` is not a MAC address"), "{refused}");
}

#[tokio::test]
async fn virtual_bsses_and_services_change_with_their_devices() {
    let mut served = serve().await;
    let mut radios = served.watch(ObjectKind::Radio).await;
    let mut services = served.watch(ObjectKind::Service).await;
    let next = async |changes: &mut Streaming<ObjectChange>| {
        let change = timeout(PATIENCE, changes.message()).await.expect("a change").unwrap().unwrap();
        (change.kind(), change.object)
    };
    let mut radio = async || match next(&mut radios).await {
        (kind, Some(Object::Radio(radio))) => (kind, radio),
        (kind, _) => (kind, Radio::default()),
    };
    let mut service = async || match next(&mut services).await {
        (kind, Some(Object::Service(service))) => (kind, service.clients),
        (kind, _) => (kind, Service::default().clients),
    };
    let (kind, there) = radio().await;
    assert_eq!((kind, there.bssid.as_str(), there.clients), (Kind::Present, "02:aa:00:00:00:01", 0));
    assert_eq!(radio().await.0, Kind::Synced);
    assert_eq!(service().await, (Kind::Present, 0));
    assert_eq!(service().await.0, Kind::Synced);

    say(&served.link, comes()).await;
    assert_eq!(radio().await, (Kind::Updated, Radio { clients: 1, ..there.clone() }));
    assert_eq!(service().await, (Kind::Updated, 1));
    say(&served.link, vec![management(DEVICE, 0xc0, &[3, 0])]).await;
    assert_eq!(radio().await, (Kind::Updated, there.clone()));
    assert_eq!(service().await, (Kind::Updated, 0));
    // It closes, and opens anew from elsewhere.
    say(&served.link, vec![down()]).await;
    let (kind, gone) = radio().await;
    assert_eq!((kind, gone.bssid.as_str()), (Kind::Removed, "02:aa:00:00:00:01"));
    say(&served.link, vec![request(2, 2)]).await;
    let (kind, again) = radio().await;
    assert_eq!((kind, again.endpoint.as_str(), again.clients), (Kind::Updated, "127.0.0.2:1000", 0));
}
