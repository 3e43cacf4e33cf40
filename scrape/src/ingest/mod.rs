//! The hot path: from the bytes of an exposition to the bytes of remote write. Pure: no I/O, and time is handed in.
//!
//! The rules are those of Prometheus (`scrapeLoop.append` in `scrape/scrape.go`). What is different is how: labels are never
//! built, unless there are metric relabelling rules. The final order of a series' labels depends on their names alone,
//! and neighbours have the same names; so that order is worked out once for each list of names (a shape), and a
//! sample costs the copying of its values.

mod due;
mod error;
mod exemplars;
mod families;
#[doc(hidden)]
pub mod fuzzing;
mod labels;
mod other;
mod parts;
mod pass;
mod report;
mod room;
mod rules;
mod settle;
mod shape;
#[cfg(test)]
mod tests;
mod track;
mod write;

pub use error::IngestError;
pub use families::Families;
pub use pass::{Bench, Ingested};
pub use report::Report;
pub use rules::Rules;
pub use track::Track;
