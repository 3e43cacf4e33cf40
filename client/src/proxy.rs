//! Which proxy a URL is reached by. The rules are those of Go's `httpproxy`, which Prometheus uses.

use std::net::IpAddr;

use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Uri, header};
use percent_encoding::percent_decode_str;
use rosterd_model::Secret;

use crate::auth::of_url;
use crate::config::ProxySettings;
use crate::headers::secret_headers;
use crate::{ClientError, Environment, Url};

/// The proxies, and what is reached without them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// Set when there are exceptions at all; then this machine is one, too.
    exceptions: Option<Vec<Exception>>,
    /// For the `CONNECT` of a proxy.
    pub(crate) connect_header: HeaderMap,
}

/// A proxy, and as whom it is asked.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    /// Where it is: host and port, perhaps with the zone of an IPv6 address.
    pub(crate) uri: Uri,
    /// User and password.
    pub(crate) user: Option<(String, Secret)>,
    /// The header that says the same.
    pub(crate) authorization: Option<HeaderValue>,
}

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Http,
    Https,
    Socks,
}

#[derive(Debug, Clone, PartialEq)]
enum Exception {
    All,
    Network(IpAddr, u8),
    Address(IpAddr, Option<u16>),
    /// A domain in lower case, with or without the host of that name.
    Domain {
        name: String,
        itself: bool,
        port: Option<u16>,
    },
}

impl Proxies {
    pub(crate) fn new(settings: ProxySettings<'_>, environment: &Environment) -> Result<Self, ClientError> {
        let connect_header = secret_headers(settings.connect_header)?;
        if settings.from_environment {
            let either = |name: &str| environment.either_case(name).unwrap_or_default();
            return Ok(Self {
                http: from_environment("HTTP_PROXY", either("HTTP_PROXY"))?,
                https: from_environment("HTTPS_PROXY", either("HTTPS_PROXY"))?,
                exceptions: Some(exceptions(either("NO_PROXY"))),
                connect_header,
            });
        }
        let url = settings.url.parse().transpose();
        let url = url.map_err(|error| ClientError::settings_because("proxy_url", error))?;
        let proxy = url.map(|url| Proxy::new("proxy_url", &url)).transpose()?;
        let exceptions = (!settings.no_proxy.is_empty()).then(|| exceptions(settings.no_proxy));
        Ok(Self { http: proxy.clone(), https: proxy, exceptions, connect_header })
    }

    /// The proxy for a URL.
    pub(crate) fn of(&self, url: &Uri) -> Option<&Proxy> {
        let proxy = if is_https(url) { self.https.as_ref()? } else { self.http.as_ref()? };
        let direct = self.exceptions.as_ref().is_some_and(|exceptions| is_exception(exceptions, url));
        (!direct).then_some(proxy)
    }

    /// Whether there is any proxy.
    pub(crate) fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// Whether a proxy is itself reached by TLS.
    pub(crate) fn need_tls(&self) -> bool {
        [&self.http, &self.https].into_iter().flatten().any(|proxy| proxy.kind == Kind::Https)
    }
}

impl Proxy {
    /// `what` names the setting in the error.
    fn new(what: &str, url: &Url) -> Result<Self, ClientError> {
        let unusable = || ClientError::settings(format!("{what}: it is not the URL of a proxy"));
        let (kind, port) = match url.scheme() {
            "http" => (Kind::Http, 80),
            "https" => (Kind::Https, 443),
            "socks5" | "socks5h" => (Kind::Socks, 1080),
            _ => return Err(unusable()),
        };
        let port = url.without_zone().port().unwrap_or(port);
        let uri = format!("http://{}:{port}", url.host()).parse().map_err(|_| unusable())?;
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let authorization = of_url(url);
        let user = authorization
            .is_some()
            .then(|| (decode(url.username()), Secret::new(decode(url.password().unwrap_or_default()))));
        Ok(Self { kind, uri, user, authorization })
    }

    /// For messages: its host and port.
    pub(crate) fn name(&self) -> String {
        self.uri.authority().map_or_else(String::new, ToString::to_string)
    }

    /// What a plain request says to it besides what it says to the server.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        if let (Kind::Http | Kind::Https, Some(value)) = (self.kind, &self.authorization) {
            headers.entry(header::PROXY_AUTHORIZATION).or_insert_with(|| value.clone());
        }
    }

    /// The headers of a `CONNECT`, with those of the settings.
    pub(crate) fn connect_headers(&self, settings: &HeaderMap) -> HeaderMap {
        let mut headers = settings.clone();
        if let Some(value) = &self.authorization {
            headers.insert(header::PROXY_AUTHORIZATION, value.clone());
        }
        headers
    }
}

fn is_https(url: &Uri) -> bool {
    url.scheme() == Some(&Scheme::HTTPS)
}

/// As in Go, the scheme may be missing.
fn from_environment(name: &str, value: &str) -> Result<Option<Proxy>, ClientError> {
    if value.is_empty() {
        return Ok(None);
    }
    let known = |url: &Url| matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
    let whole = Url::read(value).ok().filter(known);
    let url = whole.map_or_else(|| Url::read(&format!("http://{value}")), Ok);
    let what = format!("{name} of the environment");
    let url = url.map_err(|error| ClientError::settings_because(&what, error))?;
    Proxy::new(&what, &url).map(Some)
}

fn exceptions(list: &str) -> Vec<Exception> {
    list.split(',').filter_map(|entry| exception(&entry.trim().to_lowercase())).collect()
}

