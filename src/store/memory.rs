//! The store that ends with the process: for tests, and for whoever wants no files.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Block, Change, Operation, OperationId, PendingOperation, Precondition, Store, StoreError, Transaction, WorkerState,
};

/// Keeps everything in memory. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    groups: BTreeMap<Arc<str>, BTreeMap<u64, Bytes>>,
    pending: BTreeMap<OperationId, PendingOperation>,
    workers: BTreeMap<String, WorkerState>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn holds(&self, precondition: &Precondition) -> bool {
        match precondition {
            Precondition::RevisionIs { worker, revision } => {
                self.workers.get(worker).and_then(|state| state.actual) == *revision
            }
            Precondition::OperationPending(id) => self.pending.contains_key(id),
        }
    }

    fn carry_out(&mut self, operation: Operation) -> Option<Change> {
        match operation {
            Operation::PutBlocks { provider, blocks } => {
                let put = blocks.len();
                if put > 0 {
                    let stored = self.groups.entry(Arc::clone(&provider)).or_default();
                    stored.extend(blocks.into_iter().map(|block| (block.id, block.bytes)));
                }
                (put > 0).then_some(Change::Blocks { provider, put, deleted: 0 })
            }
            Operation::DeleteBlocks { provider, ids } => {
                let stored = self.groups.get_mut(&provider)?;
                let deleted = ids.iter().filter(|id| stored.remove(id).is_some()).count();
                if stored.is_empty() {
                    self.groups.remove(&provider);
                }
                (deleted > 0).then_some(Change::Blocks { provider, put: 0, deleted })
            }
            Operation::DeleteProvider(provider) => {
                let deleted = self.groups.remove(&provider)?.len();
                Some(Change::Blocks { provider, put: 0, deleted })
            }
            Operation::PutPending(operation) => {
                let before = self.pending.insert(operation.id, operation.clone());
                (before.as_ref() != Some(&operation))
                    .then_some(Change::Pending { id: operation.id, now: Some(operation) })
            }
            Operation::DeletePending(id) => self.pending.remove(&id).map(|_| Change::Pending { id, now: None }),
            Operation::PutWorker(state) => {
                let before = self.workers.insert(state.id.clone(), state.clone());
                (before.as_ref() != Some(&state)).then(|| Change::Worker {
                    id: state.id.clone(),
                    before,
                    now: Some(state),
                })
            }
            Operation::DeleteWorker(id) => {
                let before = self.workers.remove(&id)?;
                Some(Change::Worker { id, before: Some(before), now: None })
            }
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn apply(&self, transaction: Transaction) -> Result<Vec<Change>, StoreError> {
        let mut state = self.state();
        if let Some(failed) = transaction.preconditions.into_iter().find(|it| !state.holds(it)) {
            return Err(StoreError::Precondition(failed));
        }
        Ok(transaction.operations.into_iter().filter_map(|operation| state.carry_out(operation)).collect())
    }

    async fn providers(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.state().groups.keys().map(|provider| provider.to_string()).collect())
    }

    async fn blocks(&self, provider: &str, from: u64, limit: usize) -> Result<Vec<Block>, StoreError> {
        let state = self.state();
        let blocks = state.groups.get(provider).into_iter().flat_map(|blocks| blocks.range(from..));
        Ok(blocks.take(limit).map(|(id, bytes)| Block { id: *id, bytes: bytes.clone() }).collect())
    }

    async fn block(&self, provider: &str, id: u64) -> Result<Option<Bytes>, StoreError> {
        Ok(self.state().groups.get(provider).and_then(|blocks| blocks.get(&id)).cloned())
    }

    async fn pending(&self) -> Result<Vec<PendingOperation>, StoreError> {
        Ok(self.state().pending.values().cloned().collect())
    }

    async fn workers(&self) -> Result<Vec<WorkerState>, StoreError> {
        Ok(self.state().workers.values().cloned().collect())
    }

    async fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::store::suite::for_backend!(|| async { (MemoryStore::new(), async {}) });
}
