//! A run of a worker, before it begins and after it ended.

use tokio_util::sync::CancellationToken;

use super::{Outcome, Work, Worker, WorkerId};
use crate::store::ledger::{Action, OperationId};

/// A run that can begin.
pub(super) struct Run<S> {
    pub(super) id: WorkerId,
    pub(super) job: Job<S>,
    /// `None` when it has to be made first.
    pub(super) worker: Option<Box<dyn Worker<S>>>,
    pub(super) stop: CancellationToken,
}

/// What a run is for.
pub(super) enum Job<S> {
    /// A step of an operation.
    Operation(OperationId, Work<S>),
    /// Keeping what was reached.
    Keep(S),
}

impl<S> Job<S> {
    /// The number and the action of its operation.
    pub(super) fn operation(&self) -> Option<(OperationId, Action)> {
        match self {
            Self::Operation(id, work) => Some((*id, work.action)),
            Self::Keep(_) => None,
        }
    }
}

/// A run that ended.
pub(super) struct Ended<S> {
    pub(super) id: WorkerId,
    /// The number and the action of its operation; `None` when it kept what was reached.
    pub(super) operation: Option<(OperationId, Action)>,
    pub(super) outcome: Outcome,
    /// `None` when it panicked.
    pub(super) worker: Option<Box<dyn Worker<S>>>,
}
