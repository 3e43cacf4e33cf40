//! The number of each group, by source and key. Pure.
//!
//! A group keeps its number while its block changes, is split and merged, so that nothing is written here for what stays. In the
//! order of the sources, so that those of one stand beside each other.

use std::collections::BTreeMap;

use rosterd_model::{GroupId, SourceId};

use crate::roster::block::GroupNumber;

#[derive(Debug, Default)]
pub(super) struct Index(BTreeMap<GroupId, GroupNumber>);

impl FromIterator<(GroupId, GroupNumber)> for Index {
    fn from_iter<I: IntoIterator<Item = (GroupId, GroupNumber)>>(numbered: I) -> Self {
        Self(numbered.into_iter().collect())
    }
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The number of a group that is there.
    pub(super) fn number(&self, id: GroupId) -> Option<GroupNumber> {
        self.0.get(&id).copied()
    }

    pub(super) fn insert(&mut self, id: GroupId, number: GroupNumber) {
        self.0.insert(id, number);
    }

    pub(super) fn remove(&mut self, id: GroupId) {
        self.0.remove(&id);
    }

    /// All groups.
    pub(super) fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.0.keys().copied()
    }

    /// The groups of a source.
    pub(super) fn of_source(&self, source: SourceId) -> impl Iterator<Item = GroupId> {
        let of_source = GroupId { source, key: 0 }..=GroupId { source, key: u64::MAX };
        self.0.range(of_source).map(|(id, _)| *id)
    }
}
