//! `ttg.admin.v1.Admin`: asks the core and translates what people write.

mod bindings;
mod clients;
mod contracts;
mod live;
mod objects;
mod page;
mod presence;
mod suggestions;
mod text;
mod usage;
mod watch;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use proto::admin::{
    Account, Binding, Client, Contract, CreateAccountRequest, CreateAccountResponse, CreateBindingRequest,
    CreateBindingResponse, CreateClientRequest, CreateClientResponse, CreateContractRequest,
    CreateContractResponse, CreateGrantRequest, CreateGrantResponse, CreateRadioRequest, CreateRadioResponse,
    DeleteAccountRequest, DeleteAccountResponse, DeleteBindingRequest, DeleteBindingResponse,
    DeleteClientRequest, DeleteClientResponse, DeleteContractRequest, DeleteContractResponse,
    DeleteGrantRequest, DeleteGrantResponse, DeleteNetworkRequest, DeleteNetworkResponse, DeleteRadioRequest,
    DeleteRadioResponse, DisconnectRequest, DisconnectResponse, DrainGatewayRequest, DrainGatewayResponse,
    ExplainRequest, ExplainResponse, ForgiveClientRequest, ForgiveClientResponse, GetAccountRequest,
    GetBindingRequest, GetClientRequest, GetContractRequest, GetGrantRequest, GetNetworkRequest,
    GetRegisteredRadioRequest, GetStatsRequest, GetStatsResponse, Grant, ListAccountsRequest,
    ListAccountsResponse, ListBindingsRequest, ListBindingsResponse, ListClientsRequest, ListClientsResponse,
    ListContractsRequest, ListContractsResponse, ListGatewaysRequest, ListGatewaysResponse,
    ListGrantsRequest, ListGrantsResponse, ListNetworksRequest, ListNetworksResponse, ListRadiosRequest,
    ListRadiosResponse, ListRegisteredRadiosRequest, ListRegisteredRadiosResponse, ListServicesRequest,
    ListServicesResponse, ListSessionsRequest, ListSessionsResponse, ListSuggestionsRequest,
    ListSuggestionsResponse, ListUsageRequest, ListUsageResponse, Network, ObjectChange, RegisteredRadio,
    RekeyRequest, RekeyResponse, SessionChange, UpdateBindingRequest, UpdateNetworkRequest, WatchRequest,
    WatchSessionsRequest,
    admin_server::{Admin, AdminServer},
};
use records::{Draft, Outcome};
use tonic::{Code, Request, Response, Status};

use crate::{
    Control,
    core::Query,
    matchmaking::{Fault, Matchmaking, NotDurable},
};

/// Places that are gone through before the desk does something else: about a millisecond.
const PLACES: u32 = 16_384;
/// So many times what others change meanwhile is planned again.
const PLANS: usize = 5;

pub(super) struct AdminService {
    control: Control,
    /// Connections that were refused.
    refused: Arc<AtomicU64>,
}

pub(super) fn service(control: Control, refused: Arc<AtomicU64>) -> AdminServer<AdminService> {
    AdminServer::new(AdminService { control, refused })
}

impl AdminService {
    async fn ask<T>(
        &self,
        query: impl FnOnce(tokio::sync::oneshot::Sender<T>) -> Query,
    ) -> Result<T, Status> {
        there(self.control.ask(query).await)
    }

    fn matchmaker(&self) -> Result<&Matchmaking, Status> {
        self.control.matchmaker.as_ref().ok_or_else(no_matchmaker)
    }

    /// Makes one thing durable.
    async fn commit(&self, draft: Draft) -> Result<Outcome, Status> {
        self.try_commit(draft).await?.map_err(not_durable)
    }

    /// The same, for somebody who knows what to do if it cannot be.
    async fn try_commit(&self, draft: Draft) -> Result<Result<Outcome, NotDurable>, Status> {
        let committed = match there(self.matchmaker()?.commit(vec![draft]).await)? {
            Ok(committed) => committed,
            Err(why) => return Ok(Err(why)),
        };
        let outcome = committed.outcomes.into_iter().next();
        outcome.map(Ok).ok_or_else(|| Status::internal("the records gave no outcome"))
    }
}

