//! The discoverer: looks at files when they change, when one has to be tried again, and at the interval.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use rosterd_model::Coded;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::FileMetrics;
use super::state::{Found, Look, State};
use rosterd_discovery::{Context, Discoverer, Error, Updates};
use rosterd_tasks::blocking;
use rosterd_tasks::watch::{Changes, Inotify, Watcher};

/// Watches files that hold target groups.
#[derive(Debug)]
pub(super) struct Files {
    patterns: Vec<PathBuf>,
    interval: Duration,
    metrics: FileMetrics,
    inotify: Inotify,
}

impl Files {
    pub(super) fn new(patterns: Vec<PathBuf>, interval: Duration, metrics: FileMetrics, inotify: &Inotify) -> Self {
        Self { patterns, interval, metrics, inotify: inotify.clone() }
    }
}

#[async_trait]
impl Discoverer for Files {
    async fn run(self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
        let mut schedule = cx.schedule(self.interval);
        // Watched before they are read, so that no change falls in between.
        let mut watcher = Watcher::new(&self.inotify, &self.patterns).await;
        let mut state = State::new(self.patterns, self.metrics.clone());
        let mut look = Look::Everything;
        let mut next = Instant::now() + schedule.succeeded();
        let mut faults = 0;
        let mut is_first = true;
        loop {
            let found;
            (state, found) = look_at_files(state, look, &cx).await;
            if cx.stop.is_cancelled() {
                return Ok(());
            }
            let now = watcher.faults().await;
            self.metrics.watcher_errors.inc_by(now - faults);
            faults = now;
            report(&found, &state, next, &cx, &self.metrics);
            // Nothing but failures is not an empty picture: it is none yet.
            if !found.groups.is_empty() || (is_first && state.is_known()) {
                up.send(found.groups).await?;
                is_first = false;
            }
            let retry = state.next_retry().unwrap_or(next).min(next);
            look = tokio::select! {
                biased;
                () = cx.stop.cancelled() => return Ok(()),
                changes = watcher.changed() => changes.into(),
                () = sleep_until(retry) => match Instant::now() >= next {
                    true => {
                        next = Instant::now() + schedule.succeeded();
                        watcher.rearm().await;
                        Look::Everything
                    }
                    false => Look::These(state.due(Instant::now())),
                },
            };
        }
    }
}

impl From<Changes> for Look {
    fn from(changes: Changes) -> Self {
        match changes.everything {
            true => Self::Everything,
            false => Self::These(changes.paths),
        }
    }
}

/// Looks at files on a thread for blocking calls, and waits for its end even when stopped: it ends after the file that
/// is being read.
async fn look_at_files(mut state: State, look: Look, cx: &Context) -> (State, Found) {
    let started = Instant::now();
    let stop = cx.stop.clone();
    let looked = blocking(move || {
        let found = state.look(look, &stop);
        (state, found)
    });
    let looked = looked.await;
    cx.metrics.refresh_duration.observe(started.elapsed().as_secs_f64());
    looked
}

/// Logs, counts, and sets the status.
fn report(found: &Found, state: &State, next: Instant, cx: &Context, metrics: &FileMetrics) {
    for error in &found.errors {
        let report = rosterd_model::Report::of(error);
        let provider = &*cx.provider;
        warn!(error = %report, code = error.code(), provider, "cannot use file, keeping what it held before");
    }
    metrics.read_errors.inc_by(found.failures);
    cx.metrics.refresh_failures.inc_by(found.failures);
    let now = SystemTime::now();
    let next = state.next_retry().unwrap_or(next).min(next);
    let next_try = now.checked_add(next.saturating_duration_since(Instant::now()));
    match state.worst() {
        Some(worst) => cx.status.failed(worst.clone(), next_try),
        None => {
            cx.metrics.last_success.set(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64());
            cx.status.succeeded(next_try);
        }
    }
}
