//! Tokens of Google: by application default credentials, or by the key of a service account.

mod account; // who asks, as files say it; pure
mod error;
mod issuer; // where it is found, and the I/O
mod requests; // what is asked, and what is answered; pure
#[cfg(test)]
mod tests;

pub use error::GoogleError;
pub use issuer::{Google, GoogleBearer, GoogleToken};
