//! What administrators do over gRPC, as radios see it: bindings, accounts and grants that outlive the process, and draining.

mod common;

use common::*;
use controlplane::{Control, Sessions, grpc};
use proto::{
    admin::{
        Account, Binding, BindingFilter, Contract, CreateAccountRequest, CreateBindingRequest,
        CreateClientRequest, CreateContractRequest, CreateGrantRequest, CreateRadioRequest,
        DeleteAccountRequest, DeleteBindingRequest, DeleteClientRequest, DeleteContractRequest,
        DeleteGrantRequest, DeleteRadioRequest, DrainGatewayRequest, ExplainRequest, ForgiveClientRequest,
        GetStatsRequest, Grant, ListAccountsRequest, ListBindingsRequest, ListClientsRequest,
        ListGatewaysRequest, ListGrantsRequest, ListNetworksRequest, ListRegisteredRadiosRequest,
        ListSuggestionsRequest, ObjectChange, ObjectKind, Policy, UpdateBindingRequest, UpdateNetworkRequest,
        WatchRequest, admin_client::AdminClient, object_change::Object, session_change::Kind,
    },
    matchmaking::messages::{self as mm, answer::Answer, push::Push, request::Request},
};
use tonic::{Code, transport::Channel};
use tonic_types::StatusExt;

const PHONE_TEXT: &str = "02:00:00:00:00:07";
const RADIO_TEXT: &str = "02:00:00:00:00:09";
const ACCOUNTS: &str = "[[account]]\nid = \"fixed@example.org\"\n";

/// Control behind its gRPC face.
struct Served {
    control: Control,
    server: grpc::Server,
    admin: AdminClient<Channel>,
}

async fn serve(control: Control) -> Served {
    let listener = grpc::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let server = grpc::Server::start(listener, control.clone());
    Served { control, server, admin: AdminClient::connect(at).await.unwrap() }
}

impl Served {
    /// Until everything that it had open is closed.
    async fn stop(self) {
        drop(self.admin);
        self.control.shutdown(Sessions::GoOn).await;
        self.server.stop().await;
    }

    async fn bindings(&mut self) -> Vec<Binding> {
        self.admin.list_bindings(ListBindingsRequest::default()).await.unwrap().into_inner().bindings
    }

    async fn radio(&self) -> Radio {
        let at = self.control.matchmaker().unwrap();
        let mut radio = Radio::new((at.listen, at.key)).await;
        radio.register().await;
        radio
    }

    /// A gateway that serves the service, until the link is dropped.
    async fn gateway(&self) -> controlplane::Link {
        let link = attach(&self.control, "g").await;
        registered(&self.control).await;
        link
    }
}

fn phone() -> CreateBindingRequest {
    CreateBindingRequest {
        service: UUID.into(),
        client: PHONE_TEXT.into(),
        policy: Some(Policy { min_rssi_dbm: Some(-75), ..Policy::default() }),
        ..CreateBindingRequest::default()
    }
}

/// What the radio is offered for the phone by a binding, not because it is expected.
async fn offered(radio: &mut Radio) -> Vec<u64> {
    let offers = radio.look_up(PHONE).await.offers;
    offers.iter().filter(|offer| !offer.predicted).map(|offer| offer.binding).collect()
}

