//! Kubelet: the pods of one node, asked of its kubelet, so that a rosterd on each node costs the API server nothing. The targets are
//! those of the role `pod` of Kubernetes.

mod config; // what the user writes, its defaults and checks, how it builds a discoverer
mod discoverer; // the I/O
#[cfg(test)]
mod tests;

pub use config::KubeletConfig;
