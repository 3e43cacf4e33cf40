//! IONOS Cloud: servers of a datacenter, polled from its API.

mod config; // what the user writes, its defaults and checks, how it is asked for
mod decode; // bytes -> groups; pure
#[cfg(test)]
mod tests;

pub use config::IonosConfig;
