//! The scrape workers: schedule, fetch, parse, limits, staleness.

mod divided;
mod engine;
mod error;
mod failure_log;
mod inflate;
pub mod ingest;
mod job;
mod metrics;
mod schedule;
mod sink;
mod status;

pub use engine::{Change, Clock, Engine, Exposition, Settings};
pub use error::ScrapeError;
pub use failure_log::FailureLog;
pub use job::{Job, headers};
pub use metrics::{JobMetrics, Metrics, Totals};
pub use schedule::Seed;
pub use sink::Sink;
pub use status::{Health, HealthTurn, Outcomes, Statuses, TargetStatus};
