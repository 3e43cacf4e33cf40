//! Kuma: what the control plane of a mesh wants monitored, by its monitoring assignment discovery (MADS v1) over HTTP. It holds an answer
//! back until there is something newer than what is known.

mod assignments; // a reply -> groups; pure
mod config; // what the user writes, its defaults and checks, how it builds a discoverer
mod discoverer; // asks, and says what came
mod metrics;
#[cfg(test)]
mod tests;

pub use config::KumaConfig;
pub use metrics::KumaMetrics;
