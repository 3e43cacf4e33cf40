//! Where decisions outlive the process: small, transactional, watched. The contract, in memory and in a file.

mod contract; // the promises of a backend, transactions and preconditions
mod embedded; // in a redb database
mod memory; // for tests, and without files
mod records; // what is kept
#[cfg(test)]
pub(crate) mod tests;
mod watch; // who is told of changes

pub use contract::{Ledger, Picture, Precondition, Transaction, Version, Write};
pub use embedded::EmbeddedLedger;
pub use memory::MemoryLedger;
pub use records::{Action, FailedOperation, Member, Operation, OperationId, Progress, Revision, WorkerState};
pub use watch::{LedgerNews, Watch};
