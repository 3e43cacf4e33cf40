//! HTTP for tests: a server that answers by a script, and one request for checking what another server serves.

mod client;
mod script;
mod serve;
mod server;
mod tls;

pub use client::{get, post};
pub use script::{Received, Step};
pub use server::ScriptedServer;
