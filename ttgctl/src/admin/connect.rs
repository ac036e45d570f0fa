//! Reaching the control daemon, showing it who asks, and saying what is wrong if that does not work.

use std::{error::Error, path::Path, time::Duration};

use anyhow::{Context, anyhow, bail};
use proto::admin::admin_client::AdminClient;
use tls::{
    client::{self, Connector},
    files::{self, Identity},
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Uri},
};

use crate::cli::Access;

pub(super) type Client = AdminClient<InterceptedService<Channel, Bearer>>;

/// What one address of control is given to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Puts the token into each request, if there is one.
#[derive(Clone)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

pub(super) async fn connect(server: &str, access: &Access) -> anyhow::Result<Client> {
    let endpoint = Channel::from_shared(server.to_owned()).with_context(|| {
        format!("--server {server} is not a URL such as https://control.example.org:7400")
    })?;
    let tls = tls_files(server, endpoint.uri(), access)?;
    let bearer = Bearer(access.token_file.as_deref().map(token).transpose()?);
    let channel = endpoint.connect_with_connector(Connector::new(tls, PATIENCE)).await.map_err(|error| {
        let cause = client::explain(&error);
        anyhow!(
            "cannot ask the control daemon at {server}: {cause}. `controlplane run` or `ttg standalone` must run there; --server or \
             TTGCTL_SERVER names another address."
        )
    })?;
    Ok(AdminClient::with_interceptor(channel, bearer))
}

fn tls_files(server: &str, uri: &Uri, access: &Access) -> anyhow::Result<client::Files> {
    let identity = match (&access.cert, &access.key) {
        (Some(certificate), Some(key)) => {
            Some(Identity { certificate: certificate.clone(), key: key.clone() })
        }
        (None, None) => None,
        (Some(_), None) => bail!("--cert needs --key, the file with its key"),
        (None, Some(_)) => bail!("--key needs --cert, the file with its certificate"),
    };
    match uri.scheme_str() {
        Some("https") if access.ca.is_none() => bail!(
            "{server} needs --ca FILE (or TTGCTL_CA): the certificate of the authority that signed the server's"
        ),
        Some("https") => {}
        Some("http") if access.ca.is_some() || identity.is_some() => {
            bail!(
                "{server} is plain text, but there is a certificate: say https:// (--server or TTGCTL_SERVER)"
            )
        }
        Some("http") if access.token_file.is_some() && !is_this_machine(uri) => {
            bail!(
                "{server} is plain text, and the token would cross the network in clear: say https://, and --ca FILE"
            )
        }
        Some("http") => {}
        _ => bail!("--server {server} is not a URL such as https://control.example.org:7400"),
    }
    Ok(client::Files { ca: access.ca.clone(), identity, server_name: access.server_name.clone() })
}

fn is_this_machine(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The only word of the file.
fn token(path: &Path) -> anyhow::Result<MetadataValue<Ascii>> {
    let octets = files::secret("token file", path)?;
    let text = String::from_utf8_lossy(&octets);
    let words: Vec<&str> = text.split_whitespace().collect();
    let [token] = words[..] else {
        bail!("the token file {} must have the token in it and nothing else", path.display());
    };
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
        .parse()
        .map_err(|_| anyhow!("the token in {} has characters that no token has", path.display()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What the server said, or why it could not.
pub(super) fn said(status: Status) -> anyhow::Error {
    match status.source() {
        Some(source) => anyhow!("the connection to the control daemon failed: {}", client::explain(source)),
        None => anyhow!("{}", status.message()),
    }
}
