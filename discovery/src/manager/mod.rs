//! The manager: runs providers, shares equal ones between jobs, keeps those that a reload did not change, and forwards
//! only what changed.

mod changes;
mod plan;
mod provider;
mod supervisor;

pub use plan::{Plan, Providers};
pub use provider::{ProviderKey, ProviderStatus, Update};
pub use supervisor::{Applied, Directory, Jobs, Manager, ManagerError};
