//! `ttg.admin.v1.Admin`: asks the core and translates what people write.

use std::pin::Pin;

use dot11::MacAddr;
use futures_util::{Stream, StreamExt};
use matchmaker::Uuid;
use proto::admin::{
    DisconnectRequest, DisconnectResponse, GetStatsRequest, GetStatsResponse, ListBindingsRequest,
    ListBindingsResponse, ListGatewaysRequest, ListGatewaysResponse, ListRadiosRequest, ListRadiosResponse,
    ListServicesRequest, ListServicesResponse, ListSessionsRequest, ListSessionsResponse, RekeyRequest,
    RekeyResponse, SessionChange, WatchSessionsRequest,
    admin_server::{Admin, AdminServer},
    session_change::Kind,
};
use tokio::sync::broadcast;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};
use tonic::{Request, Response, Status};

use crate::{Control, core::Query};

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
        self.control.ask(query).await.ok_or_else(|| Status::unavailable("control is shutting down"))
    }
}

fn mac(field: &str, text: &str) -> Result<MacAddr, Status> {
    text.parse().map_err(|_| {
        Status::invalid_argument(format!("{field}: `{text}` is not a MAC address such as 02:aa:00:00:00:01"))
    })
}

fn uuid(field: &str, text: &str) -> Result<Uuid, Status> {
    text.parse().map_err(|_| {
        Status::invalid_argument(format!(
            "{field}: `{text}` is not a UUID such as 5e5d0125-15b6-4907-9d91-49613689a913"
        ))
    })
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let filter = request.into_inner();
        let client = (!filter.client.is_empty()).then(|| mac("client", &filter.client)).transpose()?;
        let service = (!filter.service.is_empty()).then(|| uuid("service", &filter.service)).transpose()?;
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
        _: Request<ListBindingsRequest>,
    ) -> Result<Response<ListBindingsResponse>, Status> {
        Ok(Response::new(ListBindingsResponse { bindings: self.ask(Query::Bindings).await? }))
    }

    async fn disconnect(
        &self,
        request: Request<DisconnectRequest>,
    ) -> Result<Response<DisconnectResponse>, Status> {
        let request = request.into_inner();
        let client = mac("client", &request.client)?;
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
                let client = mac("client", client)?;
                self.ask(|reply| Query::RekeyClient { client, reply }).await?
            }
            ("", service) => {
                let service = uuid("service", service)?;
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
        Ok(Response::new(self.ask(Query::Stats).await?))
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
