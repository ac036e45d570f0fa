//! Bindings, whose they are, and which are suggested.

use super::*;

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
