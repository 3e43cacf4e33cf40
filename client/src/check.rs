//! Which settings of an HTTP client go together. The rules are those of Prometheus, and a few things that it only finds
//! out when it sends a request.

use std::path::Path;

use http::{HeaderName, HeaderValue};
use rosterd_model::{Secret, bare_url};

use crate::assertion::JWT_BEARER;
use crate::config::ProxySettings;
use crate::{HttpClientConfig, OAuth2, TlsConfig, TlsVersion};
use rosterd_model::Problem;

const CONFLICT: &str = "cfg_conflicting_keys";
const MISSING: &str = "cfg_missing_key";
const INVALID: &str = "cfg_invalid_value";
const UNSUPPORTED: &str = "cfg_unsupported";
/// Of a URL with another scheme.
pub(crate) const SCHEME: &str = "the URL must begin with http:// or https://";

/// Headers that `http_headers` may not set: they belong to the connection, to rosterd, or to other settings.
const RESERVED: [&str; 18] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "user-agent",
    "www-authenticate",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-prometheus-remote-read-version",
    "x-prometheus-remote-write-version",
    "x-prometheus-scrape-timeout-seconds",
];

impl HttpClientConfig {
    /// All that is wrong with the settings.
    pub fn check(&self) -> Vec<Problem> {
        let mut found = Problems::default();
        self.check_authentication(&mut found);
        if let Some(auth) = &self.basic_auth {
            let keys = [("username", !auth.username.is_empty()), ("username_file", is_set(&auth.username_file))];
            found.at_most_one("basic_auth", &keys);
            let keys = [("password", !auth.password.is_empty()), ("password_file", is_set(&auth.password_file))];
            found.at_most_one("basic_auth", &keys);
        }
        if let Some(authorization) = &self.authorization {
            let (inline, file) = (&authorization.credentials, &authorization.credentials_file);
            let keys = [("credentials", !inline.is_empty()), ("credentials_file", is_set(file))];
            found.at_most_one("authorization", &keys);
            if authorization.kind.trim().eq_ignore_ascii_case("basic") {
                let message = "write basic_auth in place of this type";
                found.add("authorization.type", INVALID, message);
            } else if HeaderValue::from_str(authorization.kind.trim()).is_err() {
                found.add("authorization.type", INVALID, "the type has characters that no header may have");
            }
        }
        if let Some(oauth2) = &self.oauth2 {
            check_oauth2(oauth2, &mut found);
        }
        check_tls(&self.tls_config, "tls_config", &mut found);
        check_proxy(self.proxy(), "", &mut found);
        self.check_headers(&mut found);
        found.0
    }

    /// At most one way to authenticate.
    fn check_authentication(&self, found: &mut Problems) {
        let keys = [
            ("basic_auth", self.basic_auth.is_some()),
            ("authorization", self.authorization.is_some()),
            ("oauth2", self.oauth2.is_some()),
            ("bearer_token", !self.bearer_token.is_empty()),
            ("bearer_token_file", is_set(&self.bearer_token_file)),
        ];
        found.at_most_one("", &keys);
    }

    fn check_headers(&self, found: &mut Problems) {
        for (name, header) in &self.http_headers {
            let path = format!("http_headers.{name}");
            if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
                found.add(
                    &path,
                    INVALID,
                    format!("the header {name:?} is not yours to set: it belongs to the connection or to another key"),
                );
            }
            check_header_name(name, &path, found);
            let broken = |text: &str| HeaderValue::from_str(text).is_err();
            if header.values.iter().any(|value| broken(value))
                || header.secrets.iter().any(|value| broken(value.expose()))
            {
                found.add(&path, INVALID, "a value has characters that no header may have");
            }
        }
    }
}

fn check_oauth2(oauth2: &OAuth2, found: &mut Problems) {
    if oauth2.client_id.is_empty() {
        found.add("oauth2.client_id", MISSING, "client_id is missing: write as whom tokens are asked for");
    }
    match oauth2.token_url.parse() {
        None => found.add("oauth2.token_url", MISSING, "token_url is missing: write where tokens are asked for"),
        Some(Ok(url)) if matches!(url.scheme(), "http" | "https") => {}
        Some(Ok(_)) => found.add("oauth2.token_url", INVALID, SCHEME),
        Some(Err(error)) => found.add("oauth2.token_url", INVALID, error.to_string()),
    }
    if oauth2.is_jwt_bearer() {
        check_assertion(oauth2, found);
    } else {
        let (inline, file) = (&oauth2.client_secret, &oauth2.client_secret_file);
        found.at_most_one("oauth2", &[("client_secret", !inline.is_empty()), ("client_secret_file", is_set(file))]);
        if !matches!(oauth2.grant_type.as_str(), "" | "client_credentials") {
            let message =
                format!("there is no grant type {:?}: client_credentials is one, and {JWT_BEARER}", oauth2.grant_type);
            found.add("oauth2.grant_type", INVALID, message);
        }
    }
    check_tls(&oauth2.tls_config, "oauth2.tls_config", found);
    check_proxy(oauth2.proxy(), "oauth2.", found);
}

