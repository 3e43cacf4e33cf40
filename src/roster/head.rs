//! What is stored of a provider beside its blocks. That it is there says that the provider has reported: without it,
//! having no blocks means nothing. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rosterd_model::{Coded, Priority, Retry};
use serde::{Deserialize, Serialize};

/// The first byte.
const VERSION: u8 = 2;

/// What has to be known of a provider after a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Head {
    /// The jobs that use or hold it: after a restart no other job gets what it holds.
    pub(super) jobs: BTreeSet<Arc<str>>,
    /// Sources that were never read and have no groups, and whether they no longer keep the others from consumers.
    pub(super) missing: BTreeMap<Arc<str>, bool>,
}

/// A stored head cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeadError {
    /// Another rosterd wrote it.
    #[error("what is stored of the provider has format {found}, this rosterd reads {VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// It is not what it should be.
    #[error("what is stored of the provider is damaged")]
    Damaged,
}

impl Coded for HeadError {
    fn code(&self) -> &'static str {
        match self {
            Self::Version { .. } => "roster_head_version",
            Self::Damaged => "roster_head_damaged",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

impl Head {
    /// The form in the store.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        serde_json::to_writer(&mut bytes, self).expect("names and booleans can be written to memory");
        bytes
    }

    /// A head from its form in the store.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, HeadError> {
        match bytes.split_first() {
            Some((&VERSION, json)) => serde_json::from_slice(json).map_err(|_| HeadError::Damaged),
            Some((&found, _)) => Err(HeadError::Version { found }),
            None => Err(HeadError::Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_comes_back_whole_and_another_is_refused() {
        let head = Head { jobs: ["a".into()].into(), missing: [("x".into(), true)].into() };
        assert_eq!(Head::from_bytes(&head.to_bytes()), Ok(head));
        let codes =
            [&[][..], &[VERSION, b'{'], &[9]].map(|bytes| Head::from_bytes(bytes).map_err(|error| error.code()));
        assert_eq!(codes, [Err("roster_head_damaged"), Err("roster_head_damaged"), Err("roster_head_version")]);
    }
}
