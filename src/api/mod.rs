//! The HTTP face: what is served under which path. How requests arrive is the business of [`crate::web`].

mod envelope;
mod failed;
mod lifecycle;
mod metrics;
mod overview;
mod pools;
pub mod problem;
mod providers;
mod query;
mod ready;
mod router;
mod sd;
mod state;
mod status;
mod targets;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_roster;
mod url;

pub use metrics::HttpMetrics;
pub use problem::Problem;
pub use router::{Route, router, routes};
pub use sd::RosterError;
pub use state::{Build, ConfigView, Lifecycle, Providers, ReloadRequest, State};
