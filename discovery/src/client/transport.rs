//! Connections: pools that are kept until certificates change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::info;
use url::Url;

use super::proxy::Proxies;
use super::tls::{Material, Tls};
use super::{ClientError, Options};

/// Longer than any sane scrape interval, so that connections survive between two scrapes.
const IDLE: Duration = Duration::from_secs(300);
/// After so long without news on an HTTP/2 connection, the other side is asked whether it is still there.
const PING: Duration = Duration::from_secs(60);

/// What requests are sent over.
pub(super) struct Transport {
    tls: Tls,
    proxies: Arc<Proxies>,
    http2: bool,
    name: String,
    gzip: bool,
    /// For URLs without TLS, so that these cost no certificates.
    plain: reqwest::Client,
    secure: Mutex<Option<(Material, reqwest::Client)>>,
}

impl Transport {
    /// Certificates are read with the first request that needs them.
    pub(super) fn new(tls: Tls, proxies: Proxies, http2: bool, options: &Options) -> Result<Self, ClientError> {
        let proxies = Arc::new(proxies);
        let plain = build(tls.build_unused()?, &proxies, http2, options.gzip)?;
        let (name, gzip) = (options.name.clone(), options.gzip);
        Ok(Self { tls, proxies, http2, name, gzip, plain, secure: Mutex::new(None) })
    }

    /// Fails when configured certificates cannot be used.
    pub(super) fn check(&self) -> Result<(), ClientError> {
        if self.tls.has_material() { self.secure().map(drop) } else { Ok(()) }
    }

    /// Whether all URLs without TLS are reached without a proxy.
    pub(super) fn is_direct(&self) -> bool {
        self.proxies.is_empty()
    }

    /// The connections for a URL. When changed files are of no use, that is an error, and those made before are kept.
    pub(super) fn client_for(&self, url: &Url) -> Result<reqwest::Client, ClientError> {
        if url.scheme() == "https" || self.proxies.need_tls() { self.secure() } else { Ok(self.plain.clone()) }
    }

    fn secure(&self) -> Result<reqwest::Client, ClientError> {
        let material = self.tls.material()?;
        let mut secure = self.secure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = secure.as_ref().filter(|(used, _)| *used == material) {
            return Ok(client.clone());
        }
        let client = build(self.tls.build(&material)?, &self.proxies, self.http2, self.gzip)?;
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
    gzip: bool,
) -> Result<reqwest::Client, ClientError> {
    // Redirects and timeouts are ours: they decide about credentials, and span the reading of the body.
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .gzip(gzip)
        .pool_idle_timeout(IDLE);
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
