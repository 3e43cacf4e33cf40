//! What the reconciler and a worker owe each other.

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{Outcome, WorkerId};
use crate::store::ledger::Revision;

/// What a worker of some kind is told to do. The kinds that an agent has are an enum that implements it.
pub trait Spec: Clone + Send + Sync + 'static {
    /// The name of the kind, as in the store and in metrics: `file_sd`.
    fn kind(&self) -> &'static str;
}

/// What a run is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work<S> {
    /// Bring things to this state.
    Reach {
        /// The state.
        spec: S,
        /// Its revision.
        revision: Revision,
    },
    /// End what the worker does. It is dropped afterwards.
    End,
}

/// Does the work for one target or publication.
///
/// A worker promises: a run may be repeated, also after it was cut off by a crash, without harm; it ends soon after
/// `stop` fires.
///
/// The reconciler promises: one run at a time, on a task of its own; a run for a newer state comes at once, whatever the
/// last one asked to wait; what a run left behind in `self` is there in the next. A worker that panics is made anew.
#[async_trait]
pub trait Worker<S>: Send {
    /// Does the work once.
    async fn run(&mut self, work: &Work<S>, stop: &CancellationToken) -> Outcome;
}

/// Makes the worker for a specification.
pub trait MakeWorker<S>: Send + Sync + 'static {
    /// The worker. Nothing has happened yet when it is made.
    fn make(&self, id: &WorkerId, spec: &S) -> Box<dyn Worker<S>>;
}

impl<S, F: Fn(&WorkerId, &S) -> Box<dyn Worker<S>> + Send + Sync + 'static> MakeWorker<S> for F {
    fn make(&self, id: &WorkerId, spec: &S) -> Box<dyn Worker<S>> {
        self(id, spec)
    }
}
