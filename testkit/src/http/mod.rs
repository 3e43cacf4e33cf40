//! HTTP for tests: a server that answers by a script, and one request for checking what another server serves.

mod client;
mod cloud;
mod script;
mod serve;
mod server;
mod tls;

pub use client::{get, post};
pub use cloud::{CloudPage, FakeCloud, Paging};
pub use script::{Received, Step};
pub use server::ScriptedServer;
