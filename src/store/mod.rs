//! The two stores: blocks, where groups outlive the process, and the ledger, where decisions do. Each is a contract with
//! a backend in memory and one in a file.

pub mod blocks;
mod database; // what the files have in common: redb
mod error;
mod failures; // what does not work
mod folder; // both stores in one folder
pub mod ledger;
mod loss; // what is not there any more

pub use blocks::{Block, Blocks, BlocksChange, EmbeddedBlocks, MemoryBlocks};
pub use error::StoreError;
pub use failures::{StoreFailure, StoreFailures};
pub use folder::open_folder;
pub use ledger::{EmbeddedLedger, Ledger, MemoryLedger};
pub use loss::Loss;

#[cfg(test)]
pub(crate) mod tests;
