//! The pure parts of rosterd: labels, target groups, relabelling, durations, sizes, secrets, selectors and errors.
//! No I/O, no clock, no async runtime: whatever is here can be tested with tables.

pub mod error;
mod group;
pub mod labels;

pub use error::{Coded, Priority, Report, Retry};
pub use group::TargetGroup;
pub use labels::{Builder, Labels, Names};
