//! The server's side: whoever connects speaks TLS, and shows a certificate or not. Plain text is let in as such where it is all there
//! is, and elsewhere so that it can be told what to do.

use std::{
    fmt, io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected;

use crate::{
    ALPN,
    files::{self, FileError, Identity, Watched},
    provider,
    sources::{self, Sources},
};

/// What a server shows and believes.
#[derive(Debug, Clone)]
pub struct Files {
    /// What it shows.
    pub identity: Identity,
    /// Whose certificates it believes. Which one signed a client's, [`Secured::Tls`] says by its place here.
    pub authorities: Vec<PathBuf>,
}

/// Who connected.
#[derive(Debug, Clone)]
pub struct Peer {
    /// From where.
    pub address: SocketAddr,
    /// How.
    pub secured: Secured,
}

/// How somebody is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secured {
    /// In plain text, as everybody.
    Plain,
    /// In plain text, where TLS is demanded.
    PlainInsteadOfTls,
    /// By TLS. The authorities that its certificate is of; none without a certificate.
    Tls(Vec<usize>),
}

/// Takes connections.
pub struct Acceptor {
    tls: Option<Watched<Tls>>,
}

struct Tls {
    config: Arc<ServerConfig>,
    verifiers: Vec<Arc<dyn ClientCertVerifier>>,
}

/// So long somebody may take to say hello.
const PATIENCE: Duration = Duration::from_secs(10);
/// Handshakes at a time; further ones wait in the listener's queue.
const HANDSHAKES: usize = 256;
/// After an error of the listener, which is one of the whole system (no more descriptors).
const RECOVERY: Duration = Duration::from_millis(100);
/// Of connections that are refused one line is logged in so long.
const QUIET: Duration = Duration::from_secs(10);

impl Acceptor {
    /// Everybody speaks plain text.
    pub fn plain() -> Acceptor {
        Acceptor { tls: None }
    }

    /// Everybody speaks TLS. Files that change are read again for those who connect then.
    pub fn tls(files: Files) -> Result<Acceptor, FileError> {
        let mut watched = vec![files.identity.certificate.clone(), files.identity.key.clone()];
        watched.extend(files.authorities.iter().cloned());
        Ok(Acceptor { tls: Some(Watched::new(watched, move || Tls::read(&files))?) })
    }

    /// Those who connect, as long as somebody takes them. `refused` is called for each that is closed because its source, which is an IPv4
    /// address or the first 64 bits of an IPv6 address, has as many handshakes under way as one may have.
    pub fn connections(
        self,
        listener: TcpListener,
        refused: impl Fn() + Send + Sync + 'static,
    ) -> mpsc::Receiver<io::Result<Connection>> {
        let (accepted, connections) = mpsc::channel(HANDSHAKES);
        tokio::spawn(async move {
            tokio::select! {
                () = accepted.closed() => {}
                () = self.accept(&listener, &accepted, &refused) => {}
            }
        });
        connections
    }

    async fn accept(
        &self,
        listener: &TcpListener,
        accepted: &mpsc::Sender<io::Result<Connection>>,
        refused: &(dyn Fn() + Send + Sync),
    ) {
        let (room, sources) = (Arc::new(Semaphore::new(HANDSHAKES)), Sources::default());
        let (mut logged, mut unlogged) = (None, 0_u64);
        loop {
            let permit = room.clone().acquire_owned().await;
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(RECOVERY).await;
                    continue;
                }
            };
            let Some(under_way) = sources.begin(address.ip()) else {
                refused();
                unlogged += 1;
                if logged.is_none_or(|last: Instant| last.elapsed() >= QUIET) {
                    tracing::warn!(
                        %address,
                        refused = unlogged,
                        "a connection is refused: {} others of its address have not finished their handshakes",
                        sources::MOST
                    );
                    (logged, unlogged) = (Some(Instant::now()), 0);
                }
                continue;
            };
            let _ = stream.set_nodelay(true);
            let tls = self.tls.as_ref().map(Watched::now);
            let accepted = accepted.clone();
            tokio::spawn(async move {
                let opened = timeout(PATIENCE, open(stream, address, tls)).await;
                drop((permit, under_way));
                match opened {
                    Ok(Ok(connection)) => drop(accepted.send(Ok(connection)).await),
                    Ok(Err(error)) => tracing::info!(%address, %error, "a connection failed before it began"),
                    Err(_) => tracing::info!(%address, "somebody connected and said nothing"),
                }
            });
        }
    }
}

