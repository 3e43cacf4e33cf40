//! What can go wrong between a request and its reply. Of URLs it is shown where they are, and neither user and password nor parameters.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};
use rosterd_model::{Coded, Priority, Retry};

use crate::Url;
use crate::head::Malformed;
use crate::secrets::shown;
use crate::tls_words::NotSecure;

/// The longest wait that a server may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What lies below an error: of the library that sends.
pub(crate) type Cause = Box<dyn StdError + Send + Sync>;

/// Why there is no reply, or not the wanted one.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The reply was not complete in time.
    #[error("no complete reply of {url} within {after:?}")]
    Timeout {
        /// What was asked for.
        url: String,
        /// The time it had.
        after: Duration,
    },
    /// The name is unknown, the server or the proxy not there.
    #[error("cannot connect to {url}")]
    Connect {
        /// What was asked for.
        url: String,
        /// What happened.
        source: Cause,
    },
    /// One side does not accept the certificate or the TLS version of the other.
    #[error("no secure connection to {url}")]
    Tls {
        /// What was asked for.
        url: String,
        /// What happened.
        source: Cause,
    },
    /// The connection broke.
    #[error("no complete reply of {url}")]
    Broken {
        /// What was asked for.
        url: String,
        /// What happened.
        source: Cause,
    },
    /// What came is no reply of HTTP that can be read.
    #[error("the reply of {url} cannot be read")]
    Malformed {
        /// What was asked for.
        url: String,
        /// What happened.
        source: Cause,
    },
    /// Not `application/json`, where only that is read.
    #[error("{url} has the content type {declared:?}, want application/json")]
    NotJson {
        /// What was asked for.
        url: String,
        /// What it says instead.
        declared: String,
    },
    /// 401 or 403.
    #[error("server returned HTTP status {status} for {url}: check the credentials")]
    Unauthorized {
        /// What was asked for.
        url: String,
        /// The reply.
        status: StatusCode,
    },
    /// 429 or 503: the server asks for time.
    #[error("server returned HTTP status {status} for {url}")]
    Throttled {
        /// What was asked for.
        url: String,
        /// The reply.
        status: StatusCode,
        /// How much time, if it says so.
        retry_after: Option<Duration>,
    },
    /// Another status that the caller cannot use.
    #[error("server returned HTTP status {status} for {url}")]
    Status {
        /// What was asked for.
        url: String,
        /// The reply.
        status: StatusCode,
    },
    /// Redirected in circles, or to something that is not HTTP.
    #[error("cannot follow the redirects of {url}: {reason}")]
    Redirect {
        /// What was asked for.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The body is larger than allowed, as sent or once unpacked.
    #[error("reply of {url} is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// A file of the settings cannot be read.
    #[error("cannot read {}", path.display())]
    FileUnreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The settings are of no use: a certificate that is none, a header with a line break.
    #[error("cannot use {what}")]
    Settings {
        /// The setting, and the file if there is one.
        what: String,
        /// Why not.
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// There is no token for the request.
    #[error("cannot get an OAuth 2.0 token")]
    OAuth2 {
        /// Why not.
        source: Box<ClientError>,
    },
    /// The token endpoint replied, but not with a token.
    #[error("{url} gave no token: {reason}")]
    NoToken {
        /// The token endpoint.
        url: String,
        /// What it gave.
        reason: String,
    },
}

impl ClientError {
    /// The error for a status that the caller has no use for.
    pub fn of_status(url: &Url, status: StatusCode, headers: &HeaderMap) -> Self {
        Self::of_status_at(shown(url), status, headers)
    }

    pub(crate) fn of_status_at(url: String, status: StatusCode, headers: &HeaderMap) -> Self {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Unauthorized { url, status },
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Self::Throttled { url, status, retry_after: retry_after(headers, SystemTime::now()) }
            }
            _ => Self::Status { url, status },
        }
    }

    /// The error of an exchange that broke off, or for which there was no connection.
    pub(crate) fn of_exchange(url: &Url, connecting: bool, error: impl Into<Cause>) -> Self {
        let (url, source) = (shown(url), error.into());
        match find::<rustls::Error>(&*source) {
            Some(error) => Self::Tls { url, source: NotSecure::from(error).into() },
            None if connecting => Self::Connect { url, source: innermost(&source) },
            None => match malformed(&source) {
                Some(reason) => Self::Malformed { url, source: reason },
                None => Self::Broken { url, source: innermost(&source) },
            },
        }
    }

    pub(crate) fn settings(what: impl Into<String>) -> Self {
        Self::Settings { what: what.into(), source: None }
    }

    pub(crate) fn settings_because(
        what: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::Settings { what: what.into(), source: Some(source.into()) }
    }
}

