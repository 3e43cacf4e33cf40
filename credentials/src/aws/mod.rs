//! Credentials of AWS, in the order in which its tools look for them: what is written, the environment, profiles of shared files, and
//! what a container or a machine is given; roles on top of these. With them the region and the endpoints of services.

mod account; // who asks: keys that are held, the region
mod chain; // where keys come from; pure
mod command; // credential_process
mod container;
mod endpoint; // where services are; pure
mod error;
mod given; // keys as they are written; pure
mod metadata; // of the machine
mod named; // whom the environment names; pure
mod profiles; // the shared files; pure
mod sts; // keys of roles
#[cfg(test)]
mod tests;

pub use account::{Account, METADATA, STS, Signer};
pub use chain::Who;
pub use error::AwsError;
pub use named::endpoint_on;
