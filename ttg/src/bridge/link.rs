//! How the gateway reaches control: over gRPC, or in process.

use std::time::Duration;

use controlplane::{Control, Link};
use futures_util::StreamExt;
use proto::gateway::{AttachRequest, gateway_client::GatewayClient};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

/// Where control is.
pub enum Connector {
    /// Another process.
    Grpc {
        /// `https://HOST:PORT`, or `http://ADDRESS:PORT` on this machine.
        url: String,
        /// What is shown and believed there.
        tls: tls::client::Files,
    },
    /// This process.
    InProcess(Control),
}

/// Why control cannot be reached now; trying again is the answer to all of them.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens, or not control.
    #[error("{0}")]
    Grpc(String),
    /// Control in this process has ended.
    #[error("control has ended")]
    Ended,
}

/// What one address of control is given to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Batches on their way to control.
const DEPTH: usize = 256;

impl Connector {
    /// Opens one attachment.
    pub async fn connect(&self) -> Result<Link, ConnectError> {
        match self {
            Connector::InProcess(control) => control.attach().await.ok_or(ConnectError::Ended),
            Connector::Grpc { url, tls } => connect(url, tls).await,
        }
    }
}

async fn connect(url: &str, tls: &tls::client::Files) -> Result<Link, ConnectError> {
    let failed = |error: &(dyn std::error::Error + 'static)| ConnectError::Grpc(tls::client::explain(error));
    let channel = Channel::from_shared(url.to_owned())
        .map_err(|e| failed(&e))?
        .http2_keep_alive_interval(Duration::from_secs(2))
        .keep_alive_timeout(Duration::from_secs(3))
        .keep_alive_while_idle(true)
        .connect_with_connector(tls::client::Connector::new(tls.clone(), PATIENCE))
        .await
        .map_err(|e| failed(&e))?;
    let (events, outgoing) = mpsc::channel::<Vec<proto::gateway::Event>>(DEPTH);
    let requests = ReceiverStream::new(outgoing).map(|events| AttachRequest { events });
    let mut stream = GatewayClient::new(channel)
        .max_decoding_message_size(16 << 20)
        .attach(requests)
        .await
        .map_err(|status| match std::error::Error::source(&status) {
            Some(source) => failed(source),
            None => ConnectError::Grpc(status.message().to_owned()),
        })?
        .into_inner();
    let (incoming, commands) = mpsc::channel(DEPTH);
    tokio::spawn(async move {
        while let Ok(Some(batch)) = stream.message().await {
            if incoming.send(batch.commands).await.is_err() {
                return;
            }
        }
    });
    Ok(Link { events, commands })
}
