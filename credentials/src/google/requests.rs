//! What is asked for tokens, and what is answered. Pure.

use std::time::Duration;

use http::{HeaderValue, header};
use jiff::Timestamp;
use rosterd_client::{ClientError, Request, Secret, Url, basic, secret_value};
use rosterd_model::Error;
use rosterd_sign::{Algorithm, KeyError, Rsa, jwt};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::form_urlencoded::byte_serialize;

use super::account::{External, Format, Impersonation, Service, User};
use crate::Issued;
use crate::bearer::bearer;
use crate::exchange::{form, url};

/// What the token has to be for that is shown to whoever makes tokens of others.
pub(super) const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// How long an assertion is good, and by how much the clock of this machine may be ahead.
const ASSERTED: i64 = 3600;
const AHEAD: i64 = 10;

/// Of a service account, by an assertion that its key signs at this time, in seconds of Unix time.
pub(super) fn of_service(service: &Service, scope: &str, now: i64) -> Result<(Request, Secret), Error> {
    let assertion = assertion(service, scope, now)?;
    let pairs = [("grant_type", JWT_BEARER), ("assertion", assertion.expose())];
    Ok((form(url(&service.token_url, "token_uri")?, pairs), assertion))
}

fn assertion(service: &Service, scope: &str, now: i64) -> Result<Secret, KeyError> {
    let key = Rsa::from_pem(service.key.expose().as_bytes())?;
    let issued = now - AHEAD;
    let audience = if service.audience.is_empty() { &service.token_url } else { &service.audience };
    let claims = json!({
        "iss": service.email, "scope": scope, "aud": audience, "iat": issued, "exp": issued + ASSERTED,
    });
    let header = json!({"kid": service.key_id});
    jwt::signed(&key, Algorithm::Rs256, members(header), &members(claims))
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members.into_iter().filter(|(_, value)| *value != "").collect(),
        _ => Map::new(),
    }
}

/// Of a person who has logged in.
pub(super) fn of_user(user: &User) -> Result<Request, ClientError> {
    let url = url(&user.token_url, "the token URL of the credentials")?;
    let (id, secret) = match user.by_header {
        true => ("", ""),
        false => (&*user.client_id, user.client_secret.expose()),
    };
    let mut request = form(
        url,
        [
            ("client_id", id),
            ("client_secret", secret),
            ("grant_type", "refresh_token"),
            ("refresh_token", user.refresh_token.expose()),
        ],
    );
    if user.by_header {
        request.headers.insert(header::AUTHORIZATION, basic(&user.client_id, user.client_secret.expose()));
    }
    Ok(request)
}

/// Of somebody whom another vouches for by this proof.
pub(super) fn of_external(external: &External, proof: &Secret, scope: &str) -> Result<Request, ClientError> {
    let url = url(&external.token_url, "token_url")?;
    let options = match external.client_id.is_empty() && !external.user_project.is_empty() {
        true => json!({"userProject": external.user_project}).to_string(),
        false => String::new(),
    };
    let mut request = form(
        url,
        [
            ("audience", &*external.audience),
            ("grant_type", TOKEN_EXCHANGE),
            ("requested_token_type", ACCESS_TOKEN),
            ("scope", scope),
            ("subject_token", proof.expose()),
            ("subject_token_type", &external.subject_token_type),
            ("options", &options),
        ],
    );
    if !external.client_id.is_empty() {
        request.headers.insert(header::AUTHORIZATION, basic(&external.client_id, external.client_secret.expose()));
    }
    Ok(request)
}

/// Of a service account, by the token of somebody who may act as it.
pub(super) fn of_other(as_whom: &Impersonation, token: &Secret, scope: &str) -> Result<Request, ClientError> {
    let url = url(&as_whom.url, "service_account_impersonation_url")?;
    let lifetime = format!("{}s", as_whom.seconds);
    let body = json!({"delegates": as_whom.delegates, "lifetime": lifetime, "scope": [scope]});
    let mut request = Request::post(url, body.to_string());
    request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.headers.insert(header::AUTHORIZATION, bearer(token)?);
    Ok(request)
}

/// A token of another one, by a reply at this time.
pub(super) fn impersonated(body: &[u8], now: Timestamp) -> Result<Issued<Secret>, String> {
    #[derive(Deserialize)]
    struct Reply {
        #[serde(default, rename = "accessToken")]
        token: Secret,
        #[serde(default, rename = "expireTime")]
        end: String,
    }
    let place = |error: serde_json::Error| {
        format!("the reply is not the JSON of a token (line {}, column {})", error.line(), error.column())
    };
    let reply: Reply = serde_json::from_slice(body).map_err(place)?;
    if reply.token.is_empty() {
        return Err("the reply has no accessToken".to_owned());
    }
    let end: Timestamp = reply.end.parse().map_err(|_| "its expireTime is no time".to_owned())?;
    let lasts = Duration::try_from(end.duration_since(now)).unwrap_or_default();
    Ok(Issued { token: reply.token, lasts: Some(lasts) })
}

/// Of the machine's own service account, by the metadata server at this host.
pub(super) fn of_machine(host: &str, scope: &str) -> Result<Request, ClientError> {
    let scope: String = byte_serialize(scope.as_bytes()).collect();
    let text = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token?scopes={scope}");
    let mut request = Request::get(url(&text, &format!("the metadata server {host}"))?);
    request.headers.insert("metadata-flavor", HeaderValue::from_static("Google"));
    Ok(request)
}

/// The proof in what a file or a server says.
pub(super) fn proof(text: &str, format: &Format) -> Result<Secret, String> {
    let proof = match format {
        Format::Text => text.trim().to_owned(),
        Format::Json(key) => {
            let value: Value = serde_json::from_str(text).map_err(|_| "it is not JSON".to_owned())?;
            let proof = value.get(key).and_then(Value::as_str);
            proof.ok_or_else(|| format!("it has no text {key}"))?.to_owned()
        }
    };
    if proof.is_empty() { Err("it is empty".to_owned()) } else { Ok(proof.into()) }
}

/// Where a proof is told.
pub(super) fn of_subject(
    url: Url,
    headers: impl IntoIterator<Item = (String, Secret)>,
) -> Result<Request, ClientError> {
    let mut request = Request::get(url);
    for (name, value) in headers {
        let what = format!("the header {name:?} of credential_source");
        let value = secret_value(&what, value.expose())?;
        let unusable = |_| ClientError::Settings { what, source: None };
        request.headers.insert(http::HeaderName::from_bytes(name.as_bytes()).map_err(unusable)?, value);
    }
    Ok(request)
}
