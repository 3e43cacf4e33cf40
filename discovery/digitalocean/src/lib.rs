//! DigitalOcean: droplets, or clusters of databases, polled from its API.

mod config; // what the user writes, its defaults and checks
mod databases; // bytes -> groups; pure
mod discoverer; // the I/O
mod droplets; // bytes -> groups; pure
#[cfg(test)]
mod tests;

pub use config::{DigitaloceanConfig, Role};
