//! Connections: pools that are kept until certificates change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rosterd_tasks::{Looked, Together};
use tracing::info;

use crate::connect::Connector;
use crate::error::was_not_begun;
use crate::names::{Lookups, Names};
use crate::proxy::Proxies;
use crate::secrets::shown;
use crate::tls::{Material, Tls};
use crate::{ClientError, Options, Url, head, without_user};

/// A request as it is sent.
pub(crate) type Request = http::Request<Full<Bytes>>;

/// Longer than any sane scrape interval, so that connections survive between two scrapes.
const IDLE: Duration = Duration::from_secs(300);
/// After so long without news on an HTTP/2 connection, the other side is asked whether it is still there.
const PING: Duration = Duration::from_secs(60);

/// So many zones have connections that are kept.
const MOST_ZONES: usize = 1024;

/// How often a request is sent again with which the server has not begun, as it says.
const MOST_REPEATS: usize = 2;

/// Connections that are kept, and made where they are missing.
type Pool = hyper_util::client::legacy::Client<Connector, Full<Bytes>>;

/// Pools that differ in nothing but the zone of the URLs that they are for. A pool tells connections apart by what is sent, and
/// that has no zone.
struct Pools {
    connector: Connector,
    http2: bool,
    /// For URLs without a zone.
    usual: Pool,
    zones: Mutex<BTreeMap<Arc<str>, Pool>>,
}

/// What requests are sent over.
pub(crate) struct Transport {
    /// For URLs without TLS, so that these cost no certificates.
    plain: Pools,
    secure: Arc<Secure>,
    /// Makes them anew.
    together: Together<Arc<Pools>>,
    has_unix_socket: bool,
}

/// Connections with TLS, made of certificates as they were last.
struct Secure {
    tls: Tls,
    proxies: Arc<Proxies>,
    names: Names,
    /// Makes connections without TLS.
    connector: Connector,
    http2: bool,
    name: String,
    made: Mutex<Option<(Material, Arc<Pools>)>>,
}

impl Transport {
    /// Certificates are read with the first request that needs them.
    pub(crate) fn new(tls: Tls, proxies: Proxies, http2: bool, options: &Options) -> Self {
        let proxies = Arc::new(if options.unix_socket.is_some() { Proxies::default() } else { proxies });
        let lookups = Lookups { names: options.system.names(), turns: options.by_turns.then(Arc::default) };
        let names = lookups.names.clone();
        let unix_socket = options.unix_socket.as_deref().map(Arc::from);
        let connector = Connector::new(lookups, Arc::clone(&proxies), unix_socket);
        let plain = Pools::new(connector.clone(), http2);
        let (together, name) = (Together::on(options.system.pool_makers()), options.name.clone());
        let secure = Secure { tls, proxies, names, connector, http2, name, made: Mutex::new(None) };
        Self { plain, secure: Arc::new(secure), together, has_unix_socket: options.unix_socket.is_some() }
    }

    /// Fails when configured certificates cannot be used. Blocks as long as a disk does.
    pub(crate) fn check(&self) -> Result<(), ClientError> {
        let tls = &self.secure.tls;
        if tls.has_material() { self.secure.of(tls.material_here()?).map(drop) } else { Ok(()) }
    }

    /// Whether all URLs without TLS are reached without a proxy, at their host.
    pub(crate) fn is_direct(&self) -> bool {
        self.secure.proxies.is_empty() && !self.is_unix()
    }

    /// Whether all goes to a unix socket.
    pub(crate) fn is_unix(&self) -> bool {
        self.has_unix_socket
    }

    /// Hosts and their addresses.
    pub(crate) fn names(&self) -> &Names {
        &self.secure.names
    }

    /// What is sent to a URL. A proxy that reads it is told who asks.
    pub(crate) fn address(&self, url: &Url, headers: &mut HeaderMap) -> Result<Uri, ClientError> {
        let unusable = |error| ClientError::settings_because(format!("the URL {}", shown(url)), error);
        let spelt = without_user(url);
        let uri: Uri = spelt.without_zone().as_str().parse().map_err(|error: http::uri::InvalidUri| unusable(error))?;
        if url.scheme() != "https"
            && let Some(proxy) = self.secure.proxies.of(&uri)
        {
            proxy.add_to(headers);
        }
        Ok(uri)
    }

    /// Sends a request and waits for the head of the reply. When changed certificates are of no use, that is an error, and
    /// the connections made before are kept.
    pub(crate) async fn send(&self, url: &Url, request: Request) -> Result<http::Response<Incoming>, ClientError> {
        let pool = if url.scheme() == "https" || self.secure.proxies.need_tls() {
            self.secure().await?.of(url)
        } else {
            self.plain.of(url)
        };
        let mut repeats = 0;
        loop {
            match pool.request(request.clone()).await {
                Err(error) if repeats < MOST_REPEATS && was_not_begun(&error) => repeats += 1,
                sent => return sent.map_err(|error| ClientError::of_exchange(url, error.is_connect(), error)),
            }
        }
    }

    async fn secure(&self) -> Result<Arc<Pools>, ClientError> {
        let material = self.secure.tls.material().await?;
        if let Some(pools) = self.secure.made_of(&material) {
            return Ok(pools);
        }
        // Certificates are read, those of the system too.
        let secure = Arc::clone(&self.secure);
        self.together.ask(move || secure.of(material).map(|value| Looked { value, rests: false })).await
    }
}

impl Secure {
    fn made(&self) -> MutexGuard<'_, Option<(Material, Arc<Pools>)>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn made_of(&self, material: &Material) -> Option<Arc<Pools>> {
        self.made().as_ref().filter(|(used, _)| used == material).map(|(_, pools)| Arc::clone(pools))
    }

    /// Those that are made of this, on a thread that may block.
    fn of(&self, material: Material) -> Result<Arc<Pools>, ClientError> {
        if let Some(pools) = self.made_of(&material) {
            return Ok(pools);
        }
        let connector = self.connector.with_tls(self.tls.build(&material)?);
        let pools = Arc::new(Pools::new(connector, self.http2));
        if self.made().replace((material, Arc::clone(&pools))).is_some() {
            info!(client = self.name, "certificates changed, connecting anew");
        }
        Ok(pools)
    }
}

impl Pools {
    fn new(connector: Connector, http2: bool) -> Self {
        let usual = pool(connector.clone(), http2);
        Self { connector, http2, usual, zones: Mutex::default() }
    }

    /// The one for this URL.
    fn of(&self, url: &Url) -> Pool {
        let Some(zone) = url.zone() else { return self.usual.clone() };
        let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = zones.get(zone) {
            return pool.clone();
        }
        // Interfaces come and go, and a redirect may name any.
        if zones.len() >= MOST_ZONES {
            zones.clear();
        }
        let pool = pool(self.connector.in_zone(zone), self.http2);
        zones.insert(Arc::clone(zone), pool.clone());
        pool
    }
}

fn pool(connector: Connector, http2: bool) -> Pool {
    let mut builder = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        // Heads as Go takes them, as far as this library can be told; see `head`.
        .http1_max_buf_size(head::LARGEST)
        .http1_max_headers(head::MOST_HEADERS)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
        .http2_max_header_list_size(head::LARGEST as u32);
    if http2 {
        builder.http2_keep_alive_interval(PING).http2_keep_alive_while_idle(true);
    }
    builder.build(connector)
}
