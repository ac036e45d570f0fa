//! Health (`grpc.health.v1`) and reflection: what load balancers and `grpcurl` ask.

mod common;

use common::*;
use controlplane::grpc;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};

const SERVICES: [&str; 2] = ["ttg.admin.v1.Admin", "ttg.gateway.v1.Gateway"];

#[tokio::test]
async fn health_and_reflection_answer() {
    let (control, _state) = control(SERVICE).await;
    let listener = grpc::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let _server = grpc::Server::start(listener, control);
    let channel = Channel::from_shared(at).unwrap().connect().await.unwrap();

    let mut health = HealthClient::new(channel.clone());
    // The empty name is the server as a whole.
    for service in ["", SERVICES[0], SERVICES[1]] {
        let check = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(check).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    let nobody = HealthCheckRequest { service: "nobody".to_owned() };
    assert_eq!(health.check(nobody).await.unwrap_err().code(), Code::NotFound);

    // Both versions: tools differ in which they speak.
    {
        use v1::{
            ServerReflectionRequest as Ask, server_reflection_client::ServerReflectionClient as Client,
            server_reflection_request::MessageRequest as Say,
            server_reflection_response::MessageResponse as Said,
        };
        let ask = |say| Ask { host: String::new(), message_request: Some(say) };
        let asked = SERVICES.map(|service| ask(Say::FileContainingSymbol(service.to_owned())));
        let asked = [ask(Say::ListServices(String::new()))].into_iter().chain(asked);
        let mut answers = Client::new(channel.clone())
            .server_reflection_info(tokio_stream::iter(asked))
            .await
            .unwrap()
            .into_inner();
        let Some(Said::ListServicesResponse(list)) =
            answers.message().await.unwrap().unwrap().message_response
        else {
            panic!("no list")
        };
        let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
        assert!(SERVICES.iter().all(|service| names.iter().any(|name| name == service)), "{names:?}");
        for service in SERVICES {
            let answer = answers.message().await.unwrap().unwrap().message_response;
            let Some(Said::FileDescriptorResponse(files)) = answer else { panic!("{answer:?}") };
            assert!(!files.file_descriptor_proto.is_empty(), "{service}");
        }
    }
    {
        use v1alpha::{
            ServerReflectionRequest as Ask, server_reflection_client::ServerReflectionClient as Client,
            server_reflection_request::MessageRequest as Say,
            server_reflection_response::MessageResponse as Said,
        };
        let ask = Ask { host: String::new(), message_request: Some(Say::ListServices(String::new())) };
        let mut answers = Client::new(channel)
            .server_reflection_info(tokio_stream::iter([ask]))
            .await
            .unwrap()
            .into_inner();
        let answer = answers.message().await.unwrap().unwrap().message_response;
        assert!(
            matches!(answer, Some(Said::ListServicesResponse(list)) if list.service.len() >= SERVICES.len())
        );
    }
}
