//! OpenStack: servers, hypervisors or load balancers of a region, polled from the services that Keystone names.

mod catalog; // which service is where; pure
mod config; // what the user writes, its defaults, how it builds a discoverer
mod credentials; // who asks, how that is checked, and how Keystone is told; pure
mod decode; // answers -> groups; pure
mod discoverer; // the I/O
mod error;
mod keystone; // tokens
#[cfg(test)]
mod tests;

pub use config::{Availability, OpenstackConfig, Role};
