//! The listeners: bind, accept, and stop in order. Every connection is a task that is waited for.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use rosterd_model::bare_url;
use rosterd_tasks::{Stopper, Supervision, interface_number, zoned};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::file::Loaded;
use super::seats::{Seated, Seats};
use super::{Error, Live, catch, connection, guard};
use crate::problem;

/// Where rosterd listens unless told otherwise. Not 9090, because rosterd often runs beside a Prometheus; and not between
/// 9100 and 9999, where each port is allocated to an exporter.
pub const DEFAULT_PORT: u16 = 8395;
/// All interfaces, as in Prometheus.
pub const DEFAULT_LISTEN_ADDRESS: &str = "0.0.0.0:8395";

/// Later than any deadline that connections are given.
const CUT: Duration = Duration::from_secs(3600);

/// How the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `--web.listen-address`: `host:port`, or `:port` for all interfaces.
    pub listen_addresses: Vec<String>,
    /// `--web.max-connections`: how many connections there are at once, and a few more for probes.
    pub max_connections: usize,
    /// `--web.read-timeout`: how long a connection may rest.
    pub read_timeout: Duration,
    /// How long the headers of a request may take to arrive; also how long an HTTP/1 connection may rest, if that is less
    /// than the read timeout. A little more than a minute, so that who polls once a minute keeps his connection.
    pub header_timeout: Duration,
    /// How long a connection may take to ask for anything at all.
    pub first_request_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen_addresses: vec![DEFAULT_LISTEN_ADDRESS.to_owned()],
            max_connections: 512,
            read_timeout: Duration::from_secs(300),
            header_timeout: Duration::from_secs(75),
            first_request_timeout: Duration::from_secs(10),
        }
    }
}

/// Listeners that are bound. They answer once [`serve`](Self::serve) was called; until then, clients wait.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    settings: Arc<Settings>,
    live: Option<Arc<Live>>,
    acceptors: Stopper,
    connections: Stopper,
    answering: connection::Answering,
    seats: Arc<Seats>,
}

impl Server {
    /// Binds all addresses. Fails when one cannot be listened on.
    pub async fn bind(settings: Settings, live: Option<Arc<Live>>, supervision: &Supervision) -> Result<Self, Error> {
        let mut listeners = Vec::with_capacity(settings.listen_addresses.len());
        let mut addresses = Vec::with_capacity(settings.listen_addresses.len());
        for address in &settings.listen_addresses {
            let failed = |source| Error::Listen { address: address.clone(), source };
            let listener = listen(address).await?;
            addresses.push(listener.local_addr().map_err(failed)?);
            listeners.push(listener);
        }
        let seats = Arc::new(Seats::new(settings.max_connections));
        let (settings, acceptors) = (Arc::new(settings), Stopper::under(supervision));
        let (connections, answering) = (Stopper::under(supervision), connection::Answering::default());
        Ok(Self { listeners, addresses, settings, live, acceptors, connections, answering, seats })
    }

