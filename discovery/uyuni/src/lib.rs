//! Uyuni: the exporters on the systems that it manages, polled by its XML-RPC API.

mod config; // what the user writes, its defaults and checks, and how it builds a discoverer
mod discoverer; // asks
mod error;
mod rpc; // calls in XML, and what is answered to them; pure
mod systems; // answers -> groups; pure
#[cfg(test)]
mod tests;

pub use config::UyuniConfig;
