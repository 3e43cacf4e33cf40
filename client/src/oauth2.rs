//! OAuth 2.0 tokens by client credentials (RFC 6749, section 4.4): fetched by one request at a time, kept until shortly
//! before they expire, dropped when they are refused or the client's secret changes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use rosterd_model::Secret;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::form_urlencoded::{self, Serializer, byte_serialize};

use crate::auth::basic;
use crate::headers::secret_value;
use crate::message::Time;
use crate::secrets::{proves, shown};
use crate::source::{self, Source};
use crate::url::UrlError;
use crate::{Client, ClientError, HttpClientConfig, OAuth2, Options, Request, Url};

/// A token is not used in its last seconds, because it has to arrive before it expires.
const MARGIN: Duration = Duration::from_secs(10);
/// A reply with a token is small.
const LARGEST_REPLY: u64 = 1 << 20;

/// Where tokens come from, with the last one.
pub(crate) struct Tokens {
    client: Client,
    url: Url,
    client_id: String,
    client_secret: Option<Source>,
    scopes: String,
    params: Vec<(String, String)>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// The secret that the token was fetched with.
    secret: Arc<str>,
    style: Option<Style>,
}

/// How the client proves itself to the token endpoint. Which one it wants is found out, as Go's `oauth2` does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Style {
    Header,
    Body,
}

/// A token.
#[derive(Clone, PartialEq)]
pub(crate) struct Token {
    kind: String,
    secret: Secret,
    expires: Option<Instant>,
}

impl Token {
    pub(crate) fn header(&self) -> Result<HeaderValue, ClientError> {
        secret_value("the OAuth 2.0 token", &format!("{} {}", self.kind, self.secret.expose()))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("url", &shown(&self.url)).finish_non_exhaustive()
    }
}

impl Tokens {
    pub(crate) fn new(config: &OAuth2, options: &Options) -> Result<Self, ClientError> {
        let proxy = config.proxy();
        let settings = HttpClientConfig {
            tls_config: config.tls_config.clone(),
            proxy_url: proxy.url.clone(),
            no_proxy: proxy.no_proxy.to_owned(),
            proxy_from_environment: proxy.from_environment,
            proxy_connect_header: proxy.connect_header.clone(),
            ..HttpClientConfig::default()
        };
        let url = config.token_url.parse().unwrap_or(Err(UrlError::NoHost));
        let url = url.map_err(|error| ClientError::settings_because("oauth2.token_url", error))?;
        Ok(Self {
            client: Client::new(&settings, Options { gzip: true, unix_socket: None, ..options.clone() })?,
            url,
            client_id: config.client_id.clone(),
            client_secret: Source::of_secret(&config.client_secret, &config.client_secret_file, &options.system),
            scopes: config.scopes.join(" "),
            params: config.endpoint_params.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            state: Mutex::default(),
        })
    }

    /// The token, fetched if there is none that can be used. Whoever comes meanwhile waits for that one request.
    pub(crate) async fn get(&self, time: Time) -> Result<Token, ClientError> {
        let mut state = self.state.lock().await;
        let secret = source::read(self.client_secret.as_ref()).await?.unwrap_or_default();
        let fresh = |token: &&Token| token.expires.is_none_or(|at| Instant::now() < at);
        if let Some(token) = state.token.as_ref().filter(fresh)
            && state.secret == secret
        {
            return Ok(token.clone());
        }
        let (style, token) = self
            .fetch(state.style, &secret, time)
            .await
            .map_err(|source| ClientError::OAuth2 { source: Box::new(source) })?;
        *state = State { token: Some(token.clone()), secret, style: Some(style) };
        Ok(token)
    }

    /// Forgets this token, unless another one has taken its place.
    pub(crate) async fn drop_token(&self, token: &Token) {
        let mut state = self.state.lock().await;
        if state.token.as_ref() == Some(token) {
            state.token = None;
        }
    }

