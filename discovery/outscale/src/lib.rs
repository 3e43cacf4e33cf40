//! Outscale: virtual machines, polled from its API.

mod config; // what the user writes, its defaults and checks, how it is asked for
mod decode; // bytes -> groups; pure
mod signer; // who asks
#[cfg(test)]
mod tests;

pub use config::OutscaleConfig;
