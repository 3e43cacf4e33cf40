//! When to read the configuration again: on a signal, on a request, or when one of its files changed.

use std::path::PathBuf;
use std::time::Duration;

use rosterd_tasks::watch::{Inotify, Watcher};
use tokio::sync::mpsc;

use crate::api::ReloadRequest;

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
    /// Takes requests, and watches files if `auto` says how often to look at them besides their events.
    pub(super) fn new(requests: mpsc::Receiver<ReloadRequest>, auto: Option<Duration>) -> Self {
        Self { requests, files: auto.map(|interval| Files { watcher: None, interval }) }
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
