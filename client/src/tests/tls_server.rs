//! A TLS server on the loopback interface with certificates made for the test.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use rosterd_tasks::stopper::Stopper;

/// An authority that signs certificates.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) certificate: rcgen::Certificate,
}

/// A certificate and its key.
pub(super) struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(super) fn sign(&self, name: &str) -> Identity {
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        Identity { certificate: params.signed_by(&key, &self.issuer).expect("signed"), key }
    }

    /// Writes the certificate.
    pub(super) fn write(&self, path: &Path) {
        std::fs::write(path, self.certificate.pem()).expect("written");
    }
}

impl Identity {
    /// The certificate with the key of another.
    pub(super) fn with_key_of(self, other: Self) -> Self {
        Self { key: other.key, ..self }
    }

    /// Writes certificate and key.
    pub(super) fn write(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&cert, self.certificate.pem()).expect("written");
        std::fs::write(&key, self.key.serialize_pem()).expect("written");
        (cert, key)
    }
}

/// Answers each request with the number of the client's certificates, the name that it was asked for in a header, and closes
/// the connection.
pub(super) struct TlsServer {
    stopper: Stopper,
    address: SocketAddr,
}

/// The settings of a server. Clients need a certificate of `clients`, if there is such an authority.
pub(super) fn settings(
    identity: &Identity,
    clients: Option<&Authority>,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    let provider = Arc::new(crate::certificates::provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(versions).expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate.der().clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).expect("a key");
    let key = provider.key_provider.load_private_key(key).expect("a key that signs");
    // Not asked whether the one is of the other.
    let own = CertifiedKey::new(vec![identity.certificate.der().clone()], key);
    builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(own)))
}

impl TlsServer {
    /// Clients need a certificate of `clients`, if there is such an authority.
    pub(super) async fn start(
        identity: &Identity,
        clients: Option<&Authority>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let config = settings(identity, clients, versions);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let stopper = Stopper::new();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let token = stopper.token().clone();
        stopper.spawn_expendable("TLS server", async move {
            token
                .run_until_cancelled(async {
                    while let Ok((stream, _)) = listener.accept().await {
                        // A client that goes away in the middle is what some tests are about.
                        serve(&acceptor, stream).await.ok();
                    }
                })
                .await;
        });
        Self { stopper, address }
    }

    /// The URL by a name that stands for the loopback interface.
    pub(super) fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/", self.address.port())
    }

    pub(super) async fn stop(self) {
        assert!(self.stopper.stop(Duration::from_secs(10)).await.is_empty());
    }
}

async fn serve(acceptor: &TlsAcceptor, stream: TcpStream) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let certificates = stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len);
    let name = stream.get_ref().1.server_name().unwrap_or("none");
    let reply =
        format!("HTTP/1.1 200 OK\r\nx-name: {name}\r\nconnection: close\r\ncontent-length: 1\r\n\r\n{certificates}");
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}
