//! How a watch is, for its users, and for people.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use rosterd_discovery::{Failure, Watch, WatchState, WatchStatus};
use rosterd_model::Report;
use tokio::time::Instant;

use super::Watched;
use super::machine::Cause;
use crate::error::SharedError;

/// How a watch is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health {
    /// Whether all objects are known, as of some time.
    pub(crate) listed: bool,
    /// Why it is not up to date, if it is not.
    pub(crate) failure: Option<SharedError>,
    /// When it is tried again.
    pub(crate) next_try: Option<Instant>,
    /// How often all that was known was forgotten.
    pub(crate) forgotten: u64,
    /// How often it failed.
    pub(crate) failures: u64,
}

impl Health {
    /// Whether nothing is known, and that is not about to change.
    pub(crate) fn is_lost(&self) -> bool {
        !self.listed && self.failure.is_some()
    }

    /// Whether all is known, as of now.
    pub(crate) fn is_well(&self) -> bool {
        self.listed && self.failure.is_none()
    }

    fn state(&self) -> WatchState {
        match (self.listed, self.failure.is_some()) {
            (true, false) => WatchState::Watching,
            (true, true) => WatchState::Silent,
            (false, false) => WatchState::Listing,
            (false, true) => WatchState::Unread,
        }
    }
}

/// What happened to a watch, as people are told.
#[derive(Debug, Default)]
pub(super) struct Past {
    lists: BTreeMap<Cause, u64>,
    last_error: Option<Failure>,
}

impl Past {
    pub(super) fn list_begins(&mut self, cause: Cause) {
        *self.lists.entry(cause).or_default() += 1;
    }

    /// It failed, and `goes_on` says that it did so already the time before.
    pub(super) fn failed(&mut self, error: &SharedError, goes_on: bool) {
        let at = SystemTime::now();
        let since = self.last_error.as_ref().filter(|_| goes_on).map_or(at, |before| before.since);
        self.last_error = Some(Failure { report: Report::of(error), at, since });
    }
}

impl Watch for Watched {
    fn status(&self) -> WatchStatus {
        let key = self.key();
        let state = self.state();
        let wait = |at: Instant| SystemTime::now().checked_add(at.saturating_duration_since(Instant::now()));
        let health = &state.health;
        // What came of a list that was broken off is not known.
        let objects = if health.state() == WatchState::Unread { 0 } else { self.objects() };
        let selectors = [&key.label, &key.field].into_iter().filter(|selector| !selector.is_empty());
        WatchStatus {
            resource: key.resource.plural().into(),
            scope: key.namespace.clone(),
            selectors: selectors.cloned().collect(),
            state: health.state(),
            objects,
            last_heard: self.last_heard(),
            lists: state.past.lists.iter().map(|(cause, count)| (cause.name(), *count)).collect(),
            last_error: state.past.last_error.clone(),
            next_try: health.next_try.and_then(wait),
        }
    }
}

impl Watched {
    /// Something came from the API server.
    pub(super) fn hear(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.heard.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// When something came last.
    pub(crate) fn last_heard(&self) -> Option<SystemTime> {
        let heard = Some(self.heard.load(Ordering::Relaxed)).filter(|heard| *heard > 0)?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(heard))
    }
}
