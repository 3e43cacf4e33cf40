//! TLS as configured: which servers are trusted, who the client is, which versions are spoken.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion, version};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::certificates::{self, Pool, Purpose, Signatures};
use crate::connect::Secure;
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
            provider: Arc::new(certificates::provider()),
            versions: versions(config)?,
            ca: Source::of(&config.ca, &config.ca_file, &system),
            cert: Source::of(&config.cert, &config.cert_file, &system),
            key: Source::of_secret(&config.key, &config.key_file, &system),
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
    pub(crate) async fn material(&self) -> Result<Material, ClientError> {
        Ok(Material {
            ca: source::read(self.ca.as_ref()).await?,
            cert: source::read(self.cert.as_ref()).await?,
            key: source::read(self.key.as_ref()).await?,
        })
    }

    /// The same on a thread that may block.
    pub(crate) fn material_here(&self) -> Result<Material, ClientError> {
        let read = |source: &Option<Source>| source.as_ref().map(Source::read_here).transpose();
        Ok(Material { ca: read(&self.ca)?, cert: read(&self.cert)?, key: read(&self.key)? })
    }

    /// The settings of connections that use this material.
    pub(crate) fn build(&self, material: &Material) -> Result<Secure, ClientError> {
        let signatures = Signatures::of(&self.provider);
        let verifier: Arc<dyn ServerCertVerifier> = match (&material.ca, self.verify) {
            (_, false) => Arc::new(AnyServer(signatures)),
            (Some(ca), true) => Arc::new(Servers { pool: Arc::new(self.trust(ca)?), signatures }),
            (None, true) => Arc::new(Servers { pool: self.system.roots(), signatures }),
        };
        let builder = self.builder()?.dangerous().with_custom_certificate_verifier(verifier);
        let mut proxies = match (&material.cert, &material.key) {
            (Some(cert), Some(key)) => {
                let identity = SingleCertAndKey::from(self.identity(cert, key)?);
                builder.with_client_cert_resolver(Arc::new(identity))
            }
            _ => builder.with_no_client_auth(),
        };
        proxies.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut servers = proxies.clone();
        if self.http2 {
            servers.alpn_protocols.insert(0, b"h2".to_vec());
        }
        Ok(Secure { servers: Arc::new(servers), proxies: Arc::new(proxies), name: self.server_name.clone() })
    }

    fn builder(&self) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, ClientError> {
        ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&self.versions)
            .map_err(|error| ClientError::settings_because("the TLS versions", error))
    }

    fn trust(&self, pem: &str) -> Result<Pool, ClientError> {
        let pool = Pool::of_pem(pem.as_bytes());
        if pool.is_empty() {
            let what = self.ca.as_ref().map_or_else(String::new, |ca| ca.describe("ca"));
            return Err(ClientError::settings(format!("{what}: no certificate in it")));
        }
        Ok(pool)
    }

    fn identity(&self, cert: &str, key: &str) -> Result<Arc<CertifiedKey>, ClientError> {
        let what =
            |source: &Option<Source>, key| source.as_ref().map_or_else(String::new, |source| source.describe(key));
        let chain = certificates::all_of_pem(cert.as_bytes());
        if chain.is_empty() {
            return Err(ClientError::settings(format!("{}: no certificate in it", what(&self.cert, "cert"))));
        }
        let key = certificates::private_key(key.as_bytes())
            .map_err(|error| ClientError::settings_because(what(&self.key, "key"), error))?;
        certificates::identity(chain, key, &self.provider)
            .map_err(|error| ClientError::settings_because(self.describe_identity(), error))
    }

    fn describe_identity(&self) -> String {
        let name =
            |source: &Option<Source>, key| source.as_ref().map_or_else(String::new, |source| source.describe(key));
        format!("{} with {}", name(&self.cert, "cert"), name(&self.key, "key"))
    }
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

/// Verifies the certificate of a server.
#[derive(Debug)]
struct Servers {
    pool: Arc<Pool>,
    signatures: Signatures,
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let purpose = Purpose::Server(server_name);
        certificates::verify(&self.pool, end_entity, intermediates, purpose, now, &self.signatures)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.verify_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.verify_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.schemes()
    }
}

/// `insecure_skip_verify`: any certificate will do, as long as the server has its key.
#[derive(Debug)]
struct AnyServer(Signatures);

impl ServerCertVerifier for AnyServer {
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
        self.0.verify_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.schemes()
    }
}
