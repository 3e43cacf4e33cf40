//! Process: the processes of this machine, from `/proc`. Each is a source; with `ports` a target is a TCP address that it listens on.
//!
//! Reading blocks, and costs some files for each process: it happens on a thread for that, and what a process is known to be is not
//! read again as long as it runs the same program.

mod config;
mod discoverer; // off the runtime's threads
mod error;
mod files; // /proc -> what is known of a process
mod metrics;
mod parse; // the texts of /proc; pure
mod scan; // what has to be read again
mod target; // what is known of a process -> labels; pure
#[cfg(test)]
mod tests;

pub use config::{DiscoverConfig, ProcessConfig};
pub use metrics::ProcessMetrics;
