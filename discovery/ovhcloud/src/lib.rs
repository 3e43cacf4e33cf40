//! OVHcloud: virtual private servers, or dedicated ones, polled from its API.

mod addresses; // which of its addresses a server has; pure
mod config; // what the user writes, its defaults and checks
mod decode; // bytes -> groups; pure
mod discoverer; // the I/O
mod signer; // who asks, and when by the clock of OVHcloud
#[cfg(test)]
mod tests;

pub use config::{OvhcloudConfig, Service};
