//! What is known about a provider while it runs: shown by the API, read by readiness.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use rosterd_model::Report;
use rosterd_tasks::Telling;
use serde::Serialize;
use tokio::time::Instant;
use tracing::info;

use crate::manager::{Unread, UnreadSources};
use crate::{Error, Watch};

/// Whether a provider has ever reported. Never confuse *not known yet* with *empty*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// It has not reported since this process started.
    #[default]
    Unsynced,
    /// It has reported, and what it reported is of the last read.
    Synced,
    /// It has reported, but could not read something since: some of what is known of it may have changed.
    Stale,
}

impl Presence {
    /// The presence as a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsynced => "unsynced",
            Self::Synced => "synced",
            Self::Stale => "stale",
        }
    }
}

/// A failure and when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, the last time.
    pub report: Report,
    /// When it went wrong last.
    pub at: SystemTime,
    /// Since when it goes wrong each time.
    pub since: SystemTime,
}

/// What a person should know of a provider although nothing fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What it is, as of the last read.
    pub report: Report,
    /// Since when it is so.
    pub since: SystemTime,
}

/// The state of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Whether it has ever reported, and whether that is of now.
    pub presence: Presence,
    /// When all of its sources were last read: while one fails, that is the time before, which is as old as what is known.
    pub last_success: Option<SystemTime>,
    /// The last failure of a read as a whole, gone once one succeeds.
    pub last_error: Option<Failure>,
    /// What a person should know, as long as it is so.
    pub warning: Option<Warning>,
    /// The sources that could not be read lately.
    pub unread: Arc<UnreadSources>,
    /// When each of these was last tried.
    pub tried: Arc<BTreeMap<Arc<str>, SystemTime>>,
    /// When it will try next, if it works by trying again.
    pub next_try: Option<SystemTime>,
    /// How many groups with targets it has reported to this process.
    pub groups: usize,
    /// How many targets these hold.
    pub targets: usize,
}

impl Status {
    /// The failure to show where there is room for one: that of the whole read, otherwise the most important of a source.
    pub fn worst(&self) -> Option<Failure> {
        let of_source = |(name, unread): (&Arc<str>, &Unread)| Failure {
            report: unread.report.clone(),
            at: self.last_try(name).unwrap_or(unread.since),
            since: unread.since,
        };
        let worst = || self.unread.iter().max_by_key(|(_, unread)| unread.report.priority).map(of_source);
        self.last_error.clone().or_else(worst)
    }

    /// When an unread source was last tried.
    pub fn last_try(&self, source: &str) -> Option<SystemTime> {
        self.tried.get(source).copied()
    }

    fn is_failing(&self) -> bool {
        self.last_error.is_some() || !self.unread.is_empty()
    }
}

/// A shared [`Status`], and the jobs that use the provider. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct StatusHandle {
    status: Arc<Mutex<Status>>,
    telling: Arc<Mutex<Telling>>,
    /// Whether what failed as a whole goes on failing whatever is said of the rest.
    keeps_failing: Arc<AtomicBool>,
    /// Whether it reads all of its sources again and again.
    polls: Arc<AtomicBool>,
    /// The codes of warnings that the log has told.
    warned: Arc<Mutex<BTreeSet<&'static str>>>,
    jobs: Arc<Mutex<Arc<str>>>,
    watches: Arc<Mutex<Vec<Weak<dyn Watch>>>>,
}

/// How many of the jobs that use a provider are named for people.
const NAMED: usize = 3;

/// The jobs that use a provider, as people read them beside its key: the first by name, and how many more there are.
pub fn named_jobs<'a>(jobs: impl ExactSizeIterator<Item = &'a Arc<str>>) -> String {
    let all = jobs.len();
    let mut names = jobs.take(NAMED).map(|job| &**job).collect::<Vec<_>>().join(", ");
    if let Some(more) = all.checked_sub(NAMED).filter(|more| *more > 0) {
        names.push_str(&format!(" and {more} more"));
    }
    names
}

impl StatusHandle {
    /// These jobs use the provider from now on.
    pub(crate) fn used_by(&self, jobs: &[Arc<str>]) {
        *self.jobs.lock().unwrap_or_else(PoisonError::into_inner) = named_jobs(jobs.iter()).into();
    }

    /// The jobs that use the provider, for people: the key tells a person nothing.
    pub(crate) fn jobs(&self) -> Arc<str> {
        Arc::clone(&self.jobs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The provider uses these watches from now on.
    pub(crate) fn watches(&self, watches: Vec<Weak<dyn Watch>>) {
        *self.watches.lock().unwrap_or_else(PoisonError::into_inner) = watches;
    }

    /// The watches that the provider uses.
    pub(crate) fn watched(&self) -> Vec<Weak<dyn Watch>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The state as it is now.
    pub(crate) fn get(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A read failed as a whole. Returns how many did in a row, if this one is to be told in the log.
    pub(crate) fn failed(&self, error: &Error, next_try: Option<SystemTime>) -> Option<u64> {
        let at = SystemTime::now();
        self.update(|status| {
            let since = status.last_error.as_ref().map_or(at, |before| before.since);
            status.last_error = Some(Failure { report: error.report(), at, since });
            status.next_try = next_try;
        });
        self.telling.lock().unwrap_or_else(PoisonError::into_inner).failed(error.code(), Instant::now())
    }

    /// A read did not fail as a whole.
    pub(crate) fn worked(&self, provider: &str) {
        self.update(|status| status.last_error = None);
        let failed = self.telling.lock().unwrap_or_else(PoisonError::into_inner).worked();
        if let Some(failures) = failed {
            info!(provider, jobs = &*self.jobs(), failures, "reading works again");
        }
    }

    /// Whether what failed as a whole goes on failing whatever is said of the rest.
    pub(crate) fn keeps_failing(&self) -> bool {
        self.keeps_failing.load(Ordering::Relaxed)
    }

    /// Whether it reads all of its sources again and again.
    pub(crate) fn is_polling(&self) -> bool {
        self.polls.load(Ordering::Relaxed)
    }

    /// It reads all of its sources again and again.
    pub(crate) fn polls(&self) {
        self.polls.store(true, Ordering::Relaxed);
    }

    /// Whether the last read failed as a whole.
    pub(crate) fn fails_as_a_whole(&self) -> bool {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).last_error.is_some()
    }

    pub(crate) fn keep_failing(&self, keeps: bool) {
        self.keeps_failing.store(keeps, Ordering::Relaxed);
    }

    /// This is what a person should know from now on. Returns whether it is to be told in the log: once of each kind.
    pub(crate) fn warn(&self, warning: Option<&Error>) -> bool {
        self.update(|status| {
            let before = status.warning.take();
            status.warning = warning.map(|error| {
                let report = error.report();
                let since = before.filter(|before| before.report.code == report.code).map(|before| before.since);
                Warning { since: since.unwrap_or_else(SystemTime::now), report }
            });
        });
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        warning.is_some_and(|error| warned.insert(error.code()))
    }

    /// Changes the state.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut status);
        if status.presence != Presence::Unsynced {
            status.presence = if status.is_failing() { Presence::Stale } else { Presence::Synced };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_jobs_the_first_are_named() {
        let handle = StatusHandle::default();
        for (jobs, names) in [
            (&["a"][..], "a"),
            (&["a", "b", "c"], "a, b, c"),
            (&["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
            (&[], ""),
        ] {
            handle.used_by(&jobs.iter().map(|job| Arc::from(*job)).collect::<Vec<_>>());
            assert_eq!(&*handle.jobs(), names);
        }
    }
}
