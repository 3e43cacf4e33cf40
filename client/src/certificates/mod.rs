//! Certificates: which are trusted, whose signature is good, and which are ours. The rule is that of Go's `crypto/x509`, so
//! that a set-up that works with Prometheus works here: what is itself in the pool is trusted, whatever else it is, and its
//! name and its time are still looked at.

mod chain; // from a certificate to one of the pool
mod der; // values in DER
mod key; // what a certificate says of its key, and signatures by it
mod name; // for whom a certificate is
mod own; // certificate and key of this side
mod p521; // key exchange on a curve that rustls has not
mod pool; // what is trusted
mod read; // what of a certificate counts
mod short_rsa; // signatures by RSA keys that the provider finds too short
#[cfg(test)]
mod tests;
mod untrusted; // why not

pub use chain::{Purpose, verify};
pub use key::Signatures;
pub use name::address;
pub use own::{Unusable, identity, private_key};
pub use pool::Pool;
pub use read::all_of_pem;
pub use untrusted::Untrusted;

use rustls::crypto::CryptoProvider;

/// The one implementation of cryptography.
pub fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups.push(&p521::P521);
    provider
}
