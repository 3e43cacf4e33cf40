//! The pages in docs/ are complete and true: every key, metric, error code and dependency has its line, and every link leads
//! somewhere.

mod codes;
mod configuration;
mod dependencies;
mod deploy;
mod discoverer;
mod keys;
mod links;
mod metrics;
mod pages;
mod sources;
