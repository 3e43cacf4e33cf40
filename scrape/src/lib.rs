//! The scrape workers: schedule, fetch, parse, limits, staleness.

pub mod ingest;
mod status;

pub use status::{Health, Statuses, TargetStatus};
