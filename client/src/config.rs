//! The settings of an HTTP client, with the keys and defaults of Prometheus.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use rosterd_model::{HIDDEN, Problem, Secret, in_words};
use rosterd_tasks::files::{self, resolve};
use serde::{Deserialize, Serialize, Serializer};

use crate::embed::unset;
use crate::safe_url::SafeUrl;
use crate::secrets::proves;

/// The code of a file that is named and cannot be read.
const UNREADABLE: &str = "cfg_unreadable";

/// How an HTTP client authenticates and connects.
///
/// An empty string, path or secret is the same as a key left out. Files are read again when they change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpClientConfig {
    /// A user name and a password.
    #[serde(skip_serializing_if = "unset")]
    pub basic_auth: Option<BasicAuth>,
    /// An `Authorization` header.
    #[serde(skip_serializing_if = "unset")]
    pub authorization: Option<Authorization>,
    /// A token that is fetched with the client's own credentials.
    #[serde(skip_serializing_if = "unset")]
    pub oauth2: Option<OAuth2>,
    /// Deprecated: `authorization.credentials`.
    #[serde(skip_serializing_if = "unset")]
    pub bearer_token: Secret,
    /// Deprecated: `authorization.credentials_file`.
    #[serde(skip_serializing_if = "unset")]
    pub bearer_token_file: PathBuf,
    /// Certificates and TLS versions.
    #[serde(skip_serializing_if = "unset")]
    pub tls_config: TlsConfig,
    /// Whether redirects are followed. Credentials stay with the host that they are for.
    pub follow_redirects: bool,
    /// Whether HTTP/2 is offered.
    pub enable_http2: bool,
    /// The proxy.
    #[serde(skip_serializing_if = "unset")]
    pub proxy_url: SafeUrl,
    /// Comma-separated hosts, domains, addresses and networks that are reached without the proxy.
    #[serde(skip_serializing_if = "unset")]
    pub no_proxy: String,
    /// Whether `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` of the environment name the proxy.
    #[serde(skip_serializing_if = "unset")]
    pub proxy_from_environment: bool,
    /// Headers for the proxy's `CONNECT`.
    #[serde(skip_serializing_if = "unset")]
    pub proxy_connect_header: BTreeMap<String, Vec<Secret>>,
    /// Headers for each request.
    #[serde(skip_serializing_if = "unset")]
    pub http_headers: BTreeMap<String, Header>,
}

// By hand: what is derived is compiled once more, with all that is in it, in each crate that embeds these settings.
impl Clone for HttpClientConfig {
    fn clone(&self) -> Self {
        Self {
            basic_auth: self.basic_auth.clone(),
            authorization: self.authorization.clone(),
            oauth2: self.oauth2.clone(),
            bearer_token: self.bearer_token.clone(),
            bearer_token_file: self.bearer_token_file.clone(),
            tls_config: self.tls_config.clone(),
            follow_redirects: self.follow_redirects,
            enable_http2: self.enable_http2,
            proxy_url: self.proxy_url.clone(),
            no_proxy: self.no_proxy.clone(),
            proxy_from_environment: self.proxy_from_environment,
            proxy_connect_header: self.proxy_connect_header.clone(),
            http_headers: self.http_headers.clone(),
        }
    }
}

impl PartialEq for HttpClientConfig {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            basic_auth,
            authorization,
            oauth2,
            bearer_token,
            bearer_token_file,
            tls_config,
            follow_redirects,
            enable_http2,
            proxy_url,
            no_proxy,
            proxy_from_environment,
            proxy_connect_header,
            http_headers,
        } = self;
        *basic_auth == other.basic_auth
            && *authorization == other.authorization
            && *oauth2 == other.oauth2
            && *bearer_token == other.bearer_token
            && *bearer_token_file == other.bearer_token_file
            && *tls_config == other.tls_config
            && *follow_redirects == other.follow_redirects
            && *enable_http2 == other.enable_http2
            && *proxy_url == other.proxy_url
            && *no_proxy == other.no_proxy
            && *proxy_from_environment == other.proxy_from_environment
            && *proxy_connect_header == other.proxy_connect_header
            && *http_headers == other.http_headers
    }
}

