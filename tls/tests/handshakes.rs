//! Who connects and says nothing keeps out nobody but itself: real sockets, of several addresses of the loopback interface.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use tls::{
    files::Identity,
    server::{Acceptor, Connection, Files, Secured},
    testkit::Authority,
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::server::Connected;

/// Of one source, at a time.
const MOST: usize = 16;

/// Shorter than what somebody is given for a handshake: who waited for one of those that are silent is late.
const PROMPT: Duration = Duration::from_secs(8);

struct Site {
    at: SocketAddr,
    connections: mpsc::Receiver<io::Result<Connection>>,
    refused: Arc<AtomicUsize>,
    connector: TlsConnector,
    _directory: tempfile::TempDir,
}

fn connector(authority: &Path) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config).into()
}

impl Site {
    async fn start() -> Site {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new(directory.path(), "ca");
        authority.server("control", &["127.0.0.1"]);
        let file = |name| directory.path().join(name);
        let identity = Identity { certificate: file("control.pem"), key: file("control.key") };
        let acceptor = Acceptor::tls(Files { identity, authorities: Vec::new() }).unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener: TcpListener = socket.listen(1024).unwrap();
        let at = listener.local_addr().unwrap();
        let refused = Arc::new(AtomicUsize::new(0));
        let counted = refused.clone();
        let connections = acceptor.connections(listener, move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let connector = connector(&authority.certificate);
        Site { at, connections, refused, connector, _directory: directory }
    }

    async fn connect(&self, from: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        socket.connect(self.at).await.unwrap()
    }

    async fn shake_hands(&self, from: &str) -> io::Result<TlsStream<TcpStream>> {
        let stream = self.connect(from).await;
        self.connector.connect("127.0.0.1".try_into().unwrap(), stream).await
    }

    /// Who got in.
    async fn next(&mut self) -> SocketAddr {
        let peer = self.connections.recv().await.unwrap().unwrap().connect_info();
        assert_eq!(peer.secured, Secured::Tls(Vec::new()));
        peer.address
    }
}

/// Waits until the server closes it.
async fn closed(stream: &mut TcpStream) {
    let heard = stream.read(&mut [0]).await;
    assert!(matches!(heard, Ok(0)) || heard.is_err(), "{heard:?}");
}

#[tokio::test]
async fn who_is_silent_keeps_out_nobody_else() {
    let mut site = Site::start().await;
    let test = async {
        // More than there may be at a time of all together.
        let mut silent = Vec::new();
        for _ in 0..300 {
            silent.push(site.connect("127.0.0.1").await);
        }
        for refused in &mut silent[MOST..] {
            closed(refused).await;
        }
        assert_eq!(site.refused.load(Ordering::Relaxed), 300 - MOST);
        let open = site.shake_hands("127.0.0.2").await.unwrap();
        assert_eq!(site.next().await, open.get_ref().0.local_addr().unwrap());
        // The others are still given their time.
        for silent in &silent[..MOST] {
            let heard = silent.try_read(&mut [0]);
            assert_eq!(heard.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
        assert!(site.shake_hands("127.0.0.1").await.is_err());
        // A connection that is up does not count, nor does one that is given up.
        silent.clear();
        let again = loop {
            if let Ok(open) = site.shake_hands("127.0.0.1").await {
                break open;
            }
        };
        assert_eq!(site.next().await, again.get_ref().0.local_addr().unwrap());
        let mut many = Vec::new();
        for _ in 0..2 * MOST {
            many.push(site.shake_hands("127.0.0.2").await.unwrap());
            site.next().await;
        }
    };
    timeout(PROMPT, test).await.expect("nobody waits for those who say nothing");
}
