//! The roster: all jobs' targets, relabelled, merged and deduplicated. It relabels only what changed, tells *not known
//! yet* from *empty*, and begins with what it knew before a restart. It alone holds back: what stays although its source
//! does not say so now is marked here, and nowhere else is anything kept for caution.

mod archive;
pub mod block;
pub mod brake;
mod clock;
pub mod confirmation;
pub mod emptied;
mod entries;
#[doc(hidden)]
pub mod fuzzing;
mod head;
pub mod hold;
pub mod holding;
mod job;
pub mod metrics;
pub mod pages;
mod persist;
pub mod presence;
pub mod reasons;
mod runner;
mod state;
pub mod step;
pub mod target;
mod tree;
pub mod view;

pub use clock::Clock;
pub use job::{JobSpec, Keeping, Limits};
pub use runner::{Roster, RosterHandle, Settings};
