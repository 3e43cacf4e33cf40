//! What a token endpoint is asked, and what it gives: RFC 6749, sections 4.4 and 5, and what is alike.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderValue, StatusCode, header};
use rosterd_model::Secret;
use serde::Deserialize;
use url::form_urlencoded;

use crate::{Client, ClientError, Request, Url};

/// A reply with a token is small.
const LARGEST_REPLY: u64 = 1 << 20;

/// A token that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// What stands before it in `Authorization`: `Bearer`, mostly.
    pub kind: String,
    /// The token.
    pub secret: Secret,
    /// How long it is good, if that was said.
    pub lasts: Option<Duration>,
}

/// The question of a token endpoint: a form, which goes to no other host.
pub fn form(url: Url, form: String) -> Request {
    let mut request = Request::post(url, form);
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers.insert(header::CONTENT_TYPE, kind);
    request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    request.has_secrets = true;
    request
}

/// Asks for a token. The secrets of the body are hidden in what is told of the answer.
pub async fn granted(
    client: &Client,
    request: Request,
    hidden: impl IntoIterator<Item = Secret>,
) -> Result<Granted, ClientError> {
    // The client of a token source has no token source, but its future has the same type.
    let response = Box::pin(client.send(request)).await?;
    let (status, failure, url) = (response.status(), response.status_error(), response.shown_url());
    let secrets = response.secrets().clone().and(hidden);
    let is_form = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind.starts_with(b"application/x-www-form-urlencoded") || kind.starts_with(b"text/plain")
    });
    let body = response.body(Some(LARGEST_REPLY)).await?;
    match (Reply::read(&body, is_form), status) {
        (Ok(reply), StatusCode::OK | StatusCode::CREATED) => reply.token().ok_or_else(|| {
            let reason = "the reply has no access_token".to_owned();
            ClientError::NoToken { url, reason }
        }),
        // An endpoint that explains itself by RFC 6749, section 5.2, is told apart from any other failure.
        (Ok(Reply { error: Some(error), error_description, .. }), status) if status.is_client_error() => {
            let reason = match error_description {
                Some(description) => format!("HTTP status {status}, {error}: {description}"),
                None => format!("HTTP status {status}, {error}"),
            };
            Err(ClientError::NoToken { url, reason: secrets.brief(&reason) })
        }
        (Err(reason), status) if status.is_success() => Err(ClientError::NoToken { url, reason }),
        _ => Err(failure),
    }
}

/// What a token endpoint says, of which only a part is ever there.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Reply {
    access_token: Option<Secret>,
    token_type: Option<String>,
    #[serde(deserialize_with = "seconds")]
    expires_in: Option<u64>,
    /// In Unix time, as some of Azure's services say it.
    #[serde(deserialize_with = "seconds")]
    expires_on: Option<u64>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Reply {
    /// Reads JSON, or a form as some endpoints still send it. The reason of a failure does not quote the reply.
    fn read(body: &[u8], is_form: bool) -> Result<Self, String> {
        if !is_form {
            let place = |error: serde_json::Error| {
                format!("the reply is not the JSON of a token (line {}, column {})", error.line(), error.column())
            };
            return serde_json::from_slice(body).map_err(place);
        }
        let mut reply = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            match &*name {
                "access_token" => reply.access_token = Some(value.into_owned().into()),
                "token_type" => reply.token_type = Some(value.into_owned()),
                "expires_in" => reply.expires_in = value.parse().ok(),
                "error" => reply.error = Some(value.into_owned()),
                "error_description" => reply.error_description = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(reply)
    }

    fn token(self) -> Option<Granted> {
        let secret = self.access_token.filter(|token| !token.is_empty())?;
        let kind = match self.token_type.unwrap_or_default() {
            kind if kind.is_empty() || kind.eq_ignore_ascii_case("bearer") => "Bearer".to_owned(),
            kind => kind,
        };
        let at = |end| UNIX_EPOCH.checked_add(Duration::from_secs(end))?.duration_since(SystemTime::now()).ok();
        let lasts = self.expires_in.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        Some(Granted { kind, secret, lasts: lasts.or_else(|| at(self.expires_on?)) })
    }
}

/// Some endpoints send the number as a string.
fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(f64),
        Text(String),
    }
    Ok(match Option::<Seconds>::deserialize(deserializer)? {
        Some(Seconds::Number(number)) => Some(number.max(0.0) as u64),
        Some(Seconds::Text(text)) => text.parse().ok(),
        None => None,
    })
}
