//! The pages in docs/ are complete and true: every key, metric, error code and dependency has its line, and every link leads
//! somewhere.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod codes;
mod configuration;
mod contexts;
mod dashboard;
mod dependencies;
mod deploy;
mod discoverer;
mod keys;
mod links;
mod mechanisms;
mod metrics;
mod migrating;
mod pages;
mod panics;
mod sources;