/// What belongs to the other grant does not count. That nothing can be had without a key is [found](OAuth2::examine) later.
fn check_assertion(oauth2: &OAuth2, found: &mut Problems) {
    let (inline, file) = (&oauth2.client_certificate_key, &oauth2.client_certificate_key_file);
    let keys = [("client_certificate_key", !inline.is_empty()), ("client_certificate_key_file", is_set(file))];
    found.at_most_one("oauth2", &keys);
    if oauth2.algorithm().is_none() {
        let message = "valid signature algorithms are RS256, RS384 and RS512";
        found.add("oauth2.signature_algorithm", INVALID, message);
    }
}

impl OAuth2 {
    /// What Prometheus finds out no sooner than when it asks for a token: with it there will be none.
    pub(crate) fn examine(&self) -> Vec<Problem> {
        if !self.is_jwt_bearer() {
            return Vec::new();
        }
        let key = (self.client_certificate_key.is_empty() && !is_set(&self.client_certificate_key_file)).then(|| {
            let message =
                "an assertion is signed with a key: give client_certificate_key or client_certificate_key_file";
            Problem::new("oauth2.client_certificate_key", MISSING, message)
        });
        let clash = self.clash().map(|name| {
            let message = format!("{name} is asked with already: endpoint_params cannot say it again");
            Problem::new(format!("oauth2.endpoint_params.{name}"), CONFLICT, message)
        });
        key.into_iter().chain(clash).collect()
    }

    /// The parameter that would be said twice beside an assertion, if there is one.
    pub(crate) fn clash(&self) -> Option<&'static str> {
        let taken = [("assertion", self.is_jwt_bearer()), ("scope", self.is_jwt_bearer() && !self.scopes.is_empty())];
        let is_said = |(name, is_taken): &(&str, bool)| *is_taken && self.endpoint_params.contains_key(*name);
        taken.iter().find(|it| is_said(it)).map(|(name, _)| *name)
    }
}

fn check_tls(tls: &TlsConfig, path: &str, found: &mut Problems) {
    found.at_most_one(path, &[("ca", !tls.ca.is_empty()), ("ca_file", is_set(&tls.ca_file))]);
    found.at_most_one(path, &[("cert", !tls.cert.is_empty()), ("cert_file", is_set(&tls.cert_file))]);
    found.at_most_one(path, &[("key", !tls.key.is_empty()), ("key_file", is_set(&tls.key_file))]);
    let cert = !tls.cert.is_empty() || is_set(&tls.cert_file);
    let key = !tls.key.is_empty() || is_set(&tls.key_file);
    if cert && !key {
        found.add(path, MISSING, "the certificate has no key: write key or key_file beside it");
    }
    if key && !cert {
        found.add(path, MISSING, "the key has no certificate: write cert or cert_file beside it");
    }
    if let (Some(oldest), Some(newest)) = (tls.min_version, tls.max_version)
        && newest < oldest
    {
        found.add(format!("{path}.max_version"), CONFLICT, "max_version must not be older than min_version");
    } else if tls.max_version.is_some_and(|newest| newest < TlsVersion::Tls12) {
        let message = "versions before TLS 1.2 are not supported; leave max_version out, or set TLS12 or TLS13";
        found.add(format!("{path}.max_version"), UNSUPPORTED, message);
    }
    if !tls.server_name.is_empty() && rustls_pki_types::ServerName::try_from(tls.server_name.as_str()).is_err() {
        found.add(
            format!("{path}.server_name"),
            INVALID,
            format!("{:?} is not a host name", bare_url(&tls.server_name)),
        );
    }
}

