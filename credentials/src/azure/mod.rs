//! Tokens of Microsoft Entra ID, for what Azure and its monitoring are asked.

mod certificate; // assertions that a certificate's key signs; pure but for the files
mod error;
mod issuer; // who asks, and the I/O
mod managed; // the identity of a machine, by the service that is on it; pure
mod named; // whom the environment names; pure
mod requests; // what is asked; pure
#[cfg(test)]
mod tests;

pub use error::AzureError;
pub use issuer::{Azure, AzureMethod, Certificate};
