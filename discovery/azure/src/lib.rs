//! Azure: virtual machines of a subscription, and those of its scale sets, polled from the Resource Manager with tokens of Microsoft
//! Entra ID.

mod cache; // network interfaces that were read lately
mod cloud; // where things are; pure
mod config; // what the user writes, its defaults and checks
mod decode; // answers -> machines and interfaces; pure
mod discoverer; // the I/O
mod metrics;
mod place; // the ids of resources, taken apart; pure
#[cfg(test)]
mod tests;

pub use config::{AzureConfig, Method};