fn check_proxy(proxy: ProxySettings<'_>, prefix: &str, found: &mut Problems) {
    let url = proxy.url.parse();
    if !proxy.connect_header.is_empty() && url.is_none() && !proxy.from_environment {
        let message =
            "these headers are for a proxy, and there is none: write proxy_url or proxy_from_environment, too";
        found.add(format!("{prefix}proxy_connect_header"), MISSING, message);
    }
    if proxy.from_environment && url.is_some() {
        let message = "proxy_from_environment tells the proxy: leave out one of the two";
        found.add(format!("{prefix}proxy_url"), CONFLICT, message);
    }
    if proxy.from_environment && !proxy.no_proxy.is_empty() {
        let message = "proxy_from_environment brings exceptions of its own, NO_PROXY: leave out one of the two";
        found.add(format!("{prefix}no_proxy"), CONFLICT, message);
    } else if url.is_none() && !proxy.no_proxy.is_empty() {
        let message = "these are exceptions from a proxy, and there is none: write proxy_url, too";
        found.add(format!("{prefix}no_proxy"), MISSING, message);
    }
    match url {
        Some(Err(error)) => found.add(format!("{prefix}proxy_url"), INVALID, error.to_string()),
        Some(Ok(url)) if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") => {
            let message = "the URL of a proxy begins with http://, https://, socks5:// or socks5h://";
            found.add(format!("{prefix}proxy_url"), INVALID, message);
        }
        _ => {}
    }
    for (name, values) in proxy.connect_header {
        let path = format!("{prefix}proxy_connect_header.{name}");
        check_header_name(name, &path, found);
        let broken = |value: &Secret| HeaderValue::from_str(value.expose()).is_err();
        if values.iter().any(broken) {
            found.add(path, INVALID, "a value has characters that no header may have");
        }
    }
}

fn check_header_name(name: &str, path: &str, found: &mut Problems) {
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        found.add(path, INVALID, format!("{name:?} is not the name of a header"));
    }
}

