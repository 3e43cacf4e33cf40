//! Which proxy a URL is reached by. The rules are those of Go's `httpproxy`, which Prometheus uses.

use std::net::IpAddr;

use http::HeaderMap;
use url::{Host, Url};

use crate::config::ProxySettings;
use crate::headers::secret_headers;
use crate::{ClientError, Environment};

/// The proxies, and what is reached without them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    /// Set when there are exceptions at all; then this machine is one, too.
    exceptions: Option<Vec<Exception>>,
    /// For the `CONNECT` of a proxy.
    pub(crate) connect_header: HeaderMap,
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
        let exceptions = (!settings.no_proxy.is_empty()).then(|| exceptions(settings.no_proxy));
        Ok(Self { http: url.clone(), https: url, exceptions, connect_header })
    }

    /// The proxy for a URL.
    pub(crate) fn of(&self, url: &Url) -> Option<&Url> {
        let proxy = if url.scheme() == "https" { self.https.as_ref()? } else { self.http.as_ref()? };
        let direct = self.exceptions.as_ref().is_some_and(|exceptions| is_exception(exceptions, url));
        (!direct).then_some(proxy)
    }

    /// Whether there is any proxy.
    pub(crate) fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// Whether a proxy is itself reached by TLS.
    pub(crate) fn need_tls(&self) -> bool {
        [&self.http, &self.https].into_iter().flatten().any(|url| url.scheme() == "https")
    }
}

/// As in Go, the scheme may be missing.
fn from_environment(name: &str, value: &str) -> Result<Option<Url>, ClientError> {
    if value.is_empty() {
        return Ok(None);
    }
    let known = |url: &Url| matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
    let whole = Url::parse(value).ok().filter(known);
    let url = whole.map_or_else(|| Url::parse(&format!("http://{value}")), Ok);
    url.map(Some).map_err(|error| ClientError::settings_because(format!("{name} of the environment"), error))
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

fn is_exception(exceptions: &[Exception], url: &Url) -> bool {
    let port = url.port_or_known_default();
    let port_matches = |wanted: &Option<u16>| wanted.is_none() || *wanted == port;
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        _ => None,
    };
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
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

    fn of<'a>(proxies: &'a Proxies, url: &str) -> Option<&'a str> {
        proxies.of(&Url::parse(url).expect("a URL")).map(Url::as_str)
    }

    #[test]
    fn without_exceptions_everything_goes_through_the_proxy() {
        let proxies = proxies("proxy_url: http://p:1", &[]);
        for url in ["http://a", "https://a", "http://localhost", "http://127.0.0.1"] {
            assert_eq!(of(&proxies, url), Some("http://p:1/"), "{url}");
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
            assert_eq!(of(&proxies, url), Some("http://p/"), "{url}");
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
        assert_eq!(of(&proxies, "http://b.example"), Some("http://p:1/"));
        assert_eq!(of(&proxies, "https://b.example"), Some("socks5://q:2"));
        assert_eq!(of(&proxies, "https://a.example"), None);
        assert!(!proxies.need_tls() && !proxies.is_empty());
    }

    #[test]
    fn the_environment_counts_only_when_asked_for() {
        assert!(proxies("{}", &[("HTTP_PROXY", "p:1")]).is_empty());
    }
}
