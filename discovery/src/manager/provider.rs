//! Words shared by the parts of the manager.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::Status;

/// The name of a provider: `<mechanism>/<hash of its configuration>`. The same configuration has the same key after a
/// restart, so that the store can be asked for what the provider reported before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderKey(Arc<str>);

impl ProviderKey {
    /// A key that was stored before.
    pub fn new(key: impl Into<Arc<str>>) -> Self {
        Self(key.into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as shared text.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The name of the mechanism.
    pub fn mechanism(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

impl fmt::Display for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ProviderKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A provider as the API shows it.
#[derive(Debug, Clone)]
pub struct ProviderStatus {
    /// Its name.
    pub key: ProviderKey,
    /// The jobs that use it.
    pub jobs: Vec<Arc<str>>,
    /// Its state.
    pub status: Status,
}
