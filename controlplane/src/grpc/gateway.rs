//! `ttg.gateway.v1.Gateway`: turns a gateway's stream into a [`crate::Link`].

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use proto::gateway::{
    AttachRequest, AttachResponse,
    gateway_server::{Gateway, GatewayServer},
};
use tls::server::Peer;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::Control;

/// A gateway reports at most its stations' blobs in a batch; far below this.
const MAX_MESSAGE: usize = 16 << 20;

pub(super) struct GatewayService {
    control: Control,
}

pub(super) fn service(control: Control) -> GatewayServer<GatewayService> {
    GatewayServer::new(GatewayService { control }).max_decoding_message_size(MAX_MESSAGE)
}

#[tonic::async_trait]
impl Gateway for GatewayService {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<AttachResponse, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<AttachRequest>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let peer = request
            .extensions()
            .get::<Peer>()
            .map_or_else(|| "?".to_owned(), |peer| peer.address.to_string());
        let link =
            self.control.attach().await.ok_or_else(|| Status::unavailable("control is shutting down"))?;
        let mut stream = request.into_inner();
        let events = link.events;
        tokio::spawn(async move {
            loop {
                match stream.next().await {
                    Some(Ok(batch)) => {
                        if events.send(batch.events).await.is_err() {
                            break;
                        }
                    }
                    Some(Err(status)) => {
                        tracing::info!(%peer, reason = status.message(), "gateway stream broke");
                        break;
                    }
                    None => break,
                }
            }
        });
        let commands = ReceiverStream::new(link.commands).map(|commands| Ok(AttachResponse { commands }));
        Ok(Response::new(Box::pin(commands)))
    }
}
