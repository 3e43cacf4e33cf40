//! DNS: asks nameservers for the records of names; each name is a source and a group, each record a target.
//!
//! A name that does not exist has no targets. A name that no nameserver gives a usable answer for is unread: it keeps the
//! targets it had, and hides none of the others.

mod config;
mod discoverer;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod metrics;
mod nothing;
mod query;
mod records;
mod resolv_conf;
mod resolver;
#[cfg(test)]
mod tests;

pub use config::{DnsConfig, Nameserver, RecordKind};
pub use metrics::DnsMetrics;
