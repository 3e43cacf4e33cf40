//! What the reconciler and a worker owe each other.

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Outcome, WorkerId};
use crate::store::ledger::{Action, Revision};

/// What a worker of some kind is told to do. The kinds that an agent has are an enum that implements it.
///
/// It is kept in the ledger. What cannot be kept, as a view of the roster, is named in it and found again by the worker.
pub trait Spec: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name of the kind, as in the ledger and in metrics: `file_sd`.
    fn kind(&self) -> &'static str;

    /// Whether an operation has to be in the ledger before it begins, since a crash would leave behind what nobody else
    /// knows of. Without, it goes on while the ledger fails.
    fn needs_record(&self) -> bool;

    /// The names of the steps of an operation that starts or updates it, in the order of their numbers. None where there
    /// is but one.
    fn steps(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether its worker goes on with [`keep`](Worker::keep) where an operation that leads to another revision was given up: that
    /// says when the next one begins. Without, nothing is tried until something else is desired.
    fn begins_again(&self) -> bool {
        false
    }
}

/// The step of an operation that a run is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work<S> {
    /// What the whole operation does.
    pub action: Action,
    /// The specification to reach; of a worker that is stopped, the last one.
    pub spec: S,
    /// Where the operation leads; `None` to the end.
    pub revision: Option<Revision>,
    /// The number of the step, from 0 on.
    pub step: u32,
    /// How many tries of this step failed before.
    pub attempt: u32,
    /// Whether it may have been begun before, by this process or by an earlier one, and how far it came is not known.
    pub repeated: bool,
    /// What the step before left behind; `Null` before the first.
    pub left: Value,
}

impl<S> Work<S> {
    /// The same, for a specification that is part of this one.
    pub fn with<T>(&self, spec: T) -> Work<T> {
        let Self { action, revision, step, attempt, repeated, ref left, .. } = *self;
        Work { action, spec, revision, step, attempt, repeated, left: left.clone() }
    }
}

/// Does the work for one publication.
///
/// A worker promises: a run may be repeated, also after it was cut off by a crash, without harm, if it is given the same
/// step and told so (the [`steps`](super::steps) of a table say by their types how); it ends soon after `stop` fires.
///
/// The reconciler promises: one run at a time, on a task of its own; a run for a newer state comes as soon as the one at
/// work has ended, whatever that one asked to wait; an operation that is past its first step is carried to its end, over
/// restarts and changes of the configuration, before anything else is decided for its worker. What a run left behind in
/// `self` is there in the next. A worker that panics is made anew.
#[async_trait]
pub trait Worker<S: Spec>: Send {
    /// Does one step of an operation.
    async fn run(&mut self, work: &Work<S>, stop: &CancellationToken) -> Outcome;

    /// Keeps what the last operation reached: waits until something has to be done for it, does that, and returns. Then
    /// it is called again, and again until another operation comes, which `stop` tells. None of that is in the ledger.
    ///
    /// Here, too, an outcome says when to come back: at once, after a backoff, or later. One that can never work is
    /// looked at again all the same, as somebody else may be the cause. [`Outcome::Done`] says that it is where it should be: an
    /// operation that was given up before is remembered, over restarts, until that or until another one succeeds. One that
    /// ends with [`Outcome::Begun`] says nothing of that.
    async fn keep(&mut self, spec: &S, stop: &CancellationToken) -> Outcome;
}

/// Makes the worker for a specification.
pub trait MakeWorker<S: Spec>: Send + Sync + 'static {
    /// The worker. Nothing has happened yet when it is made.
    fn make(&self, id: &WorkerId, spec: &S) -> Box<dyn Worker<S>>;
}

impl<S: Spec, F: Fn(&WorkerId, &S) -> Box<dyn Worker<S>> + Send + Sync + 'static> MakeWorker<S> for F {
    fn make(&self, id: &WorkerId, spec: &S) -> Box<dyn Worker<S>> {
        self(id, spec)
    }
}
