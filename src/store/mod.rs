//! The store: group blocks, pending operations and worker states that outlive the process, behind one contract.

mod contract; // what is stored, preconditions, operations, and the promises of a backend
mod embedded; // the default backend: redb, in a file
mod error;
mod memory; // the backend for tests, and without files
#[cfg(test)]
mod suite; // what every backend has to pass

pub use contract::{
    Action, Block, Change, Operation, OperationId, PendingOperation, Precondition, Revision, Store, Transaction,
    WorkerState,
};
pub use embedded::EmbeddedStore;
pub use error::StoreError;
pub use memory::MemoryStore;
