//! Target groups: what a discoverer reports.

use serde::Serialize;
use xxhash_rust::xxh3::Xxh3Default;

use crate::Labels;

/// Targets that a source reports together, with the labels they share.
///
/// A group is identified by its provider and its `source`, and is replaced whole. A group without targets says that the
/// source has none any more.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TargetGroup {
    /// What the group was read from, unique within its provider.
    pub source: Box<str>,
    /// Labels that all targets of the group have, unless a target says otherwise.
    pub labels: Labels,
    /// Each target's own labels, `__address__` among them.
    pub targets: Vec<Labels>,
}

impl TargetGroup {
    /// The group that says that its source has no targets any more.
    pub fn gone(source: impl Into<Box<str>>) -> Self {
        Self { source: source.into(), labels: Labels::empty(), targets: Vec::new() }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn group(labels: &[(&str, &str)], targets: &[&str]) -> TargetGroup {
        TargetGroup {
            source: "s".into(),
            labels: labels.iter().copied().collect(),
            targets: targets.iter().map(|address| [("__address__", *address)].into_iter().collect()).collect(),
        }
    }

    #[test]
    fn the_fingerprint_follows_the_content() {
        let one = group(&[("a", "1")], &["x:1", "y:1"]);
        assert_eq!(one.fingerprint(), group(&[("a", "1")], &["x:1", "y:1"]).fingerprint());
        assert_ne!(one.fingerprint(), group(&[("a", "2")], &["x:1", "y:1"]).fingerprint());
        assert_ne!(one.fingerprint(), group(&[("a", "1")], &["y:1", "x:1"]).fingerprint());
    }
}
