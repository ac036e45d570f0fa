//! Who may ask what: a layer in front of all services, which knows how somebody is connected, and what token comes with a request.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use tls::{
    files::{FileError, Identity, Watched},
    server::{Acceptor, Files, Peer, Secured},
};
use tonic::{
    Status,
    body::Body,
    codegen::http::{HeaderMap, Request, Response, header::AUTHORIZATION},
};
use tower::{Layer, Service};

use super::tokens::{Role, Tokens};
use crate::config::Config;

/// How people connect, and who may what: read from files, and read again when they change.
pub struct Access {
    acceptor: Acceptor,
    guard: Guard,
}

impl Access {
    /// As configured; what is wrong with a file is said now.
    pub fn new(config: &Config) -> Result<Access, FileError> {
        let tokens = config.tokens.clone().map(|path| {
            let file = path.clone();
            Watched::new(vec![path], move || Tokens::read(&file)).map(Arc::new)
        });
        let mut authorities = Vec::new();
        let mut place = |path: &Option<std::path::PathBuf>| {
            path.as_ref().map(|path| {
                authorities.push(path.clone());
                authorities.len() - 1
            })
        };
        let mut guard = Guard { tokens: tokens.transpose()?, gateways: None, operators: None };
        let acceptor = match &config.tls {
            None => Acceptor::plain(),
            Some(tls) => {
                (guard.gateways, guard.operators) = (place(&tls.gateways), place(&tls.operators));
                let identity = Identity { certificate: tls.certificate.clone(), key: tls.key.clone() };
                Acceptor::tls(Files { identity, authorities })?
            }
        };
        Ok(Access { acceptor, guard })
    }

    /// Everybody may everything, in plain text.
    pub(super) fn open() -> Access {
        Access { acceptor: Acceptor::plain(), guard: Guard { tokens: None, gateways: None, operators: None } }
    }

    pub(super) fn split(self) -> (Acceptor, GuardLayer) {
        (self.acceptor, GuardLayer(Arc::new(self.guard)))
    }
}

struct Guard {
    tokens: Option<Arc<Watched<Tokens>>>,
    /// The places of their authorities.
    gateways: Option<usize>,
    operators: Option<usize>,
}

const GATEWAY: &str = "/ttg.gateway.v1.Gateway/";
const ADMIN: &str = "/ttg.admin.v1.Admin/";
/// So begin the names of methods that change nothing.
const READS: [&str; 4] = ["List", "Get", "Watch", "Explain"];

impl Guard {
    /// Whether somebody may ask this. Health and reflection are for everybody.
    fn admit(&self, path: &str, peer: &Peer, headers: &HeaderMap) -> Result<(), Status> {
        let of = match &peer.secured {
            Secured::PlainInsteadOfTls => {
                return Err(Status::unauthenticated(
                    "this port speaks TLS: use https:// and the certificate of its authority (ttgctl --server https://HOST:PORT --ca FILE)",
                ));
            }
            Secured::Plain => None,
            Secured::Tls(of) => Some(of),
        };
        let is_of = |authority: Option<usize>| {
            authority.is_some_and(|authority| of.is_some_and(|of| of.contains(&authority)))
        };
        if path.starts_with(GATEWAY) {
            return if of.is_none() || is_of(self.gateways) { Ok(()) } else { Err(self.no_gateway()) };
        }
        let Some(method) = path.strip_prefix(ADMIN) else { return Ok(()) };
        let changes = !READS.iter().any(|read| method.starts_with(read));
        let who = if is_of(self.operators) {
            "an operator's certificate".to_owned()
        } else if let Some(said) = headers.get(AUTHORIZATION) {
            let tokens = self.tokens.as_ref().map(|tokens| tokens.now());
            let token = said.to_str().ok().and_then(|said| said.strip_prefix("Bearer "));
            let bearer = tokens.as_ref().zip(token).and_then(|(tokens, token)| tokens.bearer(token.trim()));
            let (name, role) =
                bearer.ok_or_else(|| Status::unauthenticated("the token is not one of this server's"))?;
            if changes && role == Role::ReadOnly {
                return Err(Status::permission_denied(format!(
                    "the token `{name}` is read-only, and {method} changes something"
                )));
            }
            name.to_owned()
        } else if of.is_none() && self.tokens.is_none() {
            "this machine".to_owned()
        } else {
            return Err(self.no_operator(of.is_some_and(|of| !of.is_empty())));
        };
        if changes {
            tracing::info!(method, who, address = %peer.address, "an operator changes something");
        }
        Ok(())
    }

    fn no_gateway(&self) -> Status {
        Status::unauthenticated(match self.gateways {
            Some(_) => {
                "a gateway shows a certificate of the authority that `gateways` of [tls] names; this one shows none of it: check certificate and key in [tls] of the gateway"
            }
            None => {
                "no gateway may attach here: [tls] of control names no authority for them; add gateways = \"FILE\""
            }
        })
    }

    fn no_operator(&self, other_certificate: bool) -> Status {
        let certificate = match other_certificate {
            true => "the certificate shown is not an operator's",
            false => "who are you?",
        };
        let ways = match (self.operators, &self.tokens) {
            (Some(_), Some(_)) => {
                "an operator's certificate (--cert and --key of ttgctl) or a token (--token-file)"
            }
            (Some(_), None) => "an operator's certificate (--cert and --key of ttgctl)",
            _ => "a token (--token-file of ttgctl)",
        };
        Status::unauthenticated(format!("{certificate}: this server wants {ways}"))
    }
}

/// Puts the guard in front of services.
#[derive(Clone)]
pub(super) struct GuardLayer(Arc<Guard>);

/// Services with the guard in front.
#[derive(Clone)]
pub(super) struct Guarded<S> {
    guard: Arc<Guard>,
    inner: S,
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { guard: self.0.clone(), inner }
    }
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future =
        futures_util::future::Either<std::future::Ready<Result<Response<Body>, S::Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        use futures_util::future::Either;
        let admitted = match request.extensions().get::<Peer>() {
            Some(peer) => self.guard.admit(request.uri().path(), peer, request.headers()),
            None => Err(Status::internal("a connection without a peer")),
        };
        match admitted {
            Ok(()) => Either::Right(self.inner.call(request)),
            Err(status) => Either::Left(std::future::ready(Ok(status.into_http()))),
        }
    }
}
