//! TLS for what comes from outside this machine: rustls with ring, TLS 1.3 only.

use std::path::Path;
use std::sync::Arc;

use tokio::io;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

/// A certificate with its key, ready to answer.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the certificate {path} cannot be read: {cause}")]
    Certificate { path: String, cause: String },
    #[error("the key {path} cannot be read: {cause}")]
    Key { path: String, cause: String },
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

impl Tls {
    /// Reads a chain of certificates, the server's own first, and its private key; both PEM.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let at = |path: &Path| path.display().to_string();
        let bad = |cause: String| TlsError::Certificate { path: at(certificate), cause };
        let chain = CertificateDer::pem_file_iter(certificate).map_err(|e| bad(e.to_string()))?;
        let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|e| bad(e.to_string()))?;
        if chain.is_empty() {
            return Err(bad("there is no certificate in it".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| TlsError::Key { path: at(key), cause: error.to_string() })?;
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}
