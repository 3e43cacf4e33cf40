//! How many questions to a server are under way at the same time: each may hold a connection for minutes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rosterd_discovery::{MechanismShared, System};
use rosterd_tasks::Stopper;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::Pace;
use crate::hints::{Ear, Hints};

/// So many questions about one thing each wait for news at the same time,
const MOST: usize = 100;
/// so many about names,
const MOST_LISTS: usize = 40;
/// and so many for hints.
const MOST_HINTS: usize = 10;
/// How many more there may be that do not wait.
pub(crate) const MOST_QUICK: usize = 40;
/// So many connections a Consul agent takes from one address.
const CONNECTIONS: usize = 200;
const _: () = assert!(MOST + MOST_LISTS + MOST_HINTS + MOST_QUICK < CONNECTIONS);
/// The shortest wait that is worth a question.
const SHORTEST: Duration = Duration::from_millis(100);

/// A server that all discoverers of a mechanism ask together, not too many at a time.
#[derive(Debug)]
pub struct Server {
    /// For the questions about one thing each.
    pub(crate) groups: Arc<Turns>,
    /// For those about names.
    pub(crate) lists: Arc<Turns>,
    /// For those that hint at changes.
    pub(crate) hints: Arc<Turns>,
    quick: Semaphore,
    heard: Hints,
}

impl Server {
    /// A server of which no other discoverer knows.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            groups: Turns::of(MOST),
            lists: Turns::of(MOST_LISTS),
            hints: Turns::of(MOST_HINTS),
            quick: Semaphore::new(MOST_QUICK),
            heard: Hints::default(),
        })
    }

    /// Waits until it is the turn of a question with this index, in the order in which they came. One without is answered at once, and
    /// does not have to wait for those that wait.
    pub(crate) async fn turn<'a>(&'a self, turns: &'a Turns, index: u64) -> SemaphorePermit<'a> {
        let turn = turns.permits.acquire();
        let turn = match index {
            0 => tokio::select! {
                biased;
                turn = turn => turn,
                turn = self.quick.acquire() => turn,
            },
            _ => turn.await,
        };
        turn.expect("nobody closes it")
    }

    /// The same for a question that is answered at once whatever its index.
    pub(crate) async fn quick_turn(&self) -> SemaphorePermit<'_> {
        self.quick.acquire().await.expect("nobody closes it")
    }

    /// Hears the hint that this text tells apart.
    pub(crate) fn ear(self: &Arc<Self>, hint: &str) -> Ear {
        self.heard.ear(hint, Arc::clone(self))
    }
}

/// Questions of one kind that wait for news, so many of them at the same time.
#[derive(Debug)]
pub(crate) struct Turns {
    permits: Semaphore,
    most: usize,
    /// How many things are asked about again and again.
    wanted: watch::Sender<usize>,
}

impl Turns {
    fn of(most: usize) -> Arc<Self> {
        Arc::new(Self { permits: Semaphore::new(most), most, wanted: watch::Sender::new(0) })
    }

    /// Whether not all can be waited for at the same time.
    pub(crate) fn are_taken(&self) -> bool {
        *self.wanted.borrow() > self.most
    }

    /// Waits until that is so, or is not.
    pub(crate) async fn until(&self, are_taken: bool) {
        let mut wanted = self.wanted.subscribe();
        drop(wanted.wait_for(|wanted| (*wanted > self.most) == are_taken).await);
    }

    /// How long an answer may be waited for: so long that within the interval all have their turn.
    pub(crate) fn wait(&self, pace: &Pace) -> Duration {
        match *self.wanted.borrow() {
            wanted if wanted <= self.most => pace.wait,
            wanted => pace.interval.mul_f64(self.most as f64 / wanted as f64).max(SHORTEST).min(pace.wait),
        }
    }
}

/// How many things somebody asks about, until it is dropped.
#[derive(Debug)]
pub(crate) struct Wanted {
    turns: Arc<Turns>,
    count: usize,
}

impl Wanted {
    pub(crate) fn new(turns: &Arc<Turns>, count: usize) -> Self {
        let mut wanted = Self { turns: Arc::clone(turns), count: 0 };
        wanted.set(count);
        wanted
    }

    /// Whether not all that is wanted of the server can be waited for at the same time.
    pub(crate) fn takes_turns(&self) -> bool {
        self.turns.are_taken()
    }

    pub(crate) fn set(&mut self, count: usize) {
        let before = std::mem::replace(&mut self.count, count);
        self.turns.wanted.send_modify(|wanted| *wanted = *wanted + count - before);
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
        let (mine, mut theirs) = (Wanted::new(&one.groups, 60), Wanted::new(&other.groups, 40));
        assert_eq!((one.groups.wait(&pace), mine.takes_turns()), (second(120), false));
        theirs.set(1_940);
        assert_eq!((one.groups.wait(&pace), mine.takes_turns()), (Duration::from_millis(1500), true));
        theirs.set(1_000_000);
        assert_eq!(one.groups.wait(&pace), SHORTEST);
        // Those about names are others.
        assert_eq!(one.lists.wait(&pace), second(120));
        drop(theirs);
        assert_eq!((one.groups.wait(&pace), mine.takes_turns()), (second(120), false));
        assert!(!Arc::ptr_eq(&one, &servers.get("http://b")));
    }
}
