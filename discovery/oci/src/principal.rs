//! The machine asks as itself: its certificate gets a token for a key that was just made.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header};
use rosterd_client::{HttpClientConfig, SafeUrl, Secret, Url};
use rosterd_credentials::Issued;
use rosterd_credentials::sign::{KeyError, Rsa, hex, jwt};
use rosterd_discovery::{Build, Error};
use rosterd_rest::{Api, Authorize, Fault, json};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;
use tokio::try_join;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::OciConfig;
use super::config::OPERATIONS;
use super::error::OciError;
use super::region::Region;
use super::signature::{Signing, sign};

/// Where a machine is told about itself, unless `OCI_METADATA_BASE_URL` of the environment says otherwise, as for Oracle's own programs.
const METADATA: &str = "http://169.254.169.254/opc/v2";
/// So soon it is there, or not at all.
const SOON: Duration = Duration::from_secs(10);
/// The API that gives tokens to machines, and how long it may take.
const FEDERATION: &str = "auth";
const PATIENCE: Duration = Duration::from_secs(30);
/// What the name of the tenancy follows in the subject of the certificate.
const TENANT: &str = "opc-tenant:";

rosterd_rest::reply! {
    struct Federated {
        token: Secret = "token",
    }
}

pub(super) struct Principal {
    metadata: Api,
    /// By the way that the configuration says.
    api: Api,
    /// Where tokens are to be had, if not where those of the region are.
    federation: Option<Url>,
}

impl Principal {
    pub(super) fn new(config: &OciConfig, cx: &Build<'_, OciConfig>) -> Result<Self, Error> {
        let variable = |name: &str| cx.system.environment().get(name).filter(|value| !value.is_empty());
        let metadata = SafeUrl::new(variable("OCI_METADATA_BASE_URL").unwrap_or(METADATA));
        // It is on the machine itself: no proxy leads there.
        let metadata = Api::new(&metadata, &HttpClientConfig::default(), SOON, cx)?.counted(cx.metrics, &OPERATIONS);
        let usual = Region::new(&config.region).server(FEDERATION);
        let api = Api::new(&usual, &config.client, PATIENCE, cx)?.counted(cx.metrics, &OPERATIONS);
        let named = variable("OCI_SDK_AUTH_CLIENT_REGION_URL").map(SafeUrl::new).unwrap_or_default();
        let federation = [named, config.endpoint.clone()].iter().find_map(|url| url.parse()).and_then(Result::ok);
        Ok(Self { metadata, api, federation })
    }

    pub(super) async fn issue(&self) -> Result<Issued<Signing>, Error> {
        let (region, leaf, key, intermediate) = try_join!(
            self.told(["instance", "region"]),
            self.told(["identity", "cert.pem"]),
            self.told(["identity", "key.pem"]),
            self.told(["identity", "intermediate.pem"]),
        )?;
        let of_leaf = |source| OciError::Key { what: "the key of this machine".to_owned(), source };
        let leaf_key = Rsa::from_pem(key.as_bytes()).map_err(of_leaf)?;
        let leaf = certificate(&leaf)?;
        let tenancy = tenancy(&leaf)?;
        // It takes up to a second to find one.
        let session = rosterd_tasks::blocking(Rsa::generate).await.map_err(of_leaf)?;
        let body = json!({
            "certificate": STANDARD.encode(&leaf),
            "publicKey": STANDARD.encode(session.public_key().map_err(of_leaf)?),
            "intermediateCertificates": [STANDARD.encode(certificate(&intermediate)?)],
            "fingerprintAlgorithm": "SHA256",
        });
        let server = match &self.federation {
            Some(server) => server.clone(),
            None => url(&Region::new(region.trim()).server(FEDERATION))?,
        };
        let leaf = Leaf { id: format!("{tenancy}/fed-x509-sha256/{}", fingerprint(&leaf)), key: leaf_key };
        let api = self.api.at(server).authorized(std::sync::Arc::new(leaf));
        let question = api.post(["v1", "x509"], body.to_string().into_bytes()).named("federation");
        let token = question.read(federated).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let lasts = jwt::ends(token.expose()).map(|end| Duration::from_secs(end.saturating_sub(now)));
        let signing = Signing { id: format!("ST${}", token.expose()), key: session, tenancy };
        Ok(Issued { token: signing, lasts })
    }

    /// What the machine is told of itself.
    async fn told(&self, path: [&str; 2]) -> Result<String, Error> {
        let question = self.metadata.get(path).named("metadata");
        let question = question.header(header::AUTHORIZATION, HeaderValue::from_static("Bearer Oracle"));
        let text = |body: &[u8]| String::from_utf8(body.to_vec()).map_err(|_| Fault::new("it is no text"));
        question.read(text).await
    }
}

/// Signs with the key of the machine's certificate.
#[derive(Debug)]
struct Leaf {
    id: String,
    key: Rsa,
}

#[async_trait::async_trait]
impl Authorize for Leaf {
    async fn authorize(&self, request: &mut rosterd_client::Request) -> Result<(), Error> {
        let what = "the key of this machine".to_owned();
        let signed = sign(request, &self.id, &self.key, SystemTime::now());
        Ok(signed.map_err(|source: KeyError| OciError::Key { what, source })?)
    }
}

fn federated(body: &[u8]) -> Result<Secret, Fault> {
    let Federated { token } = json(body)?;
    if token.is_empty() { Err(Fault::new("token is missing")) } else { Ok(token) }
}

fn url(of: &SafeUrl) -> Result<Url, OciError> {
    let unusable =
        || OciError::Certificate { reason: "the region of this machine has no name that a URL can have".to_owned() };
    of.parse().and_then(Result::ok).ok_or_else(unusable)
}

/// The first certificate of a PEM text, in DER.
fn certificate(pem: &str) -> Result<Vec<u8>, OciError> {
    let found = CertificateDer::from_pem_slice(pem.as_bytes());
    let none = |_| OciError::Certificate { reason: "there is none that can be read".to_owned() };
    Ok(found.map_err(none)?.as_ref().to_vec())
}

/// Whose machine it is.
fn tenancy(leaf: &[u8]) -> Result<String, OciError> {
    let unusable = |reason: &str| OciError::Certificate { reason: reason.to_owned() };
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| unusable("it is none that can be read"))?;
    let units = leaf.subject().iter_attributes().filter_map(|attribute| attribute.as_str().ok());
    let mut tenants = units.filter_map(|unit| unit.strip_prefix(TENANT));
    tenants.next().map(str::to_owned).ok_or_else(|| unusable("it does not say whose machine it is (opc-tenant)"))
}

/// The hash of a certificate, in pairs of digits.
fn fingerprint(certificate: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, certificate);
    hash.as_ref().iter().map(|byte| hex([*byte])).collect::<Vec<_>>().join(":")
}