async fn open(stream: TcpStream, address: SocketAddr, tls: Option<Arc<Tls>>) -> io::Result<Connection> {
    let Some(tls) = tls else {
        return Ok(Connection {
            stream: Stream::Plain(stream),
            peer: Peer { address, secured: Secured::Plain },
        });
    };
    let mut first = [0];
    // A TLS record of a handshake begins with 22 (RFC 8446 section 5.1), HTTP/2 with "PRI" (RFC 9113 section 3.4).
    if stream.peek(&mut first).await? == 1 && first[0] != 22 {
        let peer = Peer { address, secured: Secured::PlainInsteadOfTls };
        return Ok(Connection { stream: Stream::Plain(stream), peer });
    }
    let stream = TlsAcceptor::from(tls.config.clone()).accept(stream).await?;
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let peer = Peer { address, secured: Secured::Tls(tls.authorities_of(shown)) };
    Ok(Connection { stream: Stream::Tls(Box::new(stream)), peer })
}

impl Tls {
    fn read(files: &Files) -> Result<Tls, FileError> {
        let mut verifiers: Vec<Arc<dyn ClientCertVerifier>> = Vec::new();
        for path in &files.authorities {
            let roots = Arc::new(files::authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
            verifiers.push(verifier.map_err(|error| FileError::Content {
                what: "authority's certificate",
                path: path.clone(),
                problem: format!("cannot be used: {error}"),
            })?);
        }
        let (chain, key) = files.identity.read()?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has what TLS 1.2 and 1.3 need");
        let builder = match verifiers.is_empty() {
            true => builder.with_no_client_auth(),
            false => builder.with_client_cert_verifier(Arc::new(AnyOf::new(verifiers.clone()))),
        };
        let mut config =
            builder.with_single_cert(chain, key).map_err(|error| files.identity.mismatch(error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Tls { config: Arc::new(config), verifiers })
    }

    fn authorities_of(&self, shown: &[CertificateDer<'_>]) -> Vec<usize> {
        let Some((own, between)) = shown.split_first() else { return Vec::new() };
        let now = UnixTime::now();
        let signed = |(at, verifier): (usize, &Arc<dyn ClientCertVerifier>)| {
            verifier.verify_client_cert(own, between, now).is_ok().then_some(at)
        };
        self.verifiers.iter().enumerate().filter_map(signed).collect()
    }
}

/// A client shows no certificate, or one of any of several authorities.
struct AnyOf {
    verifiers: Vec<Arc<dyn ClientCertVerifier>>,
    subjects: Vec<DistinguishedName>,
}

impl AnyOf {
    /// There must be one.
    fn new(verifiers: Vec<Arc<dyn ClientCertVerifier>>) -> AnyOf {
        let subjects = verifiers.iter().flat_map(|verifier| verifier.root_hint_subjects().to_vec()).collect();
        AnyOf { verifiers, subjects }
    }
}

impl fmt::Debug for AnyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyOf").finish_non_exhaustive()
    }
}

impl ClientCertVerifier for AnyOf {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let mut verified = self.verifiers[0].verify_client_cert(own, between, now);
        for verifier in &self.verifiers[1..] {
            // The error that says most: one that has expired is at least of an authority that is believed.
            let unknown = Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
            let other = verifier.verify_client_cert(own, between, now);
            if other.is_ok() || verified.as_ref().is_err_and(|error| *error == unknown) {
                verified = other;
            }
            if verified.is_ok() {
                break;
            }
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifiers[0].verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifiers[0].verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifiers[0].supported_verify_schemes()
    }
}

/// Somebody who connected; tonic gives the [`Peer`] to every request.
pub struct Connection {
    stream: Stream,
    peer: Peer,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = match &mut self.stream {
            Stream::Plain(stream) => ready!(Pin::new(stream).poll_read(cx, buffer)),
            Stream::Tls(stream) => ready!(Pin::new(stream).poll_read(cx, buffer)),
        };
        Poll::Ready(result)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, octets),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, octets),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
