//! The ledger that ends with the process: for tests, and for whoever wants no files.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::watch::Feed;
use super::{
    Ledger, Member, Operation, OperationId, Picture, Precondition, Transaction, Version, Watch, WorkerState, Write,
};
use crate::store::StoreError;

/// Keeps everything in memory. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct MemoryLedger(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    kept: Mutex<Kept>,
    feed: Feed,
}

#[derive(Debug, Default)]
struct Kept {
    version: Version,
    members: BTreeMap<Member, Records>,
}

#[derive(Debug, Default)]
struct Records {
    operations: BTreeMap<OperationId, Operation>,
    workers: BTreeMap<String, WorkerState>,
}

impl MemoryLedger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    fn holds(&self, precondition: &Precondition) -> bool {
        match precondition {
            Precondition::RevisionIs { worker, revision } => {
                self.workers.get(worker).and_then(|state| state.revision) == *revision
            }
            Precondition::OperationPending(id) => self.operations.contains_key(id),
        }
    }

    /// Says whether that changed anything.
    fn carry_out(&mut self, write: Write) -> bool {
        match write {
            Write::PutOperation(operation) => {
                let before = self.operations.insert(operation.id, operation.clone());
                before != Some(operation)
            }
            Write::DeleteOperation(id) => self.operations.remove(&id).is_some(),
            Write::PutWorker(state) => {
                let before = self.workers.insert(state.id.clone(), state.clone());
                before != Some(state)
            }
            Write::DeleteWorker(id) => self.workers.remove(&id).is_some(),
        }
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn apply(&self, transaction: Transaction) -> Result<Option<Version>, StoreError> {
        let Transaction { member, preconditions, writes } = transaction;
        let mut kept = self.kept();
        let records = kept.members.entry(member.clone()).or_default();
        if let Some(failed) = preconditions.into_iter().find(|it| !records.holds(it)) {
            return Err(StoreError::Precondition(failed));
        }
        let mut changed = false;
        for write in writes {
            changed |= records.carry_out(write);
        }
        if !changed {
            return Ok(None);
        }
        kept.version.0 += 1;
        // Under the lock: news come in the order of versions.
        self.0.feed.changed(&member, kept.version);
        Ok(Some(kept.version))
    }

    async fn read(&self, member: &Member) -> Result<Picture, StoreError> {
        let kept = self.kept();
        let records = kept.members.get(member);
        Ok(Picture {
            version: kept.version,
            operations: records.into_iter().flat_map(|it| it.operations.values()).cloned().collect(),
            workers: records.into_iter().flat_map(|it| it.workers.values()).cloned().collect(),
        })
    }

    async fn watch(&self, member: &Member) -> Result<Watch, StoreError> {
        Ok(self.0.feed.watch(member))
    }
}
