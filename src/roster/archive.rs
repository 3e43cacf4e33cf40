//! What a provider has reported, in blocks. Turns changed groups into changed blocks. Pure.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use rosterd_model::{GroupId, SourceId, TargetGroup};

use super::block::{Block, BlockId, BlockWriter, RawGroup, encode};

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
    index: HashMap<GroupId, BlockId>,
    /// The block that new groups are appended to.
    open: Option<BlockId>,
    next: BlockId,
}

/// Changes to the groups of a provider.
#[derive(Debug, Default)]
pub(super) struct Edit {
    /// Groups that are new or changed, each with targets and named once.
    pub(super) groups: Vec<TargetGroup>,
    /// Groups that are gone.
    pub(super) gone: Vec<GroupId>,
    /// Whether all other groups are gone too,
    pub(super) whole: bool,
    /// except those of these sources.
    pub(super) unread: HashSet<SourceId>,
    /// Sources of which all other groups are gone in any case.
    pub(super) replaced: HashSet<SourceId>,
}

impl Edit {
    /// Whether a group that is not named is gone.
    fn drops(&self, id: GroupId) -> bool {
        (self.whole && !self.unread.contains(&id.source)) || self.replaced.contains(&id.source)
    }
}

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
            index.extend(block.groups().iter().map(|head| (head.id, *id)));
        }
        let open = blocks.keys().next_back().copied();
        Self { index, open, next: open.unwrap_or(0) + 1, blocks }
    }

    /// All blocks, in order.
    pub(super) fn blocks(&self) -> &BTreeMap<BlockId, Arc<Block>> {
        &self.blocks
    }

    /// Applies changes. Returns the blocks that changed: none if the groups are as they were.
    pub(super) fn apply(&mut self, edit: &Edit) -> Vec<BlockChange> {
        let edits = self.edits(edit);
        let mut changes = Vec::new();
        for (id, groups) in &edits.blocks {
            self.rewrite(*id, groups, &edits.text, &mut changes);
        }
        self.append(&edits, &mut changes);
        coalesce(changes)
    }

    /// What has to be done to which block.
    fn edits(&self, edit: &Edit) -> Edits {
        let mut edits = Edits::default();
        // The groups that are named; only needed to tell those that vanished.
        let drops_others = edit.whole || !edit.replaced.is_empty();
        let mut named: HashSet<GroupId> = HashSet::new();
        for id in &edit.gone {
            if let Some(block) = self.index.get(id) {
                edits.blocks.entry(*block).or_default().insert(*id, None);
            }
        }
        for group in &edit.groups {
            let id = group.id();
            if drops_others {
                named.insert(id);
            }
            let start = edits.text.len();
            encode(group, &mut edits.text);
            let range = start..edits.text.len();
            match self.index.get(&id) {
                Some(block) if self.holds(*block, id, &edits.text[range.clone()]) => edits.text.truncate(start),
                Some(block) => drop(edits.blocks.entry(*block).or_default().insert(id, Some(range))),
                None => edits.new.push(range),
            }
        }
        if drops_others {
            for (block, content) in &self.blocks {
                let dropped = content.groups().iter().map(|head| head.id).filter(|id| edit.drops(*id));
                for id in dropped.filter(|id| !named.contains(id)) {
                    edits.blocks.entry(*block).or_default().insert(id, None);
                }
            }
        }
        edits
    }

    /// Whether the block holds this very group.
    fn holds(&self, block: BlockId, id: GroupId, text: &[u8]) -> bool {
        let fingerprint = RawGroup::read(text).map(RawGroup::fingerprint);
        let heads = self.blocks.get(&block).map_or(&[][..], |block| block.groups());
        let head = heads.iter().find(|head| head.id == id);
        head.map(|head| head.fingerprint) == fingerprint
    }

    /// Replaces groups of a block. What does not fit any more goes into new blocks.
    fn rewrite(
        &mut self,
        id: BlockId,
        groups: &HashMap<GroupId, Option<Range<usize>>>,
        text: &[u8],
        changes: &mut Vec<BlockChange>,
    ) {
        let before = self.blocks.remove(&id).expect("the index names blocks that exist");
        let unpacked = before.unpack();
        let mut writer = BlockWriter::default();
        let mut target = Some(id);
        for (group, head) in unpacked.groups().zip(before.groups()) {
            let group = match groups.get(&head.id) {
                None => group,
                Some(Some(range)) => RawGroup::read(&text[range.clone()]).expect("a group is read as it was written"),
                Some(None) => {
                    self.index.remove(&head.id);
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
        if edits.new.is_empty() {
            return;
        }
        let mut writer = BlockWriter::default();
        let mut target = None;
        let open = self.open.and_then(|id| Some((id, self.blocks.get(&id)?)));
        if let Some((id, block)) = open.filter(|(_, block)| !block.is_full()) {
            block.unpack().groups().for_each(|group| writer.push(group));
            target = Some(id);
        }
        for range in &edits.new {
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
        self.index.extend(block.groups().iter().map(|head| (head.id, id)));
        let block = Arc::new(block);
        self.blocks.insert(id, Arc::clone(&block));
        changes.push(BlockChange { id, after: Some(block) });
    }
}

#[derive(Debug, Default)]
struct Edits {
    /// Encoded groups.
    text: Vec<u8>,
    /// For each block the groups that are replaced or, with `None`, removed.
    blocks: BTreeMap<BlockId, HashMap<GroupId, Option<Range<usize>>>>,
    /// Groups that were not known.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(source: usize, content: u8) -> TargetGroup {
        let targets = (0..content).map(|number| [("__address__", format!("h{source}:{number}"))].into_iter().collect());
        TargetGroup { source: name(source).into(), targets: targets.collect(), ..TargetGroup::default() }
    }

    fn name(source: usize) -> String {
        format!("s{source}")
    }

    fn all(groups: impl IntoIterator<Item = TargetGroup>) -> Edit {
        Edit { groups: groups.into_iter().collect(), whole: true, ..Edit::default() }
    }

    fn some(groups: impl IntoIterator<Item = TargetGroup>) -> Edit {
        Edit { groups: groups.into_iter().collect(), ..Edit::default() }
    }

    /// Source to number of targets, read back from the blocks; fails if a source is in two of them.
    fn content(archive: &Archive) -> BTreeMap<String, usize> {
        let mut content = BTreeMap::new();
        for (id, block) in archive.blocks() {
            for group in block.unpack().groups() {
                assert!(content.insert(group.source().to_owned(), group.len()).is_none(), "{} twice", group.source());
                assert_eq!(archive.index.get(&GroupId::of(group.source(), group.key())), Some(id));
            }
        }
        assert_eq!(archive.index.len(), content.len());
        content
    }

    #[test]
    fn equal_groups_change_no_block() {
        let mut archive = Archive::default();
        let groups = || (0..1000).map(|source| group(source, 2));
        assert!(!archive.apply(&all(groups())).is_empty());
        assert!(archive.apply(&all(groups())).is_empty());
        assert!(archive.apply(&some(groups().take(10))).is_empty());
    }

    #[test]
    fn a_small_change_touches_one_block_of_many() {
        let mut archive = Archive::default();
        archive.apply(&all((0..10_000).map(|source| group(source, 2))));
        assert!(archive.blocks().len() > 4);
        assert_eq!(archive.apply(&some([group(5_000, 1)])).len(), 1);
    }

    #[test]
    fn a_restored_archive_knows_what_it_held() {
        let mut archive = Archive::default();
        archive.apply(&all((0..5_000).map(|source| group(source, 1))));
        let mut restored = Archive::restore(archive.blocks().clone());
        assert_eq!(content(&restored), content(&archive));
        assert!(restored.apply(&all((0..5_000).map(|source| group(source, 1)))).is_empty());
        restored.apply(&some([group(9_999, 1)]));
        assert_eq!(content(&restored).len(), 5_001);
    }

    #[test]
    fn a_source_that_is_replaced_loses_what_is_not_named() {
        let keyed = |key: &str| TargetGroup { key: key.into(), ..group(1, 1) };
        let mut archive = Archive::default();
        archive.apply(&all([keyed("a"), keyed("b"), group(2, 1)]));
        archive.apply(&Edit { replaced: [SourceId::of("s1")].into(), ..some([keyed("b"), keyed("c")]) });
        let mut ids: Vec<_> = archive.index.keys().copied().collect();
        let mut wanted = [GroupId::of("s1", "b"), GroupId::of("s1", "c"), GroupId::of("s2", "")];
        ids.sort();
        wanted.sort();
        assert_eq!(ids, wanted);
    }

    type Content = BTreeMap<usize, u8>;

    /// New groups, those that are gone, whether that is all, and sources that could not be read.
    fn edits() -> impl Strategy<Value = Vec<(Content, Vec<usize>, bool, Vec<usize>)>> {
        let sources = || prop::collection::vec(0usize..40, 0..6);
        let groups = prop::collection::btree_map(0usize..40, 1u8..4, 0..30);
        prop::collection::vec((groups, sources(), any::<bool>(), sources()), 1..12)
    }

    proptest! {
        #[test]
        fn an_archive_holds_what_a_map_would(edits in edits()) {
            let mut archive = Archive::default();
            let mut expected: BTreeMap<String, usize> = BTreeMap::new();
            for (groups, gone, whole, unread) in edits {
                let gone: Vec<_> = gone.into_iter().filter(|source| !groups.contains_key(source)).map(name).collect();
                let unread: Vec<_> = unread.into_iter().map(name).collect();
                expected.retain(|source, _| !gone.contains(source) && (!whole || unread.contains(source)));
                expected.extend(groups.iter().map(|(source, content)| (name(*source), usize::from(*content))));
                let edit = Edit {
                    groups: groups.iter().map(|(source, content)| group(*source, *content)).collect(),
                    gone: gone.iter().map(|source| GroupId::of(source, "")).collect(),
                    whole,
                    unread: unread.iter().map(|source| SourceId::of(source)).collect(),
                    replaced: HashSet::new(),
                };
                let mut replayed = archive.blocks().clone();
                let changes = archive.apply(&edit);
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
