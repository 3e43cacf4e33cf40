//! An API server of Kubernetes as far as lists and watches go: with versions, pages, streamed lists, bookmarks, selectors and a
//! history that can be forgotten, and with the faults that real ones have. `kubectl get` reads it too.

mod answer; // a request -> what is answered
mod discovery; // what `kubectl` asks before it asks for objects
mod history; // objects and what happened to them
mod selector; // which objects are meant
mod serve; // connections

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{eventually, patience};
use history::History;

/// An API server on the loopback interface that holds what it is told to hold.
///
/// ```
/// use rosterd_testkit::{FakeApiServer, get, leak_checked_live};
/// use serde_json::json;
///
/// leak_checked_live(|| async {
///     let server = FakeApiServer::start().await;
///     server.put(json!({"kind": "Pod", "metadata": {"namespace": "a", "name": "x"}}));
///     let (status, list) = get(&server.url("/api/v1/namespaces/a/pods?limit=10")).await.unwrap();
///     assert_eq!(status, 200);
///     assert!(list.contains(r#""name":"x""#), "{list}");
///     server.finish().await;
/// });
/// ```
#[derive(Debug)]
pub struct FakeApiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: JoinSet<Infallible>,
}

/// What requests see.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Counts changes, so that watches wake.
    changes: watch::Sender<u64>,
    /// Bytes of bodies.
    sent: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    history: History,
    settings: Settings,
    faults: Vec<(On, Fault)>,
    asked: Vec<Asked>,
    open_watches: usize,
    connections: usize,
    /// Watches that began before this many cuts end.
    cuts: u64,
}

/// What the server can do.
#[derive(Debug, Clone)]
struct Settings {
    streams_lists: bool,
    bookmarks: Option<Duration>,
    token: Option<String>,
    missing: BTreeSet<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let bookmarks = Some(Duration::from_secs(60));
        Self { streams_lists: true, bookmarks, token: None, missing: BTreeSet::new() }
    }
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `list`, `watch` or `get`.
    pub verb: &'static str,
    /// The resource, `pods`.
    pub resource: String,
    /// The namespace; empty for all.
    pub namespace: String,
    /// The parameters, as they were sent.
    pub query: String,
}

/// Which requests have a fault.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct On {
    /// Only this verb; any if it is empty.
    pub verb: String,
    /// Only this resource; any if it is empty.
    pub resource: String,
    /// Only this namespace, or those of no namespace if it is empty; any if it is not set.
    pub namespace: Option<String>,
}

impl On {
    /// All requests.
    pub fn all() -> Self {
        Self::default()
    }

    /// Those for a resource.
    pub fn resource(resource: &str) -> Self {
        Self { resource: resource.to_owned(), ..Self::default() }
    }

    /// The same of one namespace only; with an empty one, of requests that name none.
    #[must_use]
    pub fn in_namespace(self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self }
    }

    /// The same by one verb only.
    #[must_use]
    pub fn by(self, verb: &str) -> Self {
        Self { verb: verb.to_owned(), ..self }
    }

    fn is(&self, asked: &Asked) -> bool {
        let is = |wanted: &str, given: &str| wanted.is_empty() || wanted == given;
        let namespace = self.namespace.as_ref().is_none_or(|namespace| *namespace == asked.namespace);
        is(&self.verb, asked.verb) && is(&self.resource, &asked.resource) && namespace
    }
}

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is refused with this status, and the reason that goes with it.
    Status(u16),
    /// It is refused with this status, and asked to come back after so many seconds.
    RetryAfter(u16, u64),
    /// The answer is cut after so many bytes of its body.
    Cut(usize),
    /// The answer ends after so many bytes of its body, as if that were all of it.
    Short(usize),
    /// The answer begins, and nothing follows.
    Silence,
    /// The answer stops after so many bytes of its body, and goes on when no request has a fault any more.
    Stall(usize),
    /// The answer comes byte after byte, with this pause between every so many of them.
    Slow(usize, Duration),
    /// The first event of a watch is an error with this code.
    ErrorEvent(u16),
}

impl FakeApiServer {
    /// Listens on a free port.
    pub async fn start() -> Self {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Listens there.
    pub async fn start_on(address: SocketAddr) -> Self {
        let listener =
            TcpListener::bind(address).await.unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared =
            Arc::new(Shared { state: Mutex::default(), changes: watch::channel(0).0, sent: AtomicU64::new(0) });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve::serve(listener, Arc::clone(&shared)));
        Self { address, shared, tasks }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Creates or replaces an object. Its `kind` says what it is; it gets a version, and a `uid` unless it has one.
    ///
    /// # Panics
    ///
    /// When it has no name, or is of a kind that is not known here.
    pub fn put(&self, object: Value) {
        self.shared.change(|state| state.history.put(object));
    }

    /// Deletes an object. Returns whether there was one.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) -> bool {
        self.shared.change(|state| state.history.delete(resource, namespace, name))
    }

    /// Forgets what happened: watches from before get 410, and so does who asks for the rest of a list.
    pub fn compact(&self) {
        self.shared.change(|state| state.history.compact());
    }

    /// Sends a bookmark to all watches that want some.
    pub fn bookmark(&self) {
        self.shared.change(|state| state.history.bookmark());
    }

    /// Ends all watches, as servers do when they restart.
    pub fn cut_watches(&self) {
        self.shared.change(|state| state.cuts += 1);
    }

    /// From now on these requests have this fault; those that run go on.
    pub fn fail(&self, on: On, fault: Fault) {
        self.shared.change(|state| state.faults.push((on, fault)));
    }

    /// No request has a fault any more.
    pub fn heal(&self) {
        self.shared.change(|state| state.faults.clear());
    }

    /// Whether lists are streamed to who asks for that; they are from the start.
    pub fn streams_lists(&self, streams: bool) {
        self.shared.change(|state| state.settings.streams_lists = streams);
    }

    /// How often bookmarks are sent, if at all; each minute from the start.
    pub fn bookmarks(&self, every: Option<Duration>) {
        self.shared.change(|state| state.settings.bookmarks = every);
    }

    /// Who has not this token is refused.
    pub fn wants_token(&self, token: &str) {
        self.shared.change(|state| state.settings.token = Some(token.to_owned()));
    }

    /// There is no such resource, as on an older server.
    pub fn lacks(&self, resource: &str) {
        self.shared.change(|state| state.settings.missing.insert(resource.to_owned()));
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.state().asked.clone()
    }

    /// How many watches are open.
    pub fn open_watches(&self) -> usize {
        self.shared.state().open_watches
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// How many bytes of bodies were sent.
    pub fn bytes_sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Waits until so many watches are open.
    pub async fn wait_watches(&self, count: usize) {
        let what = format!("{count} watches are open on the API server");
        eventually(patience(), &what, || self.open_watches() == count).await;
    }

    /// Stops the server.
    pub async fn finish(mut self) {
        self.tasks.shutdown().await;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changes.send_modify(|changes| *changes += 1);
        changed
    }
}

#[cfg(test)]
mod tests;
