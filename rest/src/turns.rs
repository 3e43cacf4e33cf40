//! How many questions to a server are under way at the same time: each may hold a connection for minutes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rosterd_discovery::{MechanismShared, System};
use rosterd_tasks::Stopper;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::Pace;

/// Half of the connections that a Consul agent takes from one address.
const MOST: usize = 100;
/// How many more there may be that do not wait.
const MOST_QUICK: usize = 40;
/// The shortest wait that is worth a question.
const SHORTEST: Duration = Duration::from_millis(100);

/// A server that all discoverers of a mechanism ask together, not too many at a time.
#[derive(Debug)]
pub struct Server {
    turns: Semaphore,
    quick: Semaphore,
    /// How many things are asked about again and again.
    wanted: AtomicUsize,
}

impl Server {
    /// A server of which no other discoverer knows.
    pub fn new() -> Arc<Self> {
        let (turns, quick) = (Semaphore::new(MOST), Semaphore::new(MOST_QUICK));
        Arc::new(Self { turns, quick, wanted: AtomicUsize::new(0) })
    }

    /// Waits until it is the turn of a question, in the order in which they came.
    pub(crate) async fn turn(&self) -> SemaphorePermit<'_> {
        self.turns.acquire().await.expect("nobody closes it")
    }

    /// The same for a question that is answered at once.
    pub(crate) async fn quick_turn(&self) -> SemaphorePermit<'_> {
        self.quick.acquire().await.expect("nobody closes it")
    }

    /// Whether not all can be waited for at the same time.
    pub(crate) fn takes_turns(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > MOST
    }

    /// How long an answer may be waited for: so long that within the interval all have their turn.
    pub(crate) fn wait(&self, pace: &Pace) -> Duration {
        match self.wanted.load(Ordering::Relaxed) {
            wanted if wanted <= MOST => pace.wait,
            wanted => pace.interval.mul_f64(MOST as f64 / wanted as f64).max(SHORTEST).min(pace.wait),
        }
    }
}

/// What one discoverer wants of a server, until it is dropped.
#[derive(Debug)]
pub(crate) struct Wanted {
    server: Arc<Server>,
    count: usize,
}

impl Wanted {
    /// Whether not all that is wanted of the server can be waited for at the same time.
    pub(crate) fn takes_turns(&self) -> bool {
        self.server.takes_turns()
    }

    pub(crate) fn of(server: Arc<Server>) -> Self {
        Self { server, count: 0 }
    }

    pub(crate) fn set(&mut self, count: usize) {
        self.server.wanted.fetch_add(count, Ordering::Relaxed);
        self.server.wanted.fetch_sub(std::mem::replace(&mut self.count, count), Ordering::Relaxed);
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// The servers that the discoverers of a mechanism ask, by their URLs: shared state of the mechanism.
#[derive(Debug, Default)]
pub struct Servers(Mutex<BTreeMap<String, Weak<Server>>>);

impl Servers {
    /// The server at this URL.
    pub fn get(&self, url: &str) -> Arc<Server> {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = servers.get(url).and_then(Weak::upgrade) {
            return server;
        }
        servers.retain(|_, server| server.strong_count() > 0);
        let server = Server::new();
        servers.insert(url.to_owned(), Arc::downgrade(&server));
        server
    }
}

impl MechanismShared for Servers {
    fn start(_: &Stopper, _: &System) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_of_a_server_counts_for_all_who_ask_it() {
        let servers = Servers::default();
        let (one, other) = (servers.get("http://a"), servers.get("http://a"));
        let second = Duration::from_secs;
        let pace = Pace { interval: second(30), wait: second(120), least: second(1) };
        let (mut mine, mut theirs) = (Wanted::of(Arc::clone(&one)), Wanted::of(other));
        mine.set(60);
        theirs.set(40);
        assert_eq!(one.wait(&pace), second(120));
        theirs.set(1_940);
        assert_eq!(one.wait(&pace), Duration::from_millis(1500));
        theirs.set(1_000_000);
        assert_eq!(one.wait(&pace), SHORTEST);
        drop(theirs);
        assert_eq!(one.wait(&pace), second(120));
        assert!(!Arc::ptr_eq(&one, &servers.get("http://b")));
    }
}
