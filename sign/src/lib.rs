//! Signatures by RSA keys, and JSON web tokens that are signed with them. Pure: bytes in, bytes out.

mod hex; // bytes in digits
pub mod jwt; // assertions of who asks
mod rsa; // keys and what they sign
#[cfg(test)]
mod tests;

pub use hex::hex;
pub use rsa::{Algorithm, KeyError, Rsa};
