//! The contract of the ledger: under which preconditions it changes, and what every backend promises. Nothing in here
//! knows a backend; a backend maps each item to its own primitives and passes the shared suite.

use std::fmt;

use async_trait::async_trait;

use super::{Member, Operation, OperationId, Revision, Watch, WorkerState};
use crate::store::StoreError;

/// Keeps what was decided.
///
/// A backend promises: [`apply`](Self::apply) is atomic, to readers and over a crash; transactions take effect one after
/// the other; what `apply` returned for is durable and seen by every later read. When it fails on the system, all of the
/// transaction has happened or nothing, and whoever watches is told that something may have been missed.
///
/// A caller promises nothing: any transaction may come at any time, from any task, and from any member.
#[async_trait]
pub trait Ledger: Send + Sync + fmt::Debug + 'static {
    /// Checks all preconditions, then writes all of it in its order, or nothing at all. Returns the version
    /// that it made; `None` when it found everything as it wanted it.
    ///
    /// Fails with [`StoreError::Precondition`], naming the first that does not hold.
    async fn apply(&self, transaction: Transaction) -> Result<Option<Version>, StoreError>;

    /// All records of a member, as they are at one moment.
    async fn read(&self, member: &Member) -> Result<Picture, StoreError>;

    /// Tells of all changes of a member's records from now on. Who reads after this call misses none.
    async fn watch(&self, member: &Member) -> Result<Watch, StoreError>;
}

/// Counts the transactions that changed something, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(pub u64);

/// All records of a member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Picture {
    /// What they contain: all changes up to this one.
    pub version: Version,
    /// The pending operations, sorted by id.
    pub operations: Vec<Operation>,
    /// The states of the workers, sorted by id.
    pub workers: Vec<WorkerState>,
}

/// Writes that take effect together, if all preconditions hold. Everything in it is about one member's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The member.
    pub member: Member,
    /// What has to be true.
    pub preconditions: Vec<Precondition>,
    /// What is written, in this order.
    pub writes: Vec<Write>,
}

/// What has to be true for a transaction to take effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Precondition {
    /// The state of a worker says that it is at this revision, or there is no revision (or no state) with `None`.
    #[error("worker {worker} is at revision {}", revision.map_or_else(|| "none".to_owned(), |it| it.to_string()))]
    RevisionIs {
        /// The worker.
        worker: String,
        /// Its revision.
        revision: Option<Revision>,
    },
    /// The operation is still pending: nobody finished or superseded it.
    #[error("operation {0} is pending")]
    OperationPending(OperationId),
}

/// One write of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Writes a pending operation.
    PutOperation(Operation),
    /// Deletes an operation, if it is pending.
    DeleteOperation(OperationId),
    /// Writes the state of a worker.
    PutWorker(WorkerState),
    /// Deletes the state of a worker, if there is one.
    DeleteWorker(String),
}
