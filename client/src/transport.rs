//! Connections: pools that are kept until certificates change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::info;
use url::Url;

use crate::head;
use crate::names::{Lookups, Names};
use crate::proxy::Proxies;
use crate::tls::{Material, Tls};
use crate::{ClientError, Options};

/// Longer than any sane scrape interval, so that connections survive between two scrapes.
const IDLE: Duration = Duration::from_secs(300);
/// After so long without news on an HTTP/2 connection, the other side is asked whether it is still there.
const PING: Duration = Duration::from_secs(60);

/// More headers than this are an error. Room for them is made for each reply.
const MOST_HEADERS: usize = 4096;

/// What requests are sent over.
pub(crate) struct Transport {
    tls: Tls,
    proxies: Arc<Proxies>,
    http2: bool,
    name: String,
    by_turns: bool,
    pub(crate) names: Names,
    /// For URLs without TLS, so that these cost no certificates.
    plain: reqwest::Client,
    secure: Mutex<Option<(Material, reqwest::Client)>>,
}

impl Transport {
    /// Certificates are read with the first request that needs them.
    pub(crate) fn new(tls: Tls, proxies: Proxies, http2: bool, options: &Options) -> Result<Self, ClientError> {
        let proxies = Arc::new(proxies);
        let (name, by_turns) = (options.name.clone(), options.by_turns);
        let names = options.system.names();
        let plain = build(tls.build_unused()?, &proxies, http2, by_turns, &names)?;
        Ok(Self { tls, proxies, http2, name, by_turns, names, plain, secure: Mutex::new(None) })
    }

    /// Fails when configured certificates cannot be used.
    pub(crate) fn check(&self) -> Result<(), ClientError> {
        if self.tls.has_material() { self.secure().map(drop) } else { Ok(()) }
    }

    /// Whether all URLs without TLS are reached without a proxy.
    pub(crate) fn is_direct(&self) -> bool {
        self.proxies.is_empty()
    }

    /// The connections for a URL. When changed files are of no use, that is an error, and those made before are kept.
    pub(crate) fn client_for(&self, url: &Url) -> Result<reqwest::Client, ClientError> {
        if url.scheme() == "https" || self.proxies.need_tls() { self.secure() } else { Ok(self.plain.clone()) }
    }

    fn secure(&self) -> Result<reqwest::Client, ClientError> {
        let material = self.tls.material()?;
        let mut secure = self.secure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = secure.as_ref().filter(|(used, _)| *used == material) {
            return Ok(client.clone());
        }
        let tls = self.tls.build(&material)?;
        let client = build(tls, &self.proxies, self.http2, self.by_turns, &self.names)?;
        if secure.replace((material, client.clone())).is_some() {
            info!(client = self.name, "certificates changed, connecting anew");
        }
        Ok(client)
    }
}

fn build(
    tls: rustls::ClientConfig,
    proxies: &Arc<Proxies>,
    http2: bool,
    by_turns: bool,
    names: &Names,
) -> Result<reqwest::Client, ClientError> {
    // Redirects and timeouts are ours: they decide about credentials, and span the reading of the body.
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .pool_idle_timeout(IDLE)
        // Heads as Go takes them, as far as this library can be told; see `head`.
        .http1_max_headers(MOST_HEADERS)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
        .http2_max_header_list_size(head::LARGEST as u32);
    let turns = by_turns.then(Arc::default);
    builder = builder.dns_resolver(Arc::new(Lookups { names: names.clone(), turns }));
    if http2 {
        builder = builder.http2_keep_alive_interval(PING).http2_keep_alive_while_idle(true);
    } else {
        builder = builder.http1_only();
    }
    if !proxies.is_empty() {
        // Two of them, because only the one for TLS sends `CONNECT`, which the headers are for.
        let proxy_of = |scheme: &'static str| {
            let proxies = Arc::clone(proxies);
            reqwest::Proxy::custom(move |url| (url.scheme() == scheme).then(|| proxies.of(url).cloned()).flatten())
        };
        builder = builder.proxy(proxy_of("http")).proxy(proxy_of("https").headers(proxies.connect_header.clone()));
    }
    builder.build().map_err(|error| ClientError::settings_because("the HTTP client settings", error))
}