impl Default for HttpClientConfig {
    fn default() -> Self {
        Self {
            basic_auth: None,
            authorization: None,
            oauth2: None,
            bearer_token: Secret::default(),
            bearer_token_file: PathBuf::new(),
            tls_config: TlsConfig::default(),
            follow_redirects: true,
            enable_http2: true,
            proxy_url: SafeUrl::default(),
            no_proxy: String::new(),
            proxy_from_environment: false,
            proxy_connect_header: BTreeMap::new(),
            http_headers: BTreeMap::new(),
        }
    }
}

impl HttpClientConfig {
    /// That of a section which has no other key of it: what Prometheus asks over HTTP/1.1 then.
    pub fn of_tls(tls: &TlsConfig) -> Self {
        Self { tls_config: tls.clone(), enable_http2: false, ..Self::default() }
    }

    /// The same way to servers, with nothing that proves who asks: for whoever is asked besides the server that the settings are for.
    #[must_use]
    pub fn without_proof(&self) -> Self {
        Self {
            tls_config: self.tls_config.clone(),
            follow_redirects: self.follow_redirects,
            enable_http2: self.enable_http2,
            proxy_url: self.proxy_url.clone(),
            no_proxy: self.no_proxy.clone(),
            proxy_from_environment: self.proxy_from_environment,
            proxy_connect_header: self.proxy_connect_header.clone(),
            ..Self::default()
        }
    }

    /// Makes relative paths absolute; `base` is the folder of the configuration file.
    pub fn resolve_paths(&mut self, base: &Path) {
        self.each_file(&mut |_, file| resolve(base, file));
    }

    /// The files that are named and cannot be read, and what else shows no sooner than when it is used.
    pub fn examine(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        self.clone().each_file(&mut |key, file| found.extend(unreadable(key, file)));
        found.extend(self.oauth2.iter().flat_map(OAuth2::examine));
        found
    }

    /// Visits the files that the settings name, each with its key.
    fn each_file(&mut self, visit: &mut dyn FnMut(&str, &mut PathBuf)) {
        if let Some(auth) = &mut self.basic_auth {
            visit("basic_auth.username_file", &mut auth.username_file);
            visit("basic_auth.password_file", &mut auth.password_file);
        }
        if let Some(authorization) = &mut self.authorization {
            visit("authorization.credentials_file", &mut authorization.credentials_file);
        }
        if let Some(oauth2) = &mut self.oauth2 {
            visit("oauth2.client_secret_file", &mut oauth2.client_secret_file);
            visit("oauth2.client_certificate_key_file", &mut oauth2.client_certificate_key_file);
            oauth2.tls_config.each_file("oauth2.tls_config", visit);
        }
        visit("bearer_token_file", &mut self.bearer_token_file);
        self.tls_config.each_file("tls_config", visit);
        for (name, header) in &mut self.http_headers {
            for (index, file) in header.files.iter_mut().enumerate() {
                visit(&format!("http_headers.{name}.files[{index}]"), file);
            }
        }
    }

    pub(crate) fn proxy(&self) -> ProxySettings<'_> {
        ProxySettings {
            url: &self.proxy_url,
            no_proxy: &self.no_proxy,
            from_environment: self.proxy_from_environment,
            connect_header: &self.proxy_connect_header,
        }
    }
}

/// That the file which is named under this key cannot be read, if one is named.
pub fn unreadable(key: &str, file: &Path) -> Option<Problem> {
    let error = files::read(file).err().filter(|_| !file.as_os_str().is_empty())?;
    let message = format!("cannot read {}: {}", file.display(), in_words(error));
    Some(Problem::new(key, UNREADABLE, message))
}

/// A user name and a password, each written down or in a file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BasicAuth {
    /// The user name.
    #[serde(skip_serializing_if = "unset")]
    pub username: String,
    /// The file that holds the user name.
    #[serde(skip_serializing_if = "unset")]
    pub username_file: PathBuf,
    /// The password.
    #[serde(skip_serializing_if = "unset")]
    pub password: Secret,
    /// The file that holds the password.
    #[serde(skip_serializing_if = "unset")]
    pub password_file: PathBuf,
}

