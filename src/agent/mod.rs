//! The agent: wires configuration, discovery, roster, store, publications and the HTTP face together, and reloads.

mod error;
mod in_use; // what a configuration changes of the one before; pure
pub(crate) mod jobs; // the configuration's jobs to the roster's; pure
mod load; // reads the configuration
mod metrics;
mod presence; // how much is known of each job
mod process; // what the process takes
mod prometheus_names; // for alerts and dashboards that were made for Prometheus; pure
mod reload; // when to read the configuration again
mod second_look; // whether one without jobs is meant; pure
mod stores; // where state outlives the process
mod told; // what the journal is told; pure
mod warnings; // of the configuration, told once
mod wiring; // start, run, shut down

pub use error::AgentError;
pub use reload::Reloads;
pub use wiring::{Agent, Options, Web};
