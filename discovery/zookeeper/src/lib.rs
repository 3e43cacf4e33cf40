//! ZooKeeper: nerve and serverset. Members of a service are nodes of a tree, with JSON in them; the trees below the configured
//! paths are read once and then watched, each node for its data and its children. Each node is a source.
//!
//! What the ensemble does not answer for stays: a lost connection takes up its watches again, and after a session that expired
//! everything is read anew before anything is taken away.

mod config;
mod discoverer; // sessions come and go; what is said when
mod error;
mod member; // bytes -> a target; pure
mod metrics;
mod picture; // what was said over all sessions; pure
mod read; // asks for nodes and sets watches
mod session; // one for all that ask an ensemble
#[cfg(test)]
mod tests;
mod tree; // which nodes are known; pure

pub use config::{Members, NerveConfig, ServersetConfig};
pub use metrics::{NerveMetrics, ServersetMetrics};
pub use session::Sessions;
