//! Where groups outlive the process: bulk, compressed, and derived, since all of it can be discovered again. The contract,
//! in memory and in a file.

mod embedded; // in a redb database
mod memory; // for tests, and without files
#[cfg(test)]
pub(crate) mod tests;

pub use embedded::EmbeddedBlocks;
pub use memory::MemoryBlocks;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::StoreError;

/// Keeps blocks of target groups, by provider.
///
/// A backend promises: [`apply`](Self::apply) is atomic, to readers and over a crash, and costs one durable commit however
/// much it writes; what it returned for is seen by every later read and survives a crash. When it fails on the system, all
/// of it has happened or nothing.
///
/// A caller promises to write in batches, and that it can do without what it was about to write when the process ended.
#[async_trait]
pub trait Blocks: Send + Sync + fmt::Debug + 'static {
    /// Carries out changes in their order.
    async fn apply(&self, changes: Vec<BlocksChange>) -> Result<(), StoreError>;

    /// The keys of all providers that have blocks, sorted.
    async fn providers(&self) -> Result<Vec<String>, StoreError>;

    /// Up to `limit` blocks of a provider with ids from `from` on, sorted by id. Fewer than `limit` are all there are.
    async fn blocks(&self, provider: &str, from: u64, limit: usize) -> Result<Vec<Block>, StoreError>;
}

/// A change of what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlocksChange {
    /// Writes blocks of a provider over what there is under their ids.
    Put {
        /// The key of the provider.
        provider: Arc<str>,
        /// The blocks.
        blocks: Vec<Block>,
    },
    /// Deletes blocks of a provider; those that do not exist are passed over.
    Delete {
        /// The key of the provider.
        provider: Arc<str>,
        /// The ids of the blocks.
        ids: Vec<u64>,
    },
    /// Deletes all blocks of a provider.
    DeleteProvider(Arc<str>),
}

/// Some target groups of a provider, encoded and compressed by whoever writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Unique within the provider.
    pub id: u64,
    /// The content, opaque to the store.
    pub bytes: Bytes,
}