#[tokio::test]
async fn a_binding_is_seen_by_radios_until_it_is_deleted_and_outlives_the_process() {
    let state = tempfile::tempdir().unwrap();
    let text = [SERVICE, MATCHMAKER].concat();
    let mut served = serve(control_in(state.path(), &text).await).await;
    let link = served.gateway().await;
    let mut radio = served.radio().await;
    assert_eq!(offered(&mut radio).await, [0; 0]);

    let made = served.admin.create_binding(phone()).await.unwrap().into_inner();
    let binding = made.binding.unwrap();
    assert!(made.created && binding.origin == "administrator" && binding.account.is_empty());
    assert_eq!((binding.client.as_str(), binding.radio.as_str()), (PHONE_TEXT, "*"));
    assert_eq!(binding.policy.as_ref().unwrap().min_rssi_dbm, Some(-75));
    assert_eq!(offered(&mut radio).await, [binding.id]);
    // Where devices that no binding names were lately nobody knows.
    let roams = Policy { max_mobility: Some(2), ..Policy::default() };
    let anybody = CreateBindingRequest { client: "*".into(), policy: Some(roams), ..phone() };
    let refused = served.admin.create_binding(anybody).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("policy.max_mobility: it counts for devices that"), "{refused}");
    // As many radios as are counted: that would keep nobody out.
    let everywhere = Policy { max_mobility: Some(8), ..Policy::default() };
    let refused =
        served.admin.create_binding(CreateBindingRequest { policy: Some(everywhere), ..phone() }).await;
    let refused = refused.unwrap_err();
    let fields = refused.get_details_bad_request().unwrap().field_violations;
    assert_eq!((refused.code(), fields[0].field.as_str()), (Code::InvalidArgument, "policy.max_mobility"));
    assert!(fields[0].description.starts_with("8 would keep nobody out"), "{refused}");
    let network = UpdateNetworkRequest { uuid: UUID.into(), policy: Some(everywhere), capture_url: None };
    assert_eq!(served.admin.update_network(network).await.unwrap_err().message(), refused.message());
    // Saying it again changes nothing, and who says it differently is told.
    let again = served.admin.create_binding(phone()).await.unwrap().into_inner();
    assert_eq!((again.created, again.binding), (false, Some(binding.clone())));
    for policy in [None, Some(Policy { min_rssi_dbm: Some(-60), ..Policy::default() })] {
        let other = CreateBindingRequest { policy, ..phone() };
        let refused = served.admin.create_binding(other).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert!(refused.message().contains(&format!("`ttgctl bindings set {}`", binding.id)), "{refused}");
        let details = refused.get_details_bad_request().unwrap();
        assert_eq!(details.field_violations[0].field, "policy");
    }
    assert_eq!(served.bindings().await, std::slice::from_ref(&binding));

    // The radio said how it hears the phone when it asked what to show.
    let asked =
        ExplainRequest { client: PHONE_TEXT.into(), radio: RADIO_TEXT.into(), ..ExplainRequest::default() };
    let explained = served.admin.explain(asked.clone()).await.unwrap().into_inner().explanations;
    assert_eq!(explained.len(), 1);
    assert!(explained[0].offered && explained[0].binding == binding.id);
    assert_eq!((explained[0].verdict.as_str(), explained[0].rssi_dbm), ("shown", Some(-60)));
    let shown = format!("service {UUID}: shown because binding {} (-60 dBm, heard ", binding.id);
    assert!(explained[0].text.starts_with(&shown), "{explained:?}");
    let weak = ExplainRequest { rssi_dbm: Some(-78), ..asked.clone() };
    let weak = served.admin.explain(weak).await.unwrap().into_inner().explanations.remove(0);
    let because = format!("service {UUID}: binding {}, not shown because −78 dBm < −75 dBm", binding.id);
    assert_eq!((weak.text, weak.verdict.as_str(), weak.heard_seconds), (because, "not_shown", None));
    let wrong = served.admin.explain(ExplainRequest { rssi_dbm: Some(7), ..asked }).await.unwrap_err();
    assert!(wrong.message().starts_with("rssi_dbm: 7 dBm is no signal"), "{wrong}");
    let stats = served.admin.get_stats(GetStatsRequest {}).await.unwrap().into_inner().control;
    assert_eq!((stats["matchmaker_commits"], stats["matchmaker_look_ups"]), (5, 2), "{stats:?}");
    assert_eq!(stats["matchmaker_handshakes"], 1);
    drop((link, radio));
    served.stop().await;

    let mut served = serve(control_in(state.path(), &text).await).await;
    assert_eq!(served.bindings().await, std::slice::from_ref(&binding));
    let _link = served.gateway().await;
    let mut radio = served.radio().await;
    assert_eq!(offered(&mut radio).await, [binding.id]);
    let delete = DeleteBindingRequest { account: String::new(), id: binding.id };
    let deleted = served.admin.delete_binding(delete.clone()).await.unwrap().into_inner();
    assert_eq!(deleted.binding, Some(binding));
    assert_eq!(offered(&mut radio).await, [0; 0]);
    assert!(served.bindings().await.is_empty());
    let gone = served.admin.delete_binding(delete).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    served.stop().await;
}

