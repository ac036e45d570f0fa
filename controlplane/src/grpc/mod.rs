//! The gRPC face of the control daemon: gateways attach here, operators ask here.

mod access;
mod admin;
mod gateway;
mod tokens;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tokio_stream::wrappers::ReceiverStream;

pub use self::access::Access;
use crate::Control;

/// What connections are counted as that are closed because others of their address have not finished their handshakes.
const CONNECTIONS_REFUSED: &str = "connections_refused";

/// Binds the listener, so that a port in use is reported before anything starts.
pub async fn bind(listen: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(listen).await.map_err(|error| BindError { listen, error })
}

/// The gRPC socket could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen} for gRPC: {error}. {}", advice(error))]
pub struct BindError {
    listen: SocketAddr,
    error: std::io::Error,
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "Another process has that port (`ss -ltnp` tells which): stop it, or change `listen`."
        }
        std::io::ErrorKind::AddrNotAvailable => "The machine has no such address: change `listen`.",
        std::io::ErrorKind::PermissionDenied => {
            "Ports below 1024 need CAP_NET_BIND_SERVICE: change `listen`."
        }
        _ => "Check `listen`.",
    }
}

/// The running server.
pub struct Server {
    task: JoinHandle<Result<(), tonic::transport::Error>>,
    stop: oneshot::Sender<()>,
}

/// So long streams that are open may take to end, once their other end in the core has.
const GRACE: Duration = Duration::from_secs(2);

impl Server {
    /// Serves whoever connects, in plain text, until stopped: for tests, and loopback.
    pub fn start(listener: TcpListener, control: Control) -> Server {
        Server::start_for(listener, control, Access::open())
    }

    /// Serves those who may, until stopped.
    pub fn start_for(listener: TcpListener, control: Control, access: Access) -> Server {
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
        };
        Server { task: tokio::spawn(serve(listener, control, access, stopped)), stop }
    }

    /// Resolves when it ends by itself, which is an error.
    pub async fn ended(&mut self) -> Result<(), ServeError> {
        (&mut self.task).await.map_err(|_| ServeError::Panicked)?.map_err(ServeError::Transport)
    }

    /// Stops it. The core should have ended first: with it end the streams of gateways and watchers.
    pub async fn stop(mut self) {
        let _ = self.stop.send(());
        if tokio::time::timeout(GRACE, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener failed.
    #[error(transparent)]
    Transport(tonic::transport::Error),
    /// A defect.
    #[error("the gRPC server panicked")]
    Panicked,
}

async fn serve(
    listener: TcpListener,
    control: Control,
    access: Access,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<proto::gateway::gateway_server::GatewayServer<gateway::GatewayService>>().await;
    health.set_serving::<proto::admin::admin_server::AdminServer<admin::AdminService>>().await;
    let reflection = |builder: tonic_reflection::server::Builder<'static>| {
        builder.register_encoded_file_descriptor_set(proto::DESCRIPTORS)
    };
    let v1 = reflection(tonic_reflection::server::Builder::configure())
        .build_v1()
        .expect("our own descriptors are valid");
    let v1alpha = reflection(tonic_reflection::server::Builder::configure())
        .build_v1alpha()
        .expect("our own descriptors are valid");
    let (acceptor, guard) = access.split();
    let refused = Arc::new(AtomicU64::new(0));
    let counted = refused.clone();
    let connections = acceptor.connections(listener, move || {
        counted.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("ttg_control_total", "what" => CONNECTIONS_REFUSED).increment(1);
    });
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(std::time::Duration::from_secs(5)))
        .http2_keepalive_timeout(Some(std::time::Duration::from_secs(5)))
        .layer(guard)
        .add_service(health_service)
        .add_service(v1)
        .add_service(v1alpha)
        .add_service(gateway::service(control.clone()))
        .add_service(admin::service(control, refused))
        .serve_with_incoming_shutdown(ReceiverStream::new(connections), shutdown)
        .await
}
