//! OAuth 2.0 tokens by client credentials (RFC 6749, section 4.4) or an assertion (RFC 7523, section 2.1): fetched by one request
//! at a time, kept until shortly before they expire, dropped when they are refused or the client's secret or key changes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, header};
use rosterd_model::Secret;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::assertion::{Claims, JWT_BEARER};
use crate::auth::basic;
use crate::grant::{self, Granted};
use crate::headers::secret_value;
use crate::message::Time;
use crate::secrets::{proves, shown};
use crate::source::{self, Source};
use crate::url::UrlError;
use crate::{Client, ClientError, HttpClientConfig, OAuth2, Options, Url};

/// A token is not used in its last seconds, because it has to arrive before it expires.
const MARGIN: Duration = Duration::from_secs(10);

/// Where tokens come from, with the last one.
pub(crate) struct Tokens {
    client: Client,
    url: Url,
    client_id: String,
    proof: Proof,
    scopes: String,
    /// What is said twice, if anything is.
    clash: Option<&'static str>,
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
    Assertion,
}

/// What the client proves itself with.
enum Proof {
    Secret(Option<Source>),
    Key(Claims),
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
        let proof = match config.is_jwt_bearer() {
            true => Proof::Key(Claims::new(config, &options.system)),
            false => {
                Proof::Secret(Source::of_secret(&config.client_secret, &config.client_secret_file, &options.system))
            }
        };
        Ok(Self {
            client: Client::new(&settings, Options { gzip: true, unix_socket: None, ..options.clone() })?,
            url,
            client_id: config.client_id.clone(),
            proof,
            scopes: config.scopes.join(" "),
            clash: config.clash(),
            params: config.endpoint_params.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            state: Mutex::default(),
        })
    }

    /// The token, fetched if there is none that can be used. Whoever comes meanwhile waits for that one request.
    pub(crate) async fn get(&self, time: Time) -> Result<Token, ClientError> {
        let mut state = self.state.lock().await;
        let source = match &self.proof {
            Proof::Secret(secret) => secret.as_ref(),
            Proof::Key(claims) => claims.key(),
        };
        let secret = source::read(source).await?.unwrap_or_default();
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
        // An assertion says who asks.
        let known = if matches!(self.proof, Proof::Key(_)) { Some(Style::Assertion) } else { known };
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
        if let Some(name) = self.clash {
            let what = format!("oauth2.endpoint_params.{name}: {name} is asked with already");
            return Err(ClientError::settings(what));
        }
        let assertion = match &self.proof {
            Proof::Secret(_) => None,
            Proof::Key(claims) => Some(claims.assertion(secret, &self.client_id, &self.scopes)?),
        };
        let mut request = grant::form(self.url.clone(), self.form(style, secret, assertion.as_ref()));
        if style == Style::Header {
            // Both parts are encoded as in a form before they are joined: RFC 6749, section 2.3.1.
            let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            request.headers.insert(header::AUTHORIZATION, basic(&encode(&self.client_id), &encode(secret)));
        }
        request.timeout = Some(time.deadline.saturating_duration_since(Instant::now()));
        let params = self.params.iter().filter(|(name, _)| proves(name)).map(|(_, value)| Secret::new(&**value));
        let hidden = params.chain([assertion.unwrap_or_else(|| Secret::new(secret))]);
        let Granted { kind, secret, lasts } = grant::granted(&self.client, request, hidden).await?;
        let expires = lasts.and_then(|lasts| Instant::now().checked_add(lasts.saturating_sub(MARGIN)));
        Ok(Token { kind, secret, expires })
    }

    fn form(&self, style: Style, secret: &str, assertion: Option<&Secret>) -> String {
        let mut form = Serializer::new(String::new());
        let overridden = |name: &str| self.params.iter().any(|(param, _)| param == name);
        if !overridden("grant_type") {
            form.append_pair("grant_type", if assertion.is_some() { JWT_BEARER } else { "client_credentials" });
        }
        if let Some(assertion) = assertion {
            form.append_pair("assertion", assertion.expose());
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
}
