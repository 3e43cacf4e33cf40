//! Blocks that end with the process: for tests, and for whoever wants no files.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Block, Blocks, BlocksChange};
use crate::store::StoreError;

type Kept = BTreeMap<Arc<str>, BTreeMap<u64, Bytes>>;

/// Keeps everything in memory. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct MemoryBlocks(Arc<Mutex<Kept>>);

impl MemoryBlocks {
    /// Without any block.
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn carry_out(kept: &mut Kept, change: BlocksChange) {
    match change {
        BlocksChange::Put { provider, blocks } => {
            if !blocks.is_empty() {
                let blocks = blocks.into_iter().map(|block| (block.id, block.bytes));
                kept.entry(provider).or_default().extend(blocks);
            }
        }
        BlocksChange::Delete { provider, ids } => {
            let Some(blocks) = kept.get_mut(&provider) else { return };
            for id in ids {
                blocks.remove(&id);
            }
            if blocks.is_empty() {
                kept.remove(&provider);
            }
        }
        BlocksChange::DeleteProvider(provider) => drop(kept.remove(&provider)),
    }
}

#[async_trait]
impl Blocks for MemoryBlocks {
    async fn apply(&self, changes: Vec<BlocksChange>) -> Result<(), StoreError> {
        let mut kept = self.kept();
        changes.into_iter().for_each(|change| carry_out(&mut kept, change));
        Ok(())
    }

    async fn providers(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.kept().keys().map(|provider| provider.to_string()).collect())
    }

    async fn blocks(&self, provider: &str, from: u64, limit: usize) -> Result<Vec<Block>, StoreError> {
        let kept = self.kept();
        let blocks = kept.get(provider).into_iter().flat_map(|blocks| blocks.range(from..));
        Ok(blocks.take(limit).map(|(id, bytes)| Block { id: *id, bytes: bytes.clone() }).collect())
    }
}