#[tokio::test]
async fn the_policy_of_a_binding_is_changed_while_it_is_in_force() {
    let state = tempfile::tempdir().unwrap();
    let text = [SERVICE, MATCHMAKER, BINDING].concat();
    let mut served = serve(control_in(state.path(), &text).await).await;
    let link = served.gateway().await;
    let mut radio = served.radio().await;
    let client = "02:00:00:00:00:08";
    let make = CreateBindingRequest { client: client.into(), ..phone() };
    let made = served.admin.create_binding(make).await.unwrap().into_inner().binding.unwrap();
    let least = async |radio: &mut Radio| {
        let offers = radio.look_up(STRANGER).await.offers;
        let ours = offers.iter().find(|offer| offer.binding == made.id).expect("it is offered all the time");
        ours.policy.as_ref().map(|policy| (policy.min_rssi_dbm, policy.max_clients))
    };
    assert_eq!(least(&mut radio).await, Some((-75, 0)));

    // All of it is replaced, and radios hear of it with their next question.
    let set = |policy| UpdateBindingRequest { account: String::new(), id: made.id, policy };
    let policy = Policy { min_rssi_dbm: Some(-60), max_clients: Some(3), ..Policy::default() };
    let updated = served.admin.update_binding(set(Some(policy))).await.unwrap().into_inner();
    assert_eq!(updated, Binding { policy: Some(policy), ..made.clone() });
    assert_eq!(least(&mut radio).await, Some((-60, 3)));
    assert_eq!(served.admin.update_binding(set(Some(policy))).await.unwrap().into_inner(), updated);
    let unsaid = served.admin.update_binding(set(None)).await.unwrap_err();
    assert_eq!(unsaid.code(), Code::InvalidArgument);
    assert_eq!(unsaid.get_details_bad_request().unwrap().field_violations[0].field, "policy");
    let wrong = Policy { kick_rssi_dbm: Some(9), ..Policy::default() };
    let wrong = served.admin.update_binding(set(Some(wrong))).await.unwrap_err();
    assert_eq!(wrong.get_details_bad_request().unwrap().field_violations[0].field, "policy.kick_rssi_dbm");

    // What is not there does not come to be by it, and what is of the configuration is changed there.
    let configured = served.bindings().await.pop().unwrap();
    assert_eq!(configured.origin, "configuration");
    let fixed = UpdateBindingRequest { id: configured.id, ..set(Some(policy)) };
    let refused = served.admin.update_binding(fixed).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("change its [[binding]] there"), "{refused}");
    let differs = served.admin.create_binding(CreateBindingRequest { policy: None, ..phone() }).await;
    assert!(differs.unwrap_err().message().contains("change its [[binding]] there"));
    let nobody = UpdateBindingRequest { id: made.id + 7, ..set(Some(policy)) };
    assert_eq!(served.admin.update_binding(nobody).await.unwrap_err().code(), Code::NotFound);
    let other = UpdateBindingRequest { account: "info@example.org".into(), ..set(Some(policy)) };
    assert_eq!(served.admin.update_binding(other).await.unwrap_err().code(), Code::NotFound);
    let anybody = CreateBindingRequest { client: "*".into(), policy: None, ..phone() };
    let anybody = served.admin.create_binding(anybody).await.unwrap().into_inner().binding.unwrap();
    let roams = Policy { max_mobility: Some(2), ..Policy::default() };
    let roams = UpdateBindingRequest { id: anybody.id, ..set(Some(roams)) };
    let refused = served.admin.update_binding(roams).await.unwrap_err();
    assert!(refused.message().starts_with("policy.max_mobility: it counts for devices that"), "{refused}");
    drop((link, radio));
    served.stop().await;

    let mut served = serve(control_in(state.path(), &text).await).await;
    assert_eq!(served.bindings().await[0], updated);
    let cleared = served.admin.update_binding(set(Some(Policy::default()))).await.unwrap().into_inner();
    assert_eq!(cleared.policy, None);
    let delete = DeleteBindingRequest { account: String::new(), id: made.id };
    served.admin.delete_binding(delete).await.unwrap();
    let gone = served.admin.update_binding(set(Some(policy))).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    served.stop().await;
}

