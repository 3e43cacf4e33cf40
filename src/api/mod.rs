//! The HTTP face: what is served under which path. How requests arrive is the business of others.

mod brake;
mod cluster;
pub(crate) mod condition;
mod envelope;
mod error;
mod explain;
mod external;
mod failed;
mod heavy;
mod journal;
mod lifecycle;
mod metadata;
mod metrics;
pub(crate) mod missing;
mod operations;
mod origin;
mod pages;
mod pools;
mod providers;
mod publications;
mod query;
mod ready;
mod remote_write;
mod router;
mod sd;
mod state;
mod status;
mod targets;
#[cfg(test)]
mod tests;
mod top;
mod trends;
mod url;
pub(crate) mod words;

pub use error::Error;
pub use external::{ExternalUrl, ExternalUrlError, route_prefix};
pub use metrics::HttpMetrics;
pub use router::{Route, router, routes};
pub use sd::RosterError;
pub use state::{
    Build, ConfigView, Lifecycle, PrometheusNames, Providers, Refused, ReloadRequest, State, Storage, StorageFailure,
};
pub use trends::Trends;
