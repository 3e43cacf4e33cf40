//! The certificates of a server and of those whom it lets in, in files, for one test.

use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
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
    pub(super) fn new() -> Self {
        let make = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        let (server, client) = (make("localhost"), make("client"));
        let folder = Folder::new();
        folder.write(AUTHORITY, server.cert.pem());
        folder.write(CERTIFICATE, client.cert.pem());
        folder.write(KEY, client.signing_key.serialize_pem());
        let mut known = RootCertStore::empty();
        known.add(client.cert.der().clone()).expect("a certificate that was just made");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(known), Arc::clone(&provider)).build();
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("the provider knows all of them");
        let builder = builder.with_client_cert_verifier(verifier.expect("somebody is known"));
        let key = PrivateKeyDer::try_from(server.signing_key.serialize_der()).expect("a key");
        let tls = builder.with_single_cert(vec![server.cert.der().clone()], key).expect("they belong together");
        Self { folder, acceptor: TlsAcceptor::from(Arc::new(tls)) }
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    pub(super) fn tls_config(&self) -> String {
        let path = |name: &str| self.folder.path(name).display().to_string();
        format!("{{ca_file: '{}', cert_file: '{}', key_file: '{}'}}", path(AUTHORITY), path(CERTIFICATE), path(KEY))
    }
}
