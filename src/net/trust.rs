//! Whose certificates are believed, and the TLS that follows from it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;
use url::Url;

use super::credentials::Access;
use crate::domain::cause::Cause;
use crate::domain::text::Untrusted;
use crate::domain::time::At;

/// The TLS of connections.
pub(super) type Tls = Arc<ClientConfig>;

/// The trusted authorities; calls with the same trust share connections.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Trust {
    /// No TLS: no authorities need to be loaded.
    Plain,
    /// The system's authorities.
    System,
    /// Those of a file, too.
    Authorities(PathBuf),
    /// All certificates.
    Anybody,
}

impl Trust {
    /// The trust of a call.
    pub fn of(access: &Access, url: &Url) -> Self {
        // First: a proxy may speak TLS where the agent does not.
        if access.insecure {
            Self::Anybody
        } else if url.scheme() == "http" {
            Self::Plain
        } else if let Some(ca) = &access.ca {
            Self::Authorities(ca.clone())
        } else {
            Self::System
        }
    }

    /// The TLS of its connections, which offers HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// The authorities cannot be read.
    pub fn tls(&self) -> Result<Option<Tls>, Cause> {
        let provider = provider();
        let verifier: Arc<dyn ServerCertVerifier> = match self {
            Self::Plain => return Ok(None),
            Self::System => Arc::new(Verifier::new(provider.clone()).map_err(fault)?),
            Self::Authorities(path) => {
                Arc::new(Verifier::new_with_extra_roots(authorities(path)?, provider.clone()).map_err(fault)?)
            }
            Self::Anybody => Arc::new(AcceptAnyCertificate),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(fault)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Some(Arc::new(config)))
    }
}

fn fault(error: impl std::fmt::Display) -> Cause {
    Cause::Credential(Untrusted::from(format!("TLS cannot be set up: {error}")))
}

/// The authorities in a file of PEM.
fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, Cause> {
    let fault = |why: String| Cause::Credential(Untrusted::from(format!("ca {}: {why}", path.display())));
    let pem = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| fault(error.to_string()))?;
    if found.is_empty() {
        return Err(fault("holds no certificate".into()));
    }
    Ok(found)
}

/// Accepts every certificate, as the operator requested.
#[derive(Debug)]
struct AcceptAnyCertificate;

impl ServerCertVerifier for AcceptAnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        // All there are: nothing is verified.
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::ED25519,
            SignatureScheme::ED448,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
            SignatureScheme::RSA_PKCS1_SHA1,
            SignatureScheme::ECDSA_SHA1_Legacy,
        ]
    }
}

/// When the certificate ends that a peer has shown.
pub(super) fn certificate_until(certificate: &[u8]) -> Option<At> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(At::from_micros(certificate.validity().not_after.timestamp().checked_mul(1_000_000)?))
}

/// Chooses the cryptography of TLS, once.
pub(super) fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that another thread installed it first, which is equivalent.
        let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    });
}

fn provider() -> Arc<CryptoProvider> {
    let ours = || Arc::new(rustls::crypto::ring::default_provider());
    CryptoProvider::get_default().cloned().unwrap_or_else(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_authorities_without_certificates_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let message = |text: Option<&str>| {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let cause = Trust::Authorities(path.clone()).tls().unwrap_err().to_string();
            cause.replace(&path.display().to_string(), "FILE")
        };
        for (text, says) in [
            (None, "ca FILE: No such file or directory"),
            (Some("no certificate"), "ca FILE: holds no certificate"),
            (Some("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"), "base64"),
        ] {
            let message = message(text);
            assert!(message.contains(says), "{message:?}");
        }
    }
}