fn exception(entry: &str) -> Option<Exception> {
    if entry == "*" {
        return Some(Exception::All);
    }
    if let Some((address, bits)) = entry.split_once('/')
        && let (Ok(address), Ok(bits)) = (address.parse::<IpAddr>(), bits.parse::<u8>())
        && bits <= if address.is_ipv4() { 32 } else { 128 }
    {
        return Some(Exception::Network(address, bits));
    }
    let (host, port) = split_port(entry);
    if let Ok(address) = host.parse() {
        return Some(Exception::Address(address, port));
    }
    let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
    let (name, itself) = host.strip_prefix('.').map_or((host, true), |name| (name, false));
    (!name.is_empty()).then(|| Exception::Domain { name: name.to_owned(), itself, port })
}

/// `host:port`, `[address]:port`, or either without a port.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some((address, rest)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

fn is_exception(exceptions: &[Exception], url: &Uri) -> bool {
    let port = url.port_u16().unwrap_or(if is_https(url) { 443 } else { 80 });
    let port_matches = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
    let host = url.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let host = host.trim_end_matches('.');
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    exceptions.iter().any(|exception| match exception {
        Exception::All => true,
        Exception::Network(network, bits) => address.is_some_and(|address| contains(*network, *bits, address)),
        Exception::Address(wanted, wanted_port) => address == Some(*wanted) && port_matches(wanted_port),
        Exception::Domain { name, itself, port: wanted_port } => {
            let above = host.strip_suffix(name.as_str());
            let matches = above.is_some_and(|above| if above.is_empty() { *itself } else { above.ends_with('.') });
            matches && port_matches(wanted_port)
        }
    })
}

fn contains(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    let shared = |left: u128, right: u128, width: u32| {
        let rest = width - u32::from(bits);
        rest == width || (left ^ right) >> rest == 0
    };
    match (network.to_canonical(), address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) if bits <= 32 => {
            shared(network.to_bits().into(), address.to_bits().into(), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => shared(network.to_bits(), address.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::HttpClientConfig;
    use super::*;

    fn proxies(text: &str, environment: &[(&str, &str)]) -> Proxies {
        let config: HttpClientConfig = serde_yaml::from_str(text).expect(text);
        let environment = environment.iter().copied().collect();
        Proxies::new(config.proxy(), &environment).expect(text)
    }

    fn of(proxies: &Proxies, url: &str) -> Option<String> {
        // The client's URLs are spelt like this.
        let url = Url::parse(url).expect("a URL").to_string().parse().expect("a URL");
        proxies.of(&url).map(|proxy| format!("{:?} {}", proxy.kind, proxy.name()))
    }

    #[test]
    fn without_exceptions_everything_goes_through_the_proxy() {
        let proxies = proxies("proxy_url: http://p:1", &[]);
        for url in ["http://a", "https://a", "http://localhost", "http://127.0.0.1"] {
            assert_eq!(of(&proxies, url).as_deref(), Some("Http p:1"), "{url}");
        }
    }

    #[test]
    fn exceptions_are_hosts_domains_addresses_and_networks() {
        let list =
            "a.example, .b.example, *.c.example, d.example:81, 10.1.0.0/16, 192.0.2.1, [fd00::1]:82, fd01::/16,,";
        let proxies = proxies(&format!("{{proxy_url: 'http://p', no_proxy: '{list}'}}"), &[]);
        for url in [
            "http://a.example",
            "https://x.a.example",
            "http://A.EXAMPLE:9",
            "http://x.b.example",
            "http://x.c.example",
            "http://d.example:81",
            "http://10.1.255.1",
            "http://192.0.2.1:5",
            "http://[fd00::1]:82",
            "http://[fd01::9]",
            "http://localhost",
            "http://127.9.9.9",
            "http://[::1]",
        ] {
            assert_eq!(of(&proxies, url), None, "{url}");
        }
        for url in [
            "http://xa.example",
            "http://b.example",
            "http://c.example",
            "http://d.example",
            "http://10.2.0.1",
            "http://192.0.2.2",
            "http://[fd00::1]",
            "http://[fd02::9]",
            "http://example",
        ] {
            assert_eq!(of(&proxies, url).as_deref(), Some("Http p:80"), "{url}");
        }
    }

    #[test]
    fn a_proxy_may_be_in_a_zone() {
        let in_settings = proxies("proxy_url: http://u:p@[fe80::1%25eth0]", &[]);
        let in_environment = proxies("proxy_from_environment: true", &[("HTTP_PROXY", "[fe80::1%25eth0]:80")]);
        for proxies in [in_settings, in_environment] {
            assert_eq!(of(&proxies, "http://a").as_deref(), Some("Http [fe80::1%25eth0]:80"));
        }
    }

    #[test]
    fn a_star_excepts_everything() {
        assert_eq!(of(&proxies("{proxy_url: 'http://p', no_proxy: '*'}", &[]), "http://a"), None);
    }

    #[test]
    fn the_environment_names_a_proxy_for_each_scheme() {
        let environment = [("HTTP_PROXY", "p:1"), ("https_proxy", "socks5://q:2"), ("NO_PROXY", "a.example")];
        let proxies = proxies("proxy_from_environment: true", &environment);
        assert_eq!(of(&proxies, "http://b.example").as_deref(), Some("Http p:1"));
        assert_eq!(of(&proxies, "https://b.example").as_deref(), Some("Socks q:2"));
        assert_eq!(of(&proxies, "https://a.example"), None);
        assert!(!proxies.need_tls() && !proxies.is_empty());
    }

    #[test]
    fn the_environment_counts_only_when_asked_for() {
        assert!(proxies("{}", &[("HTTP_PROXY", "p:1")]).is_empty());
    }
}
