//! The HTTP server: listeners, TLS, who may come in. What it serves is handed to it.

mod activity;
mod catch;
mod client;
mod clients;
mod connection;
mod doors;
mod error;
mod file;
mod guard;
mod headers;
mod live;
mod rate;
mod refusal;
mod seats;
mod section;
mod server;
#[cfg(test)]
pub(crate) mod tests;
mod tls;
mod users;

use catch::catch;
pub use client::Client;
pub use error::Error;
pub use file::{Loaded, load, load_once};
use guard::guard;
pub use live::Live;
pub use refusal::Refusal;
pub use server::{DEFAULT_LISTEN_ADDRESS, DEFAULT_PORT, Server, Settings};
