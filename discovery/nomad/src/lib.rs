//! Nomad: the services that it knows of. One question waits for news of their names, and one for news of each of them.

mod catalog;
mod config;
mod decode;
mod metrics;
#[cfg(test)]
mod tests;

pub use config::NomadConfig;
pub use metrics::NomadMetrics;
