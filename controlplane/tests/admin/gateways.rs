//! Gateways that drain, devices that have a name or are refused, and what is wrong with a request.

use super::*;

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
