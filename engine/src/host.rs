//! Where an engine is: the `host` key.

use std::fmt;
use std::path::PathBuf;

use rosterd_client::{HttpClientConfig, Identity, SafeUrl, Url, UrlError};
use rosterd_discovery::Finding;
use rosterd_model::Problem;
use rosterd_rest::{SocketError, socket};
use serde::{Deserialize, Serialize, Serializer};

/// What stands in URLs for an engine behind a socket.
const BEHIND_SOCKET: &str = "http://localhost/";

/// Where an engine is: `unix:///path`, `tcp://host:port`, `http://` or `https://`.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Host(String);

/// Where it can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) socket: Option<PathBuf>,
    pub(crate) url: Url,
    /// Whether the settings of the HTTP client count.
    pub(crate) has_settings: bool,
}

/// Why a text is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing is written.
    #[error("host is missing: write unix:///var/run/docker.sock, tcp://name:port or https://name:port")]
    Missing,
    /// It does not begin with a scheme that is known here.
    #[error(
        "host begins with unix://, tcp://, http:// or https://: a socket is written as unix:///var/run/docker.sock, a name as tcp://name:2375"
    )]
    Scheme,
    /// Nothing that can be the path of a socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Anything else.
    #[error(transparent)]
    Url(#[from] UrlError),
}

impl Host {
    /// Keeps a text that should name an engine.
    pub fn new(host: impl Into<String>) -> Self {
        Self(host.into())
    }

    pub(crate) fn address(&self) -> Result<Address, HostError> {
        if self.0.is_empty() {
            return Err(HostError::Missing);
        }
        if let Some(socket) = socket(&self.0) {
            let url = Url::parse(BEHIND_SOCKET)?;
            return Ok(Address { socket: Some(socket?), url, has_settings: false });
        }
        let (scheme, rest) = self.0.split_once("://").ok_or(HostError::Scheme)?;
        let is_http = match scheme {
            "tcp" => false,
            "http" | "https" => true,
            _ => return Err(HostError::Scheme),
        };
        let scheme = if is_http { scheme } else { "http" };
        let mut url = Url::parse(&format!("{scheme}://{rest}"))?;
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Address { socket: None, url, has_settings: is_http })
    }

    /// What is wrong with it.
    pub fn check(&self) -> Option<Problem> {
        let error = self.address().err()?;
        let code = if error == HostError::Missing { "cfg_missing_key" } else { "cfg_invalid_value" };
        Some(Problem::new("host", code, error.to_string()))
    }

    /// What is written beside it, and has no effect.
    pub fn examine(&self, client: &HttpClientConfig) -> Option<Finding> {
        let has_none = self.address().is_ok_and(|place| !place.has_settings) && *client != HttpClientConfig::default();
        let message =
            "the settings of the HTTP client have no effect with unix:// and tcp://: write http:// or https://";
        has_none.then(|| Finding::Idle(Problem::new("host", "cfg_no_effect", message.to_owned())))
    }

    /// Says which engine is asked, and as whom.
    pub fn identity(&self, client: &HttpClientConfig, id: &mut Identity) {
        match self.address() {
            Ok(Address { socket: None, url, has_settings }) => {
                id.url("host", &SafeUrl::new(url));
                if has_settings {
                    client.identity(id);
                }
            }
            Ok(Address { socket: Some(path), .. }) => id.path("socket", &path),
            Err(_) => id.text("host", self),
        }
    }
}

/// Without what is secret in it.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.starts_with("unix://") { f.write_str(&self.0) } else { SafeUrl::new(&*self.0).fmt(f) }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_engine_is_behind_a_socket_or_at_a_url() {
        for (host, socket, url) in [
            ("unix:///var/run/docker.sock", Some("/var/run/docker.sock"), "http://localhost/"),
            ("unix://run/x.sock", Some("run/x.sock"), "http://localhost/"),
            ("tcp://a:2375", None, "http://a:2375/"),
            ("tcp://[::1]:2375/base", None, "http://[::1]:2375/base/"),
            ("tcp://[fe80::1%25eth0]:2375", None, "http://[fe80::1%25eth0]:2375/"),
            ("http://a:2375/", None, "http://a:2375/"),
            ("https://a:2376", None, "https://a:2376/"),
        ] {
            let place = Host::new(host).address().expect(host);
            assert_eq!((place.socket.as_deref(), &*place.url.to_string()), (socket.map(Path::new), url), "{host}");
        }
    }

    #[test]
    fn what_is_no_host_is_told() {
        for (host, error) in [
            ("", HostError::Missing),
            ("/var/run/docker.sock", HostError::Scheme),
            ("npipe:////./pipe/docker_engine", HostError::Scheme),
            ("unix://", HostError::Socket(SocketError::NoPath)),
            ("tcp://", HostError::Url(UrlError::NoHost)),
            ("https://a:x", HostError::Url(UrlError::Port)),
        ] {
            assert_eq!(Host::new(host).address(), Err(error), "{host}");
            assert_eq!(Host::new(host).check().expect(host).path, "host");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let host = Host::new("tcp://u:hunter2@a:2375");
        assert!(!format!("{host:?} {host}").contains("hunter2"), "{host}");
        assert_eq!(Host::new("unix:///run/a@b.sock").to_string(), "unix:///run/a@b.sock");
    }
}
