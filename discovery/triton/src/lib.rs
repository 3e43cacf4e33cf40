//! Triton: the containers of an account, or the compute nodes of a data center, polled from the API for discovery of CMON.

mod config; // what the user writes, its defaults and checks, how it is asked for
mod decode; // bytes -> groups; pure
#[cfg(test)]
mod tests;

pub use config::{Role, TritonConfig};
