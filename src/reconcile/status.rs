//! What is known of each worker, for the API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rosterd_model::Report;
use serde::Serialize;

use super::WorkerId;
use crate::store::ledger::{Action, OperationId, Revision};

/// What a worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It has an operation that waits for its turn, or is at work.
    Pending,
    /// It has reached what is desired, and keeps it.
    Done,
    /// It failed and tries again at `next_try`.
    Retrying,
    /// It cannot work until something else is desired, or somebody else removes the cause.
    Cancelled,
    /// It waits, with nothing wrong.
    Snoozing,
}

impl Phase {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Retrying => "retrying",
            Self::Cancelled => "cancelled",
            Self::Snoozing => "snoozing",
        }
    }
}

/// The state of a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerStatus<S> {
    /// The worker.
    pub id: WorkerId,
    /// Its kind.
    pub kind: String,
    /// What it was last told; `None` when the ledger has it in a way that this rosterd does not know.
    pub spec: Option<S>,
    /// What it is doing.
    pub state: Phase,
    /// Its operation, unless it has ended.
    pub operation: Option<OperationStatus>,
    /// The failure of its last run, gone once a run succeeds.
    pub last_error: Option<Report>,
    /// When it runs again, if it waits for a time.
    pub next_try: Option<SystemTime>,
    /// The revision it should reach; `None` when it is being stopped.
    pub desired: Option<Revision>,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OperationStatus {
    /// Its number.
    pub id: OperationId,
    /// What it does.
    pub action: Action,
    /// The number of its step, from 0 on.
    pub step: u32,
    /// How many tries of this step failed.
    pub attempt: u32,
}

/// The states of all workers. Cloning shares them.
#[derive(Debug)]
pub struct Statuses<S>(Arc<Mutex<BTreeMap<WorkerId, WorkerStatus<S>>>>);

impl<S> Default for Statuses<S> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<S> Clone for Statuses<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Clone> Statuses<S> {
    /// The states as they are now, by id.
    pub fn all(&self) -> Vec<WorkerStatus<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The state of one worker.
    pub fn get(&self, id: &str) -> Option<WorkerStatus<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Replaces the state of a worker, or removes it.
    pub(super) fn set(&self, id: &WorkerId, status: Option<WorkerStatus<S>>) {
        let mut statuses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match status {
            Some(status) => drop(statuses.insert(id.clone(), status)),
            None => drop(statuses.remove(id)),
        }
    }
}
