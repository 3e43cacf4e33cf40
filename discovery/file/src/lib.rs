//! `file`: target groups in JSON or YAML files that other programs write. Changes are noticed at once, and only files
//! that changed are read.

mod config; // what the user writes, its defaults and checks
mod discoverer; // watches, looks, sends
mod error;
mod metrics;
mod read; // one file: whether it changed, and its groups
mod state; // what is known of all files, and what a look at them changes
#[cfg(test)]
mod tests;

pub use config::{Config, Watches};
pub use error::FileError;
pub use metrics::FileMetrics;
