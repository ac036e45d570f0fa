//! `ttg.admin.v1.Admin`: asks the core and translates what people write.

mod objects;
mod page;
mod presence;
mod text;
mod usage;

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use proto::admin::{
    CreateAccountRequest, CreateAccountResponse, CreateBindingRequest, CreateBindingResponse,
    CreateGrantRequest, CreateGrantResponse, DeleteAccountRequest, DeleteAccountResponse,
    DeleteBindingRequest, DeleteBindingResponse, DeleteGrantRequest, DeleteGrantResponse, DisconnectRequest,
    DisconnectResponse, DrainGatewayRequest, DrainGatewayResponse, ExplainRequest, ExplainResponse,
    ForgiveClientRequest, ForgiveClientResponse, GetStatsRequest, GetStatsResponse, ListAccountsRequest,
    ListAccountsResponse, ListBindingsRequest, ListBindingsResponse, ListGatewaysRequest,
    ListGatewaysResponse, ListGrantsRequest, ListGrantsResponse, ListNetworksRequest, ListNetworksResponse,
    ListRadiosRequest, ListRadiosResponse, ListRegisteredRadiosRequest, ListRegisteredRadiosResponse,
    ListServicesRequest, ListServicesResponse, ListSessionsRequest, ListSessionsResponse, ListUsageRequest,
    ListUsageResponse, RekeyRequest, RekeyResponse, SessionChange, WatchSessionsRequest,
    admin_server::{Admin, AdminServer},
    session_change::Kind,
};
use records::{Draft, Outcome};
use tokio::sync::broadcast;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};
use tonic::{Request, Response, Status};

use crate::{Control, core::Query, matchmaking::Matchmaking};

/// Places that are gone through before the desk does something else: about a millisecond.
const PLACES: u32 = 16_384;

pub(super) struct AdminService {
    control: Control,
}

pub(super) fn service(control: Control) -> AdminServer<AdminService> {
    AdminServer::new(AdminService { control })
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
        let committed = there(self.matchmaker()?.commit(vec![draft]).await)?.map_err(Status::unavailable)?;
        committed.outcomes.into_iter().next().ok_or_else(|| Status::internal("the records gave no outcome"))
    }
}

/// What the desk answered.
fn there<T>(answer: Option<T>) -> Result<T, Status> {
    answer.ok_or_else(|| Status::unavailable("control is shutting down"))
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
        let filter = request.into_inner();
        let client = (!filter.client.is_empty()).then(|| text::mac("client", &filter.client)).transpose()?;
        let service =
            (!filter.service.is_empty()).then(|| text::uuid("service", &filter.service)).transpose()?;
        let mut sessions = self.ask(Query::Sessions).await?;
        sessions.retain(|session| {
            client.is_none_or(|c| session.client == c.to_string())
                && service.is_none_or(|s| session.service == s.to_string())
        });
        Ok(Response::new(ListSessionsResponse { sessions }))
    }

    async fn list_radios(
        &self,
        _: Request<ListRadiosRequest>,
    ) -> Result<Response<ListRadiosResponse>, Status> {
        Ok(Response::new(ListRadiosResponse { radios: self.ask(Query::Radios).await? }))
    }

    async fn list_services(
        &self,
        _: Request<ListServicesRequest>,
    ) -> Result<Response<ListServicesResponse>, Status> {
        Ok(Response::new(ListServicesResponse { services: self.ask(Query::Services).await? }))
    }

    async fn list_gateways(
        &self,
        _: Request<ListGatewaysRequest>,
    ) -> Result<Response<ListGatewaysResponse>, Status> {
        Ok(Response::new(ListGatewaysResponse { gateways: self.ask(Query::Gateways).await? }))
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
            .map_err(|_| Status::invalid_argument("reason: an 802.11 reason code is below 65536"))?;
        let sessions = self.ask(|reply| Query::Disconnect { client, reason, reply }).await?;
        if sessions == 0 {
            return Err(Status::not_found(format!("{client} has no session")));
        }
        Ok(Response::new(DisconnectResponse { sessions }))
    }

    async fn rekey(&self, request: Request<RekeyRequest>) -> Result<Response<RekeyResponse>, Status> {
        let request = request.into_inner();
        let started = match (request.client.as_str(), request.service.as_str()) {
            ("", "") => return Err(Status::invalid_argument("name a client or a service")),
            (client, "") => {
                let client = text::mac("client", client)?;
                self.ask(|reply| Query::RekeyClient { client, reply }).await?
            }
            ("", service) => {
                let service = text::uuid("service", service)?;
                self.ask(|reply| Query::RekeyService { service, reply }).await?
            }
            _ => return Err(Status::invalid_argument("name a client or a service, not both")),
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
        if let Ok(matchmaking) = self.matchmaker() {
            let counted = there(matchmaking.ask(|desk, _| desk.counted()).await)?;
            stats
                .control
                .extend(counted.into_iter().map(|(name, count)| (format!("matchmaker_{name}"), count)));
        }
        Ok(Response::new(stats))
    }

    type WatchSessionsStream = Pin<Box<dyn Stream<Item = Result<SessionChange, Status>> + Send>>;

    async fn watch_sessions(
        &self,
        _: Request<WatchSessionsRequest>,
    ) -> Result<Response<Self::WatchSessionsStream>, Status> {
        let (present, changes): (Vec<_>, broadcast::Receiver<SessionChange>) = self.ask(Query::Watch).await?;
        let present = present
            .into_iter()
            .map(|session| change(Kind::Present, Some(session)))
            .chain(std::iter::once(change(Kind::Synced, None)))
            .map(Ok);
        let changes = BroadcastStream::new(changes).map(|item| {
            item.map_err(|BroadcastStreamRecvError::Lagged(missed)| {
                Status::data_loss(format!("{missed} changes were missed: watch again"))
            })
        });
        Ok(Response::new(Box::pin(futures_util::stream::iter(present).chain(changes))))
    }
}

fn change(kind: Kind, session: Option<proto::admin::Session>) -> SessionChange {
    SessionChange { kind: kind.into(), session, reason: String::new() }
}