    async fn fetch(&self, known: Option<Style>, secret: &str, time: Time) -> Result<(Style, Token), ClientError> {
        if let Some(style) = known {
            return self.ask(style, secret, time).await.map(|token| (style, token));
        }
        match self.ask(Style::Header, secret, time).await {
            Ok(token) => Ok((Style::Header, token)),
            Err(ClientError::Unauthorized { .. } | ClientError::Status { .. } | ClientError::NoToken { .. }) => {
                self.ask(Style::Body, secret, time).await.map(|token| (Style::Body, token))
            }
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, style: Style, secret: &str, time: Time) -> Result<Token, ClientError> {
        let mut request = Request::post(self.url.clone(), self.form(style, secret));
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers.insert(header::CONTENT_TYPE, form);
        request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if style == Style::Header {
            // Both parts are encoded as in a form before they are joined: RFC 6749, section 2.3.1.
            let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            request.headers.insert(header::AUTHORIZATION, basic(&encode(&self.client_id), &encode(secret)));
        }
        request.timeout = Some(time.deadline.saturating_duration_since(Instant::now()));
        request.has_secrets = true;
        // The client of a token source has no token source, but its future has the same type.
        let response = Box::pin(self.client.send(request)).await?;
        let (status, failure) = (response.status(), response.status_error());
        let params = self.params.iter().filter(|(name, _)| proves(name)).map(|(_, value)| Secret::new(&**value));
        let secrets = response.secrets().clone().and(params.chain([Secret::new(secret)]));
        let is_form = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
            let kind = kind.as_bytes();
            kind.starts_with(b"application/x-www-form-urlencoded") || kind.starts_with(b"text/plain")
        });
        let body = response.body(Some(LARGEST_REPLY)).await?;
        match (Reply::read(&body, is_form), status) {
            (Ok(reply), StatusCode::OK | StatusCode::CREATED) => self.token(reply),
            // An endpoint that explains itself by RFC 6749, section 5.2, is told apart from any other failure.
            (Ok(Reply { error: Some(error), error_description, .. }), status) if status.is_client_error() => {
                let reason = match error_description {
                    Some(description) => format!("HTTP status {status}, {error}: {description}"),
                    None => format!("HTTP status {status}, {error}"),
                };
                Err(ClientError::NoToken { url: shown(&self.url), reason: secrets.hide(&reason) })
            }
            (Err(reason), status) if status.is_success() => Err(ClientError::NoToken { url: shown(&self.url), reason }),
            _ => Err(failure),
        }
    }

    fn form(&self, style: Style, secret: &str) -> String {
        let mut form = Serializer::new(String::new());
        let overridden = |name: &str| self.params.iter().any(|(param, _)| param == name);
        if !overridden("grant_type") {
            form.append_pair("grant_type", "client_credentials");
        }
        if !self.scopes.is_empty() && !overridden("scope") {
            form.append_pair("scope", &self.scopes);
        }
        form.extend_pairs(&self.params);
        if style == Style::Body {
            form.append_pair("client_id", &self.client_id);
            if !secret.is_empty() {
                form.append_pair("client_secret", secret);
            }
        }
        form.finish()
    }

    fn token(&self, reply: Reply) -> Result<Token, ClientError> {
        let Some(secret) = reply.access_token.filter(|token| !token.is_empty()) else {
            let reason = "the reply has no access_token".to_owned();
            return Err(ClientError::NoToken { url: shown(&self.url), reason });
        };
        let kind = match reply.token_type.as_deref().unwrap_or_default() {
            kind if kind.is_empty() || kind.eq_ignore_ascii_case("bearer") => "Bearer".to_owned(),
            kind => kind.to_owned(),
        };
        let seconds = reply.expires_in.filter(|seconds| *seconds > 0);
        let expires =
            seconds.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds).saturating_sub(MARGIN)));
        Ok(Token { kind, secret, expires })
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
