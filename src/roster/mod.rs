//! The roster: all jobs' targets, relabelled, merged and deduplicated. It relabels only what changed, tells *not known
//! yet* from *empty*, and begins with what it knew before a restart.

mod archive;
pub mod block;
mod job;
pub mod metrics;
pub mod pages;
mod persist;
mod runner;
mod state;
pub mod target;
mod tree;
pub mod view;

pub use job::{JobSpec, Limits};
pub use runner::{Roster, RosterHandle};
