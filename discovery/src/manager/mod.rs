//! The manager: runs providers, shares equal ones between jobs, keeps those that a reload did not change, and forwards
//! only what changed.

mod attention; // what the roster asks of a provider
mod empty; // the sources that were read and had nothing
mod equipment; // what mechanisms have besides configurations
mod known; // the groups that a provider has reported, as hashes
mod memory; // what a provider has said: a word in, news out
mod pending; // an update that waits for the roster
mod plan; // which providers a configuration needs
mod provider; // the name of a provider, and its state
mod restarts; // how long to wait before a discoverer is built again
mod stems; // what the names of sources begin with
mod supervisor; // starts and stops providers
mod task; // what a provider does
mod update; // what the roster is told

pub use attention::Attention;
pub use equipment::{Equipment, Tools};
pub use plan::{Plan, Providers};
pub use provider::{ProviderKey, ProviderStatus};
pub use supervisor::{Applied, Directory, Jobs, Manager, ManagerError};
pub use update::{SeenSources, Unread, UnreadSources, Update};
