//! The discoverer: looks at files when they change, when one has to be tried again, and at the interval.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use rosterd_model::Retry;
use tokio::time::{Instant, sleep_until};

use super::state::{Found, Look, State};
use super::{Config, FileMetrics};
use rosterd_discovery::{Context, Discoverer, Error, Stopped, Updates};
use rosterd_tasks::watch::{Changes, Inotify, Watcher};
use rosterd_tasks::{Guard, blocking};

/// Watches files that hold target groups.
#[derive(Debug)]
pub(super) struct Files {
    patterns: Vec<PathBuf>,
    interval: Duration,
    metrics: FileMetrics,
    inotify: Inotify,
    guard: Guard,
}

impl Files {
    pub(super) fn new(config: &Config, metrics: &FileMetrics, inotify: &Inotify, guard: &Guard) -> Self {
        let (patterns, interval) = (config.files.clone(), config.refresh_interval.as_std());
        Self { patterns, interval, metrics: metrics.clone(), inotify: inotify.clone(), guard: guard.clone() }
    }
}

#[async_trait]
impl Discoverer for Files {
    async fn run(self: Box<Self>, cx: Context, up: Updates) -> Result<(), Error> {
        let mut schedule = cx.schedule(self.interval);
        // Watched before they are read, so that no change falls in between.
        let mut watcher = Watcher::new(&self.inotify, &self.patterns).await;
        let fresh = || State::new(self.patterns.clone(), self.metrics.clone(), self.guard.clone());
        let mut state = fresh();
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
            self.metrics.read_errors.inc_by(found.unread.len() as u64);
            let retry = if is_first && found.is_hidden() {
                let wait = schedule.failed(Retry::Backoff);
                found.unread.iter().for_each(|unread| cx.failed(&unread.error, Some(wait)));
                // Nothing was said of what this look found: the first picture has it all, so the next look passes over nothing.
                state = fresh();
                Instant::now() + wait
            } else {
                say(found, &state, std::mem::take(&mut is_first), &up).await?;
                state.next_retry().unwrap_or(next).min(next)
            };
            cx.next_try(retry.saturating_duration_since(Instant::now()));
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
            if is_first {
                look = Look::Everything;
            }
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
    cx.took(started.elapsed());
    looked
}

/// Says what a look found: the first time that is everything but what could not be read, then what changed.
async fn say(found: Found, state: &State, is_first: bool, up: &Updates) -> Result<(), Stopped> {
    let Found { groups, unread, all, .. } = found;
    if is_first {
        return up.everything_but(groups, unread).await;
    }
    let (any_changed, any_unread) = (!groups.is_empty(), !unread.is_empty());
    if any_changed {
        up.changed(groups).await?;
    }
    if any_unread {
        up.unread(unread).await?;
    }
    // A file that still fails is not read again as long as it does not change.
    if all && !any_changed && !any_unread && state.is_well() {
        up.unchanged().await?;
    }
    Ok(())
}
