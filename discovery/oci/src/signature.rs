//! What is added to a request: a signature of it (draft-cavage-http-signatures-08) by a key that Oracle knows.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Method, header};
use rosterd_client::{Request, secret_value};
use rosterd_credentials::sign::{Algorithm, KeyError, Rsa};
use rosterd_credentials::{Authorize, Issued, Issuer, Tokens};
use rosterd_discovery::Error;

use super::bucket::Bucket;
use super::error::OciError;
use super::key_file::KeyFile;
use super::principal::Principal;

/// A key to sign with, and by which name it is known.
pub(super) struct Signing {
    pub(super) id: String,
    pub(super) key: Rsa,
    /// In which tenancy.
    pub(super) tenancy: String,
}

/// Where keys come from.
pub(super) enum Signers {
    File(KeyFile),
    Machine(Box<Principal>),
}

impl fmt::Debug for Signers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File(_) => "a file",
            Self::Machine(_) => "a machine",
        })
    }
}

#[async_trait]
impl Issuer for Signers {
    type Token = Signing;

    async fn issue(&self) -> Result<Issued<Signing>, Error> {
        match self {
            Self::File(file) => Ok(file.read().await?),
            Self::Machine(principal) => principal.issue().await,
        }
    }
}

/// Signs requests, not too many at a time.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) keys: Arc<Tokens<Signers>>,
    pub(super) bucket: Arc<Bucket>,
}

#[async_trait]
impl Authorize for Signer {
    async fn authorize(&self, request: &mut Request) -> Result<(), Error> {
        let signing = self.keys.get().await?;
        self.bucket.turn().await;
        let signed = sign(request, &signing.id, &signing.key, SystemTime::now());
        Ok(signed.map_err(|source| OciError::Key { what: "the key".to_owned(), source })?)
    }

    async fn refused(&self, request: &Request) -> bool {
        let sent = request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        self.keys.forget_if(|signing| sent.contains(&format!("keyId=\"{}\"", signing.id))).await;
        true
    }
}

/// Adds the headers of a signature at this time.
pub(super) fn sign(request: &mut Request, id: &str, key: &Rsa, now: SystemTime) -> Result<(), KeyError> {
    let date = httpdate::fmt_http_date(now);
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| KeyError::Failed);
    request.headers.insert(header::DATE, value(&date)?);
    if request.method == Method::POST {
        let hash = STANDARD.encode(digest::digest(&digest::SHA256, &request.body));
        request.headers.insert(HeaderName::from_static("x-content-sha256"), value(&hash)?);
        let length = request.body.len().to_string();
        request.headers.insert(header::CONTENT_LENGTH, value(&length)?);
    }
    let (names, text) = signed_text(request);
    let signature = STANDARD.encode(key.sign(Algorithm::Rs256, text.as_bytes())?);
    let proof = format!(
        "Signature version=\"1\",headers=\"{names}\",keyId=\"{id}\",algorithm=\"rsa-sha256\",signature=\"{signature}\""
    );
    let proof = secret_value("a signature", &proof).map_err(|_| KeyError::Failed)?;
    request.headers.insert(header::AUTHORIZATION, proof);
    Ok(())
}

/// What is signed of a request, and the names of it.
pub(super) fn signed_text(request: &Request) -> (String, String) {
    let url = request.url.without_zone();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{} {}{query}", request.method.as_str().to_lowercase(), url.path());
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let of = |name: &str| {
        let value = request.headers.get(name).and_then(|value| value.to_str().ok());
        (name.to_owned(), value.unwrap_or_default().to_owned())
    };
    let mut lines = vec![of("date"), ("(request-target)".to_owned(), target), ("host".to_owned(), host)];
    if request.method == Method::POST {
        lines.extend(["content-length", "content-type", "x-content-sha256"].map(of));
    }
    let names = lines.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ");
    (names, lines.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests;
