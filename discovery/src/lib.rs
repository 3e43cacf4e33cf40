//! Discovery: the contract of a discoverer, the registry of mechanisms, the manager that runs them, and the mechanisms
//! that rosterd ships, a folder each.

mod contract;
pub mod decode;
pub mod dns;
mod error;
#[cfg(feature = "exec")]
pub mod exec;
pub mod file;
pub mod http;
mod manager;
mod mechanism;
pub mod metrics;
mod polling;
mod registry;
pub mod static_;
mod status;

pub use contract::{Context, Discoverer, Refresh, Stopped, Updates};
pub use error::Error;
pub use manager::{
    Applied, Directory, Jobs, Manager, ManagerError, Plan, ProviderKey, ProviderStatus, Providers, Update,
};
pub use mechanism::{AnyConfig, Build, CheckContext, MechanismConfig, MechanismMetrics};
pub use polling::Polling;
pub use registry::{Mechanism, Registry, RegistryError, Validator};
pub use status::{Failure, Presence, Status, StatusHandle};

#[doc(hidden)]
pub use inventory;
