//! The watcher as others see it. What touches the file system runs on threads for blocking calls.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use tokio::time::Instant;

use super::inotify::Inotify;
use super::watched::{Changes, Watched};
use crate::blocking;

/// Watches files, by path or by pattern, for changes of their content.
///
/// It watches the directories in which the files are, and those that hold symbolic links on the way to them. What does
/// not exist yet is awaited in the nearest directory that does. A directory that is moved away together with one
/// above it is not noticed: for that, and for file systems without events, whoever needs the files looks
/// at them at an interval too, and calls [`rearm`](Self::rearm) then.
///
/// Without inotify it never reports a change, says so once in the log, and tries again at each `rearm`.
///
/// Each method may be dropped at any time: nothing is lost.
pub struct Watcher(WatchedPlace);

/// Where the state is.
enum WatchedPlace {
    Here(Box<Watched>),
    Away(Pin<Box<dyn Future<Output = Box<Watched>> + Send>>),
    /// The call that had it panicked.
    Lost,
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            WatchedPlace::Here(watched) => f.debug_tuple("Watcher").field(watched).finish(),
            WatchedPlace::Away(_) | WatchedPlace::Lost => f.debug_struct("Watcher").finish_non_exhaustive(),
        }
    }
}

impl Watcher {
    /// Watches these paths and patterns from now on, by an inotify instance that others may share. A change after the
    /// return is not missed.
    pub async fn new(inotify: &Inotify, patterns: &[PathBuf]) -> Self {
        let mut watcher = Self(WatchedPlace::Here(Box::new(Watched::new(inotify, patterns))));
        watcher.rearm().await;
        watcher
    }

    /// Watches other paths and patterns. Changes of the old ones that were not told yet may still be told.
    pub async fn set(&mut self, patterns: &[PathBuf]) {
        if self.here().await.patterns() != patterns {
            let patterns = patterns.to_vec();
            self.run(|watched| watched.set(patterns)).await;
        }
    }

    /// How often something could not be watched since the start, for a metric.
    pub async fn faults(&mut self) -> u64 {
        self.here().await.faults()
    }

    /// Whether something is not watched at the moment, so that only an interval notices its changes.
    pub async fn is_degraded(&mut self) -> bool {
        self.here().await.is_degraded()
    }

    /// Waits until something changed.
    pub async fn changed(&mut self) -> Changes {
        loop {
            if self.here().await.has_mail() {
                self.run(Watched::collect).await;
            }
            let watched = self.here().await;
            watched.fall_due(Instant::now());
            if watched.is_disturbed() {
                self.run(Watched::arm).await;
                continue;
            }
            if let Some(changes) = watched.take() {
                return changes;
            }
            watched.wait().await;
        }
    }

    /// Watches again what has come, gone, or could not be watched before. Call it whenever the interval is over.
    pub async fn rearm(&mut self) {
        self.run(Watched::arm).await;
    }

    #[cfg(test)]
    pub(super) async fn use_inotify(&mut self, inotify: &Inotify) {
        self.here().await.use_inotify(inotify);
    }

    /// The state, once it is back.
    async fn here(&mut self) -> &mut Watched {
        if let WatchedPlace::Away(call) = &mut self.0 {
            let watched = call.await;
            self.0 = WatchedPlace::Here(watched);
        }
        match &mut self.0 {
            WatchedPlace::Here(watched) => watched,
            WatchedPlace::Away(_) | WatchedPlace::Lost => panic!("a call that watched files has panicked before"),
        }
    }

    /// Does something that blocks, to its end even if the future is dropped.
    async fn run(&mut self, call: impl FnOnce(&mut Watched) + Send + 'static) {
        self.here().await;
        if let WatchedPlace::Here(mut watched) = std::mem::replace(&mut self.0, WatchedPlace::Lost) {
            self.0 = WatchedPlace::Away(Box::pin(blocking(move || {
                call(&mut watched);
                watched
            })));
        }
        self.here().await;
    }
}
