//! STACKIT: the servers of a project, polled from the API for infrastructure.

mod config; // what the user writes, its defaults and checks, how it is asked for
mod decode; // bytes -> groups; pure
mod key; // keys of service accounts: where they are, and what they say
mod key_flow; // tokens by such a key
#[cfg(test)]
mod tests;

pub use config::StackitConfig;
