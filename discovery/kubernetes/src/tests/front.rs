//! TLS before the fake API server, which itself speaks plain HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rosterd_tasks::Stopper;
use rosterd_testkit::FakeApiServer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Takes secure connections as `localhost` and hands them on.
pub(super) struct Front {
    address: SocketAddr,
    stopper: Stopper,
    authority: Authority,
}

/// Signs the server's certificate, and those of clients.
struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        Self { certificate: params.self_signed(&key).unwrap(), issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

impl Front {
    /// In front of a server; with `clients` only for those that have a certificate of its authority.
    pub(super) async fn start(server: &FakeApiServer, clients: bool) -> Self {
        let authority = Authority::new();
        let (certificate, key) = authority.sign("localhost");
        let provider = Arc::new(rosterd_client::certificates::provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.der().clone()).unwrap();
        let builder = match clients {
            false => builder.with_no_client_auth(),
            true => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
            ),
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, behind) = (listener.local_addr().unwrap(), server.address());
        let (stopper, acceptor) = (Stopper::new(), TlsAcceptor::from(Arc::new(config)));
        stopper.spawn_expendable("TLS", {
            let stopper = stopper.clone();
            async move {
                let hand_on = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        let (acceptor, stop) = (acceptor.clone(), stopper.token().clone());
                        stopper.spawn_expendable("connection", async move {
                            let both = async {
                                let mut secure = acceptor.accept(stream).await?;
                                copy_bidirectional(&mut secure, &mut TcpStream::connect(behind).await?).await
                            };
                            // Whoever has no certificate is sent away, and some tests are about that.
                            stop.run_until_cancelled(both).await.map(Result::ok);
                        });
                    }
                };
                stopper.token().run_until_cancelled(hand_on).await;
            }
        });
        Self { address, stopper, authority }
    }

    pub(super) fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// The certificate of the authority.
    pub(super) fn authority(&self) -> String {
        self.authority.certificate.pem()
    }

    /// A certificate and its key for a client.
    pub(super) fn client(&self) -> (String, String) {
        let (certificate, key) = self.authority.sign("me");
        (certificate.pem(), key.serialize_pem())
    }

    pub(super) async fn stop(self) {
        assert!(self.stopper.stop(rosterd_testkit::patience()).await.is_empty());
    }
}
