//! Google Compute Engine: the instances of a zone of a project, polled from its API with the token of whoever the environment says.

mod config; // what the user writes, its defaults and checks
mod decode; // answers -> targets; pure
mod discoverer; // the I/O
#[cfg(test)]
mod tests;

pub use config::GceConfig;
