//! Where Consul is, and as whom it is asked: the keys that all its mechanisms have in common.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use rosterd_client::{BasicAuth, ClientError, HttpClientConfig, SafeUrl, Secret, secret_value};
use rosterd_discovery::{Build, Identity, MechanismConfig};
use rosterd_model::Problem;
use rosterd_rest::{Api, Question, SocketError, socket};
use rosterd_tasks::zoned;

const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");
/// What stands in URLs for a server behind a socket.
const BEHIND_SOCKET: &str = "localhost";

/// Where Consul is, and as whom it is asked, as a configuration says it.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// `server`: host and port, a URL, or `unix://` and the path of a socket.
    pub server: &'a str,
    /// `scheme`.
    pub scheme: &'a str,
    /// `path_prefix`.
    pub path_prefix: &'a str,
    /// `token`.
    pub token: &'a Secret,
    /// `username`.
    pub username: &'a str,
    /// `password`.
    pub password: &'a Secret,
    /// The keys of the HTTP client.
    pub client: &'a HttpClientConfig,
}

/// A Consul that can be asked.
#[derive(Debug, Clone)]
pub struct Consul {
    api: Api,
    token: Option<HeaderValue>,
}

impl Access<'_> {
    /// What tells the servers apart that are asked.
    pub fn name(&self) -> String {
        if self.is_socket() { self.server.to_owned() } else { self.url().to_string() }
    }

    /// All that is wrong with it.
    pub fn check(&self) -> Vec<Problem> {
        let conflict = |path, message: &str| Problem::new(path, "cfg_conflicting_keys", message);
        let mut problems = Vec::new();
        if self.server.trim().is_empty() {
            problems.push(Problem::new(
                "server",
                "cfg_missing_key",
                "server is missing: write host:port, such as localhost:8500",
            ));
        } else if let Some(Err(error)) = socket(self.server) {
            problems.push(Problem::new("server", "cfg_invalid_value", error.to_string()));
        } else {
            problems.extend(self.url().check("server"));
        }
        if self.has_user() && self.client.basic_auth.is_some() {
            let message = "username and password are there already: write them or basic_auth, and remove the others";
            problems.push(conflict("basic_auth", message));
        }
        if !self.token.is_empty() && (self.client.authorization.is_some() || self.client.oauth2.is_some()) {
            problems.push(conflict("token", "only one of token, authorization and oauth2 counts: remove the others"));
        }
        problems.extend(self.settings().check());
        problems
    }

    /// Says which Consul is asked, and as whom.
    pub fn identity(&self, id: &mut Identity) {
        if let Some(Ok(path)) = socket(self.server) {
            id.path("socket", &path);
        }
        id.url("server", &self.url());
        id.secret("token", self.token);
        self.settings().identity(id);
    }

    /// Makes it ready to be asked, with so much time for each answer.
    pub fn consul<C: MechanismConfig>(&self, timeout: Duration, cx: &Build<'_, C>) -> Result<Consul, ClientError> {
        let unusable = |error: SocketError| ClientError::Settings {
            what: "the path of the socket".to_owned(),
            source: Some(error.into()),
        };
        let socket: Option<PathBuf> = socket(self.server).transpose().map_err(unusable)?;
        let token = secret_value("token", self.token.expose())?;
        let api = Api::behind(socket, &self.url(), &self.settings(), timeout, cx)?;
        Ok(Consul { api, token: Some(token).filter(|token| !token.is_empty()) })
    }

    fn is_socket(&self) -> bool {
        socket(self.server).is_some()
    }

    /// What is asked for is below this URL.
    fn url(&self) -> SafeUrl {
        let server = if self.is_socket() { BEHIND_SOCKET } else { self.server };
        url(server, self.scheme, self.path_prefix)
    }

    /// The settings of the client, with the user if there is one.
    fn settings(&self) -> HttpClientConfig {
        let mut settings = self.client.clone();
        if self.has_user() {
            let (username, password) = (self.username.to_owned(), self.password.clone());
            settings.basic_auth = Some(BasicAuth { username, password, ..BasicAuth::default() });
        }
        settings
    }

    fn has_user(&self) -> bool {
        !self.username.is_empty() || !self.password.is_empty()
    }
}

impl Consul {
    /// Asks for what is there.
    pub fn get(&self, path: &[&str]) -> Question {
        let question = self.api.get(path.iter().copied());
        match self.token.clone() {
            Some(token) => question.header(TOKEN, token),
            None => question,
        }
    }
}

/// `server`, `scheme` and `path_prefix` as one URL. Behind a host there may be a path, which counts instead of `path_prefix`; a scheme
/// in front of it counts instead of `scheme`, except that what was to be secure stays so.
fn url(server: &str, scheme: &str, path_prefix: &str) -> SafeUrl {
    let (written, rest) = match server.split_once("://") {
        Some((written, rest)) => (Some(written), rest),
        None => (None, server),
    };
    let scheme = match written {
        None | Some("http") => {
            if scheme.is_empty() {
                "http"
            } else {
                scheme
            }
        }
        Some(other) => other,
    };
    let (host, path) = match written.and_then(|_| rest.split_once('/')) {
        Some((host, path)) => (host, path),
        None => (rest, path_prefix.trim_start_matches('/')),
    };
    SafeUrl::new(format!("{scheme}://{}/{path}", escaped(host)))
}

/// The host of a URL. A zone of an address stands behind a bare `%` here, as the client of Consul takes it.
fn escaped(host: &str) -> Cow<'_, str> {
    let inside = host.strip_prefix('[').and_then(|host| host.split_once(']'));
    match inside.and_then(|(address, port)| Some((zoned(address)?, port))) {
        Some(((address, zone), port)) if !zone.starts_with("25") => format!("[{address}%25{zone}]{port}").into(),
        _ => host.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_scheme_and_prefix_are_one_url() {
        for (server, scheme, prefix, want) in [
            ("localhost:8500", "http", "", "http://localhost:8500/"),
            ("localhost:8500", "", "", "http://localhost:8500/"),
            ("localhost:8500", "https", "/consul", "https://localhost:8500/consul"),
            ("localhost:8500", "http", "consul/", "http://localhost:8500/consul/"),
            ("http://consul", "http", "/a", "http://consul/a"),
            ("http://consul/b/c", "http", "/a", "http://consul/b/c"),
            ("https://consul", "http", "", "https://consul/"),
            ("http://consul", "https", "", "https://consul/"),
            ("[::1]:8500", "http", "", "http://[::1]:8500/"),
            ("[fe80::1%eth0]:8500", "http", "", "http://[fe80::1%25eth0]:8500/"),
            ("https://[fe80::1%25eth0]:8500/a", "http", "", "https://[fe80::1%25eth0]:8500/a"),
            ("ftp://consul", "http", "", "ftp://consul/"),
        ] {
            assert_eq!(url(server, scheme, prefix).to_string(), want, "{server} {scheme} {prefix}");
        }
    }
}
