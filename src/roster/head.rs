//! What is stored of a provider beside its blocks. Without it having no blocks means nothing: that a provider is known to be
//! empty, or that lists were served without it, is said here. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use rosterd_model::{Coded, Priority, Retry};
use serde::{Deserialize, Serialize};

/// The first byte.
const VERSION: u8 = 2;

/// What has to be known of a provider after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Head {
    /// The jobs that use or hold it: after a restart no other job gets what it holds.
    pub(super) jobs: BTreeSet<Arc<str>>,
    /// Those of them that hold it, as another one came in its place.
    pub(super) held: BTreeMap<Arc<str>, HeldBy>,
    /// Sources that were never read and have no groups, and whether they no longer keep the others from consumers.
    pub(super) missing: BTreeMap<Arc<str>, bool>,
    /// What the names of the sources beneath those of them begin with that are scopes.
    pub(super) scopes: BTreeMap<Arc<str>, Arc<str>>,
    /// Since when sources are held that were not read since rosterd last started.
    pub(super) unread: BTreeMap<u64, SystemTime>,
    /// Since when all of it is held, as it has not reported since rosterd last started, or since a reload.
    pub(super) restored: Option<SystemTime>,
    /// Whether it is held because of a reload.
    pub(super) replaced: bool,
    /// Whether it ever reported. Where it did not, its time of grace is over.
    pub(super) reported: bool,
    /// Whether anything was ever known of it, were it that it has no targets.
    pub(super) known: bool,
    /// That no job uses or holds it any more.
    pub(super) unused: Option<Unused>,
    /// The provider of which its only job keeps this: it is none itself.
    pub(super) kept: Option<Arc<str>>,
}

/// What is known of a provider that no job uses or holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unused {
    /// Since when.
    pub(super) since: SystemTime,
    /// The bytes that its groups take.
    pub(super) bytes: u64,
}

/// How a job holds a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeldBy {
    /// Since when.
    pub(super) since: SystemTime,
    /// The job's providers that did not come in its place.
    pub(super) beside: BTreeSet<Arc<str>>,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            jobs: BTreeSet::new(),
            held: BTreeMap::new(),
            missing: BTreeMap::new(),
            scopes: BTreeMap::new(),
            unread: BTreeMap::new(),
            restored: None,
            replaced: false,
            reported: true,
            known: true,
            unused: None,
            kept: None,
        }
    }
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
    /// Whether a job used it, rather than held it.
    pub(super) fn is_used(&self) -> bool {
        self.jobs.iter().any(|job| !self.held.contains_key(job))
    }

    /// The form in the store.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        serde_json::to_writer(&mut bytes, self).expect("names, times and booleans can be written to memory");
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
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::new(3, 141_592_653);
        let held = HeldBy { since: time, beside: ["p/1".into()].into() };
        let head = Head {
            jobs: ["a".into()].into(),
            held: [("a".into(), held)].into(),
            missing: [("x".into(), true)].into(),
            scopes: [("x".into(), "x/".into())].into(),
            unread: [(u64::MAX, time)].into(),
            restored: Some(time),
            replaced: true,
            reported: false,
            known: false,
            unused: Some(Unused { since: time, bytes: u64::MAX }),
            kept: Some("p/2".into()),
        };
        assert_eq!(Head::from_bytes(&head.to_bytes()), Ok(head));
        let short = [&[VERSION][..], br#"{"jobs":["a"],"missing":{}}"#].concat();
        assert_eq!(Head::from_bytes(&short), Ok(Head { jobs: ["a".into()].into(), ..Head::default() }));
        let codes =
            [&[][..], &[VERSION, b'{'], &[9]].map(|bytes| Head::from_bytes(bytes).map_err(|error| error.code()));
        assert_eq!(codes, [Err("roster_head_damaged"), Err("roster_head_damaged"), Err("roster_head_version")]);
    }
}
