//! HTTP: polls one URL that serves target groups as JSON. A reply that is the same as the last one costs a hash, or
//! nothing at all when the server knows `If-None-Match`.

mod config;
mod discoverer;
mod error;
#[cfg(test)]
mod tests;

pub use config::HttpConfig;
pub use error::HttpError;
