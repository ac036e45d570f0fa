//! The policy of a service in the configuration: it holds for every binding of the service, whoever made it.

mod common;

use common::*;
use controlplane::grpc;
use proto::admin::{
    CreateBindingRequest, GetNetworkRequest, ListNetworksRequest, Policy, UpdateNetworkRequest,
    admin_client::AdminClient,
};
use tonic::Code;

const POLICY: &str = "policy = { min_rssi_dbm = -75, delay_ms = 200 }\n";

#[tokio::test]
async fn a_configured_policy_holds_for_every_binding_of_the_service() {
    let (control, _state) = control(&[SERVICE, POLICY, MATCHMAKER].concat()).await;
    let listener = grpc::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let admin = format!("http://{}", listener.local_addr().unwrap());
    let _server = grpc::Server::start(listener, control.clone());
    let mut admin = AdminClient::connect(admin).await.unwrap();
    let at = control.matchmaker().unwrap();
    let mut radio = Radio::new((at.listen, at.key)).await;
    radio.register().await;
    let _link = attach(&control, "g").await;
    registered(&control).await;

    let bind = |client: [u8; 6], policy| CreateBindingRequest {
        service: UUID.into(),
        client: dot11::MacAddr(client).to_string(),
        radio: "*".into(),
        policy,
        ..CreateBindingRequest::default()
    };
    let stronger = Policy { min_rssi_dbm: Some(-60), ..Policy::default() };
    for (client, policy, wanted) in [(PHONE, None, -75), (STRANGER, Some(stronger), -60)] {
        admin.create_binding(bind(client, policy)).await.unwrap();
        let offers = radio.look_up(client).await.offers;
        let offered = offers[0].policy.as_ref().unwrap();
        assert_eq!((offered.min_rssi_dbm, offered.delay_ms), (wanted, 200));
    }

    let said = Some(Policy { min_rssi_dbm: Some(-75), delay_ms: Some(200), ..Policy::default() });
    let network = GetNetworkRequest { uuid: UUID.into() };
    assert_eq!(admin.get_network(network.clone()).await.unwrap().into_inner().policy, said);
    let list = admin.list_networks(ListNetworksRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.networks[0].policy, said);

    let update = |policy, capture_url| UpdateNetworkRequest { uuid: UUID.into(), policy, capture_url };
    let refused = admin.update_network(update(Some(stronger), None)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("[[service]]"), "{refused}");
    // What the configuration does not say is the operator's.
    let url = "http://portal.example.org/".to_owned();
    admin.update_network(update(None, Some(url.clone()))).await.unwrap();
    let network = admin.get_network(network).await.unwrap().into_inner();
    assert_eq!((network.policy, network.capture_url), (said, url));
}

#[test]
fn a_policy_that_nobody_would_hear_of_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let key = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
    let elsewhere = format!("[matchmaking]\nserver = \"192.0.2.1:5248\"\nkey = \"{key}\"\n");
    for (matchmaker, said) in [(elsewhere.as_str(), "ttgctl networks set"), ("", "without [matchmaker]")] {
        let path = written(state.path(), &[SERVICE, POLICY, matchmaker].concat());
        let error = controlplane::config::load(&path).unwrap_err().to_string();
        assert!(error.contains("has a policy") && error.contains(said), "{error}");
    }
    let path = written(state.path(), &[SERVICE, POLICY, MATCHMAKER].concat());
    controlplane::config::load(&path).unwrap();
}
