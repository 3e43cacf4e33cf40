//! Words shared by the parts of the manager.

use std::fmt;
use std::sync::Arc;

use rosterd_client::Reads;
use serde::{Serialize, Serializer};

use crate::{ProviderWatch, Status};

/// The name of a provider: `<mechanism>/<what it reads, and as whom>`, and `-2`, `-3` behind it where several unequal
/// configurations have the same data. It is the same after a restart, in every version and on every machine with the same
/// configuration, so that the store can be asked for what was reported before.
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

    /// What it reads, and as whom: the key without the number. Of providers for which this is the same, one may take over what
    /// is stored of another.
    pub fn data(&self) -> &str {
        let hash = self.0.find('/').map_or(self.0.len(), |slash| slash + 1);
        let end = self.0[hash..].find('-').map_or(self.0.len(), |dash| hash + dash);
        &self.0[..end]
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
    /// What it reads.
    pub reads: Arc<Reads>,
    /// Its state.
    pub status: Status,
    /// What it follows, if its mechanism watches.
    pub watches: Vec<ProviderWatch>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_no_part_of_the_data() {
        for (key, data) in [
            ("dns/0123456789abcdef", "dns/0123456789abcdef"),
            ("dns/0123456789abcdef-2", "dns/0123456789abcdef"),
            ("my-own/0123456789abcdef-13", "my-own/0123456789abcdef"),
            ("odd", "odd"),
        ] {
            assert_eq!(ProviderKey::new(key).data(), data);
        }
    }
}
