//! `static`: targets that stand in the configuration itself.

mod config; // what the user writes and its checks
mod discoverer; // sends it once

pub use config::{Config, Group};
