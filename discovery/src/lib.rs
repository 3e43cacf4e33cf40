//! Discovery: the contract of a discoverer, the registry of mechanisms, and the manager that runs them. The mechanisms that
//! rosterd ships are crates of their own, a folder each beside this one.

mod context;
mod contract;
pub mod decode;
mod error;
#[doc(hidden)]
pub mod fuzzing;
#[doc(hidden)]
pub mod instances;
mod manager;
mod mechanism;
pub mod metrics;
mod permission;
mod polling;
mod registry;
mod sheet;
mod status;
mod watch;

pub use context::Context;
pub use contract::{Discoverer, Pieces, Reading, Refresh, Stopped, Unreadable, Updates, Word};
pub use manager::{
    Applied, Attention, Directory, Equipment, Jobs, Manager, ManagerError, Plan, ProviderKey, ProviderStatus,
    Providers, SeenSources, Tools, Unread, UnreadSources, Update,
};
pub use mechanism::{
    AnyBuild, AnyConfig, Build, CheckContext, Expand, Finding, MechanismConfig, MechanismMetrics, MechanismShared,
};
pub use permission::Permission;
pub use polling::Polling;
pub use registry::{Mechanism, Registry, RegistryError, Validator};
pub use rosterd_client::{Environment, Identity, Reads, System};
pub use rosterd_model::Error;
pub use sheet::{Sheet, host_port};
pub use status::{Failure, Presence, Status, Warning, named_jobs};
pub use watch::{ProviderWatch, Watch, WatchState, WatchStatus};

#[doc(hidden)]
pub use inventory;