/// An `Authorization` header: `<type> <credentials>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Authorization {
    /// What precedes the credentials, `Bearer` by default.
    #[serde(rename = "type")]
    pub kind: String,
    /// The credentials.
    #[serde(skip_serializing_if = "unset")]
    pub credentials: Secret,
    /// The file that holds the credentials.
    #[serde(skip_serializing_if = "unset")]
    pub credentials_file: PathBuf,
}

impl Default for Authorization {
    fn default() -> Self {
        Self { kind: "Bearer".to_owned(), credentials: Secret::default(), credentials_file: PathBuf::new() }
    }
}

/// OAuth 2.0 with the grant `client_credentials`, or `jwt-bearer`: an assertion of who asks, signed with a key.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OAuth2 {
    /// Who asks for a token.
    #[serde(skip_serializing_if = "unset")]
    pub client_id: String,
    /// The secret that proves it.
    #[serde(skip_serializing_if = "unset")]
    pub client_secret: Secret,
    /// The file that holds the secret.
    #[serde(skip_serializing_if = "unset")]
    pub client_secret_file: PathBuf,
    /// The id of the key, for the header of assertions. This and the keys below that name `jwt-bearer` are for that grant only.
    #[serde(skip_serializing_if = "unset")]
    pub client_certificate_key_id: String,
    /// For `jwt-bearer`: the RSA key that signs assertions, in PEM.
    #[serde(skip_serializing_if = "unset")]
    pub client_certificate_key: Secret,
    /// For `jwt-bearer`: the file that holds the key. It is read again when it has changed.
    #[serde(skip_serializing_if = "unset")]
    pub client_certificate_key_file: PathBuf,
    /// The grant, `client_credentials` by default.
    #[serde(skip_serializing_if = "unset")]
    pub grant_type: String,
    /// For `jwt-bearer`: how is signed, `RS256` by default.
    #[serde(skip_serializing_if = "unset")]
    pub signature_algorithm: String,
    /// For `jwt-bearer`: who asserts, `client_id` by default.
    #[serde(skip_serializing_if = "unset")]
    pub iss: String,
    /// For `jwt-bearer`: for whom it is asserted, `token_url` by default.
    #[serde(skip_serializing_if = "unset")]
    pub audience: String,
    /// For `jwt-bearer`: more claims, or others instead of those that rosterd makes.
    #[serde(skip_serializing_if = "unset")]
    pub claims: BTreeMap<String, serde_json::Value>,
    /// What the token is for.
    #[serde(skip_serializing_if = "unset")]
    pub scopes: Vec<String>,
    /// Where tokens come from.
    #[serde(skip_serializing_if = "unset")]
    pub token_url: SafeUrl,
    /// More parameters of the request for a token.
    #[serde(skip_serializing_if = "unset")]
    pub endpoint_params: EndpointParams,
    /// Certificates and TLS versions for the request for a token.
    #[serde(skip_serializing_if = "unset")]
    pub tls_config: TlsConfig,
    /// The proxy for the request for a token.
    #[serde(skip_serializing_if = "unset")]
    pub proxy_url: SafeUrl,
    /// As in [`HttpClientConfig`].
    #[serde(skip_serializing_if = "unset")]
    pub no_proxy: String,
    /// As in [`HttpClientConfig`].
    #[serde(skip_serializing_if = "unset")]
    pub proxy_from_environment: bool,
    /// As in [`HttpClientConfig`].
    #[serde(skip_serializing_if = "unset")]
    pub proxy_connect_header: BTreeMap<String, Vec<Secret>>,
}

/// Parameters of a request for a token. What proves something, by its name, is not shown.
#[derive(Clone, PartialEq, Default, Deserialize)]
#[serde(transparent)]
pub struct EndpointParams(BTreeMap<String, String>);

impl EndpointParams {
    fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, if proves(name) { HIDDEN } else { value }))
    }
}

impl Deref for EndpointParams {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for EndpointParams {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl fmt::Debug for EndpointParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}

impl Serialize for EndpointParams {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.shown())
    }
}

impl OAuth2 {
    pub(crate) fn proxy(&self) -> ProxySettings<'_> {
        ProxySettings {
            url: &self.proxy_url,
            no_proxy: &self.no_proxy,
            from_environment: self.proxy_from_environment,
            connect_header: &self.proxy_connect_header,
        }
    }
}