#[tokio::test]
async fn accounts_and_grants() {
    let (control, _state) = control(&[MATCHMAKER, ACCOUNTS].concat()).await;
    let mut served = serve(control).await;
    let account = |key: &str, replace_key| CreateAccountRequest {
        id: "Info@example.org".into(),
        key: key.repeat(32),
        replace_key,
        remove_key: false,
    };
    let made = served.admin.create_account(account("7f", false)).await.unwrap().into_inner();
    let info = Account { id: "info@example.org".into(), has_key: true, origin: "administrator".into() };
    assert_eq!((made.created, made.account.as_ref()), (true, Some(&info)));
    assert!(!served.admin.create_account(account("7f", false)).await.unwrap().into_inner().created);
    let other = served.admin.create_account(account("7e", false)).await.unwrap_err();
    assert_eq!(other.code(), Code::AlreadyExists);
    assert!(!served.admin.create_account(account("7e", true)).await.unwrap().into_inner().created);
    let fixed = Account { id: "fixed@example.org".into(), has_key: false, origin: "configuration".into() };
    let list = ListAccountsRequest { page_size: 1, page_token: String::new() };
    let first = served.admin.list_accounts(list).await.unwrap().into_inner();
    assert_eq!(first.accounts, [fixed]);
    let list = ListAccountsRequest { page_size: 1, page_token: first.next_page_token };
    let second = served.admin.list_accounts(list).await.unwrap().into_inner();
    assert_eq!((second.accounts, second.next_page_token.as_str()), (vec![info], ""));

    let grant = Some(Grant { radios_of: "info@example.org".into(), services_of: "fixed@example.org".into() });
    let create = CreateGrantRequest { grant: grant.clone() };
    assert!(served.admin.create_grant(create.clone()).await.unwrap().into_inner().created);
    assert!(!served.admin.create_grant(create).await.unwrap().into_inner().created);
    let grants = served.admin.list_grants(ListGrantsRequest::default()).await.unwrap().into_inner().grants;
    assert_eq!(grants, [grant.clone().unwrap()]);
    let delete = DeleteGrantRequest { grant };
    served.admin.delete_grant(delete.clone()).await.unwrap();
    assert_eq!(served.admin.delete_grant(delete).await.unwrap_err().code(), Code::NotFound);

    let bind = CreateBindingRequest { account: "info@example.org".into(), ..phone() };
    let binding = served.admin.create_binding(bind).await.unwrap().into_inner().binding.unwrap();
    assert_eq!(binding.account, "info@example.org");
    let delete = DeleteAccountRequest { id: "info@example.org".into() };
    let refused = served.admin.delete_account(delete.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("still has bindings"), "{refused}");
    let unbind = DeleteBindingRequest { account: binding.account, id: binding.id };
    served.admin.delete_binding(unbind).await.unwrap();
    // Nor while something else would be of somebody who is not there.
    let still = async |served: &mut Served, what: &str| {
        let refused = served.admin.delete_account(delete.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains(what), "{refused}");
    };
    let own = CreateRadioRequest { radio: RADIO_TEXT.into(), account: "info@example.org".into() };
    served.admin.create_radio(own).await.unwrap();
    still(&mut served, "has radios on record; `ttgctl radios --recorded --account info@example.org`").await;
    served.admin.delete_radio(DeleteRadioRequest { radio: RADIO_TEXT.into() }).await.unwrap();
    let contract = Contract {
        service: UUID.into(),
        account: "info@example.org".into(),
        client: PHONE_TEXT.into(),
        ..Contract::default()
    };
    let agree = CreateContractRequest { contract: Some(contract) };
    let id = served.admin.create_contract(agree).await.unwrap().into_inner().contract.unwrap().id;
    still(&mut served, "has contracts; `ttgctl contracts` shows them").await;
    let end = DeleteContractRequest { account: "info@example.org".into(), id };
    served.admin.delete_contract(end).await.unwrap();
    served.admin.delete_account(delete).await.unwrap();
    let fixed = DeleteAccountRequest { id: "fixed@example.org".into() };
    let refused = served.admin.delete_account(fixed).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    served.stop().await;
}

#[tokio::test]
async fn bindings_come_in_pages() {
    let (control, _state) = control(&[SERVICE, MATCHMAKER, BINDING].concat()).await;
    let mut served = serve(control).await;
    for n in 0..7 {
        let client = format!("02:00:00:00:01:{n:02x}");
        served.admin.create_binding(CreateBindingRequest { client, ..phone() }).await.unwrap();
    }
    let mut token = String::new();
    let mut sizes = Vec::new();
    let mut all = Vec::new();
    loop {
        let asked = ListBindingsRequest { page_size: 3, page_token: token, filter: None };
        let page = served.admin.list_bindings(asked).await.unwrap().into_inner();
        sizes.push(page.bindings.len());
        all.extend(page.bindings);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [3, 3, 2]);
    assert!(all.is_sorted_by_key(|binding| binding.id));
    let configured = all.pop().unwrap();
    assert_eq!((configured.origin.as_str(), configured.client.as_str()), ("configuration", PHONE_TEXT));
    // Some of them, also in pages.
    let some = async |served: &mut Served, filter: BindingFilter, page_size| {
        let (mut clients, mut pages, mut page_token) = (Vec::new(), 0, String::new());
        loop {
            let asked = ListBindingsRequest { page_size, page_token, filter: Some(filter.clone()) };
            let page = served.admin.list_bindings(asked).await.unwrap().into_inner();
            clients.extend(page.bindings.into_iter().map(|binding| binding.client));
            (pages, page_token) = (pages + 1, page.next_page_token);
            if page_token.is_empty() {
                return (clients, pages);
            }
        }
    };
    let one = BindingFilter { client: "02-00-00-00-01-03".into(), ..BindingFilter::default() };
    assert_eq!(some(&mut served, one.clone(), 3).await, (vec!["02:00:00:00:01:03".to_owned()], 1));
    let whole = BindingFilter {
        service: UUID.to_uppercase(),
        radio: "*".into(),
        account: Some(String::new()),
        ..BindingFilter::default()
    };
    let (clients, pages) = some(&mut served, whole.clone(), 3).await;
    assert_eq!((clients.len(), pages), (8, 3));
    for nothing in [
        BindingFilter { client: "*".into(), ..BindingFilter::default() },
        BindingFilter { radio: RADIO_TEXT.into(), ..one.clone() },
        BindingFilter { account: Some("info@example.org".into()), ..one.clone() },
        BindingFilter { service: UUID.replace('6', "7"), ..one.clone() },
    ] {
        assert_eq!(some(&mut served, nothing, 3).await, (Vec::new(), 1));
    }
    let wrong = BindingFilter { client: "foo".into(), ..BindingFilter::default() };
    let asked = ListBindingsRequest { filter: Some(wrong), ..ListBindingsRequest::default() };
    let refused = served.admin.list_bindings(asked).await.unwrap_err();
    assert_eq!(refused.get_details_bad_request().unwrap().field_violations[0].field, "filter.client");
    let of = ObjectKind::Binding.into();
    let watch = WatchRequest { of, bindings: Some(one), ..WatchRequest::default() };
    let mut changes = served.admin.watch(watch).await.unwrap().into_inner();
    let client = |change: &ObjectChange| match &change.object {
        Some(Object::Binding(binding)) => (change.kind(), binding.client.clone()),
        _ => (change.kind(), String::new()),
    };
    let there = changes.message().await.unwrap().unwrap();
    assert_eq!(client(&there), (Kind::Present, "02:00:00:00:01:03".to_owned()));
    assert_eq!(changes.message().await.unwrap().unwrap().kind(), Kind::Synced);
    for binding in all {
        let delete = DeleteBindingRequest { account: String::new(), id: binding.id };
        served.admin.delete_binding(delete).await.unwrap();
    }
    let gone = changes.message().await.unwrap().unwrap();
    assert_eq!(gone.kind(), Kind::Removed);
    let (Some(Object::Binding(gone)), Some(Object::Binding(there))) = (gone.object, there.object) else {
        panic!("bindings")
    };
    assert_eq!(gone.id, there.id);
    let make = CreateBindingRequest { client: "02:00:00:00:01:04".into(), ..phone() };
    served.admin.create_binding(make).await.unwrap();
    let make = CreateBindingRequest { client: "02:00:00:00:01:03".into(), ..phone() };
    served.admin.create_binding(make).await.unwrap();
    let made = changes.message().await.unwrap().unwrap();
    assert_eq!(client(&made), (Kind::Updated, "02:00:00:00:01:03".to_owned()));
    drop(changes);
    // What a configuration says is said already, and is taken back there.
    let same = served.admin.create_binding(phone()).await.unwrap().into_inner();
    assert_eq!((same.created, same.binding.unwrap().id), (false, configured.id));
    let delete = DeleteBindingRequest { account: String::new(), id: configured.id };
    let refused = served.admin.delete_binding(delete).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("remove its [[binding]] there"), "{refused}");
    served.stop().await;
}

