//! What a watch knows: a record for each object, found by its name or by what it refers to.

mod links; // which objects refer to another
mod records; // the store itself
mod slot; // what is kept of one object
#[cfg(test)]
mod tests;
mod world; // several stores together

use std::fmt;
use std::sync::Arc;

pub(crate) use records::{Change, Store};
pub(crate) use world::World;

/// The name of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Empty for what is in no namespace.
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.namespace {
            "" => f.write_str(&self.name),
            namespace => write!(f, "{namespace}/{}", self.name),
        }
    }
}

/// Why an object cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The JSON is not that of such an object.
    #[error("one of the {resource} cannot be read")]
    Malformed {
        /// What it should be.
        resource: crate::resource::Resource,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// An object without a name.
    #[error("one of the {resource} has no name")]
    Nameless {
        /// What it should be.
        resource: crate::resource::Resource,
    },
}

impl StoreError {
    /// Whether the JSON can be read and is not what it should be, so that what comes after it can be read too.
    pub(crate) fn is_of_one_object(&self) -> bool {
        match self {
            Self::Malformed { source, .. } => source.is_data(),
            Self::Nameless { .. } => true,
        }
    }
}
