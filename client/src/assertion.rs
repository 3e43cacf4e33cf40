//! Assertions of who asks for a token, signed with a key: the grant of RFC 7523, section 2.1.

use std::time::{SystemTime, UNIX_EPOCH};

use rosterd_model::Secret;
use rosterd_sign::{Algorithm, KeyError, Rsa, jwt};
use serde_json::{Map, Value};

use crate::source::Source;
use crate::{ClientError, OAuth2, System};

/// The name of the grant.
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long an assertion is good, in seconds.
const LIFETIME: u64 = 600;

impl OAuth2 {
    /// Whether a token is asked for by an assertion.
    pub(crate) fn is_jwt_bearer(&self) -> bool {
        self.grant_type == JWT_BEARER
    }

    /// How assertions are signed, if that is known.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        match self.signature_algorithm.as_str() {
            "" | "RS256" => Some(Algorithm::Rs256),
            "RS384" => Some(Algorithm::Rs384),
            "RS512" => Some(Algorithm::Rs512),
            _ => None,
        }
    }
}

/// What is asserted, and with what.
pub(crate) struct Claims {
    key: Option<Source>,
    key_id: String,
    algorithm: Algorithm,
    issuer: String,
    audience: String,
    more: Map<String, Value>,
}

impl Claims {
    pub(crate) fn new(config: &OAuth2, system: &System) -> Self {
        Self {
            key: Source::of_secret(&config.client_certificate_key, &config.client_certificate_key_file, system),
            key_id: config.client_certificate_key_id.clone(),
            algorithm: config.algorithm().unwrap_or(Algorithm::Rs256),
            issuer: config.iss.clone(),
            audience: if config.audience.is_empty() { config.token_url.written() } else { &config.audience }.to_owned(),
            more: config.claims.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }

    /// Where the key is.
    pub(crate) fn key(&self) -> Option<&Source> {
        self.key.as_ref()
    }

    /// A new assertion that this client asks, signed with the key.
    pub(crate) fn assertion(&self, key: &str, client: &str, scopes: &str) -> Result<Secret, ClientError> {
        let unusable = |error: KeyError| {
            let key = self.key.as_ref().map_or_else(
                || "oauth2.client_certificate_key".to_owned(),
                |key| key.describe("oauth2.client_certificate_key"),
            );
            ClientError::settings_because(key, error)
        };
        let issuer = if self.issuer.is_empty() { client } else { &self.issuer };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut claims = jwt::claims(issuer, client, &self.audience, now, LIFETIME).map_err(unusable)?;
        if !scopes.is_empty() {
            claims.insert("scope".to_owned(), scopes.into());
        }
        claims.extend(self.more.clone());
        let mut header = Map::new();
        if !self.key_id.is_empty() {
            header.insert("kid".to_owned(), self.key_id.as_str().into());
        }
        let key = Rsa::from_pem(key.as_bytes()).map_err(unusable)?;
        jwt::signed(&key, self.algorithm, header, &claims).map_err(unusable)
    }
}
