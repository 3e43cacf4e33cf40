//! Connections: pools that are kept until certificates change.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tracing::info;
use url::Url;

use crate::proxy::Proxies;
use crate::tls::{Material, Tls};
use crate::{ClientError, Options};

/// Longer than any sane scrape interval, so that connections survive between two scrapes.
const IDLE: Duration = Duration::from_secs(300);
/// After so long without news on an HTTP/2 connection, the other side is asked whether it is still there.
const PING: Duration = Duration::from_secs(60);

/// Looks hosts up as usual, and begins with another of their addresses each time.
#[derive(Debug, Default)]
struct Turns(Arc<AtomicUsize>);

impl Resolve for Turns {
    fn resolve(&self, name: Name) -> Resolving {
        let turn = Arc::clone(&self.0);
        Box::pin(async move {
            let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            addresses.sort();
            let first = turn.fetch_add(1, Ordering::Relaxed) % addresses.len().max(1);
            addresses.rotate_left(first);
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// What requests are sent over.
pub(crate) struct Transport {
    tls: Tls,
    proxies: Arc<Proxies>,
    http2: bool,
    name: String,
    gzip: bool,
    by_turns: bool,
    /// For URLs without TLS, so that these cost no certificates.
    plain: reqwest::Client,
    secure: Mutex<Option<(Material, reqwest::Client)>>,
}

impl Transport {
    /// Certificates are read with the first request that needs them.
    pub(crate) fn new(tls: Tls, proxies: Proxies, http2: bool, options: &Options) -> Result<Self, ClientError> {
        let proxies = Arc::new(proxies);
        let (name, gzip, by_turns) = (options.name.clone(), options.gzip, options.by_turns);
        let plain = build(tls.build_unused()?, &proxies, http2, gzip, by_turns)?;
        Ok(Self { tls, proxies, http2, name, gzip, by_turns, plain, secure: Mutex::new(None) })
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
        let client = build(self.tls.build(&material)?, &self.proxies, self.http2, self.gzip, self.by_turns)?;
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
    by_turns: bool,
) -> Result<reqwest::Client, ClientError> {
    // Redirects and timeouts are ours: they decide about credentials, and span the reading of the body.
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .gzip(gzip)
        .pool_idle_timeout(IDLE);
    if by_turns {
        builder = builder.dns_resolver(Arc::new(Turns::default()));
    }
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

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked_live;

    use super::*;

    #[test]
    fn each_look_up_begins_with_another_address() {
        leak_checked_live(|| async {
            let turns = Turns::default();
            let all = || async { turns.resolve("localhost".parse().unwrap()).await.unwrap().collect::<Vec<_>>() };
            let (first, second) = (all().await, all().await);
            let mut rotated = first.clone();
            rotated.rotate_left(1 % first.len());
            assert_eq!(second, rotated);
        });
    }
}
