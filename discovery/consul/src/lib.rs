//! Consul: the instances of services, with their health. One question waits for news of the catalog, and one for news of each service
//! that is wanted.

mod access; // where it is, and as whom it is asked
mod catalog;
mod config;
mod decode;
mod metrics;
#[cfg(test)]
mod tests;

pub use access::{Access, Consul};
pub use config::ConsulConfig;
pub use decode::{AgentConfig, Check, health};
pub use metrics::ConsulMetrics;
