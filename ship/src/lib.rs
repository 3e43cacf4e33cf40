//! Remote write: what was scraped goes to receivers, through a queue that outlives them and this process.
//!
//! [`Shipper::push`] puts blocks into the lanes of each endpoint, which become batches in the endpoint's queue; a task of
//! the endpoint sends them. Series of one key are never reordered, whatever fails, restarts or changes.

mod block; // what a scrape hands over
mod config; // what an endpoint is told
mod endpoint; // one receiver
mod error;
mod folder; // where queues are kept
#[doc(hidden)]
pub mod fuzzing;
mod limiter; // messages that would come too often
mod log; // the queue on disk
mod metrics;
mod owner; // whose queue it is
mod private; // files that others need not read
mod queue; // memory and disk together
mod shipper; // all receivers
mod status;
#[cfg(test)]
mod tests;
pub mod wire;

pub use block::{Block, Counts, Extra, Wants};
pub use config::{AzureConfig, DiskLimits, EndpointConfig, GoogleConfig, MetadataConfig, QueueConfig, SigV4Config};
pub use error::ShipError;
pub use metrics::Metrics;
pub use owner::give_names;
pub use rosterd_credentials::aws::Who;
pub use rosterd_credentials::azure::{AzureMethod, Certificate};
pub use shipper::Shipper;
pub use status::{DiskFailure, EndpointState, EndpointStatus};
