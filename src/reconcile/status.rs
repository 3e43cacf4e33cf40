//! What is known of each worker, for the API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rosterd_model::Report;
use serde::Serialize;

use super::WorkerId;
use crate::store::ledger::Revision;

/// What a worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It has work and waits for its turn, or is at work.
    Pending,
    /// It has reached what is desired.
    Done,
    /// It failed and tries again at `next_try`.
    Retrying,
    /// It will not try again until something else is desired.
    Cancelled,
    /// It comes back at `next_try`, with nothing wrong.
    Snoozing,
}

/// The state of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkerStatus {
    /// The worker.
    pub id: WorkerId,
    /// Its kind.
    pub kind: String,
    /// What it is doing.
    pub state: Phase,
    /// The failure of its last run, gone once a run succeeds.
    pub last_error: Option<Report>,
    /// When it runs again, if it waits.
    pub next_try: Option<SystemTime>,
    /// The revision it last reached.
    pub revision: Option<Revision>,
    /// The revision it should reach; `None` when it is being stopped.
    pub desired: Option<Revision>,
}

/// The states of all workers. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Statuses(Arc<Mutex<BTreeMap<WorkerId, WorkerStatus>>>);

impl Statuses {
    /// The states as they are now, by id.
    pub fn all(&self) -> Vec<WorkerStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The state of one worker.
    pub fn get(&self, id: &str) -> Option<WorkerStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Replaces the state of a worker, or removes it.
    pub(super) fn set(&self, id: &WorkerId, status: Option<WorkerStatus>) {
        let mut statuses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match status {
            Some(status) => drop(statuses.insert(id.clone(), status)),
            None => drop(statuses.remove(id)),
        }
    }
}
