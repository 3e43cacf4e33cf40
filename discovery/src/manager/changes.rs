//! Which groups of an update are news. Pure.

use std::collections::HashMap;

use rosterd_model::TargetGroup;
use xxhash_rust::xxh3::xxh3_128;

/// What a provider has reported so far: a hash for each group, nothing more.
#[derive(Debug, Default)]
pub(super) struct Known {
    groups: HashMap<u128, Group>,
    targets: usize,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    fingerprint: u64,
    targets: u32,
}

impl Known {
    /// Keeps the groups that differ from what is known, and remembers them.
    pub(super) fn news(&mut self, groups: Vec<TargetGroup>) -> Vec<TargetGroup> {
        groups.into_iter().filter(|group| self.is_news(group)).collect()
    }

    /// The first send of a discoverer is the whole picture: returns all of it, in place of what was known.
    pub(super) fn whole(&mut self, groups: Vec<TargetGroup>) -> Vec<TargetGroup> {
        *self = Self::default();
        for group in &groups {
            self.is_news(group);
        }
        groups
    }

    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn targets(&self) -> usize {
        self.targets
    }

    fn is_news(&mut self, group: &TargetGroup) -> bool {
        let source = xxh3_128(group.source.as_bytes());
        let before = if group.targets.is_empty() {
            self.groups.remove(&source)
        } else {
            let targets = u32::try_from(group.targets.len()).unwrap_or(u32::MAX);
            self.groups.insert(source, Group { fingerprint: group.fingerprint(), targets })
        };
        let now = self.groups.get(&source);
        self.targets = self.targets + now.map_or(0, |group| group.targets as usize)
            - before.map_or(0, |group| group.targets as usize);
        before.map(|group| group.fingerprint) != now.map(|group| group.fingerprint)
    }
}

/// Puts later groups over earlier ones with the same source, keeping the order in which sources first came.
pub(super) fn merge(pending: &mut Vec<TargetGroup>, later: Vec<TargetGroup>) {
    let mut index: HashMap<Box<str>, usize> =
        pending.iter().enumerate().map(|(index, group)| (group.source.clone(), index)).collect();
    for group in later {
        match index.get(&group.source) {
            Some(&at) => pending[at] = group,
            None => {
                index.insert(group.source.clone(), pending.len());
                pending.push(group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(source: &str, addresses: &[&str]) -> TargetGroup {
        let target = |address: &&str| [("__address__", *address)].into_iter().collect();
        TargetGroup { source: source.into(), targets: addresses.iter().map(target).collect(), ..TargetGroup::default() }
    }

    fn sources(groups: &[TargetGroup]) -> Vec<&str> {
        groups.iter().map(|group| &*group.source).collect()
    }

    #[test]
    fn only_what_changed_is_news() {
        let mut known = Known::default();
        assert_eq!(sources(&known.whole(vec![group("a", &["x"]), group("b", &["y"])])), ["a", "b"]);
        assert!(known.news(vec![group("a", &["x"]), group("b", &["y"])]).is_empty());
        let news = known.news(vec![group("a", &["x", "z"]), group("b", &["y"]), group("c", &["w"])]);
        assert_eq!(sources(&news), ["a", "c"]);
        assert_eq!((known.groups(), known.targets()), (3, 4));
    }

    #[test]
    fn a_group_that_was_never_there_cannot_go() {
        let mut known = Known::default();
        assert!(known.news(vec![TargetGroup::gone("a")]).is_empty());
        known.whole(vec![group("a", &["x"])]);
        assert_eq!(sources(&known.news(vec![TargetGroup::gone("a")])), ["a"]);
        assert_eq!((known.groups(), known.targets()), (0, 0));
    }

    #[test]
    fn a_later_group_takes_the_place_of_an_earlier_one() {
        let mut pending = vec![group("a", &["x"]), group("b", &["y"])];
        merge(&mut pending, vec![group("c", &["z"]), TargetGroup::gone("a")]);
        assert_eq!(sources(&pending), ["a", "b", "c"]);
        assert!(pending[0].targets.is_empty());
    }
}
