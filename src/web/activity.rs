//! What is going on on one connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How many requests of a connection are being answered.
#[derive(Debug)]
pub(super) struct Activity {
    requests: Mutex<Requests>,
    changed: Notify,
    /// The peer does not take what is written to it at the moment.
    blocked: AtomicBool,
}

#[derive(Debug)]
struct Requests {
    running: usize,
    /// Whether there has been one.
    any: bool,
    /// Since when that has been so.
    since: Instant,
}

impl Default for Activity {
    fn default() -> Self {
        let requests = Requests { running: 0, any: false, since: Instant::now() };
        Self { requests: Mutex::new(requests), changed: Notify::new(), blocked: AtomicBool::new(false) }
    }
}

impl Activity {
    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Requests)) {
        let mut requests = self.requests();
        change(&mut requests);
        requests.since = Instant::now();
        drop(requests);
        self.changed.notify_waiters();
    }

    /// A request begins; it ends when what is returned is dropped, which is when its answer is complete.
    pub(super) fn start(self: &Arc<Self>) -> Running {
        self.change(|requests| (requests.running, requests.any) = (requests.running + 1, true));
        Running(Arc::clone(self))
    }

    /// Notes whether the peer takes what is written.
    pub(super) fn note_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::SeqCst);
    }

    /// Since when no request is being answered; `None` while there is one.
    pub(super) fn resting_since(&self) -> Option<Instant> {
        let requests = self.requests();
        (requests.running == 0).then_some(requests.since)
    }

    /// Waits until no request was running for this long.
    pub(super) async fn rested_for(&self, rest: Duration) {
        loop {
            let changed = self.changed.notified();
            if self.resting_since().is_none() {
                changed.await;
                continue;
            }
            if tokio::time::timeout(rest, changed).await.is_err() {
                return;
            }
        }
    }

    /// Waits until no request was running for this long, and nothing was left to be written.
    pub(super) async fn quiet_for(&self, rest: Duration) {
        loop {
            self.rested_for(rest).await;
            if !self.blocked.load(Ordering::SeqCst) {
                return;
            }
        }
    }

    /// Waits until it has been so long that nothing was asked for; for ever if something was.
    pub(super) async fn unasked_for(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
        if self.requests().any {
            std::future::pending::<()>().await;
        }
    }
}

/// A running request.
#[derive(Debug)]
pub(super) struct Running(Arc<Activity>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.change(|requests| requests.running -= 1);
    }
}
