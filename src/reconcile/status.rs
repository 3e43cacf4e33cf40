//! What is known of each worker, for the API.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
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
#[serde(rename_all = "camelCase")]
pub struct OperationStatus {
    /// Its number.
    pub id: OperationId,
    /// What it does.
    pub action: Action,
    /// Where it is.
    pub state: OperationState,
    /// The number of its step, from 0 on.
    pub step: u32,
    /// The name of its step, where there are several.
    pub step_name: Option<&'static str>,
    /// How many tries of this step failed.
    pub attempt: u32,
}

/// Where an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// It waits for its turn, to be recorded, or for its next try.
    Enqueued,
    /// A step of it is at work.
    InFlight,
    /// It was given up.
    Failed,
    /// It has reached what it was for.
    Done,
}

impl OperationState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Enqueued, Self::InFlight, Self::Failed, Self::Done];

    /// The word for it, as in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enqueued => "enqueued",
            Self::InFlight => "in_flight",
            Self::Failed => "failed",
            Self::Done => "done",
        }
    }
}

/// An operation that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedOperation {
    /// Its worker.
    pub worker: WorkerId,
    /// The kind of that.
    pub kind: String,
    /// How far it came.
    pub status: OperationStatus,
    /// When it ended.
    pub ended: SystemTime,
    /// Why it was given up, if it was.
    pub error: Option<Report>,
    /// What follows from that.
    pub means: Means,
}

/// What follows from the end of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Means {
    /// The one before led to the same, and was given up for the same reason.
    pub again: bool,
    /// Its worker is where it should be. One that only began to look after what it is for does not know yet.
    pub reached: bool,
}

/// How many operations that have ended are remembered. Those that failed are in the ledger too, one for each worker.
const REMEMBERED: usize = 256;

/// The states of all workers. Cloning shares them.
#[derive(Debug)]
pub struct Statuses<S>(Arc<Shared<S>>);

#[derive(Debug)]
struct Shared<S> {
    known: Mutex<Known<S>>,
    listener: Listener,
}

/// Who is told of operations that end.
#[derive(Default)]
struct Listener(OnceLock<Box<Listens>>);

type Listens = dyn Fn(&EndedOperation) + Send + Sync;

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

#[derive(Debug)]
struct Known<S> {
    workers: BTreeMap<WorkerId, WorkerStatus<S>>,
    /// The last ones, in the order in which they ended.
    ended: VecDeque<EndedOperation>,
}

impl<S> Default for Known<S> {
    fn default() -> Self {
        Self { workers: BTreeMap::new(), ended: VecDeque::new() }
    }
}

impl<S> Default for Statuses<S> {
    fn default() -> Self {
        Self(Arc::new(Shared { known: Mutex::default(), listener: Listener::default() }))
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
        self.known().workers.values().cloned().collect()
    }

    /// The state of one worker.
    pub fn get(&self, id: &str) -> Option<WorkerStatus<S>> {
        self.known().workers.get(id).cloned()
    }

    /// The last operations that have ended, in the order in which they did.
    pub fn ended(&self) -> Vec<EndedOperation> {
        self.known().ended.iter().cloned().collect()
    }

    /// Tells of each operation that ends from now on, but of one that only failed again. The first who listens does so for good. It is called by the
    /// reconciler, and must not block.
    pub fn on_end(&self, listener: impl Fn(&EndedOperation) + Send + Sync + 'static) {
        self.0.listener.0.set(Box::new(listener)).ok();
    }

    /// Tells of operations that have just ended, and remembers them.
    pub(super) fn ends(&self, ended: Vec<EndedOperation>) {
        if let Some(listener) = self.0.listener.0.get() {
            ended.iter().filter(|ended| !ended.means.again).for_each(listener);
        }
        self.remember(ended);
    }

    /// Remembers operations that have ended, each once; one that failed again in place of the one before.
    pub(super) fn remember(&self, ended: impl IntoIterator<Item = EndedOperation>) {
        let mut known = self.known();
        for one in ended {
            if one.means.again {
                let before =
                    known.ended.iter().rposition(|before| before.worker == one.worker && before.error.is_some());
                before.map(|before| known.ended.remove(before));
            }
            let is_known = |other: &EndedOperation| (&other.worker, other.status.id) == (&one.worker, one.status.id);
            if !known.ended.iter().any(is_known) {
                known.ended.push_back(one);
            }
        }
        let forgotten = known.ended.len().saturating_sub(REMEMBERED);
        known.ended.drain(..forgotten);
    }

    /// Replaces the state of a worker, or removes it.
    pub(super) fn set(&self, id: &WorkerId, status: Option<WorkerStatus<S>>) {
        let mut known = self.known();
        match status {
            Some(status) => drop(known.workers.insert(id.clone(), status)),
            None => drop(known.workers.remove(id)),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known<S>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
