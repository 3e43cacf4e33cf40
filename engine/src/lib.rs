//! What mechanisms that ask a Docker Engine have in common: where it is, how it is asked, what it tells of networks, and the stream of
//! events that hints at changes. A mechanism adds what it asks for, and what becomes of it.

mod engine; // requests, and the version of the API that both sides know
mod error;
mod events; // hints
mod filters; // what is asked for
mod host; // where the engine is
mod network; // networks and their labels

pub use engine::Engine;
pub use error::EngineError;
pub use events::{Events, Wanted};
pub use filters::{Filter, Filters};
pub use host::{Host, HostError};
pub use network::{Network, NetworkLabels, Networks};
