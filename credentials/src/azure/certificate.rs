//! Assertions of an application that has a certificate.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rosterd_client::{Secret, Url};
use rosterd_model::Error;
use rosterd_sign::{Algorithm, Rsa, jwt};
use rosterd_tasks::files;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use x509_parser::parse_x509_certificate;

use super::{AzureError, Certificate};

/// How long an assertion is good, in seconds.
const ASSERTED: i64 = 600;

/// A certificate with its key.
pub(super) struct Pair {
    key: Rsa,
    /// That of the key, and then the others of the file.
    chain: Vec<CertificateDer<'static>>,
}

impl Certificate {
    /// Reads the files. Blocking.
    pub(super) fn read(&self) -> Result<Pair, AzureError> {
        let certificates = text(&self.path)?;
        if certificates.is_empty() || !certificates.contains("-----BEGIN") {
            let reason = "it is not PEM: of a PFX file, openssl pkcs12 -nodes makes one".to_owned();
            return Err(AzureError::Certificate { path: self.path.clone(), reason });
        }
        match &self.key_path {
            None => pair(&self.path, &certificates, &self.path, &certificates),
            Some(path) => pair(&self.path, &certificates, path, &text(path)?),
        }
    }
}

fn text(path: &Path) -> Result<String, AzureError> {
    match files::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(source) => Err(AzureError::Unreadable { path: path.to_owned(), source }),
    }
}

fn pair(path: &Path, certificates: &str, key_path: &Path, key: &str) -> Result<Pair, AzureError> {
    let unusable = |reason: &str| AzureError::Certificate { path: path.to_owned(), reason: reason.to_owned() };
    let broken = |source| AzureError::Key { path: key_path.to_owned(), source };
    let key = Rsa::from_pem(key.as_bytes()).map_err(broken)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates.as_bytes()).collect();
    let mut chain = all.map_err(|_| unusable("a certificate in it cannot be read"))?;
    let public = key.public_key().map_err(broken)?;
    let is_of_key = |certificate: &CertificateDer<'_>| {
        parse_x509_certificate(certificate).is_ok_and(|(_, certificate)| certificate.public_key().raw == public)
    };
    let leaf = chain
        .iter()
        .position(is_of_key)
        .ok_or_else(|| unusable("none of the certificates in it is that of the key"))?;
    chain.swap(0, leaf);
    Ok(Pair { key, chain })
}

impl Pair {
    /// What Entra ID is told at this time, in seconds of Unix time.
    pub(super) fn assertion(
        &self,
        endpoint: &Url,
        client_id: &str,
        with_chain: bool,
        now: i64,
    ) -> Result<Secret, Error> {
        let leaf = &self.chain[0];
        // Entra ID wants it in the base64 of all but JWTs.
        let mut header = json!({"x5t#S256": STANDARD.encode(digest(&SHA256, leaf))});
        if with_chain {
            header["x5c"] = self.chain.iter().map(|certificate| Value::from(STANDARD.encode(certificate))).collect();
        }
        let claims = json!({
            "aud": endpoint.to_string(), "iss": client_id, "sub": client_id, "jti": jwt::id()?, "nbf": now, "exp": now + ASSERTED,
        });
        let (Value::Object(header), Value::Object(claims)) = (header, claims) else { unreachable!("both are maps") };
        Ok(jwt::signed(&self.key, Algorithm::Ps256, header, &claims)?)
    }
}
