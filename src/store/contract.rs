//! The storage contract: what is stored, under which preconditions it changes, and what every backend promises.
//! Nothing in here knows a backend; a backend maps each item to its own primitives and passes the shared suite.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// Where state outlives the process.
///
/// A backend promises: [`apply`](Self::apply) is atomic, to readers and over a crash; transactions take effect one
/// after the other, and what `apply` returned is seen by every later read. What writes pending operations or worker
/// states is durable when `apply` returns. Group blocks alone may be lost by a crash for about a second after they were
/// written (they can be discovered again), but what is left is always the result of a whole number of transactions, the
/// latest missing. An error leaves the store as it was before the call.
///
/// A caller promises nothing: any transaction may come at any time, from any task.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Checks all preconditions, then carries out all operations in their order, or nothing at all.
    ///
    /// Fails with [`StoreError::Precondition`], naming the first that does not hold.
    async fn apply(&self, transaction: Transaction) -> Result<Vec<Change>, StoreError>;

    /// The keys of all providers that have group blocks, sorted.
    async fn providers(&self) -> Result<Vec<String>, StoreError>;

    /// Up to `limit` blocks of a provider with ids from `from` on, sorted by id. Fewer than `limit` are all there are.
    async fn blocks(&self, provider: &str, from: u64, limit: usize) -> Result<Vec<Block>, StoreError>;

    /// One block of a provider.
    async fn block(&self, provider: &str, id: u64) -> Result<Option<Bytes>, StoreError>;

    /// All pending operations, sorted by id.
    async fn pending(&self) -> Result<Vec<PendingOperation>, StoreError>;

    /// The states of all workers, sorted by id.
    async fn workers(&self) -> Result<Vec<WorkerState>, StoreError>;

    /// Makes everything durable that was applied before.
    async fn flush(&self) -> Result<(), StoreError>;
}

/// Operations that take effect together, if all preconditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transaction {
    /// What has to be true.
    pub preconditions: Vec<Precondition>,
    /// What is done, in this order.
    pub operations: Vec<Operation>,
}

/// What has to be true for a transaction to take effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Precondition {
    /// The state of a worker says that it is at this revision, or there is no revision (or no state) with `None`.
    #[error("worker {worker} is at revision {}", revision.map_or_else(|| "none".to_owned(), |it| it.to_string()))]
    RevisionIs {
        /// The worker.
        worker: String,
        /// Its actual revision.
        revision: Option<Revision>,
    },
    /// The operation is still pending: nobody finished or superseded it.
    #[error("operation {0} is pending")]
    OperationPending(OperationId),
}

/// One step of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Writes blocks of a provider over what there is under their ids.
    PutBlocks {
        /// The key of the provider.
        provider: Arc<str>,
        /// The blocks.
        blocks: Vec<Block>,
    },
    /// Deletes blocks of a provider; those that do not exist are passed over.
    DeleteBlocks {
        /// The key of the provider.
        provider: Arc<str>,
        /// The ids of the blocks.
        ids: Vec<u64>,
    },
    /// Deletes all blocks of a provider.
    DeleteProvider(Arc<str>),
    /// Writes a pending operation.
    PutPending(PendingOperation),
    /// Deletes a pending operation, if it exists.
    DeletePending(OperationId),
    /// Writes the state of a worker.
    PutWorker(WorkerState),
    /// Deletes the state of a worker, if it exists.
    DeleteWorker(String),
}

impl Operation {
    /// Whether a crash must not lose it, even for a second.
    pub fn is_durable(&self) -> bool {
        match self {
            Self::PutBlocks { .. } | Self::DeleteBlocks { .. } | Self::DeleteProvider(_) => false,
            Self::PutPending(_) | Self::DeletePending(_) | Self::PutWorker(_) | Self::DeleteWorker(_) => true,
        }
    }
}

/// What an operation did. An operation that found everything as it wanted it yields none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Blocks of a provider were written or deleted.
    Blocks {
        /// The key of the provider.
        provider: Arc<str>,
        /// How many were written.
        put: usize,
        /// How many existed and were deleted.
        deleted: usize,
    },
    /// A pending operation was written or, if `now` is `None`, deleted.
    Pending {
        /// The operation.
        id: OperationId,
        /// What is stored now.
        now: Option<PendingOperation>,
    },
    /// The state of a worker was written or, if `now` is `None`, deleted.
    Worker {
        /// The worker.
        id: String,
        /// What was stored before.
        before: Option<WorkerState>,
        /// What is stored now.
        now: Option<WorkerState>,
    },
}

/// Some target groups of a provider, encoded and compressed by whoever writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Unique within the provider.
    pub id: u64,
    /// The content, opaque to the store.
    pub bytes: Bytes,
}

/// The number of a pending operation, unique among those that are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub u64);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a step does to its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Makes the worker and brings it to its revision.
    Start,
    /// Brings a worker that runs to another revision.
    Update,
    /// Ends the worker.
    Stop,
}

impl Action {
    /// The name, as in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Update => "update",
            Self::Stop => "stop",
        }
    }
}

/// A step of the reconciler that was decided and has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingOperation {
    /// Its number.
    pub id: OperationId,
    /// The worker it is for.
    pub worker: String,
    /// The kind of the worker.
    pub kind: String,
    /// What it does.
    pub action: Action,
    /// Where it leads; `None` when it stops the worker.
    pub revision: Option<Revision>,
}

/// How far a worker is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerState {
    /// Unique among all workers.
    pub id: String,
    /// The kind of the worker.
    pub kind: String,
    /// The revision it should reach; `None` when it should end.
    pub desired: Option<Revision>,
    /// The revision it last reached.
    pub actual: Option<Revision>,
}

/// Names a state: equal for equal content, in every process. Shown and stored as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u128);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({self})")
    }
}

impl FromStr for Revision {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for Revision {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Revision {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_state_crosses_json_whole() {
        let state = WorkerState {
            id: "file_sd:/x.json".to_owned(),
            kind: "file_sd".to_owned(),
            desired: Some(Revision(u128::MAX - 1)),
            actual: Some(Revision(7)),
        };
        let json = serde_json::to_string(&state).expect("states serialise");
        assert!(json.contains("\"00000000000000000000000000000007\""), "{json}");
        assert_eq!(serde_json::from_str::<WorkerState>(&json).expect("states come back"), state);
    }

    #[test]
    fn only_groups_may_be_lost_for_a_second() {
        assert!(!Operation::DeleteProvider("p".into()).is_durable());
        assert!(Operation::DeletePending(OperationId(1)).is_durable());
        assert!(Operation::DeleteWorker("w".to_owned()).is_durable());
    }
}