    /// Registers its metrics. Fails when one of the names is taken.
    pub fn register(&self, registry: &prometheus::Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.seats.metrics().clone()))
    }

    /// The addresses that are listened on, in the order of the settings, with the ports that were found for port 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Begins to answer, by the router, after the web configuration has let the request in. A response with a
    /// [`Problem`](crate::problem::Problem) gets its body here.
    pub fn serve(&mut self, router: Router) {
        let catching = self.connections.supervision().guard("http request");
        // Also the answer to a request that panicked has the headers of all answers.
        let router = router.layer(from_fn_with_state(catching, catch));
        let router = router.layer(from_fn_with_state(self.live.clone(), guard)).layer(from_fn(problem::render));
        for listener in self.listeners.drain(..) {
            let acceptor = Acceptor {
                listener,
                router: router.clone(),
                seats: Arc::clone(&self.seats),
                settings: Arc::clone(&self.settings),
                live: self.live.clone(),
                connections: self.connections.clone(),
                answering: self.answering.clone(),
            };
            let stop = self.acceptors.token().clone();
            self.acceptors.spawn_essential("http listener", async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = acceptor.run() => {}
                }
            });
        }
    }

    /// The names of the connections that are open.
    pub fn connections(&self) -> Vec<Arc<str>> {
        self.connections.running()
    }

    /// Accepts no more connections, lets requests that run come to their end, and closes everything at the deadline.
    /// Returns the names of the tasks at fault that this had to be waited for: a client that does not take its answer is cut,
    /// and is not among them.
    pub async fn shutdown(&self, deadline: Instant) -> Vec<Arc<str>> {
        // One after the other: an acceptor that still ran could start a connection that nobody waits for.
        let mut late = self.acceptors.stop_by(deadline).await;
        self.connections.token().cancel();
        // What a connection was busy with is not known any more once it is cut.
        let busy = tokio::select! {
            biased;
            cut = self.connections.stop_by(deadline + CUT) => return [late, cut].concat(),
            () = tokio::time::sleep_until(deadline) => self.answering.is_busy(),
        };
        let cut = self.connections.stop_by(deadline).await;
        if busy {
            late.extend(cut);
        } else if let [first, ..] = &cut[..] {
            warn!(connections = cut.len(), %first, "cut: these clients did not take their answers in time");
        }
        late
    }
}

struct Acceptor {
    listener: TcpListener,
    router: Router,
    seats: Arc<Seats>,
    settings: Arc<Settings>,
    live: Option<Arc<Live>>,
    connections: Stopper,
    answering: connection::Answering,
}

impl Acceptor {
    async fn run(self) {
        if let Ok(address) = self.listener.local_addr() {
            let tls = self.config().await.is_some_and(|config| config.has_tls());
            info!(%address, tls, "listening");
        }
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => match self.seats.take() {
                    Some(seated) => {
                        let config = self.config().await;
                        self.connect(stream, peer, config, seated);
                    }
                    // Closed by being dropped.
                    None => debug!(%peer, "all connections are busy, those for probes too"),
                },
                Err(error) => self.pause(&error).await,
            }
        }
    }

    async fn config(&self) -> Option<Arc<Loaded>> {
        match &self.live {
            Some(live) => Some(live.current().await),
            None => None,
        }
    }

    fn connect(&self, stream: TcpStream, peer: SocketAddr, config: Option<Arc<Loaded>>, seated: Seated) {
        let service = connection::Service {
            router: self.router.clone(),
            seat: Arc::clone(&seated.seat),
            answering: self.answering.clone(),
        };
        let served =
            connection::serve(stream, peer, config, service, Arc::clone(&self.settings), self.connections.clone());
        self.connections.spawn_expendable(("http connection", peer), async move {
            served.await;
            drop(seated);
        });
    }

    /// A client that gave up is no reason to wait; want of descriptors or memory is.
    async fn pause(&self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
            warn!(%error, "cannot accept connections, trying again in a second");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn listen(address: &str) -> Result<TcpListener, Error> {
    let malformed = || Error::Address { address: bare_url(address).into_owned() };
    let failed = |source| Error::Listen { address: address.to_owned(), source };
    let (host, port) = address.rsplit_once(':').ok_or_else(malformed)?;
    let port: u16 = port.parse().map_err(|_| malformed())?;
    // The library knows interfaces by their numbers only.
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if let Some(inside) = inside.filter(|inside| inside.contains('%')) {
        let (address, zone) = zoned(inside).ok_or_else(malformed)?;
        let address = SocketAddrV6::new(address, port, 0, interface_number(zone).map_err(failed)?);
        return TcpListener::bind(address).await.map_err(failed);
    }
    if !host.is_empty() {
        return TcpListener::bind(address).await.map_err(failed);
    }
    // All interfaces: one socket takes both families, unless the machine has no IPv6.
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(("0.0.0.0", port)).await.map_err(failed),
    }
}
