//! The reconciler: compares what should run with what does, and brings one to the other by operations that outlive a
//! crash.
//!
//! It is level-triggered: a change of the desired state only says *look again*. Then [`plan()`] says what to do as data,
//! one store transaction records it under preconditions, and the workers do it. An operation stays in the store until
//! its outcome is recorded, so that a crash at any point leads to the same plan again.

mod desired; // what should run
pub mod metrics;
mod outcome; // how a worker's run ended
mod plan; // desired and actual to steps; pure
mod reconciler; // the loop
mod status; // what is known of each worker
mod table; // the workers of the loop; no I/O
pub mod testing; // three ways to run workers in tests
mod worker; // the contract of a worker

pub use desired::{Desired, DesiredSet, WorkerId};
pub use outcome::Outcome;
pub use plan::{Actual, Aim, Plan, Step, plan};
pub use reconciler::{Reconciler, WorkerPanicked};
pub use status::{Phase, Statuses, WorkerStatus};
pub use worker::{MakeWorker, Spec, Work, Worker};
