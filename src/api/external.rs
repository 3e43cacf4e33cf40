//! Where rosterd is seen from outside: the external URL and the prefix of all routes, as in Prometheus.

use rosterd_client::Url;
use rosterd_model::{Coded, Priority, Retry, bare_url};

/// `--web.external-url` is no URL that could be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url:?} cannot be the external URL: {reason}")]
pub struct ExternalUrlError {
    /// What was given, without what may be secret in it.
    url: String,
    /// What is wrong with it.
    reason: String,
}

impl Coded for ExternalUrlError {
    fn code(&self) -> &'static str {
        "web_external_url_invalid"
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

/// The URL under which people and programs reach this rosterd. Its path has no slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalUrl {
    url: Url,
    path: String,
}

impl ExternalUrl {
    /// Reads what `--web.external-url` says; without it, the URL is made of the host's name and the port.
    ///
    /// Fails on what is no `http` or `https` URL with a host, and on quotes that a shell should have removed.
    pub fn parse(given: Option<&str>, hostname: &str, port: u16) -> Result<Self, ExternalUrlError> {
        let made;
        let text = match given {
            Some(text) if !text.is_empty() => text,
            _ => {
                made = format!("http://{hostname}:{port}/");
                &made
            }
        };
        let wrong = |reason: &str| ExternalUrlError { url: bare_url(text).into_owned(), reason: reason.to_owned() };
        if text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']) {
            return Err(wrong("it begins or ends with a quote"));
        }
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || !url.without_zone().has_host() {
            return Err(wrong("it needs a scheme, http or https, and a host"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        Ok(Self { url, path })
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        self.url.scheme()
    }

    /// The host, with the port where one was given that is not the scheme's own.
    pub fn host(&self) -> String {
        self.url.authority()
    }

    /// Whether pages of this origin are those of this rosterd.
    pub(super) fn is_origin(&self, origin: &url::Url) -> bool {
        self.url.without_zone().origin() == origin.origin()
    }

    /// The path in front of all links: empty, or beginning with a slash and not ending with one.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// The prefix of all routes: what `--web.route-prefix` says, or else the path of the external URL. Empty, or beginning
/// with a slash and not ending with one.
pub fn route_prefix(given: Option<&str>, external: &ExternalUrl) -> String {
    match given.filter(|prefix| !prefix.is_empty()).unwrap_or(external.path()).trim_matches('/') {
        "" => String::new(),
        prefix => format!("/{prefix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_external_url_is_made_from_host_and_port() {
        let url = ExternalUrl::parse(None, "box", 9090).unwrap();
        assert_eq!((url.scheme(), url.host().as_str(), url.path()), ("http", "box:9090", ""));
        assert_eq!(route_prefix(None, &url), "");
    }

    #[test]
    fn the_prefix_follows_the_external_url_unless_given() {
        let url = ExternalUrl::parse(Some("https://example.org/rosterd/"), "box", 1).unwrap();
        assert_eq!((url.scheme(), url.host().as_str(), url.path()), ("https", "example.org", "/rosterd"));
        assert_eq!(route_prefix(None, &url), "/rosterd");
        assert_eq!(route_prefix(Some("/"), &url), "");
        assert_eq!(route_prefix(Some("a/b/"), &url), "/a/b");
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in ["'http://a'", "ftp://a/", "example.org", "http://"] {
            assert!(ExternalUrl::parse(Some(text), "box", 1).is_err(), "{text}");
        }
    }
}
