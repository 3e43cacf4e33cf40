//! The discoverer: looks at files when they change, when one has to be tried again, and at the interval.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use rosterd_model::Retry;
use tokio::time::{Instant, sleep_until};

use super::state::{FilesRead, Look, State};
use super::{Config, FileError, FileMetrics};
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
        let mut state = State::new(self.patterns, self.metrics.clone(), self.guard);
        let mut look = Look::Everything;
        let mut next = Instant::now() + schedule.succeeded();
        let mut faults = 0;
        // What is not there at the start may not be there yet: a folder may be mounted later. It has an interval for that.
        let mut picture = Picture::Begins;
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
            let paths = state.absent();
            let absent = (!paths.is_empty()).then(|| FileError::Absent { paths }.into());
            cx.warning(absent.as_ref());
            picture = say(found, &state, picture, &up).await?;
            // A directory that cannot be listed is no file that could be due.
            let listing = (!state.is_listed()).then(|| Instant::now() + schedule.failed(Retry::Backoff));
            let retry = state.next_retry().into_iter().chain(listing).fold(next, Instant::min);
            cx.next_try(retry.saturating_duration_since(Instant::now()));
            look = tokio::select! {
                biased;
                () = cx.stop.cancelled() => return Ok(()),
                changes = watcher.changed() => changes.into(),
                () = sleep_until(retry) => match Instant::now() >= next {
                    true => {
                        next = Instant::now() + schedule.succeeded();
                        watcher.rearm().await;
                        if picture == Picture::Open {
                            state.read_again();
                            picture = Picture::Closes;
                        }
                        Look::Everything
                    }
                    false if listing.is_some_and(|at| at <= Instant::now()) => Look::Everything,
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
async fn look_at_files(mut state: State, look: Look, cx: &Context) -> (State, FilesRead) {
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

/// How far the files are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Picture {
    /// Not at all.
    Begins,
    /// Those that are there are, others may still come.
    Open,
    /// The time for others is over: all there are have to be told.
    Closes,
    /// What is not there is gone.
    Whole,
}

/// Says what a look found: the first time what is there, then what changed, and once, after a look that read everything, all
/// of it. Returns how far the files are told now.
async fn say(found: FilesRead, state: &State, picture: Picture, up: &Updates) -> Result<Picture, Stopped> {
    let FilesRead { groups, unread, all } = found;
    match picture {
        Picture::Closes if state.is_certain() => {
            up.everything_but(groups, unread).await?;
            return Ok(Picture::Whole);
        }
        Picture::Begins | Picture::Closes => {
            up.found(groups, unread).await?;
            return Ok(Picture::Open);
        }
        Picture::Open | Picture::Whole => {}
    }
    let (any_changed, any_unread) = (!groups.is_empty(), !unread.is_empty());
    // First: a directory that can be listed again may have another in it that cannot.
    if any_unread {
        up.unread(unread).await?;
    }
    if any_changed {
        up.changed(groups).await?;
    }
    // A file that still fails is not read again as long as it does not change.
    if all && !any_changed && !any_unread && state.is_well() {
        up.unchanged().await?;
    }
    Ok(picture)
}
