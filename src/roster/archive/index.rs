//! The number of each group, by source and key. Pure.
//!
//! A group keeps its number while its block changes, is split and merged, so that nothing is written here for what stays. In the
//! order of the sources, so that those of one stand beside each other.

use std::collections::BTreeMap;

use rosterd_model::{GroupId, SourceId};

use crate::roster::block::GroupNumber;

#[derive(Debug, Default)]
pub(super) struct Index {
    /// Of sources that are one group: 16 bytes for each, of which there are as many as objects in a cluster.
    only: BTreeMap<SourceId, GroupNumber>,
    /// Of groups that have a key.
    keyed: BTreeMap<GroupId, GroupNumber>,
}

impl FromIterator<(GroupId, GroupNumber)> for Index {
    fn from_iter<I: IntoIterator<Item = (GroupId, GroupNumber)>>(numbered: I) -> Self {
        let mut index = Self::default();
        numbered.into_iter().for_each(|(id, number)| index.insert(id, number));
        index
    }
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.only.len() + self.keyed.len()
    }

    /// The number of a group that is there.
    pub(super) fn number(&self, id: GroupId) -> Option<GroupNumber> {
        match id.key {
            GroupId::ONLY => self.only.get(&id.source).copied(),
            _ => self.keyed.get(&id).copied(),
        }
    }

    pub(super) fn insert(&mut self, id: GroupId, number: GroupNumber) {
        match id.key {
            GroupId::ONLY => self.only.insert(id.source, number),
            _ => self.keyed.insert(id, number),
        };
    }

    pub(super) fn remove(&mut self, id: GroupId) {
        match id.key {
            GroupId::ONLY => self.only.remove(&id.source),
            _ => self.keyed.remove(&id),
        };
    }

    /// All groups.
    pub(super) fn groups(&self) -> impl Iterator<Item = GroupId> {
        let only = self.only.keys().map(|source| GroupId { source: *source, key: GroupId::ONLY });
        only.chain(self.keyed.keys().copied())
    }

    /// The groups of a source.
    pub(super) fn of_source(&self, source: SourceId) -> impl Iterator<Item = GroupId> {
        let only = self.only.contains_key(&source).then_some(GroupId { source, key: GroupId::ONLY });
        let of_source = GroupId { source, key: 0 }..=GroupId { source, key: u64::MAX };
        only.into_iter().chain(self.keyed.range(of_source).map(|(id, _)| *id))
    }
}
