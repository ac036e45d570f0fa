//! The client's side: connects as the URL says, and puts into words why it does not work.

use std::{
    error::Error,
    future::Future,
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use rustls::{AlertDescription, CertificateError, ClientConfig, InvalidMessage, pki_types::ServerName};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::Uri;

use crate::{
    ALPN,
    dial::{self, Failure},
    files::{self, FileError, Identity},
    provider,
};

/// What a client shows and believes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// Whose certificates it believes; without, it cannot use TLS.
    pub ca: Option<PathBuf>,
    /// What it shows.
    pub identity: Option<Identity>,
    /// The name that the server's certificate must have, if it is not the one in the URL.
    pub server_name: Option<String>,
}

/// Connects to `https://HOST:PORT` or `http://HOST:PORT`. Files are read, and the name is looked up, each time. If it has several addresses
/// they are tried in a random order, overlapping ([`dial::first`]); whichever answers first is taken: of https, who completed the handshake.
#[derive(Debug, Clone)]
pub struct Connector {
    files: Files,
    patience: Duration,
}

/// There is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// No authority.
    #[error("https needs the certificate of the authority that signed the server's")]
    NoAuthority,
    /// What is to be in the server's certificate.
    #[error("`{0}` is no name that a certificate could have")]
    Name(String),
    /// The network.
    #[error("{0}")]
    Network(#[from] io::Error),
    /// The other side.
    #[error("{0}")]
    Tls(String),
    /// Nothing came in time.
    #[error("no answer within {seconds} s", seconds = .0.as_secs())]
    Silence(Duration),
    /// There is no address to try.
    #[error("the name `{0}` was not looked up within {seconds} s", seconds = .1.as_secs())]
    Unresolved(String, Duration),
    /// All addresses, each for its reason.
    #[error("{0}")]
    All(String),
}

/// A connection, of either kind.
type Stream = TokioIo<Box<dyn Duplex>>;

/// Octets both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A server that waits for us to speak is not waited for longer.
const JUDGEMENT: Duration = Duration::from_secs(1);

const NO_TLS: &str = "the server does not speak TLS: use http:// if it is meant to speak plain text";

/// What a name server may take: the first of several may be the one that is dead.
const LOOK_UP: Duration = Duration::from_secs(10);

impl Connector {
    /// With these files; each address is given `patience`.
    pub fn new(files: Files, patience: Duration) -> Connector {
        Connector { files, patience }
    }

    async fn connect(self, uri: Uri) -> Result<Stream, ConnectError> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let secure = uri.scheme_str() == Some("https");
        let tls = if secure { Some(self.prepare(&host)?) } else { None };
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let Ok(found) = timeout(LOOK_UP, lookup_host((host.as_str(), port))).await else {
            return Err(ConnectError::Unresolved(host, LOOK_UP));
        };
        self.first_of(dial::shuffled(found?)?, tls).await
    }

    async fn first_of(
        &self,
        addresses: Vec<SocketAddr>,
        tls: Option<(ClientConfig, ServerName<'static>)>,
    ) -> Result<Stream, ConnectError> {
        let (shows, several) = (self.files.identity.is_some(), addresses.len() > 1);
        let attempt = |address| {
            let tls = tls.clone();
            async move {
                match tls {
                    Some((config, name)) => secured(address, config, name, shows).await,
                    None => plain(address, several).await,
                }
            }
        };
        dial::first(addresses, self.patience, attempt).await.map_err(|failed| self.of_all(failed))
    }

    /// Of one address its error, of several a line for each.
    fn of_all(&self, failed: Vec<(SocketAddr, Failure<ConnectError>)>) -> ConnectError {
        let mut failed: Vec<_> = failed
            .into_iter()
            .map(|(address, failure)| match failure {
                Failure::Said(error) => (address, error),
                Failure::Silent => (address, ConnectError::Silence(self.patience)),
            })
            .collect();
        if failed.len() == 1 {
            return failed.remove(0).1;
        }
        // In an order that does not change with each attempt.
        failed.sort_by_key(|(address, _)| *address);
        let each: Vec<_> = failed.iter().map(|(address, error)| format!("{address}: {error}")).collect();
        ConnectError::All(each.join("; "))
    }

    fn prepare(&self, host: &str) -> Result<(ClientConfig, ServerName<'static>), ConnectError> {
        let roots = files::authorities(self.files.ca.as_deref().ok_or(ConnectError::NoAuthority)?)?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has what TLS 1.2 and 1.3 need")
            .with_root_certificates(roots);
        let mut config = match &self.files.identity {
            Some(identity) => {
                let (chain, key) = identity.read()?;
                builder.with_client_auth_cert(chain, key).map_err(|error| identity.mismatch(error))?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        let name = self.files.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name.clone()).map_err(|_| ConnectError::Name(name))?;
        Ok((config, name))
    }
}

/// Of several, one that takes connections and says nothing (it hangs, or is stopped) is not to win over one that works: an HTTP/2 server
/// speaks first.
async fn plain(address: SocketAddr, several: bool) -> Result<Stream, ConnectError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    // One that speaks TLS as well waits for us.
    if several && let Ok(heard) = timeout(JUDGEMENT, stream.fill_buf()).await {
        heard?;
    }
    Ok(TokioIo::new(Box::new(stream)))
}

