//! The pure parts of rosterd: labels, target groups, relabelling, durations, sizes, secrets, selectors and errors.
//! No I/O, no clock, no async runtime: whatever is here can be tested with tables.

mod any_error;
mod bare_url;
mod duration;
pub mod error;
mod group;
pub mod labels;
mod nearest;
mod problem;
pub mod relabel;
mod secret;
pub mod selector;
mod size;
pub mod target;
mod text;

pub use any_error::Error;
pub use bare_url::{bare_key, bare_url};
pub use duration::{Duration, DurationError};
pub use error::{Coded, Priority, Report, Retry};
pub use group::{GroupId, SourceId, TargetGroup};
pub use labels::{Builder, Labels, NameScheme, Names};
pub use nearest::{did_you_mean, difference, nearest};
pub use problem::Problem;
pub use secret::{HIDDEN, Secret};
pub use selector::{Page, Selector};
pub use size::{Size, SizeError};
pub use text::{counted, in_words};
