//! Kubernetes: watches the API for what becomes targets. Each thing that is watched is watched once in an agent, whoever
//! needs it, and kept as the few bytes that targets are made of.

mod cluster; // what all discoverers have in common: watches by what they cover
mod codec; // objects as compact bytes
mod config; // what the user writes, its checks, and which watches it needs
mod error;
mod groups; // objects -> target groups; pure
mod metrics;
mod objects; // JSON -> what targets are made of; pure
mod pods; // what a kubelet lists
mod resource; // what can be watched, and where it is
mod store; // what a watch knows
mod stream; // bytes -> objects and events; pure
#[cfg(test)]
mod tests;
mod transport; // how an API server is asked
mod view; // the discoverer
mod watch; // list, watch, resume

pub use cluster::Clusters;
pub use config::{AttachMetadata, KubernetesConfig, Namespaces, Role, SelectorConfig};
pub use error::{AccessError, KubeconfigError};
pub use metrics::KubernetesMetrics;
pub use pods::{PodsError, groups_of_pods};
