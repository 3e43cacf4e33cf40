//! When to read the configuration again: on a signal, on a request, or when one of its files changed.

use std::path::PathBuf;
use std::time::Duration;

use rosterd_tasks::watch::{Inotify, Watcher};
use tokio::sync::mpsc;

use crate::api::ReloadRequest;

/// Files are not read more often than that, whatever was asked for; so does Prometheus.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Where wishes to reload come from.
#[derive(Debug)]
pub struct Reloads {
    requests: mpsc::Receiver<ReloadRequest>,
    files: Option<Files>,
}

/// Why the configuration is read again.
#[derive(Debug)]
pub(super) enum Wish {
    /// Somebody asked and waits for the answer.
    Asked(ReloadRequest),
    /// A file changed.
    Changed,
    /// Nothing happened for the interval: time to look whether a file changed unnoticed.
    Due,
}

#[derive(Debug)]
struct Files {
    watcher: Option<Watcher>,
    interval: Duration,
}

impl Reloads {
    /// Takes requests, and watches files if `auto` says how often to look at them besides their events: once a second at most.
    pub(super) fn new(requests: mpsc::Receiver<ReloadRequest>, auto: Option<Duration>) -> Self {
        let files = |interval: Duration| Files { watcher: None, interval: interval.max(SHORTEST_INTERVAL) };
        Self { requests, files: auto.map(files) }
    }

    /// Watches these files and patterns from now on.
    pub(super) async fn watch(&mut self, paths: &[PathBuf]) {
        let Some(files) = &mut self.files else { return };
        match &mut files.watcher {
            Some(watcher) => watcher.set(paths).await,
            None => files.watcher = Some(Watcher::new(&Inotify::default(), paths).await),
        }
    }

    /// Waits for the next wish. Safe to drop at any time.
    pub(super) async fn next(&mut self) -> Wish {
        let Some(files) = &mut self.files else { return asked(&mut self.requests).await };
        let changed = async {
            match &mut files.watcher {
                Some(watcher) => drop(watcher.changed().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            wish = asked(&mut self.requests) => wish,
            () = changed => Wish::Changed,
            () = tokio::time::sleep(files.interval) => {
                if let Some(watcher) = &mut files.watcher {
                    watcher.rearm().await;
                }
                Wish::Due
            }
        }
    }
}

async fn asked(requests: &mut mpsc::Receiver<ReloadRequest>) -> Wish {
    match requests.recv().await {
        Some(request) => Wish::Asked(request),
        // Nobody is left who could ask.
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use rosterd_testkit::leak_checked;
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn files_are_looked_at_once_a_second_at_most() {
        leak_checked(|| async {
            for (asked, comes) in [(0, 1000), (200, 1000), (3000, 3000)] {
                let (_requests, receiver) = mpsc::channel(1);
                let mut reloads = Reloads::new(receiver, Some(Duration::from_millis(asked)));
                let begun = Instant::now();
                for looks in 1..4 {
                    assert!(matches!(reloads.next().await, Wish::Due));
                    assert_eq!(begun.elapsed().as_millis(), comes * looks, "{asked} ms");
                }
            }
        });
    }
}
