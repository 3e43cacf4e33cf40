//! What a provider has reported, in blocks. Turns changed groups into changed blocks. Pure.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use rosterd_model::TargetGroup;

use super::block::{Block, BlockId, BlockWriter, RawGroup, encode, source_hash};

/// A block after a change.
#[derive(Debug, Clone)]
pub(super) struct BlockChange {
    /// Its number.
    pub(super) id: BlockId,
    /// What it is, `None` if it is gone.
    pub(super) after: Option<Arc<Block>>,
}

/// The groups of one provider.
#[derive(Debug)]
pub(super) struct Archive {
    blocks: BTreeMap<BlockId, Arc<Block>>,
    index: HashMap<SourceKey, BlockId>,
    /// The block that new groups are appended to.
    open: Option<BlockId>,
    next: BlockId,
}

/// The hash of a source, split so that an entry of the index takes 24 bytes and not 32.
type SourceKey = [u64; 2];

impl Default for Archive {
    fn default() -> Self {
        Self::restore(BTreeMap::new())
    }
}

impl Archive {
    /// An archive of stored blocks.
    pub(super) fn restore(blocks: BTreeMap<BlockId, Arc<Block>>) -> Self {
        let mut index = HashMap::with_capacity(blocks.values().map(|block| block.groups().len()).sum());
        for (id, block) in &blocks {
            index.extend(block.groups().iter().map(|head| (key(head.source), *id)));
        }
        let open = blocks.keys().next_back().copied();
        Self { index, open, next: open.unwrap_or(0) + 1, blocks }
    }

    /// All blocks, in order.
    pub(super) fn blocks(&self) -> &BTreeMap<BlockId, Arc<Block>> {
        &self.blocks
    }

    /// Takes groups that replace those with the same source; `whole` says that there are no others. Returns the blocks
    /// that changed: none if the groups are as they were.
    pub(super) fn apply(&mut self, groups: Vec<TargetGroup>, whole: bool) -> Vec<BlockChange> {
        let edits = self.edits(groups, whole);
        let mut changes = Vec::new();
        for (id, sources) in &edits.blocks {
            self.rewrite(*id, sources, &edits.text, &mut changes);
        }
        self.append(&edits, &mut changes);
        coalesce(changes)
    }

    /// What has to be done to which block.
    fn edits(&self, groups: Vec<TargetGroup>, whole: bool) -> Edits {
        let mut edits = Edits::default();
        // The groups that stay; only needed to tell those that vanished.
        let mut kept: HashSet<u128> = HashSet::new();
        // Of two groups with one source the later counts.
        let mut new: HashMap<u128, usize> = HashMap::new();
        for group in groups {
            let source = source_hash(&group.source);
            let id = self.index.get(&key(source)).copied();
            if group.targets.is_empty() {
                if let Some(at) = new.remove(&source) {
                    edits.new[at] = 0..0;
                }
                if let Some(id) = id {
                    edits.blocks.entry(id).or_default().insert(source, None);
                }
                continue;
            }
            if whole {
                kept.insert(source);
            }
            let start = edits.text.len();
            encode(&group, &mut edits.text);
            let range = start..edits.text.len();
            match id {
                Some(id) if self.holds(id, source, &edits.text[range.clone()]) => {
                    edits.text.truncate(start);
                    if let Some(sources) = edits.blocks.get_mut(&id) {
                        sources.remove(&source);
                    }
                }
                Some(id) => drop(edits.blocks.entry(id).or_default().insert(source, Some(range))),
                None => match new.get(&source) {
                    Some(&at) => edits.new[at] = range,
                    None => {
                        new.insert(source, edits.new.len());
                        edits.new.push(range);
                    }
                },
            }
        }
        if whole {
            for (id, block) in &self.blocks {
                for head in block.groups().iter().filter(|head| !kept.contains(&head.source)) {
                    edits.blocks.entry(*id).or_default().insert(head.source, None);
                }
            }
        }
        edits.blocks.retain(|_, sources| !sources.is_empty());
        edits
    }

    /// Whether the block holds this very group.
    fn holds(&self, id: BlockId, source: u128, text: &[u8]) -> bool {
        let fingerprint = RawGroup::read(text).map(RawGroup::fingerprint);
        let heads = self.blocks.get(&id).map_or(&[][..], |block| block.groups());
        let head = heads.iter().find(|head| head.source == source);
        head.map(|head| head.fingerprint) == fingerprint
    }

    /// Replaces groups of a block. What does not fit any more goes into new blocks.
    fn rewrite(
        &mut self,
        id: BlockId,
        sources: &HashMap<u128, Option<Range<usize>>>,
        text: &[u8],
        changes: &mut Vec<BlockChange>,
    ) {
        let before = self.blocks.remove(&id).expect("the index names blocks that exist");
        let unpacked = before.unpack();
        let mut writer = BlockWriter::default();
        let mut target = Some(id);
        for (group, head) in unpacked.groups().zip(before.groups()) {
            let group = match sources.get(&head.source) {
                None => group,
                Some(Some(range)) => RawGroup::read(&text[range.clone()]).expect("a group is read as it was written"),
                Some(None) => {
                    self.index.remove(&key(head.source));
                    continue;
                }
            };
            writer.push(group);
            if writer.is_full() {
                let id = target.take().unwrap_or_else(|| self.number());
                self.put(id, writer.finish(), changes);
            }
        }
        if !writer.is_empty() {
            let id = target.take().unwrap_or_else(|| self.number());
            self.put(id, writer.finish(), changes);
        }
        if let Some(id) = target {
            changes.push(BlockChange { id, after: None });
        }
    }