async fn secured(
    address: SocketAddr,
    config: ClientConfig,
    name: ServerName<'static>,
    shows: bool,
) -> Result<Stream, ConnectError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let opened = open(stream, config, name.clone(), shows).await;
    opened.map(|stream| TokioIo::new(Box::new(stream) as Box<dyn Duplex>)).map_err(|error| {
        match tls_error(&error) {
            Some(error) => ConnectError::Tls(words(error, &name.to_str())),
            None if error.kind() == io::ErrorKind::UnexpectedEof => ConnectError::Tls(NO_TLS.to_owned()),
            None => ConnectError::Network(error),
        }
    })
}

/// With TLS 1.3 a server judges our certificate only after the handshake, as seen from here. An HTTP/2 server speaks first (RFC 9113
/// section 3.4), so its judgement is waited for; if we spoke before, it could be lost with the connection.
async fn open(
    stream: TcpStream,
    config: ClientConfig,
    name: ServerName<'static>,
    shows: bool,
) -> io::Result<BufReader<TlsStream<TcpStream>>> {
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let mut stream = BufReader::new(stream);
    if shows && let Ok(heard) = timeout(JUDGEMENT, stream.fill_buf()).await {
        heard?;
    }
    Ok(stream)
}

impl tower::Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// Why it did not work, without the layers between: the file, the network, or what TLS says, which a server that does not like our
/// certificate says only after the connection is there.
pub fn explain(error: &(dyn Error + 'static)) -> String {
    let mut last = error.to_string();
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<ConnectError>() {
            return error.to_string();
        }
        let inner = error.downcast_ref::<io::Error>().and_then(tls_error);
        if let Some(tls) = inner.or_else(|| error.downcast_ref::<rustls::Error>()) {
            return words(tls, "the server");
        }
        last = error.to_string();
        next = error.source();
    }
    last
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What people can do something about, in their words.
fn words(error: &rustls::Error, name: &str) -> String {
    use rustls::Error as E;
    match error {
        E::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the server's certificate is not of the authority whose certificate was given: is it the right file, and the right server?".to_owned()
        }
        E::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server's certificate has expired: it needs a new one (or this machine's clock is wrong)".to_owned()
        }
        E::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "the server's certificate is not valid yet: is this machine's clock right?".to_owned()
        }
        E::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            format!("the server's certificate is not for the name `{name}`: use a name that is in it, or say which is (server name)")
        }
        E::InvalidCertificate(other) => format!("the server's certificate is not good: {other}"),
        E::InvalidMessage(InvalidMessage::InvalidContentType) => {
            NO_TLS.to_owned()
        }
        E::AlertReceived(AlertDescription::UnknownCA | AlertDescription::DecryptError) => {
            "the server does not know the authority that signed the certificate shown to it".to_owned()
        }
        E::AlertReceived(AlertDescription::CertificateExpired) => {
            "the certificate shown to the server has expired: it needs a new one".to_owned()
        }
        E::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied,
        ) => "the server does not accept the certificate shown to it: it must be one for clients (extendedKeyUsage clientAuth)".to_owned(),
        other => format!("TLS failed: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::{
        server::{self, Acceptor},
        testkit::Authority,
    };

    /// As long as no test takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        (listener, at)
    }

    /// A process that is stopped: its kernel takes connections, and nothing answers.
    async fn stopped(secure: bool) {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new(directory.path(), "ca");
        authority.server("control", &["control.example.org"]);
        let file = |name| directory.path().join(name);
        let identity = Identity { certificate: file("control.pem"), key: file("control.key") };
        let ((_stopped, silent), (working, good)) = (listener().await, listener().await);
        let files = Files { ca: Some(authority.certificate.clone()), ..Files::default() };
        let connector = Connector::new(files, PATIENCE);
        let tls = secure.then(|| connector.prepare("control.example.org").unwrap());
        // Who is taken has spoken.
        let serve = async {
            if secure {
                let files = server::Files { identity, authorities: Vec::new() };
                let mut connections = Acceptor::tls(files).unwrap().connections(working, || {});
                connections.recv().await.unwrap().unwrap();
            } else {
                use tokio::io::AsyncWriteExt;
                let (mut stream, _) = working.accept().await.unwrap();
                // An empty SETTINGS frame.
                stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
            }
        };
        let reach = connector.first_of(vec![silent, good], tls);
        let (reached, ()) =
            timeout(PATIENCE / 2, async { tokio::join!(reach, serve) }).await.expect("in time");
        reached.unwrap();
    }

    #[tokio::test]
    async fn a_process_that_is_stopped_keeps_nobody_from_another() {
        stopped(true).await;
        stopped(false).await;
    }

    #[tokio::test]
    async fn what_is_wrong_is_said_of_each_address() {
        let (silent, at) = listener().await;
        let nobody = listener().await.1;
        let authority = tempfile::tempdir().unwrap();
        let authority = Authority::new(authority.path(), "ca");
        let files = Files { ca: Some(authority.certificate.clone()), ..Files::default() };
        let connector = Connector::new(files, Duration::from_secs(1));
        let tls = || Some(connector.prepare("control.example.org").unwrap());
        let said = |result: Result<Stream, ConnectError>| result.err().expect("nobody is there").to_string();
        assert_eq!(said(connector.first_of(vec![at], tls()).await), "no answer within 1 s");
        let all = said(connector.first_of(vec![at, nobody], tls()).await);
        assert!(all.contains(&format!("{at}: no answer within 1 s")), "{all}");
        assert!(all.contains(&format!("{nobody}: Connection refused")), "{all}");
        drop(silent);
    }
}
