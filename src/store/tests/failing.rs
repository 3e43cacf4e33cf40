//! A backend that fails when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;

use super::Tested;
use crate::store::ledger::{Ledger, Member, Picture, Transaction, Version, Watch};
use crate::store::{Block, Blocks, BlocksChange, StoreError};

/// Stands before a backend. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failing<S> {
    pub(crate) backend: S,
    writes: Arc<AtomicBool>,
    reads: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
}

impl<S> Failing<S> {
    /// Whether writes fail from now on.
    pub(crate) fn fail_writes(&self, fail: bool) {
        self.writes.store(fail, Ordering::Relaxed);
    }

    /// Whether reads fail from now on.
    pub(crate) fn fail_reads(&self, fail: bool) {
        self.reads.store(fail, Ordering::Relaxed);
    }

    /// How many transactions of a ledger were taken.
    pub(crate) fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }

    /// For a suite.
    pub(crate) fn tested(self) -> Tested<Self> {
        let writes = Arc::clone(&self.writes);
        Tested { store: self, fail: Box::new(move |fail| writes.store(fail, Ordering::Relaxed)) }
    }
}

fn check(told_to_fail: &AtomicBool) -> Result<(), StoreError> {
    if told_to_fail.load(Ordering::Relaxed) {
        return Err(StoreError::Backend { store: "the store of a test".to_owned(), source: "it was told to".into() });
    }
    Ok(())
}

#[async_trait]
impl<S: Blocks> Blocks for Failing<S> {
    async fn apply(&self, changes: Vec<BlocksChange>) -> Result<(), StoreError> {
        check(&self.writes)?;
        self.backend.apply(changes).await
    }

    async fn providers(&self) -> Result<Vec<String>, StoreError> {
        check(&self.reads)?;
        self.backend.providers().await
    }

    async fn blocks(&self, provider: &str, from: u64, limit: usize) -> Result<Vec<Block>, StoreError> {
        check(&self.reads)?;
        self.backend.blocks(provider, from, limit).await
    }
}

#[async_trait]
impl<S: Ledger> Ledger for Failing<S> {
    async fn apply(&self, transaction: Transaction) -> Result<Option<Version>, StoreError> {
        check(&self.writes)?;
        let applied = self.backend.apply(transaction).await;
        self.written.fetch_add(usize::from(applied.is_ok()), Ordering::Relaxed);
        applied
    }

    async fn read(&self, member: &Member) -> Result<Picture, StoreError> {
        check(&self.reads)?;
        self.backend.read(member).await
    }

    async fn watch(&self, member: &Member) -> Result<Watch, StoreError> {
        check(&self.reads)?;
        self.backend.watch(member).await
    }
}