#[tokio::test]
async fn a_network_that_nobody_sees_is_suggested_until_it_is_bound() {
    let enterprise = SERVICE.replace("security = \"open\"", "security = \"eap\"\nradius = \"aaa\"");
    let radius = "[[radius]]\nname = \"aaa\"\nauth = [\"127.0.0.1:9\"]\nsecret = \"s\"\n";
    let (control, _state) = control(&[&enterprise, radius, MATCHMAKER].concat()).await;
    let mut served = serve(control).await;
    let suggestions = async |served: &mut Served| {
        served
            .admin
            .list_suggestions(ListSuggestionsRequest::default())
            .await
            .unwrap()
            .into_inner()
            .suggestions
    };
    let _link = served.gateway().await;
    let suggested = suggestions(&mut served).await;
    assert_eq!((suggested.len(), suggested[0].service.as_str()), (1, UUID));
    served.admin.create_binding(phone()).await.unwrap();
    assert_eq!(suggestions(&mut served).await, suggested);
    let broadcast = suggested[0].binding.clone().unwrap();
    assert!(served.admin.create_binding(broadcast).await.unwrap().into_inner().created);
    assert_eq!(suggestions(&mut served).await, []);
    served.stop().await;
}

#[tokio::test]
async fn a_drained_gateway_gets_no_newcomers() {
    let (control, _state) = control(&[SERVICE, MATCHMAKER, BINDING].concat()).await;
    let mut served = serve(control).await;
    let _link = served.gateway().await;
    let mut radio = served.radio().await;
    assert!(matches!(radio.connect(PHONE).await, Answer::Connected(_)));
    let radios = served.admin.list_registered_radios(ListRegisteredRadiosRequest::default()).await.unwrap();
    let radios = radios.into_inner().radios;
    assert_eq!((radios.len(), radios[0].radio.as_str(), radios[0].channel), (1, RADIO_TEXT, 6));
    assert_eq!(radios[0].endpoint, radio.socket.local_addr().unwrap().to_string());
    assert!(radios[0].until_unix_ms > 0);

    let drain = |drain| DrainGatewayRequest { gateway: "g".into(), drain };
    assert!(served.admin.drain_gateway(drain(true)).await.unwrap().into_inner().changed);
    assert!(!served.admin.drain_gateway(drain(true)).await.unwrap().into_inner().changed);
    let gateways =
        served.admin.list_gateways(ListGatewaysRequest::default()).await.unwrap().into_inner().gateways;
    assert!(gateways[0].draining);
    // The core told the matchmaker before it answered.
    let networks = served.admin.list_networks(ListNetworksRequest::default()).await.unwrap().into_inner();
    let network = &networks.networks[0];
    assert_eq!((network.ssid.as_str(), network.security.as_str()), ("home", "open"));
    assert!(network.instances[0].draining);
    assert!(matches!(radio.connect(PHONE).await, Answer::Failure(_)));
    assert!(served.admin.drain_gateway(drain(false)).await.unwrap().into_inner().changed);
    assert!(matches!(radio.connect(PHONE).await, Answer::Connected(_)));

    let other = DrainGatewayRequest { gateway: "other".into(), drain: true };
    assert_eq!(served.admin.drain_gateway(other).await.unwrap_err().code(), Code::NotFound);
    let forgiven = ForgiveClientRequest { client: PHONE_TEXT.into() };
    assert!(!served.admin.forgive_client(forgiven).await.unwrap().into_inner().was_refused);
    served.stop().await;
}

