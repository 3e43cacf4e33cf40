//! The `Authorization` header.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;

use crate::headers::secret_value;
use crate::message::Time;
use crate::oauth2::{Token, Tokens};
use crate::source::{self, Source};
use crate::{ClientError, HttpClientConfig, Options, Url};

/// How requests prove who sends them.
#[derive(Debug)]
pub(crate) enum Credentials {
    None,
    Basic { username: Option<Source>, password: Option<Source> },
    Header { kind: String, credentials: Option<Source> },
    OAuth2(Box<Tokens>),
}

/// A header, and the token in it, which has to be dropped when it is refused.
pub(crate) struct Proof {
    pub(crate) header: HeaderValue,
    pub(crate) token: Option<Token>,
}

impl Credentials {
    pub(crate) fn new(config: &HttpClientConfig, options: &Options) -> Result<Self, ClientError> {
        let system = &options.system;
        if let Some(auth) = &config.basic_auth {
            return Ok(Self::Basic {
                username: Source::of(&auth.username, &auth.username_file, system),
                password: Source::of_secret(&auth.password, &auth.password_file, system),
            });
        }
        if let Some(authorization) = &config.authorization {
            let kind = match authorization.kind.trim() {
                "" => "Bearer",
                kind => kind,
            };
            let credentials = Source::of_secret(&authorization.credentials, &authorization.credentials_file, system);
            return Ok(Self::Header { kind: kind.to_owned(), credentials });
        }
        if let Some(oauth2) = &config.oauth2 {
            return Tokens::new(oauth2, options).map(|tokens| Self::OAuth2(Box::new(tokens)));
        }
        Ok(match Source::of_secret(&config.bearer_token, &config.bearer_token_file, system) {
            Some(token) => Self::Header { kind: "Bearer".to_owned(), credentials: Some(token) },
            None => Self::None,
        })
    }

    /// The header for a request, if there is one.
    pub(crate) async fn prove(&self, time: Time) -> Result<Option<Proof>, ClientError> {
        let header = match self {
            Self::None => return Ok(None),
            Self::Basic { username, password } => {
                let username = source::read(username.as_ref()).await?;
                let password = source::read(password.as_ref()).await?;
                basic(username.as_deref().unwrap_or_default(), password.as_deref().unwrap_or_default())
            }
            Self::Header { kind, credentials } => {
                let credentials = source::read(credentials.as_ref()).await?;
                secret_value("authorization credentials", &format!("{kind} {}", credentials.unwrap_or_default()))?
            }
            Self::OAuth2(tokens) => {
                let token = tokens.get(time).await?;
                return Ok(Some(Proof { header: token.header()?, token: Some(token) }));
            }
        };
        Ok(Some(Proof { header, token: None }))
    }

    /// The server refused this token.
    pub(crate) async fn refused(&self, token: &Token) {
        if let Self::OAuth2(tokens) = self {
            tokens.drop_token(token).await;
        }
    }
}

/// The value of `Authorization` for a user and a password. It is not shown.
pub fn basic(username: &str, password: &str) -> HeaderValue {
    let text = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
    let mut value = HeaderValue::from_str(&text).expect("base64 has only characters that a header may have");
    value.set_sensitive(true);
    value
}

/// The header for the user and the password in a URL.
pub(crate) fn of_url(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some(basic(&decode(url.username()), &decode(url.password().unwrap_or_default())))
}
