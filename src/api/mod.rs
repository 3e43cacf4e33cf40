//! The HTTP face: what is served under which path. How requests arrive is the business of [`crate::web`].

mod envelope;
mod lifecycle;
mod metrics;
pub mod problem;
mod router;
mod state;
mod status;
#[cfg(test)]
mod tests;

pub use metrics::HttpMetrics;
pub use problem::Problem;
pub use router::{Route, router, routes};
pub use state::{Build, ConfigView, Lifecycle, ReloadRequest, State};
