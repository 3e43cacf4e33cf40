//! Target groups: what a discoverer reports.

use serde::Serialize;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use crate::Labels;

/// Targets that a source reports together, with the labels they share.
///
/// A group belongs to one source, is identified by its provider, `source` and `key`, and is replaced whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TargetGroup {
    /// What the group was read from, in one piece: a name, a file, a URL, an object.
    pub source: Box<str>,
    /// Tells the groups of one source apart; empty where a source is one group.
    pub key: Box<str>,
    /// Labels that all targets of the group have, unless a target says otherwise.
    pub labels: Labels,
    /// Each target's own labels, `__address__` among them.
    pub targets: Vec<Labels>,
}

impl TargetGroup {
    /// A group without targets: where a source is told, it says that it has none (any more).
    pub fn gone(source: impl Into<Box<str>>) -> Self {
        Self { source: source.into(), ..Self::default() }
    }

    /// The hashes by which the group is known within its provider.
    pub fn id(&self) -> GroupId {
        GroupId::of(&self.source, &self.key)
    }

    /// A hash of labels and targets, but not of the source: equal for equal content in every process.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Xxh3Default::new();
        hasher.update(&self.labels.fingerprint().to_le_bytes());
        for target in &self.targets {
            hasher.update(&target.fingerprint().to_le_bytes());
        }
        hasher.digest()
    }
}

/// A group within its provider: hashes of its source and its key, equal in every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId {
    /// The source it belongs to.
    pub source: SourceId,
    /// Which of its groups.
    pub key: u64,
}

impl GroupId {
    /// The key of a source that is one group, as most are: the hash of nothing.
    pub const ONLY: u64 = 0x2d06_8005_38d3_94c2;

    /// The group of this source and key.
    pub fn of(source: &str, key: &str) -> Self {
        Self { source: SourceId::of(source), key: xxh3_64(key.as_bytes()) }
    }
}

/// A source within its provider: the hash of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u64);

impl SourceId {
    /// The source of this name.
    pub fn of(source: &str) -> Self {
        Self(xxh3_64(source.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(labels: &[(&str, &str)], targets: &[&str]) -> TargetGroup {
        TargetGroup {
            source: "s".into(),
            key: "".into(),
            labels: labels.iter().copied().collect(),
            targets: targets.iter().map(|address| [("__address__", *address)].into_iter().collect()).collect(),
        }
    }

    #[test]
    fn a_group_without_a_key_is_known_as_such() {
        assert_eq!((group(&[], &[]).id().key, GroupId::of("s", "k").key == GroupId::ONLY), (GroupId::ONLY, false));
    }

    #[test]
    fn the_fingerprint_follows_the_content() {
        let one = group(&[("a", "1")], &["x:1", "y:1"]);
        assert_eq!(one.fingerprint(), group(&[("a", "1")], &["x:1", "y:1"]).fingerprint());
        assert_ne!(one.fingerprint(), group(&[("a", "2")], &["x:1", "y:1"]).fingerprint());
        assert_ne!(one.fingerprint(), group(&[("a", "1")], &["y:1", "x:1"]).fingerprint());
    }
}
