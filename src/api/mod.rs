//! The HTTP face: what is served under which path. How requests arrive is the business of [`crate::web`].

mod envelope;
mod failed;
mod lifecycle;
mod metadata;
mod metrics;
mod overview;
mod pools;
pub mod problem;
mod providers;
mod query;
mod ready;
mod remote_write;
mod router;
mod sd;
mod search;
mod state;
mod status;
mod targets;
mod targets_page;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_roster;
#[cfg(test)]
mod tests_scrapes;
mod url;
mod words;

pub use metrics::HttpMetrics;
pub use problem::Problem;
pub use remote_write::{RemoteWriteState, RemoteWriteStatus};
pub use router::{Route, router, routes};
pub use sd::RosterError;
pub use state::{Build, ConfigView, Lifecycle, Providers, ReloadRequest, RemoteWrites, State};
