//! What the manager and a mechanism owe each other.

use std::time::Duration;

use async_trait::async_trait;
use rosterd_model::TargetGroup;
use rosterd_tasks::{Machine, Schedule};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::metrics::ProviderMetrics;
use crate::status::StatusHandle;

/// Watches one configured source and reports its targets.
///
/// A mechanism promises: the first send is the whole picture, even if empty; a later group replaces the one with the
/// same `source`, and a group without targets removes it; a failed read sends nothing; `run` ends soon after `cx.stop`
/// fires (or on failure, never because there is no news), and what it spawned has ended before it.
///
/// The manager promises: one `run` per value, on a task of its own; a full channel delays `send` and loses nothing; a
/// `run` that ends unasked is logged, counted, and built again from its configuration with a backoff.
#[async_trait]
pub trait Discoverer: Send {
    /// Pushes target groups until stopped.
    ///
    /// `Err` is not the end: the manager keeps the groups it has, and builds the discoverer again after a backoff that
    /// [`Coded::retry`](rosterd_model::Coded::retry) of the error decides.
    async fn run(self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error>;
}

/// A discoverer that asks again and again. [`Polling`](crate::Polling) makes a [`Discoverer`] of it, and adds the
/// interval, jitter, backoff, metrics and the empty groups of sources that vanished.
#[async_trait]
pub trait Refresh: Send {
    /// Reads the whole picture once. `Ok(None)` says that nothing changed since the last read.
    ///
    /// A failed refresh returns `Err`, never part of the groups: stale is better than wrong.
    async fn refresh(&mut self) -> Result<Option<Vec<TargetGroup>>, Error>;

    /// Asked after each refresh that succeeded: why some of its groups are not of now. For a mechanism that reads several
    /// independent sources: one that cannot be read keeps the groups it had, and its failure, handed over here, is
    /// counted, shown and retried like that of a whole refresh. A source that was never read fails the refresh.
    fn stale(&mut self) -> Option<Error> {
        None
    }

    /// Waits until something hints that a refresh is worth its cost before the interval is over: a changed file, say.
    /// Must be safe to drop at any time. By default there is no such hint.
    async fn hint(&mut self) {
        std::future::pending().await
    }

    /// Ends what a refresh left behind. Called once, after the last refresh, which may have been dropped half-way.
    async fn end(&mut self) {}
}

/// What a running discoverer is given.
#[derive(Debug, Clone)]
pub struct Context {
    /// Fires when the discoverer has to end.
    pub stop: CancellationToken,
    /// The name of the provider, for logs: `<mechanism>/<hash>`.
    pub provider: std::sync::Arc<str>,
    /// The machine, so that others do not read the same source at the same time.
    pub machine: Machine,
    /// The counters of this provider.
    pub metrics: ProviderMetrics,
    /// Where a discoverer that survives a failure reports it.
    pub status: StatusHandle,
}

impl Context {
    /// When to read at this interval: spread over providers, and over machines with the same configuration.
    pub fn schedule(&self, interval: Duration) -> Schedule {
        Schedule::new(interval, &self.provider).on(self.machine)
    }
}

/// The updates were not taken because the discoverer has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the discoverer was stopped")]
pub struct Stopped;

/// The bounded handle into which a discoverer pushes target groups.
///
/// When it is full, [`send`](Self::send) waits; it gives up when the discoverer is stopped.
#[derive(Debug)]
pub struct Updates {
    sender: mpsc::Sender<Vec<TargetGroup>>,
    stop: CancellationToken,
}

impl Updates {
    /// A handle and the receiving end, for the manager and for tests.
    pub fn channel(stop: CancellationToken) -> (Self, mpsc::Receiver<Vec<TargetGroup>>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self { sender, stop }, receiver)
    }

    /// Reports groups: the whole picture the first time, then all of them or only those that changed.
    pub async fn send(&self, groups: Vec<TargetGroup>) -> Result<(), Stopped> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Stopped),
            sent = self.sender.send(groups) => sent.map_err(|_| Stopped),
        }
    }
}