fn is_set(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, path: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.0.push(Problem::new(path, code, message));
    }

    /// Complains when more than one of these keys below `path` is set.
    fn at_most_one(&mut self, path: &str, keys: &[(&str, bool)]) {
        let set: Vec<_> = keys.iter().filter(|(_, set)| *set).map(|(key, _)| *key).collect();
        if let [first, rest @ ..] = set.as_slice()
            && let Some(second) = rest.first()
        {
            let names: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
            let separator = if path.is_empty() { "" } else { "." };
            let message =
                format!("{first} is there already, and only one of {} counts: remove the others", names.join(", "));
            self.add(format!("{path}{separator}{second}"), CONFLICT, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let config: HttpClientConfig = serde_yaml::from_str(text).expect(text);
        config.check().iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
    }

    #[test]
    fn what_goes_together_is_accepted() {
        for text in [
            "{}",
            "basic_auth: {}",
            "basic_auth: {username: u, password_file: p}",
            "authorization: {type: '  Token ', credentials: c}",
            "{oauth2: {client_id: i, token_url: 'https://t', client_secret_file: s, grant_type: client_credentials}}",
            "{oauth2: {client_id: i, token_url: 'https://t', client_certificate_key: k, signature_algorithm: ES256}}",
            "{oauth2: {client_id: i, token_url: 'https://t', grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', client_secret: s, client_secret_file: f, \
              client_certificate_key_file: k, signature_algorithm: RS512, endpoint_params: {scope: s, grant_type: g}}}",
            "tls_config: {ca: x, cert: c, key_file: k, min_version: TLS10, max_version: TLS12}",
            "{proxy_url: 'http://u:p@p', no_proxy: a, proxy_connect_header: {X-A: [s]}}",
            "{proxy_from_environment: true, proxy_connect_header: {X-A: [s]}}",
            "http_headers: {X-Api-Key: {secrets: [s]}, Accept: {values: [a, b]}}",
            "{bearer_token: '', bearer_token_file: f, no_proxy: '', proxy_url: ''}",
        ] {
            assert_eq!(problems(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_told_with_its_path() {
        for (text, want) in [
            ("{bearer_token: t, bearer_token_file: f}", "cfg_conflicting_keys bearer_token_file"),
            ("{basic_auth: {}, bearer_token: t}", "cfg_conflicting_keys bearer_token"),
            ("{basic_auth: {}, authorization: {}}", "cfg_conflicting_keys authorization"),
            ("{authorization: {}, bearer_token_file: f}", "cfg_conflicting_keys bearer_token_file"),
            ("{basic_auth: {}, oauth2: {client_id: i, token_url: 'http://t'}}", "cfg_conflicting_keys oauth2"),
            ("basic_auth: {username: u, username_file: f}", "cfg_conflicting_keys basic_auth.username_file"),
            ("basic_auth: {password: u, password_file: f}", "cfg_conflicting_keys basic_auth.password_file"),
            (
                "authorization: {credentials: c, credentials_file: f}",
                "cfg_conflicting_keys authorization.credentials_file",
            ),
            ("authorization: {type: ' BaSic '}", "cfg_invalid_value authorization.type"),
            ("oauth2: {client_id: i}", "cfg_missing_key oauth2.token_url"),
            ("oauth2: {token_url: 'http://t'}", "cfg_missing_key oauth2.client_id"),
            ("oauth2: {client_id: i, token_url: 'ftp://t'}", "cfg_invalid_value oauth2.token_url"),
            (
                "oauth2: {client_id: i, token_url: 'http://t', client_secret: s, client_secret_file: f}",
                "cfg_conflicting_keys oauth2.client_secret_file",
            ),
            ("oauth2: {client_id: i, token_url: 'http://t', grant_type: foo}", "cfg_invalid_value oauth2.grant_type"),
            (
                "oauth2: {client_id: i, token_url: 'http://t', grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', \
                  client_certificate_key: k, client_certificate_key_file: f}",
                "cfg_conflicting_keys oauth2.client_certificate_key_file",
            ),
            (
                "oauth2: {client_id: i, token_url: 'http://t', grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', \
                  client_certificate_key: k, signature_algorithm: ES256}",
                "cfg_invalid_value oauth2.signature_algorithm",
            ),
            (
                "oauth2: {client_id: i, token_url: 'http://t', tls_config: {key: k}}",
                "cfg_missing_key oauth2.tls_config",
            ),
            ("oauth2: {client_id: i, token_url: 'http://t', no_proxy: x}", "cfg_missing_key oauth2.no_proxy"),
            ("tls_config: {ca: x, ca_file: y}", "cfg_conflicting_keys tls_config.ca_file"),
            ("tls_config: {cert: x, cert_file: y, key: k}", "cfg_conflicting_keys tls_config.cert_file"),
            ("tls_config: {cert: x, key_file: y, key: k}", "cfg_conflicting_keys tls_config.key_file"),
            ("tls_config: {cert: x}", "cfg_missing_key tls_config"),
            ("tls_config: {key_file: x}", "cfg_missing_key tls_config"),
            ("tls_config: {min_version: TLS13, max_version: TLS12}", "cfg_conflicting_keys tls_config.max_version"),
            ("tls_config: {max_version: TLS11}", "cfg_unsupported tls_config.max_version"),
            ("tls_config: {server_name: 'a b'}", "cfg_invalid_value tls_config.server_name"),
            ("proxy_connect_header: {X-A: [s]}", "cfg_missing_key proxy_connect_header"),
            ("{proxy_from_environment: true, proxy_url: 'http://p'}", "cfg_conflicting_keys proxy_url"),
            ("{proxy_from_environment: true, no_proxy: a}", "cfg_conflicting_keys no_proxy"),
            ("no_proxy: a", "cfg_missing_key no_proxy"),
            ("proxy_url: 'ftp://p'", "cfg_invalid_value proxy_url"),
            ("proxy_url: 'p'", "cfg_invalid_value proxy_url"),
            ("http_headers: {AUTHORIZATION: {values: [x]}}", "cfg_invalid_value http_headers.AUTHORIZATION"),
            ("http_headers: {'a b': {values: [x]}}", "cfg_invalid_value http_headers.a b"),
            ("http_headers: {X-A: {secrets: [\"a\\nb\"]}}", "cfg_invalid_value http_headers.X-A"),
        ] {
            assert_eq!(problems(text), [want], "{text}");
        }
    }

    #[test]
    fn what_gives_no_token_is_found_and_loads_as_in_prometheus() {
        let found = |keys: &str| {
            let text = format!("oauth2: {{client_id: i, token_url: 'http://t', {keys}}}");
            assert_eq!(problems(&text), [""; 0], "{text}");
            let config: HttpClientConfig = serde_yaml::from_str(&text).expect(&text);
            let found = config.examine();
            found.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect::<Vec<_>>()
        };
        let jwt = format!("grant_type: '{JWT_BEARER}'");
        assert_eq!(found(&jwt), ["cfg_missing_key oauth2.client_certificate_key"]);
        let (key, scope) = ("client_certificate_key: k", "endpoint_params: {scope: t}");
        let twice = ["cfg_conflicting_keys oauth2.endpoint_params.scope"];
        assert_eq!(found(&format!("{jwt}, {key}, scopes: [s], {scope}")), twice);
        assert_eq!(found(&format!("{jwt}, {key}, {scope}")), [""; 0]);
        let twice = ["cfg_conflicting_keys oauth2.endpoint_params.assertion"];
        assert_eq!(found(&format!("{jwt}, {key}, endpoint_params: {{assertion: t}}")), twice);
        assert_eq!(found("scopes: [s], endpoint_params: {scope: t, assertion: u}"), [""; 0]);
    }

    #[test]
    fn no_problem_shows_a_secret() {
        let text = "{bearer_token: hunter2, bearer_token_file: f, proxy_url: 'x:hunter2@p', \
                    http_headers: {X-A: {secrets: [\"hunter2\\n\"]}}}";
        let config: HttpClientConfig = serde_yaml::from_str(text).expect("parses");
        let shown = format!("{:?}", config.check());
        assert!(!shown.contains("hunter2") && shown.contains("X-A"), "{shown}");
    }
}