/// Whom to trust, how to prove who we are, and which versions of TLS to speak.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificates (PEM) to trust instead of the system's.
    #[serde(skip_serializing_if = "unset")]
    pub ca: String,
    /// The client's certificate (PEM).
    #[serde(skip_serializing_if = "unset")]
    pub cert: String,
    /// The key (PEM) of the client's certificate.
    #[serde(skip_serializing_if = "unset")]
    pub key: Secret,
    /// The file of `ca`.
    #[serde(skip_serializing_if = "unset")]
    pub ca_file: PathBuf,
    /// The file of `cert`.
    #[serde(skip_serializing_if = "unset")]
    pub cert_file: PathBuf,
    /// The file of `key`.
    #[serde(skip_serializing_if = "unset")]
    pub key_file: PathBuf,
    /// The name that the server's certificate must have, if not that of the URL.
    #[serde(skip_serializing_if = "unset")]
    pub server_name: String,
    /// Whether any certificate of the server will do.
    pub insecure_skip_verify: bool,
    /// The oldest version of TLS to speak. Nothing older than TLS 1.2 is ever spoken.
    #[serde(skip_serializing_if = "unset")]
    pub min_version: Option<TlsVersion>,
    /// The newest version of TLS to speak.
    #[serde(skip_serializing_if = "unset")]
    pub max_version: Option<TlsVersion>,
}

impl TlsConfig {
    /// Makes relative paths absolute; `base` is the folder of the configuration file.
    pub fn resolve_paths(&mut self, base: &Path) {
        self.each_file("", &mut |_, file| resolve(base, file));
    }

    fn each_file(&mut self, section: &str, visit: &mut dyn FnMut(&str, &mut PathBuf)) {
        let files =
            [("ca_file", &mut self.ca_file), ("cert_file", &mut self.cert_file), ("key_file", &mut self.key_file)];
        files.into_iter().for_each(|(key, file)| visit(&format!("{section}.{key}"), file));
    }
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.0; as a minimum only.
    #[serde(rename = "TLS10")]
    Tls10,
    /// TLS 1.1; as a minimum only.
    #[serde(rename = "TLS11")]
    Tls11,
    /// TLS 1.2.
    #[serde(rename = "TLS12")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "TLS13")]
    Tls13,
}

/// The values of a header, in the order written here.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Header {
    /// Values that may be shown.
    #[serde(skip_serializing_if = "unset")]
    pub values: Vec<String>,
    /// Values that may not.
    #[serde(skip_serializing_if = "unset")]
    pub secrets: Vec<Secret>,
    /// Files that hold values.
    #[serde(skip_serializing_if = "unset")]
    pub files: Vec<PathBuf>,
}

/// The proxy settings, wherever they were written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProxySettings<'a> {
    pub(crate) url: &'a SafeUrl,
    pub(crate) no_proxy: &'a str,
    pub(crate) from_environment: bool,
    pub(crate) connect_header: &'a BTreeMap<String, Vec<Secret>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_paths_are_made_absolute() {
        let text = "
            basic_auth: {username_file: u, password_file: /abs/p}
            authorization: {credentials_file: c}
            oauth2: {client_secret_file: s, tls_config: {ca_file: oca}}
            bearer_token_file: b
            tls_config: {ca_file: ca, cert_file: cert, key_file: key}
            http_headers: {X-A: {files: [h]}}
        ";
        let mut config: HttpClientConfig = serde_yaml::from_str(text).expect("parses");
        config.resolve_paths(Path::new("/base"));
        let shown = serde_json::to_string(&config).expect("serialises");
        for path in ["base/u", "abs/p", "base/c", "base/s", "base/oca", "base/b", "base/ca", "base/cert", "base/key"] {
            assert!(shown.contains(&format!("\"/{path}\"")), "{path} in {shown}");
        }
        assert!(shown.contains(r#"["/base/h"]"#), "{shown}");
    }

    #[test]
    fn only_what_prometheus_always_shows_is_shown_of_the_defaults() {
        let shown = serde_json::to_string(&HttpClientConfig::default()).expect("serialises");
        assert_eq!(shown, r#"{"follow_redirects":true,"enable_http2":true}"#);
    }
}
