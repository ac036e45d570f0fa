//! Watching objects over gRPC: what there is, then what changes.

mod common;

use common::*;
use controlplane::{Control, grpc};
use proto::admin::{
    Contract, CreateAccountRequest, CreateBindingRequest, CreateContractRequest, CreateGrantRequest,
    CreateRadioRequest, DeleteAccountRequest, DeleteBindingRequest, DeleteContractRequest,
    DeleteNetworkRequest, DeleteRadioRequest, DrainGatewayRequest, GetAccountRequest, GetBindingRequest,
    GetContractRequest, GetNetworkRequest, GetRegisteredRadioRequest, Grant, ListContractsRequest,
    ListRegisteredRadiosRequest, ObjectChange, ObjectKind, Policy, RadioFilter, RegisteredRadio,
    UpdateBindingRequest, UpdateNetworkRequest, WatchRequest, admin_client::AdminClient,
    object_change::Object, session_change::Kind,
};
use proto::matchmaking::messages::{self as mm, answer::Answer, request::Request};
use tokio::time::timeout;
use tonic::{Code, Streaming, transport::Channel};
use tonic_types::StatusExt;

const PHONE_TEXT: &str = "02:00:00:00:00:07";
const RADIO_TEXT: &str = "02:00:00:00:00:09";

struct Served {
    control: Control,
    _server: grpc::Server,
    _state: tempfile::TempDir,
    admin: AdminClient<Channel>,
}

async fn serve(parts: &[&str]) -> Served {
    let (control, state) = control(&parts.concat()).await;
    let listener = grpc::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let server = grpc::Server::start(listener, control.clone());
    let admin = AdminClient::connect(at).await.unwrap();
    Served { control, _server: server, _state: state, admin }
}

/// The changes of one kind of objects.
struct Changes(Streaming<ObjectChange>);

impl Served {
    /// Watches, and what there is.
    async fn watch(&mut self, of: ObjectKind) -> (Changes, Vec<Object>) {
        self.watch_some(WatchRequest { of: of.into(), ..WatchRequest::default() }).await
    }

