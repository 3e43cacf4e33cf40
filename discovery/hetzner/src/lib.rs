//! Hetzner: servers in its cloud, or dedicated ones, polled from its APIs.

mod cloud; // bytes -> groups of cloud servers; pure
mod config; // what the user writes, its defaults and checks
mod discoverer; // the I/O
mod robot; // bytes -> groups of dedicated servers; pure
#[cfg(test)]
mod tests;

pub use config::{HetznerConfig, Role};