/// An account loses its key only for somebody who says just that.
#[tokio::test]
async fn a_key_is_not_removed_by_leaving_it_out() {
    let (control, _state) = control(&[MATCHMAKER, ACCOUNTS].concat()).await;
    let mut served = serve(control).await;
    let (some, none, fixed) = ("info@example.org", "none@example.org", "fixed@example.org");
    // Whose, key, replace_key, remove_key; the answer, and whether the account has a key then.
    let cases = [
        (some, "7f", false, false, Ok(true), true),
        (some, "", false, false, Err((Code::AlreadyExists, "--remove-key")), true),
        (some, "", true, false, Err((Code::InvalidArgument, "--remove-key")), true),
        (some, "7f", false, true, Err((Code::InvalidArgument, "leave one of them out")), true),
        (some, "7e", true, true, Err((Code::InvalidArgument, "leave one of them out")), true),
        (some, "", false, true, Ok(false), false),
        (some, "", false, true, Ok(false), false),
        (some, "", true, false, Err((Code::InvalidArgument, "--remove-key")), false),
        (some, "7e", false, false, Err((Code::AlreadyExists, "--replace-key")), false),
        (some, "7e", true, false, Ok(false), true),
        // As ttgctl says it.
        (some, "", true, true, Ok(false), false),
        (none, "", false, true, Err((Code::NotFound, "there is no account")), false),
        (none, "", true, false, Err((Code::InvalidArgument, "--remove-key")), false),
        (none, "7f", true, false, Ok(true), true),
        (fixed, "", false, true, Ok(false), false),
    ];
    for (n, (id, key, replace_key, remove_key, answer, has_key)) in cases.into_iter().enumerate() {
        let asked = CreateAccountRequest { id: id.into(), key: key.repeat(32), replace_key, remove_key };
        match (served.admin.create_account(asked).await, answer) {
            (Ok(said), Ok(created)) => assert_eq!(said.into_inner().created, created, "case {n}"),
            (Err(said), Err((code, what))) => {
                assert_eq!(said.code(), code, "case {n}: {said}");
                assert!(said.message().contains(what), "case {n}: {said}");
            }
            (said, _) => panic!("case {n}: {said:?}"),
        }
        let accounts = served.admin.list_accounts(ListAccountsRequest::default()).await.unwrap().into_inner();
        let found = accounts.accounts.iter().find(|account| account.id == id);
        assert_eq!(found.is_some_and(|account| account.has_key), has_key, "case {n}");
    }
    served.stop().await;
}

/// Of two who make the same account at the same time one has made it; with different keys the other is told.
#[tokio::test]
async fn an_account_is_made_once() {
    let (control, _state) = control(MATCHMAKER).await;
    let served = serve(control).await;
    let account = |n: u32, key: &str| CreateAccountRequest {
        id: format!("a{n}@example.org"),
        key: key.repeat(32),
        replace_key: false,
        remove_key: false,
    };
    for n in 0..20 {
        let (mut one, mut two, mut three) =
            (served.admin.clone(), served.admin.clone(), served.admin.clone());
        let (one, two, three) = tokio::join!(
            one.create_account(account(n, "7f")),
            two.create_account(account(n, "7f")),
            three.create_account(account(n, "7e")),
        );
        let made = |answer: &Result<tonic::Response<proto::admin::CreateAccountResponse>, tonic::Status>| {
            match answer {
                Ok(answer) => usize::from(answer.get_ref().created),
                Err(status) => {
                    assert_eq!(status.code(), Code::AlreadyExists);
                    0
                }
            }
        };
        assert_eq!(made(&one) + made(&two) + made(&three), 1, "{one:?} {two:?} {three:?}");
    }
    served.stop().await;
}