/// What the desk answered.
fn there<T>(answer: Option<T>) -> Result<T, Status> {
    answer.ok_or_else(|| Status::unavailable("control is shutting down"))
}

/// Only what may succeed if it is asked again is UNAVAILABLE.
fn not_durable(why: NotDurable) -> Status {
    let code = match why.fault {
        Fault::Store => Code::Unavailable,
        Fault::Broken => Code::Internal,
        Fault::Request => Code::InvalidArgument,
        Fault::Duplicate => Code::AlreadyExists,
        Fault::Others => Code::Aborted,
    };
    Status::new(code, why.text)
}

fn no_matchmaker() -> Status {
    Status::failed_precondition(
        "this control process has no matchmaker: ask the one that has (--server of ttgctl), or give the configuration a [matchmaker] \
         and restart control",
    )
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        self.sessions(request.into_inner()).await.map(Response::new)
    }

    async fn list_radios(
        &self,
        request: Request<ListRadiosRequest>,
    ) -> Result<Response<ListRadiosResponse>, Status> {
        self.radios(request.into_inner()).await.map(Response::new)
    }

    async fn list_services(
        &self,
        request: Request<ListServicesRequest>,
    ) -> Result<Response<ListServicesResponse>, Status> {
        self.services(request.into_inner()).await.map(Response::new)
    }

    async fn list_gateways(
        &self,
        request: Request<ListGatewaysRequest>,
    ) -> Result<Response<ListGatewaysResponse>, Status> {
        self.gateways(request.into_inner()).await.map(Response::new)
    }

    async fn list_bindings(
        &self,
        request: Request<ListBindingsRequest>,
    ) -> Result<Response<ListBindingsResponse>, Status> {
        self.bindings(request.into_inner()).await.map(Response::new)
    }

    async fn create_binding(
        &self,
        request: Request<CreateBindingRequest>,
    ) -> Result<Response<CreateBindingResponse>, Status> {
        self.new_binding(request.into_inner()).await.map(Response::new)
    }

    async fn delete_binding(
        &self,
        request: Request<DeleteBindingRequest>,
    ) -> Result<Response<DeleteBindingResponse>, Status> {
        self.remove_binding(request.into_inner()).await.map(Response::new)
    }

    async fn list_registered_radios(
        &self,
        request: Request<ListRegisteredRadiosRequest>,
    ) -> Result<Response<ListRegisteredRadiosResponse>, Status> {
        self.registered_radios(request.into_inner()).await.map(Response::new)
    }

    async fn list_clients(
        &self,
        request: Request<ListClientsRequest>,
    ) -> Result<Response<ListClientsResponse>, Status> {
        self.clients(request.into_inner()).await.map(Response::new)
    }

    async fn get_client(&self, request: Request<GetClientRequest>) -> Result<Response<Client>, Status> {
        self.client(request.into_inner()).await.map(Response::new)
    }

    async fn create_client(
        &self,
        request: Request<CreateClientRequest>,
    ) -> Result<Response<CreateClientResponse>, Status> {
        self.new_client(request.into_inner()).await.map(Response::new)
    }

    async fn delete_client(
        &self,
        request: Request<DeleteClientRequest>,
    ) -> Result<Response<DeleteClientResponse>, Status> {
        self.remove_client(request.into_inner()).await.map(Response::new)
    }

    async fn list_suggestions(
        &self,
        request: Request<ListSuggestionsRequest>,
    ) -> Result<Response<ListSuggestionsResponse>, Status> {
        self.suggestions(request.into_inner()).await.map(Response::new)
    }

    async fn list_networks(
        &self,
        request: Request<ListNetworksRequest>,
    ) -> Result<Response<ListNetworksResponse>, Status> {
        self.networks(request.into_inner()).await.map(Response::new)
    }

    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<ListAccountsResponse>, Status> {
        self.accounts(request.into_inner()).await.map(Response::new)
    }

    async fn create_account(
        &self,
        request: Request<CreateAccountRequest>,
    ) -> Result<Response<CreateAccountResponse>, Status> {
        self.new_account(request.into_inner()).await.map(Response::new)
    }

    async fn delete_account(
        &self,
        request: Request<DeleteAccountRequest>,
    ) -> Result<Response<DeleteAccountResponse>, Status> {
        self.remove_account(request.into_inner()).await.map(Response::new)
    }

    async fn list_grants(
        &self,
        request: Request<ListGrantsRequest>,
    ) -> Result<Response<ListGrantsResponse>, Status> {
        self.grants(request.into_inner()).await.map(Response::new)
    }

    async fn get_grant(&self, request: Request<GetGrantRequest>) -> Result<Response<Grant>, Status> {
        self.grant(request.into_inner()).await.map(Response::new)
    }

    async fn create_grant(
        &self,
        request: Request<CreateGrantRequest>,
    ) -> Result<Response<CreateGrantResponse>, Status> {
        self.new_grant(request.into_inner()).await.map(Response::new)
    }

    async fn delete_grant(
        &self,
        request: Request<DeleteGrantRequest>,
    ) -> Result<Response<DeleteGrantResponse>, Status> {
        self.remove_grant(request.into_inner()).await.map(Response::new)
    }

    async fn get_binding(&self, request: Request<GetBindingRequest>) -> Result<Response<Binding>, Status> {
        self.binding(request.into_inner()).await.map(Response::new)
    }

    async fn update_binding(
        &self,
        request: Request<UpdateBindingRequest>,
    ) -> Result<Response<Binding>, Status> {
        self.change_binding(request.into_inner()).await.map(Response::new)
    }

    async fn get_registered_radio(
        &self,
        request: Request<GetRegisteredRadioRequest>,
    ) -> Result<Response<RegisteredRadio>, Status> {
        self.registered_radio(request.into_inner()).await.map(Response::new)
    }

    async fn create_radio(
        &self,
        request: Request<CreateRadioRequest>,
    ) -> Result<Response<CreateRadioResponse>, Status> {
        self.new_radio(request.into_inner()).await.map(Response::new)
    }

    async fn delete_radio(
        &self,
        request: Request<DeleteRadioRequest>,
    ) -> Result<Response<DeleteRadioResponse>, Status> {
        self.remove_radio(request.into_inner()).await.map(Response::new)
    }

    async fn get_network(&self, request: Request<GetNetworkRequest>) -> Result<Response<Network>, Status> {
        self.network(request.into_inner()).await.map(Response::new)
    }

    async fn update_network(
        &self,
        request: Request<UpdateNetworkRequest>,
    ) -> Result<Response<Network>, Status> {
        self.update_network(request.into_inner()).await.map(Response::new)
    }

    async fn delete_network(
        &self,
        request: Request<DeleteNetworkRequest>,
    ) -> Result<Response<DeleteNetworkResponse>, Status> {
        self.remove_network(request.into_inner()).await.map(Response::new)
    }

    async fn get_account(&self, request: Request<GetAccountRequest>) -> Result<Response<Account>, Status> {
        self.account(request.into_inner()).await.map(Response::new)
    }

    async fn list_contracts(
        &self,
        request: Request<ListContractsRequest>,
    ) -> Result<Response<ListContractsResponse>, Status> {
        self.contracts(request.into_inner()).await.map(Response::new)
    }

    async fn get_contract(&self, request: Request<GetContractRequest>) -> Result<Response<Contract>, Status> {
        self.contract(request.into_inner()).await.map(Response::new)
    }

    async fn create_contract(
        &self,
        request: Request<CreateContractRequest>,
    ) -> Result<Response<CreateContractResponse>, Status> {
        self.new_contract(request.into_inner()).await.map(Response::new)
    }

    async fn delete_contract(
        &self,
        request: Request<DeleteContractRequest>,
    ) -> Result<Response<DeleteContractResponse>, Status> {
        self.remove_contract(request.into_inner()).await.map(Response::new)
    }

    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        self.why(request.into_inner()).await.map(Response::new)
    }

    async fn forgive_client(
        &self,
        request: Request<ForgiveClientRequest>,
    ) -> Result<Response<ForgiveClientResponse>, Status> {
        self.forgive(request.into_inner()).await.map(Response::new)
    }

    async fn drain_gateway(
        &self,
        request: Request<DrainGatewayRequest>,
    ) -> Result<Response<DrainGatewayResponse>, Status> {
        self.drain(request.into_inner()).await.map(Response::new)
    }

    async fn list_usage(
        &self,
        request: Request<ListUsageRequest>,
    ) -> Result<Response<ListUsageResponse>, Status> {
        self.usage(request.into_inner()).await.map(Response::new)
    }

    async fn disconnect(
        &self,
        request: Request<DisconnectRequest>,
    ) -> Result<Response<DisconnectResponse>, Status> {
        let request = request.into_inner();
        let client = text::mac("client", &request.client)?;
        let reason = u16::try_from(request.reason)
            .map_err(|_| text::invalid("reason", "an 802.11 reason code is below 65536"))?;
        let sessions = self.ask(|reply| Query::Disconnect { client, reason, reply }).await?;
        if sessions == 0 {
            return Err(Status::not_found(format!("{client} has no session")));
        }
        Ok(Response::new(DisconnectResponse { sessions }))
    }

    async fn rekey(&self, request: Request<RekeyRequest>) -> Result<Response<RekeyResponse>, Status> {
        let request = request.into_inner();
        let started = match (request.client.as_str(), request.service.as_str()) {
            ("", "") => return Err(text::invalid("client", "name a client or a service")),
            (client, "") => {
                let client = text::mac("client", client)?;
                self.ask(|reply| Query::RekeyClient { client, reply }).await?
            }
            ("", service) => {
                let service = text::uuid("service", service)?;
                self.ask(|reply| Query::RekeyService { service, reply }).await?
            }
            _ => return Err(text::invalid("client", "name a client or a service, not both")),
        };
        if started == 0 {
            return Err(Status::not_found(
                "nothing to rekey: no such device online, or no radio shows the service",
            ));
        }
        Ok(Response::new(RekeyResponse { started }))
    }

    async fn get_stats(&self, _: Request<GetStatsRequest>) -> Result<Response<GetStatsResponse>, Status> {
        let mut stats = self.ask(Query::Stats).await?;
        let refused = self.refused.load(Ordering::Relaxed);
        if refused > 0 {
            stats.control.insert(super::CONNECTIONS_REFUSED.to_owned(), refused);
        }
        if let Ok(matchmaking) = self.matchmaker() {
            let counted = there(matchmaking.ask(|desk, _| desk.counted()).await)?;
            stats
                .control
                .extend(counted.into_iter().map(|(name, count)| (format!("matchmaker_{name}"), count)));
            let shared = matchmaking.presence.iter().flat_map(|presence| presence.counters.named());
            stats.control.extend(shared.map(|(name, count)| (name.to_owned(), count)));
        }
        Ok(Response::new(stats))
    }

    type WatchSessionsStream = watch::Changes<SessionChange>;

    async fn watch_sessions(
        &self,
        request: Request<WatchSessionsRequest>,
    ) -> Result<Response<Self::WatchSessionsStream>, Status> {
        self.watch_of_sessions(&request.into_inner()).map(Response::new)
    }

    type WatchStream = watch::Changes<ObjectChange>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.watch_of(&request.into_inner()).map(Response::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_done_is_not_to_be_tried_again() {
        let code = |fault| not_durable(NotDurable { text: "why".to_owned(), changed: None, fault }).code();
        assert_eq!(code(Fault::Store), Code::Unavailable);
        assert_eq!(code(Fault::Broken), Code::Internal);
        assert_eq!(code(Fault::Request), Code::InvalidArgument);
        assert_eq!(code(Fault::Duplicate), Code::AlreadyExists);
        assert_eq!(code(Fault::Others), Code::Aborted);
    }
}
