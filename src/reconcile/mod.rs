//! The reconciler: compares what should run with what does, and brings one to the other by operations that outlive a
//! crash.
//!
//! It is level-triggered: a change of the desired state only says *look again*. Then [`plan()`] says what to do as data,
//! one transaction of the ledger records it under preconditions, and the workers do it, step by step. An operation stays
//! in the ledger, with all that is needed to go on with it, until it has ended; so a crash at any point leads on from
//! there. What was reached is kept by the workers themselves, and none of that is in the ledger.

mod desired; // what should run
mod entry; // one worker: what is known of it, and what follows from an outcome; no I/O
pub mod metrics;
mod outcome; // how a worker's run ended
mod plan; // desired and actual to steps; pure
mod reconciler; // the loop
mod recorded; // what the ledger has, and what makes it something else; pure
mod run; // a run of a worker
mod status; // what is known of each worker
pub mod steps; // work of several steps: what each does, and whether doing it twice is harmless
mod table; // the workers of the loop; no I/O
mod worker; // the contract of a worker

pub use desired::{Desired, DesiredSet, WorkerId};
pub use outcome::Outcome;
pub use plan::{Actual, Aim, Plan, Step, plan};
pub use reconciler::{Reconciler, WorkerPanicked};
pub use status::{EndedOperation, Means, OperationState, OperationStatus, Phase, Statuses, WorkerStatus};
pub use worker::{MakeWorker, Spec, Work, Worker};

pub use crate::store::ledger::{Action, OperationId, Revision};
