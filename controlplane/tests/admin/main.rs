//! What administrators do over gRPC, as radios see it: bindings, accounts and grants that outlive the process, and draining.

#[path = "../common/mod.rs"]
mod common;

mod accounts;
mod bindings;
mod gateways;

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
