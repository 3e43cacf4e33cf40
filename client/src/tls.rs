//! TLS as configured: which servers are trusted, who the client is, which versions are spoken.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion, version};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::source::{self, Source};
use crate::{ClientError, System, TlsConfig, TlsVersion};

/// `tls_config`, ready to make connections.
pub(crate) struct Tls {
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    ca: Option<Source>,
    cert: Option<Source>,
    key: Option<Source>,
    server_name: Option<ServerName<'static>>,
    verify: bool,
    http2: bool,
    system: System,
}

/// The contents of all files of [`Tls`]. When they change, connections have to be made anew.
#[derive(Clone, PartialEq)]
pub(crate) struct Material {
    ca: Option<Arc<str>>,
    cert: Option<Arc<str>>,
    key: Option<Arc<str>>,
}

impl Tls {
    pub(crate) fn new(config: &TlsConfig, http2: bool, system: System) -> Result<Self, ClientError> {
        let server_name = match config.server_name.as_str() {
            "" => None,
            name => Some(
                ServerName::try_from(name.to_owned())
                    .map_err(|error| ClientError::settings_because(format!("server_name {name:?}"), error))?,
            ),
        };
        Ok(Self {
            provider: Arc::new(ring::default_provider()),
            versions: versions(config)?,
            ca: Source::of(&config.ca, &config.ca_file),
            cert: Source::of(&config.cert, &config.cert_file),
            key: Source::of_secret(&config.key, &config.key_file),
            server_name,
            verify: !config.insecure_skip_verify,
            http2,
            system,
        })
    }

    /// Whether certificates are configured at all.
    pub(crate) fn has_material(&self) -> bool {
        self.ca.is_some() || self.cert.is_some() || self.key.is_some()
    }

    /// Reads the files, as far as they changed.
    pub(crate) fn material(&self) -> Result<Material, ClientError> {
        Ok(Material {
            ca: source::read(self.ca.as_ref())?,
            cert: source::read(self.cert.as_ref())?,
            key: source::read(self.key.as_ref())?,
        })
    }

    /// The settings of connections that use this material.
    pub(crate) fn build(&self, material: &Material) -> Result<ClientConfig, ClientError> {
        let builder = self.builder()?;
        let roots = match (&material.ca, self.verify) {
            (_, false) => Arc::new(RootCertStore::empty()),
            (Some(ca), true) => Arc::new(self.trust(ca)?),
            (None, true) => self.system.roots(),
        };
        let builder = match self.verifier(&roots)? {
            Some(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier),
            None => builder.with_root_certificates(roots),
        };
        let config = match (&material.cert, &material.key) {
            (Some(cert), Some(key)) => {
                let (chain, key) = self.identity(cert, key)?;
                let unusable = |error| ClientError::settings_because(self.describe_identity(), error);
                builder.with_client_auth_cert(chain, key).map_err(unusable)?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(self.with_protocols(config))
    }

    /// The settings of a client that makes no TLS connections, at no cost.
    pub(crate) fn build_unused(&self) -> Result<ClientConfig, ClientError> {
        let builder = self.builder()?.with_root_certificates(RootCertStore::empty());
        Ok(self.with_protocols(builder.with_no_client_auth()))
    }

    fn builder(&self) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, ClientError> {
        ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&self.versions)
            .map_err(|error| ClientError::settings_because("the TLS versions", error))
    }

    fn with_protocols(&self, mut config: ClientConfig) -> ClientConfig {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if self.http2 {
            config.alpn_protocols.insert(0, b"h2".to_vec());
        }
        config
    }

    /// A verifier that differs from that of rustls, if one is needed.
    fn verifier(&self, roots: &Arc<RootCertStore>) -> Result<Option<Arc<dyn ServerCertVerifier>>, ClientError> {
        if !self.verify {
            return Ok(Some(Arc::new(TrustAnything(Arc::clone(&self.provider)))));
        }
        let Some(name) = &self.server_name else {
            return Ok(None);
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|error| ClientError::settings_because("the certificates that the system trusts", error))?;
        Ok(Some(Arc::new(NamedServer { name: name.clone(), verifier })))
    }

    fn trust(&self, pem: &str) -> Result<RootCertStore, ClientError> {
        let what = || self.ca.as_ref().map_or_else(String::new, |ca| ca.describe("ca"));
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem).map_err(|error| ClientError::settings_because(what(), error))? {
            roots.add(certificate).map_err(|error| ClientError::settings_because(what(), error))?;
        }
        if roots.is_empty() {
            Err(ClientError::settings(format!("{}: no certificate in it", what())))
        } else {
            Ok(roots)
        }
    }

    fn identity(
        &self,
        cert: &str,
        key: &str,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ClientError> {
        let what =
            |source: &Option<Source>, key| source.as_ref().map_or_else(String::new, |source| source.describe(key));
        let chain =
            certificates(cert).map_err(|error| ClientError::settings_because(what(&self.cert, "cert"), error))?;
        if chain.is_empty() {
            return Err(ClientError::settings(format!("{}: no certificate in it", what(&self.cert, "cert"))));
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| ClientError::settings_because(what(&self.key, "key"), error))?;
        Ok((chain, key))
    }

    fn describe_identity(&self) -> String {
        let name =
            |source: &Option<Source>, key| source.as_ref().map_or_else(String::new, |source| source.describe(key));
        format!("{} with {}", name(&self.cert, "cert"), name(&self.key, "key"))
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, rustls_pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect()
}

fn versions(config: &TlsConfig) -> Result<Vec<&'static SupportedProtocolVersion>, ClientError> {
    let oldest = config.min_version.unwrap_or(TlsVersion::Tls12);
    let newest = config.max_version.unwrap_or(TlsVersion::Tls13);
    let known = [(TlsVersion::Tls12, &version::TLS12), (TlsVersion::Tls13, &version::TLS13)];
    let versions: Vec<_> =
        known.iter().filter(|(version, _)| (oldest..=newest).contains(version)).map(|(_, version)| *version).collect();
    if versions.is_empty() {
        return Err(ClientError::settings("the TLS versions: none of them is supported"));
    }
    Ok(versions)
}

/// Verifies as rustls does, but a configured name instead of that of the URL.
#[derive(Debug)]
struct NamedServer {
    name: ServerName<'static>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for NamedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verifier.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// `insecure_skip_verify`: any certificate will do, as long as the server has its key.
struct TrustAnything(Arc<CryptoProvider>);

impl fmt::Debug for TrustAnything {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrustAnything")
    }
}

impl ServerCertVerifier for TrustAnything {
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
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