    /// Appends new groups to the open block, then to new ones.
    fn append(&mut self, edits: &Edits, changes: &mut Vec<BlockChange>) {
        let mut new = edits.new.iter().filter(|range| !range.is_empty()).peekable();
        if new.peek().is_none() {
            return;
        }
        let mut writer = BlockWriter::default();
        let mut target = None;
        let open = self.open.and_then(|id| Some((id, self.blocks.get(&id)?)));
        if let Some((id, block)) = open.filter(|(_, block)| !block.is_full()) {
            block.unpack().groups().for_each(|group| writer.push(group));
            target = Some(id);
        }
        for range in new {
            writer.push(RawGroup::read(&edits.text[range.clone()]).expect("a group is read as it was written"));
            if writer.is_full() {
                let id = target.take().unwrap_or_else(|| self.number());
                self.put(id, writer.finish(), changes);
            }
        }
        if !writer.is_empty() {
            let id = target.take().unwrap_or_else(|| self.number());
            self.put(id, writer.finish(), changes);
            self.open = Some(id);
        }
    }

    fn number(&mut self) -> BlockId {
        self.next += 1;
        self.next - 1
    }

    fn put(&mut self, id: BlockId, block: Block, changes: &mut Vec<BlockChange>) {
        self.index.extend(block.groups().iter().map(|head| (key(head.source), id)));
        let block = Arc::new(block);
        self.blocks.insert(id, Arc::clone(&block));
        changes.push(BlockChange { id, after: Some(block) });
    }
}

#[derive(Debug, Default)]
struct Edits {
    /// Encoded groups.
    text: Vec<u8>,
    /// For each block the sources whose group is replaced or, with `None`, removed.
    blocks: BTreeMap<BlockId, HashMap<u128, Option<Range<usize>>>>,
    /// Groups of sources that were not known.
    new: Vec<Range<usize>>,
}

/// One change for each block, from what it was first to what it is last.
fn coalesce(changes: Vec<BlockChange>) -> Vec<BlockChange> {
    let mut by_id: BTreeMap<BlockId, BlockChange> = BTreeMap::new();
    for change in changes {
        match by_id.entry(change.id) {
            Entry::Occupied(mut first) => first.get_mut().after = change.after,
            Entry::Vacant(free) => drop(free.insert(change)),
        }
    }
    by_id.into_values().collect()
}

fn key(source: u128) -> SourceKey {
    [(source >> 64) as u64, source as u64]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(source: usize, content: u8) -> TargetGroup {
        let targets = (0..content).map(|number| [("__address__", format!("h{source}:{number}"))].into_iter().collect());
        TargetGroup { source: format!("s{source}").into(), targets: targets.collect(), ..TargetGroup::default() }
    }

    /// Source to number of targets, read back from the blocks; fails if a source is in two of them.
    fn content(archive: &Archive) -> BTreeMap<String, usize> {
        let mut content = BTreeMap::new();
        for (id, block) in archive.blocks() {
            for group in block.unpack().groups() {
                assert!(content.insert(group.source().to_owned(), group.len()).is_none(), "{} twice", group.source());
                assert_eq!(archive.index.get(&key(source_hash(group.source()))), Some(id));
            }
        }
        assert_eq!(archive.index.len(), content.len());
        content
    }

    #[test]
    fn equal_groups_change_no_block() {
        let mut archive = Archive::default();
        let groups: Vec<_> = (0..1000).map(|source| group(source, 2)).collect();
        assert!(!archive.apply(groups.clone(), true).is_empty());
        assert!(archive.apply(groups.clone(), true).is_empty());
        assert!(archive.apply(groups[..10].to_vec(), false).is_empty());
    }

    #[test]
    fn a_small_change_touches_one_block_of_many() {
        let mut archive = Archive::default();
        archive.apply((0..10_000).map(|source| group(source, 2)).collect(), true);
        assert!(archive.blocks().len() > 4);
        assert_eq!(archive.apply(vec![group(5_000, 3)], false).len(), 1);
    }

    #[test]
    fn a_restored_archive_knows_what_it_held() {
        let mut archive = Archive::default();
        archive.apply((0..5_000).map(|source| group(source, 1)).collect(), true);
        let mut restored = Archive::restore(archive.blocks().clone());
        assert_eq!(content(&restored), content(&archive));
        assert!(restored.apply((0..5_000).map(|source| group(source, 1)).collect(), true).is_empty());
        restored.apply(vec![group(9_999, 1)], false);
        assert_eq!(content(&restored).len(), 5_001);
    }

    proptest! {
        #[test]
        fn an_archive_holds_what_a_map_would(
            updates in prop::collection::vec((prop::collection::vec((0usize..40, 0u8..4), 0..30), any::<bool>()), 1..12),
        ) {
            let mut archive = Archive::default();
            let mut expected: BTreeMap<String, usize> = BTreeMap::new();
            for (groups, whole) in updates {
                if whole {
                    expected.clear();
                }
                for (source, content) in &groups {
                    expected.insert(format!("s{source}"), usize::from(*content));
                }
                expected.retain(|_, targets| *targets > 0);
                let mut replayed = archive.blocks().clone();
                let changes = archive.apply(groups.iter().map(|(source, content)| group(*source, *content)).collect(), whole);
                prop_assert_eq!(content(&archive), expected.clone());
                for change in changes {
                    match change.after {
                        Some(after) => replayed.insert(change.id, after),
                        None => replayed.remove(&change.id),
                    };
                }
                prop_assert_eq!(&replayed, archive.blocks());
            }
        }
    }
}