    /// Watches some of a kind.
    async fn watch_some(&mut self, asked: WatchRequest) -> (Changes, Vec<Object>) {
        let mut changes = Changes(self.admin.watch(asked).await.unwrap().into_inner());
        let mut there = Vec::new();
        loop {
            match changes.next().await {
                (Kind::Present, Some(object)) => there.push(object),
                (Kind::Synced, None) => return (changes, there),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn gateway(&self) -> controlplane::Link {
        let link = attach(&self.control, "g").await;
        registered(&self.control).await;
        link
    }

    async fn account(&mut self, id: &str) {
        let request = CreateAccountRequest { id: id.into(), ..CreateAccountRequest::default() };
        assert!(self.admin.create_account(request).await.unwrap().into_inner().created);
    }
}

impl Changes {
    async fn next(&mut self) -> (Kind, Option<Object>) {
        let change = timeout(PATIENCE, self.0.message()).await.expect("a change").unwrap().unwrap();
        (change.kind(), change.object)
    }

    /// The next one that is like this.
    async fn until<T>(&mut self, like: impl Fn(Kind, Object) -> Option<T>) -> T {
        loop {
            let (kind, object) = self.next().await;
            if let Some(found) = object.and_then(|object| like(kind, object)) {
                return found;
            }
        }
    }
}

#[tokio::test]
async fn what_operators_make_and_delete() {
    let mut served = serve(&[MATCHMAKER]).await;
    served.account("a@example.org").await;
    let (mut accounts, there) = served.watch(ObjectKind::Account).await;
    assert!(
        matches!(&there[..], [Object::Account(a)] if a.id == "a@example.org" && a.origin == "administrator")
    );
    let (mut bindings, there) = served.watch(ObjectKind::Binding).await;
    assert!(there.is_empty());
    let (mut grants, there) = served.watch(ObjectKind::Grant).await;
    assert!(there.is_empty());
    let (mut contracts, there) = served.watch(ObjectKind::Contract).await;
    assert!(there.is_empty());

    served.account("b@example.org").await;
    let (kind, Some(Object::Account(new))) = accounts.next().await else { panic!() };
    assert_eq!((kind, new.id.as_str()), (Kind::Updated, "b@example.org"));
    let got = served.admin.get_account(GetAccountRequest { id: "b@example.org".into() }).await.unwrap();
    assert_eq!(got.into_inner(), new);

    let grant = Grant { radios_of: "a@example.org".into(), services_of: "b@example.org".into() };
    served.admin.create_grant(CreateGrantRequest { grant: Some(grant.clone()) }).await.unwrap();
    assert_eq!(grants.next().await, (Kind::Updated, Some(Object::Grant(grant.clone()))));

    let account = "a@example.org".to_owned();
    let bind = CreateBindingRequest {
        service: UUID.into(),
        account: account.clone(),
        ..CreateBindingRequest::default()
    };
    let made = served.admin.create_binding(bind).await.unwrap().into_inner().binding.unwrap();
    assert_eq!(bindings.next().await, (Kind::Updated, Some(Object::Binding(made.clone()))));
    let get = GetBindingRequest { account: account.clone(), id: made.id };
    assert_eq!(served.admin.get_binding(get.clone()).await.unwrap().into_inner(), made);
    let policy = Some(Policy { min_rssi_dbm: Some(-70), ..Policy::default() });
    let set = UpdateBindingRequest { account: account.clone(), id: made.id, policy };
    let set = served.admin.update_binding(set).await.unwrap().into_inner();
    assert_eq!(set.policy, policy);
    assert_eq!(bindings.next().await, (Kind::Updated, Some(Object::Binding(set))));
    let delete = DeleteBindingRequest { account: account.clone(), id: made.id };
    served.admin.delete_binding(delete).await.unwrap();
    let (kind, Some(Object::Binding(gone))) = bindings.next().await else { panic!() };
    assert_eq!((kind, gone.id, gone.account), (Kind::Removed, made.id, account.clone()));
    assert_eq!(served.admin.get_binding(get).await.unwrap_err().code(), Code::NotFound);

    let contract = Contract {
        service: UUID.into(),
        account: account.clone(),
        identity: "user@example.org".into(),
        max_bandwidth_down: 1_000_000,
        ..Contract::default()
    };
    let create = CreateContractRequest { contract: Some(contract) };
    let made = served.admin.create_contract(create.clone()).await.unwrap().into_inner();
    assert!(made.created && !served.admin.create_contract(create).await.unwrap().into_inner().created);
    let made = made.contract.unwrap();
    assert_eq!((made.kind.as_str(), made.identity.as_str()), ("data", "user@example.org"));
    assert_eq!(contracts.next().await, (Kind::Updated, Some(Object::Contract(made.clone()))));
    let list = served.admin.list_contracts(ListContractsRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.contracts, std::slice::from_ref(&made));
    let get = GetContractRequest { account: account.clone(), id: made.id };
    assert_eq!(served.admin.get_contract(get).await.unwrap().into_inner(), made);
    let delete = DeleteContractRequest { account, id: made.id };
    served.admin.delete_contract(delete.clone()).await.unwrap();
    assert!(matches!(contracts.next().await, (Kind::Removed, Some(Object::Contract(c))) if c.id == made.id));
    assert_eq!(served.admin.delete_contract(delete).await.unwrap_err().code(), Code::NotFound);

    // What no device and no user can be called is said of the field.
    let wrong = async |client: &str, identity: &str| {
        let (client, identity) = (client.to_owned(), identity.to_owned());
        let contract = Contract { service: UUID.into(), client, identity, ..Contract::default() };
        let create = CreateContractRequest { contract: Some(contract) };
        let refused = served.admin.clone().create_contract(create).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        refused.get_details_bad_request().unwrap().field_violations[0].field.clone()
    };
    assert_eq!(wrong("01:00:5e:00:00:01", "").await, "contract.client");
    for identity in ["two\nlines", &"x".repeat(254)] {
        assert_eq!(wrong("", identity).await, "contract.identity");
    }
    for radio in ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"] {
        let create = CreateRadioRequest { radio: radio.into(), account: "a@example.org".into() };
        let refused = served.admin.create_radio(create).await.unwrap_err();
        assert_eq!(refused.get_details_bad_request().unwrap().field_violations[0].field, "radio");
    }

    // With an account go its grants.
    served.admin.delete_account(DeleteAccountRequest { id: "b@example.org".into() }).await.unwrap();
    assert_eq!(grants.next().await, (Kind::Removed, Some(Object::Grant(grant))));
    assert!(
        matches!(accounts.next().await, (Kind::Removed, Some(Object::Account(a))) if a.id == "b@example.org")
    );
}

#[tokio::test]
async fn a_radio_on_record_is_there_while_it_is_silent() {
    let mut served = serve(&[MATCHMAKER]).await;
    let account = CreateAccountRequest {
        id: "a@example.org".into(),
        key: "07".repeat(32),
        ..CreateAccountRequest::default()
    };
    served.admin.create_account(account).await.unwrap();
    let (mut all, there) = served.watch(ObjectKind::RegisteredRadio).await;
    assert!(there.is_empty());
    let only = |registered, recorded, account: Option<&str>| RadioFilter {
        registered,
        recorded,
        account: account.map(Into::into),
    };
    let watch = |filter| WatchRequest {
        of: ObjectKind::RegisteredRadio.into(),
        radios: Some(filter),
        ..WatchRequest::default()
    };
    let (mut online, there) = served.watch_some(watch(only(true, false, None))).await;
    assert!(there.is_empty());

    let create = CreateRadioRequest { radio: RADIO_TEXT.into(), account: "a@example.org".into() };
    served.admin.create_radio(create).await.unwrap();
    let silent = RegisteredRadio {
        radio: RADIO_TEXT.into(),
        account: "a@example.org".into(),
        recorded: true,
        ..RegisteredRadio::default()
    };
    let told = |kind, radio: &RegisteredRadio| (kind, Some(Object::RegisteredRadio(radio.clone())));
    assert_eq!(all.next().await, told(Kind::Updated, &silent));
    let get = GetRegisteredRadioRequest { radio: RADIO_TEXT.into() };
    assert_eq!(served.admin.get_registered_radio(get.clone()).await.unwrap().into_inner(), silent);
    let list = async |served: &mut Served, filter| {
        let asked = ListRegisteredRadiosRequest { filter, ..ListRegisteredRadiosRequest::default() };
        served.admin.list_registered_radios(asked).await.unwrap().into_inner().radios
    };
    for filter in [None, Some(only(false, true, None)), Some(only(false, false, Some("A@example.org")))] {
        assert_eq!(list(&mut served, filter).await, std::slice::from_ref(&silent));
    }
    for filter in [only(true, false, None), only(false, true, Some("")), only(true, true, None)] {
        assert_eq!(list(&mut served, Some(filter)).await, []);
    }
    let (_, there) = served.watch(ObjectKind::RegisteredRadio).await;
    assert_eq!(there, [Object::RegisteredRadio(silent.clone())]);

    // It registers, and falls silent.
    let at = served.control.matchmaker().unwrap();
    let mut radio = Radio::of((at.listen, at.key), Some(("a@example.org", [7; 32]))).await;
    radio.register().await;
    let (kind, Some(Object::RegisteredRadio(now))) = all.next().await else { panic!() };
    assert_eq!((kind, now.registered, now.recorded, now.channel), (Kind::Updated, true, true, 6));
    assert_eq!(online.next().await, told(Kind::Updated, &now));
    // Who watches only those that are registered is told that it is not any more.
    let unregister = mm::Unregister { radio: RADIO.to_vec(), ..Default::default() };
    assert!(matches!(radio.ask(Request::Unregister(unregister)).await, Answer::Done(_)));
    assert_eq!(all.next().await, told(Kind::Updated, &silent));
    assert_eq!(online.next().await, told(Kind::Updated, &silent));
    assert_eq!(served.admin.get_registered_radio(get.clone()).await.unwrap().into_inner(), silent);
    served.admin.delete_radio(DeleteRadioRequest { radio: RADIO_TEXT.into() }).await.unwrap();
    let (kind, Some(Object::RegisteredRadio(gone))) = all.next().await else { panic!() };
    assert_eq!((kind, gone.radio.as_str(), gone.recorded), (Kind::Removed, RADIO_TEXT, false));
    assert_eq!(served.admin.get_registered_radio(get).await.unwrap_err().code(), Code::NotFound);
    let other = WatchRequest { of: ObjectKind::Binding.into(), ..watch(only(true, false, None)) };
    let refused = served.admin.watch(other).await.unwrap_err();
    assert!(refused.message().starts_with("radios: it goes with"), "{refused}");
}

#[tokio::test]
async fn radios_networks_gateways_and_services() {
    let mut served = serve(&[SERVICE, MATCHMAKER]).await;
    let (mut radios, there) = served.watch(ObjectKind::RegisteredRadio).await;
    assert!(there.is_empty());
    let (mut networks, there) = served.watch(ObjectKind::Network).await;
    assert!(there.is_empty());
    let (mut gateways, there) = served.watch(ObjectKind::Gateway).await;
    assert!(there.is_empty());
    let (_, there) = served.watch(ObjectKind::Service).await;
    assert!(matches!(&there[..], [Object::Service(s)] if s.ssid == "home"));
    let (_, there) = served.watch(ObjectKind::Radio).await;
    assert!(there.is_empty());

    let link = served.gateway().await;
    let network = |kind, object| match object {
        Object::Network(network) if kind == Kind::Updated => Some(network),
        _ => None,
    };
    let served_by = |kind, object| network(kind, object).filter(|network| network.instances.len() == 1);
    assert_eq!(networks.until(served_by).await.ssid, "home");
    assert!(matches!(gateways.next().await, (Kind::Updated, Some(Object::Gateway(g))) if g.name == "g"));

    let at = served.control.matchmaker().unwrap();
    let mut radio = Radio::new((at.listen, at.key)).await;
    radio.register().await;
    let (kind, Some(Object::RegisteredRadio(new))) = radios.next().await else { panic!() };
    assert_eq!((kind, new.radio.as_str(), new.channel), (Kind::Updated, RADIO_TEXT, 6));
    let get = GetRegisteredRadioRequest { radio: RADIO_TEXT.into() };
    assert_eq!(served.admin.get_registered_radio(get.clone()).await.unwrap().into_inner().radio, RADIO_TEXT);

    let drain = DrainGatewayRequest { gateway: "g".into(), drain: true };
    served.admin.drain_gateway(drain).await.unwrap();
    let drained = |kind, object| network(kind, object).filter(|network| network.instances[0].draining);
    networks.until(drained).await;
    let policy = Policy { min_rssi_dbm: Some(-70), ..Policy::default() };
    let url = "https://portal.example.org/".to_owned();
    let update =
        UpdateNetworkRequest { uuid: UUID.into(), policy: Some(policy), capture_url: Some(url.clone()) };
    let updated = served.admin.update_network(update).await.unwrap().into_inner();
    assert_eq!((updated.policy, updated.capture_url.as_str()), (Some(policy), url.as_str()));
    networks.until(|kind, object| network(kind, object).filter(|network| network.capture_url == url)).await;
    // What is the operator's stays when the gateway says again what it serves, and what is not said is left.
    let update = UpdateNetworkRequest { uuid: UUID.into(), policy: None, capture_url: Some(String::new()) };
    assert_eq!(served.admin.update_network(update).await.unwrap().into_inner().policy, Some(policy));
    let bad = UpdateNetworkRequest { uuid: UUID.into(), policy: None, capture_url: Some("portal".into()) };
    assert_eq!(served.admin.update_network(bad).await.unwrap_err().code(), Code::InvalidArgument);
    let delete = DeleteNetworkRequest { uuid: UUID.into() };
    let used = served.admin.delete_network(delete).await.unwrap_err();
    assert!(
        used.code() == Code::FailedPrecondition && used.message().contains("a gateway serves it"),
        "{used}"
    );
    let get_network = GetNetworkRequest { uuid: UUID.into() };
    assert_eq!(served.admin.get_network(get_network).await.unwrap().into_inner().policy, Some(policy));

    // Whose a radio is, is on record from now on.
    served.account("a@example.org").await;
    let create = CreateRadioRequest { radio: RADIO_TEXT.into(), account: "a@example.org".into() };
    assert!(served.admin.create_radio(create.clone()).await.unwrap().into_inner().created);
    assert!(!served.admin.create_radio(create).await.unwrap().into_inner().created);
    served.admin.delete_radio(DeleteRadioRequest { radio: RADIO_TEXT.into() }).await.unwrap();
    let removed = |kind, object| match object {
        Object::RegisteredRadio(radio) if kind == Kind::Removed => Some(radio.radio),
        _ => None,
    };
    assert_eq!(radios.until(removed).await, RADIO_TEXT);
    assert_eq!(served.admin.get_registered_radio(get).await.unwrap_err().code(), Code::NotFound);
    let nobody = DeleteRadioRequest { radio: PHONE_TEXT.into() };
    assert_eq!(served.admin.delete_radio(nobody).await.unwrap_err().code(), Code::NotFound);

    drop(link);
    let gone = |kind, object| match object {
        Object::Gateway(gateway) if kind == Kind::Removed => Some(gateway.name),
        _ => None,
    };
    assert_eq!(gateways.until(gone).await, "g");
    let nothing = served.admin.watch(WatchRequest::default()).await.unwrap_err();
    assert_eq!(nothing.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn where_a_radio_is_and_what_it_can_is_news() {
    let mut served = serve(&[MATCHMAKER]).await;
    let (mut radios, _) = served.watch(ObjectKind::RegisteredRadio).await;
    let at = served.control.matchmaker().unwrap();
    let mut radio = Radio::new((at.listen, at.key)).await;
    let place = |latitude_e7, longitude_e7, civic: &str| {
        Some(mm::Location { latitude_e7, longitude_e7, civic: civic.to_owned() })
    };
    // With bits that have no name yet, and one that there is no room for.
    let cases = [
        (place(525_163_000, -133_777_123, "at the gate"), 0b1_1110, &["HT", "VHT", "HE", "bit 4"][..]),
        (place(-900_000_000, 1_800_000_000, ""), 1, &["5 GHz"][..]),
        (place(1, -1, ""), 0x100, &[][..]),
        (None, 0x81, &["5 GHz", "bit 7"][..]),
    ];
    let degrees = [Some((52.5163, -13.3777123)), Some((-90.0, 180.0)), Some((1e-7, -1e-7)), None];
    for ((location, capabilities, names), degrees) in cases.into_iter().zip(degrees) {
        let civic = location.as_ref().map(|location| location.civic.clone());
        let said = mm::RegisterRadio {
            radio: RADIO.to_vec(),
            location,
            capabilities,
            ..mm::RegisterRadio::default()
        };
        let answer = radio.ask(Request::RegisterRadio(said)).await;
        assert!(matches!(answer, Answer::Registered(_)), "{answer:?}");
        let (Kind::Updated, Some(Object::RegisteredRadio(news))) = radios.next().await else { panic!() };
        let get = GetRegisteredRadioRequest { radio: RADIO_TEXT.into() };
        let got = served.admin.get_registered_radio(get).await.unwrap().into_inner();
        let list = served.admin.list_registered_radios(ListRegisteredRadiosRequest::default()).await.unwrap();
        assert_eq!(list.into_inner().radios, std::slice::from_ref(&got));
        for shown in [news, got] {
            assert_eq!(shown.capabilities, names);
            let at = shown.location.map(|at| ((at.latitude, at.longitude), at.civic));
            assert_eq!(at, degrees.zip(civic.clone()));
        }
    }
}
