//! What is known about a provider while it runs: shown by the API, read by readiness.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rosterd_model::Report;
use serde::Serialize;

/// Whether a provider has ever reported. Never confuse *not known yet* with *empty*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// It has not reported since this process started.
    #[default]
    Unsynced,
    /// It has reported the whole picture at least once.
    Synced,
}

/// A failure and when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub report: Report,
    /// When.
    pub at: SystemTime,
}

/// The state of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Whether it has ever reported.
    pub presence: Presence,
    /// When it last read its source without an error.
    pub last_success: Option<SystemTime>,
    /// The last failure, gone once a read succeeds.
    pub last_error: Option<Failure>,
    /// When it will try next, if it works by trying again.
    pub next_try: Option<SystemTime>,
    /// How many groups with targets it has reported.
    pub groups: usize,
    /// How many targets these hold.
    pub targets: usize,
}

/// A shared [`Status`]. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct StatusHandle(Arc<Mutex<Status>>);

impl StatusHandle {
    /// The state as it is now.
    pub fn get(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The source was read without an error.
    pub fn succeeded(&self, next_try: Option<SystemTime>) {
        self.update(|status| {
            status.last_success = Some(SystemTime::now());
            status.last_error = None;
            status.next_try = next_try;
        });
    }

    /// Reading the source failed.
    pub fn failed(&self, report: Report, next_try: Option<SystemTime>) {
        self.update(|status| {
            status.last_error = Some(Failure { report, at: SystemTime::now() });
            status.next_try = next_try;
        });
    }

    /// Changes the state; for the manager.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