impl Coded for ClientError {
    fn code(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "http_timeout",
            Self::Connect { .. } => "http_connect",
            Self::Tls { .. } => "http_tls",
            Self::Broken { .. } => "http_broken",
            Self::Malformed { .. } => "http_malformed",
            Self::NotJson { .. } => "sd_content_type",
            Self::Unauthorized { .. } => "http_unauthorized",
            Self::Throttled { .. } => "http_throttled",
            Self::Status { .. } => "http_status",
            Self::Redirect { .. } => "http_redirect",
            Self::TooLarge { .. } => "http_too_large",
            Self::FileUnreadable { .. } => "http_file_unreadable",
            Self::Settings { .. } => "http_settings",
            Self::OAuth2 { .. } => "http_oauth2",
            Self::NoToken { .. } => "http_no_token",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Timeout { .. } | Self::Connect { .. } | Self::Broken { .. } | Self::Throttled { .. } => {
                Priority::Retry
            }
            Self::Malformed { .. }
            | Self::NotJson { .. }
            | Self::Status { .. }
            | Self::Redirect { .. }
            | Self::NoToken { .. } => Priority::Remote,
            Self::Tls { .. }
            | Self::Unauthorized { .. }
            | Self::TooLarge { .. }
            | Self::FileUnreadable { .. }
            | Self::Settings { .. } => Priority::Operator,
            Self::OAuth2 { source } => source.priority(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Throttled { retry_after: Some(wait), .. } => Retry::After(*wait),
            Self::NotJson { .. } | Self::Unauthorized { .. } | Self::TooLarge { .. } | Self::Redirect { .. } => {
                Retry::Interval
            }
            Self::Status { status, .. } if status.is_client_error() => Retry::Interval,
            Self::OAuth2 { source } => source.retry(),
            _ => Retry::Backoff,
        }
    }
}

/// The URL without user and password: credentials are shown to nobody, and may change while the place stays the same.
pub fn without_user(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_user("", None);
    url
}

/// The wait that a `Retry-After` asks for, in seconds or until a date; an hour at most.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// Why a reply that came cannot be read, if one did.
fn malformed(error: &Cause) -> Option<Cause> {
    match find::<hyper::Error>(&**error) {
        Some(http) if http.is_parse_too_large() => return Some(Malformed::TooMuch.into()),
        Some(http) if http.is_parse() => return Some(innermost(error)),
        _ => {}
    }
    // This side has refused what came.
    let refused = |http2: &&h2::Error| http2.is_library() && http2.reason() == Some(h2::Reason::PROTOCOL_ERROR);
    find(&**error).filter(refused).map(|_| Malformed::Http2.into())
}

/// Whether the server says by HTTP/2 that it has not begun with the request: it ends the connection in order, or takes no more.
pub(crate) fn was_not_begun(error: &(dyn StdError + 'static)) -> bool {
    find::<h2::Error>(error).is_some_and(|error| {
        let says = |reason| error.is_remote() && error.reason() == Some(reason);
        error.is_go_away() && says(h2::Reason::NO_ERROR) || error.is_reset() && says(h2::Reason::REFUSED_STREAM)
    })
}

/// What it comes down to: the layers of the library above it say no more than the error that it becomes here.
pub(crate) fn innermost(error: &Cause) -> Cause {
    causes(&**error).last().map(ToString::to_string).unwrap_or_default().into()
}

/// The first error of a kind, of this one and those below it.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// The error and what lies below it.
fn causes<'a>(first: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(first), |error| below(*error))
}

/// An I/O error hides the error it was made of: its source is that one's source.
fn below<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        for (text, want) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("999999999", Some(3600)),
            ("-1", None),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().expect("a value"))]);
            assert_eq!(retry_after(&headers, now), want.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn the_status_decides_who_acts_and_when() {
        let url = Url::parse("http://user:hunter2@h/p").expect("a URL");
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, "7".parse().expect("a value"))]);
        let after = Retry::After(Duration::from_secs(7));
        for (status, code, priority, retry) in [
            (401, "http_unauthorized", Priority::Operator, Retry::Interval),
            (403, "http_unauthorized", Priority::Operator, Retry::Interval),
            (404, "http_status", Priority::Remote, Retry::Interval),
            (429, "http_throttled", Priority::Retry, after),
            (500, "http_status", Priority::Remote, Retry::Backoff),
            (503, "http_throttled", Priority::Retry, after),
        ] {
            let error = ClientError::of_status(&url, StatusCode::from_u16(status).expect("a status"), &headers);
            assert_eq!((error.code(), error.priority(), error.retry()), (code, priority, retry), "{status}");
            assert!(error.to_string().contains("http://h/p") && !error.to_string().contains("hunter2"), "{error}");
        }
    }
}
