//! The certificates of a server and of those whom it lets in, in files, for one test.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::Folder;

const AUTHORITY: &str = "server.crt";
const CERTIFICATE: &str = "client.crt";
const KEY: &str = "client.key";

pub(super) struct Certificates {
    folder: Folder,
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Certificates {
    /// That of a server of these names, which lets everybody in.
    pub(super) fn of_names(names: &[&str]) -> Self {
        let folder = Folder::new();
        let acceptor = acceptor(&folder, names, WebPkiClientVerifier::no_client_auth());
        Self { folder, acceptor }
    }

    /// That of a server at this machine, and one that it lets in.
    pub(super) fn with_clients() -> Self {
        let client = rcgen::generate_simple_self_signed(["client".to_owned()]).expect("a certificate");
        let folder = Folder::new();
        folder.write(CERTIFICATE, client.cert.pem());
        folder.write(KEY, client.signing_key.serialize_pem());
        let mut known = RootCertStore::empty();
        known.add(client.cert.der().clone()).expect("a certificate that was just made");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(known), provider()).build();
        let acceptor = acceptor(&folder, &["localhost"], verifier.expect("somebody is known"));
        Self { folder, acceptor }
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// What trusts the server.
    pub(super) fn authority(&self) -> String {
        self.path(AUTHORITY)
    }

    pub(super) fn tls_config(&self) -> String {
        let path = |name: &str| self.path(name);
        format!("{{ca_file: '{}', cert_file: '{}', key_file: '{}'}}", path(AUTHORITY), path(CERTIFICATE), path(KEY))
    }

    fn path(&self, name: &str) -> String {
        self.folder.path(name).display().to_string()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn acceptor(folder: &Folder, names: &[&str], clients: Arc<dyn ClientCertVerifier>) -> TlsAcceptor {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let server = rcgen::generate_simple_self_signed(names).expect("a certificate");
    folder.write(AUTHORITY, server.cert.pem());
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.expect("the provider knows all of them").with_client_cert_verifier(clients);
    let key = PrivateKeyDer::try_from(server.signing_key.serialize_der()).expect("a key");
    let tls = builder.with_single_cert(vec![server.cert.der().clone()], key).expect("they belong together");
    TlsAcceptor::from(Arc::new(tls))
}