#[tokio::test]
async fn whose_a_binding_is_must_be_known() {
    let (control, _state) = control(&[MATCHMAKER, ACCOUNTS].concat()).await;
    let mut served = serve(control).await;
    let refused = served.admin.create_binding(phone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert!(refused.message().starts_with(&format!("service: no service {UUID} is known")), "{refused}");
    let said = CreateBindingRequest { account: "fixed@example.org".into(), ..phone() };
    let made = served.admin.create_binding(said).await.unwrap().into_inner().binding.unwrap();
    assert_eq!(made.account, "fixed@example.org");
    served.stop().await;
    // One of this process has only to be registered yet, and whose it will be is known.
    let own = format!("{MATCHMAKER}account = \"fixed@example.org\"\n");
    let (control, _state) = common::control(&[SERVICE, &own, ACCOUNTS].concat()).await;
    let mut served = serve(control).await;
    let made = served.admin.create_binding(phone()).await.unwrap().into_inner().binding.unwrap();
    assert_eq!(made.account, "fixed@example.org");
    served.stop().await;
}

#[tokio::test]
async fn devices_on_record_outlive_the_process_and_come_in_pages() {
    let state = tempfile::tempdir().unwrap();
    let mut served = serve(control_in(state.path(), MATCHMAKER).await).await;
    for n in [3, 1, 2] {
        let request =
            CreateClientRequest { client: format!("02:00:00:00:00:0{n}"), name: format!("phone {n}") };
        let made = served.admin.create_client(request.clone()).await.unwrap().into_inner();
        assert!(made.created && made.client.unwrap().recorded);
        assert!(!served.admin.create_client(request).await.unwrap().into_inner().created);
    }
    let group = CreateClientRequest { client: "01:00:00:00:00:01".into(), name: String::new() };
    let refused = served.admin.create_client(group).await.unwrap_err();
    assert!(refused.message().starts_with("client: 01:00:00:00:00:01 is no device's"), "{refused}");
    served.stop().await;
    let mut served = serve(control_in(state.path(), MATCHMAKER).await).await;
    let asked = ListClientsRequest { page_size: 2, ..ListClientsRequest::default() };
    let page = served.admin.list_clients(asked.clone()).await.unwrap().into_inner();
    assert_eq!(page.clients.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["phone 1", "phone 2"]);
    let rest = ListClientsRequest { page_token: page.next_page_token, ..asked };
    let rest = served.admin.list_clients(rest).await.unwrap().into_inner();
    assert_eq!((rest.clients[0].name.as_str(), rest.next_page_token.as_str()), ("phone 3", ""));
    let delete = DeleteClientRequest { client: rest.clients[0].client.clone() };
    served.admin.delete_client(delete.clone()).await.unwrap();
    assert_eq!(served.admin.delete_client(delete).await.unwrap_err().code(), Code::NotFound);
    served.stop().await;
}

/// An operator's word reaches the gateways, which count for themselves.
#[tokio::test]
async fn a_forgiven_client_is_forgiven_everywhere() {
    // What is to count everywhere must be said by somebody who proves who it is.
    let key = "07".repeat(32);
    let account =
        format!("account = \"info@example.org\"\n[[account]]\nid = \"info@example.org\"\nkey = \"{key}\"\n");
    let (control, _state) = control(&[MATCHMAKER, &account, BINDING].concat()).await;
    let mut served = serve(control).await;
    let at = served.control.matchmaker().unwrap();
    let account = Some(("info@example.org", [7; 32]));
    let mut radio = Radio::of((at.listen, at.key), account).await;
    radio.register().await;
    let mut gateway = Radio::of((at.listen, at.key), account).await;
    let register = mm::RegisterService {
        service: uuid(),
        instance: vec![7; 16],
        ssid: "home".into(),
        security: mm::Security::Open.into(),
        endpoints: vec!["192.0.2.1:5247".into()],
        ..mm::RegisterService::default()
    };
    assert!(matches!(gateway.ask(Request::RegisterService(register)).await, Answer::Registered(_)));
    assert!(matches!(radio.connect(PHONE).await, Answer::Connected(_)));
    let report = mm::AuthenticationFailures {
        service: uuid(),
        client: PHONE.to_vec(),
        radio: RADIO.to_vec(),
        failures: 5,
    };
    let watch = WatchRequest { of: ObjectKind::Client.into(), ..WatchRequest::default() };
    let mut changes = served.admin.watch(watch).await.unwrap().into_inner();
    assert_eq!(changes.message().await.unwrap().unwrap().kind(), Kind::Synced);
    assert!(matches!(gateway.ask(Request::AuthenticationFailures(report)).await, Answer::Done(_)));
    assert!(matches!(radio.connect(PHONE).await, Answer::Failure(_)));
    let change = changes.message().await.unwrap().unwrap();
    let Some(Object::Client(refused)) = change.object else { panic!("{change:?}") };
    assert!(refused.client == PHONE_TEXT && refused.strikes == 1 && !refused.recorded, "{refused:?}");
    assert!(refused.refused_until_unix_ms > 0);
    let listed = served.admin.list_clients(ListClientsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.clients, [refused]);
    let forgive = ForgiveClientRequest { client: PHONE_TEXT.into() };
    assert!(served.admin.forgive_client(forgive.clone()).await.unwrap().into_inner().was_refused);
    assert_eq!(changes.message().await.unwrap().unwrap().kind(), Kind::Removed);
    assert!(!served.admin.forgive_client(forgive).await.unwrap().into_inner().was_refused);
    assert!(matches!(radio.connect(PHONE).await, Answer::Connected(_)));
    let began = std::time::Instant::now();
    let told = |radio: &Radio, forgiven: bool| {
        radio.pushed.iter().any(|push| match push {
            Push::Refusals(said) => said.clients == [PHONE.to_vec()] && (said.seconds == 0) == forgiven,
            _ => false,
        })
    };
    while !(told(&gateway, false) && told(&gateway, true)) {
        assert!(began.elapsed() < PATIENCE, "{:?}", gateway.pushed);
        let load = mm::Load { service: uuid(), instance: vec![7; 16], ..mm::Load::default() };
        gateway.ask(Request::Load(load)).await;
    }
    served.stop().await;
}

/// What is to be empty stays so: from its first moment when it attaches again, and when control is restarted.
#[tokio::test]
async fn a_drained_gateway_is_drained_when_it_is_back() {
    let state = tempfile::tempdir().unwrap();
    let text = [SERVICE, MATCHMAKER, BINDING].concat();
    let mut served = serve(control_in(state.path(), &text).await).await;
    let link = served.gateway().await;
    let drain = |drain| DrainGatewayRequest { gateway: "g".into(), drain };
    assert!(served.admin.drain_gateway(drain(true)).await.unwrap().into_inner().changed);
    drop(link);
    served.stop().await;

    let mut served = serve(control_in(state.path(), &text).await).await;
    let mut radio = served.radio().await;
    let _link = served.gateway().await;
    // Not with the next renewal, which is seconds away.
    let began = std::time::Instant::now();
    loop {
        let list = ListNetworksRequest::default();
        let networks = served.admin.list_networks(list).await.unwrap().into_inner().networks;
        if networks.iter().flat_map(|network| &network.instances).any(|instance| instance.draining) {
            break;
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(4), "it is not drained");
    }
    assert!(matches!(radio.connect(PHONE).await, Answer::Failure(_)));
    assert!(served.admin.drain_gateway(drain(false)).await.unwrap().into_inner().changed);
    assert!(matches!(radio.connect(PHONE).await, Answer::Connected(_)));
    served.stop().await;

    let mut served = serve(control_in(state.path(), &text).await).await;
    let _link = served.gateway().await;
    let gateways =
        served.admin.list_gateways(ListGatewaysRequest::default()).await.unwrap().into_inner().gateways;
    assert!(!gateways[0].draining);
    served.stop().await;
}

#[tokio::test]
async fn errors_name_the_field_and_without_a_matchmaker_say_so() {
    let (here, _state) = control(&[SERVICE, MATCHMAKER].concat()).await;
    let mut served = serve(here).await;
    let wrong = [
        (CreateBindingRequest { service: "home".into(), ..phone() }, "service: `home` is not a UUID such as"),
        (
            CreateBindingRequest { client: "x".into(), ..phone() },
            "client: `x` is neither a MAC address such as",
        ),
        (
            CreateBindingRequest { account: "me".into(), ..phone() },
            "account: `me` is no e-mail address such as",
        ),
    ];
    for (request, said) in wrong {
        let status = served.admin.create_binding(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(said), "{status}");
        // The same for programs.
        let details = status.get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        let [violation] = &violations[..] else { panic!("{violations:?}") };
        assert_eq!(format!("{}: {}", violation.field, violation.description), status.message());
    }
    let unknown = CreateBindingRequest { account: "nobody@example.org".into(), ..phone() };
    assert_eq!(served.admin.create_binding(unknown).await.unwrap_err().code(), Code::NotFound);
    served.stop().await;

    let standing = format!("[[binding]]\nservice = \"{UUID}\"\n");
    let (without, _state) = control(&[SERVICE, &standing].concat()).await;
    let mut served = serve(without).await;
    let bindings = served.bindings().await;
    assert_eq!((bindings.len(), bindings[0].origin.as_str()), (1, "configuration (standing)"));
    let status = served.admin.create_binding(phone()).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().starts_with("this control process has no matchmaker"), "{status}");
    let drain = DrainGatewayRequest { gateway: "g".into(), drain: true };
    assert_eq!(served.admin.drain_gateway(drain).await.unwrap_err().code(), Code::FailedPrecondition);
    served.stop().await;
}
