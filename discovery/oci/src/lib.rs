//! Oracle Cloud Infrastructure: the instances of compartments, polled from the APIs for identity, compute and network.

mod bucket; // how fast is asked
mod config; // what the user writes, its defaults and checks, how it builds a discoverer
mod decode; // answers -> values and groups; pure
mod discoverer; // what is asked
mod error;
mod key_file; // a key in a file
mod principal; // the key of a machine, and the token that vouches for it
mod region; // where the APIs of a region are; pure
mod signature; // what is added to a request
#[cfg(test)]
mod tests;

pub use config::{Auth, OciConfig};
