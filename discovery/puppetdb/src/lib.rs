//! PuppetDB: the resources that a query finds in the catalogs of nodes, a target each, polled as a whole.

mod config; // what the user writes, its defaults and checks, and how it is asked for
mod decode; // a reply -> groups; pure
mod parameters; // parameters of a resource -> labels; pure
#[cfg(test)]
mod tests;

pub use config::PuppetdbConfig;
