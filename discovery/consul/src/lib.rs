//! Consul: the instances of services, with their health. One question waits for news of the catalog, and one for news of each service
//! that is wanted.

mod catalog;
mod config;
mod decode;
mod metrics;
mod server;
#[cfg(test)]
mod tests;

pub use config::ConsulConfig;
pub use metrics::ConsulMetrics;
