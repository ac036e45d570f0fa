//! Whom the EAP peer trusts, and who it is.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ClientConnection, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::time_provider::TimeProvider;
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What goes into TLS where the server's name does not matter. It is not sent.
const NO_NAME: &str = "radius.invalid";
/// Octets of TLS data in one EAP packet, so that it fits any EAPOL and RADIUS MTU.
const FRAGMENT: u16 = 1024;
/// Octets that a fragment has at least.
const MIN_FRAGMENT: u16 = 64;

/// Who a device is.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Credentials {
    /// The identity sent in the clear, which needs only the realm.
    pub outer_identity: String,
    /// The identity sent inside the tunnel.
    pub identity: String,
    /// The password.
    pub password: String,
}

impl Credentials {
    /// The same identity outside and inside the tunnel.
    pub fn new(identity: &str, password: &str) -> Credentials {
        Credentials {
            outer_identity: identity.to_owned(),
            identity: identity.to_owned(),
            password: password.to_owned(),
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("outer_identity", &self.outer_identity).finish_non_exhaustive()
    }
}

/// Why the trust settings are unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not PEM, or not certificates.
    #[error("the CA certificates cannot be read: {0}")]
    Certificates(String),
    /// No certificate at all: nothing would be trusted.
    #[error("there is no CA certificate")]
    NoCertificate,
    /// Not a DNS name.
    #[error("{0:?} is not a DNS name")]
    ServerName(String),
    /// TLS does not take the settings.
    #[error("TLS: {0}")]
    Tls(String),
}

/// Whom to trust; cheap to clone.
#[derive(Clone, Debug)]
pub struct Config {
    tls: Arc<ClientConfig>,
    server_name: ServerName<'static>,
    fragment: u16,
}

impl Config {
    /// Trusts servers whose certificate one of the CA certificates in `ca_pem` has signed, is valid at `valid_at` (in
    /// seconds since 1970) and, if `server_name` is given, has that DNS name as a subject alternative name.
    ///
    /// # Errors
    /// The certificates, or the name, are not such.
    pub fn new(ca_pem: &[u8], server_name: Option<&str>, valid_at: u64) -> Result<Config, ConfigError> {
        let tls_error = |error: rustls::Error| ConfigError::Tls(error.to_string());
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem) {
            let certificate = certificate.map_err(|error| ConfigError::Certificates(error.to_string()))?;
            roots.add(certificate).map_err(|error| ConfigError::Certificates(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(ConfigError::NoCertificate);
        }
        let name = server_name.unwrap_or(NO_NAME).to_owned();
        let server_name_checked = server_name.is_some();
        let server_name = ServerName::try_from(name.clone()).map_err(|_| ConfigError::ServerName(name))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = Arc::new(roots);
        let verifier: Arc<dyn ServerCertVerifier> = if server_name_checked {
            WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
                .build()
                .map_err(|error| ConfigError::Certificates(error.to_string()))?
        } else {
            Arc::new(AnyName { roots, provider: provider.clone() })
        };
        // TLS 1.3 derives its keys differently (RFC 9427) and few RADIUS servers offer it for EAP-TTLS.
        let mut tls = ClientConfig::builder_with_details(provider, Arc::new(FixedTime(valid_at)))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .map_err(tls_error)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        tls.enable_sni = false;
        tls.resumption = Resumption::disabled();
        Ok(Config { tls: Arc::new(tls), server_name, fragment: FRAGMENT })
    }

    /// With another limit to the octets of TLS data in one EAP packet (1024 by default; 64 at least).
    #[must_use]
    pub fn with_fragment(self, octets: u16) -> Config {
        Config { fragment: octets.max(MIN_FRAGMENT), ..self }
    }

    pub(super) fn fragment(&self) -> usize {
        usize::from(self.fragment)
    }

    pub(super) fn connect(&self) -> Result<ClientConnection, rustls::Error> {
        ClientConnection::new(self.tls.clone(), self.server_name.clone())
    }
}

/// The time at which certificates must be valid: this crate reads no clock.
#[derive(Debug)]
struct FixedTime(u64);

impl TimeProvider for FixedTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(self.0)))
    }
}

/// Checks everything about the server's certificate but its name.
#[derive(Debug)]
struct AnyName {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
