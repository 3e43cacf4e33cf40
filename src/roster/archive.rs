//! What a provider has reported, in blocks. Turns changed groups into changed blocks. Pure.

mod index; // where each group is
mod run; // groups that are about to become blocks

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use rosterd_model::{GroupId, SourceId, TargetGroup};

use super::block::{Block, BlockId, BlockWriter, FULL, GroupHead, GroupNumber, RawGroup, encode};
use index::Index;
use run::{MERGED, Run, offset, overflows};

/// A block after a change.
#[derive(Debug, Clone)]
pub(super) struct BlockChange {
    /// What it goes by.
    pub(super) id: BlockId,
    /// What it is, `None` if it is gone.
    pub(super) after: Option<Arc<Block>>,
}

/// The groups of one provider, in the order of their numbers.
///
/// New groups go to the end. A block that shrinks is put together with the ones beside it when they fit into one of
/// moderate size. So all blocks but the last are more than three quarters full on average, whatever came and went; and
/// what is written for a change is at most a few blocks for each one that it touches.
#[derive(Debug)]
pub(super) struct Archive {
    blocks: BTreeMap<BlockId, Arc<Block>>,
    index: Index,
    /// How many entries all groups have.
    entries: usize,
    /// The number of the next new group.
    next: GroupNumber,
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
    /// except those of these sources, which could not be read or came before.
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
        Self { blocks: BTreeMap::new(), index: Index::default(), entries: 0, next: 1 }
    }
}

impl Archive {
    /// An archive of stored blocks.
    pub(super) fn restore(blocks: BTreeMap<BlockId, Arc<Block>>) -> Self {
        let numbered = |id: BlockId| move |head: &GroupHead| (head.id, id + u64::from(head.offset));
        let index = blocks.iter().flat_map(|(id, block)| block.groups().iter().map(numbered(*id))).collect();
        let next = blocks.last_key_value().map_or(1, |(id, block)| id + u64::from(block.last_offset()) + 1);
        let entries = blocks.values().map(|block| block.len()).sum();
        Self { blocks, index, entries, next }
    }

    /// How many groups there are.
    pub(super) fn groups(&self) -> usize {
        self.index.len()
    }

    /// How many entries these have.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// The memory that the groups take, in bytes.
    pub(super) fn size(&self) -> usize {
        self.blocks.values().map(|block| block.size()).sum()
    }

    /// All blocks, in order.
    pub(super) fn blocks(&self) -> &BTreeMap<BlockId, Arc<Block>> {
        &self.blocks
    }

    /// The sources that have groups, each as often as it has.
    pub(super) fn sources(&self) -> impl Iterator<Item = SourceId> {
        self.index.groups().map(|id| id.source)
    }

    /// Whether a source has groups.
    pub(super) fn has(&self, source: SourceId) -> bool {
        self.index.of_source(source).next().is_some()
    }

    /// Which of these sources have groups.
    pub(super) fn which_of(&self, mut sources: BTreeSet<SourceId>) -> BTreeSet<SourceId> {
        sources.retain(|source| self.has(*source));
        sources
    }

    /// Hands over the names of all sources that have groups, each as often as it has. Unpacks all blocks.
    pub(super) fn for_each_name(&self, mut each: impl FnMut(&str, SourceId)) {
        for block in self.blocks.values() {
            let unpacked = block.unpack();
            unpacked.groups().zip(block.groups()).for_each(|(group, head)| each(group.source(), head.id.source));
        }
    }

    /// Hands over the names of these sources, those of them that have groups. Unpacks the blocks that these are in.
    pub(super) fn names_of(&self, sources: impl Iterator<Item = SourceId>, each: &mut dyn FnMut(&str, SourceId)) {
        let mut places: BTreeMap<BlockId, BTreeSet<usize>> = BTreeMap::new();
        for group in sources.filter_map(|source| self.index.of_source(source).next()) {
            if let Some((block, _, at)) = self.find(group) {
                places.entry(block).or_default().insert(at);
            }
        }
        for (block, places) in places {
            let block = &self.blocks[&block];
            let unpacked = block.unpack();
            let groups = unpacked.groups().zip(block.groups()).enumerate().filter(|(at, _)| places.contains(at));
            groups.for_each(|(_, (group, head))| each(group.source(), head.id.source));
        }
    }

    /// How many entries a group has; none, if it is not known.
    pub(super) fn entries_of(&self, id: GroupId) -> usize {
        self.find(id).map_or(0, |(_, block, at)| block.entries_of(at).len())
    }

    /// How many entries the groups of a source have.
    pub(super) fn entries_of_source(&self, source: SourceId) -> usize {
        self.index.of_source(source).map(|id| self.entries_of(id)).sum()
    }

    /// The blocks that groups of a source are in, each as often as it has such.
    pub(super) fn blocks_of(&self, source: SourceId) -> impl Iterator<Item = BlockId> {
        self.index.of_source(source).filter_map(|id| self.find(id)).map(|(block, ..)| block)
    }

    /// The block that a group is in, and which of its groups it is.
    fn find(&self, id: GroupId) -> Option<(BlockId, &Block, usize)> {
        let number = self.index.number(id)?;
        let (block, content) = self.blocks.range(..=number).next_back()?;
        let offset = offset(*block, number)?;
        let at = content.groups().binary_search_by_key(&offset, |head| head.offset).ok()?;
        Some((*block, content, at))
    }

    /// Applies changes. Returns the blocks that changed: none if the groups are as they were.
    pub(super) fn apply(&mut self, edit: &Edit) -> Vec<BlockChange> {
        let edits = self.edits(edit);
        let mut changes = Vec::new();
        self.rewrite(&edits, &mut changes);
        self.append(&edits.new, &mut changes);
        coalesce(changes)
    }

    /// What has to be done to which block.
    fn edits<'e>(&self, edit: &'e Edit) -> Edits<'e> {
        let mut edits = Edits::default();
        // The groups that are named; only needed to tell those that vanished.
        let drops_others = edit.whole || !edit.replaced.is_empty();
        let mut named: HashSet<GroupId> = HashSet::new();
        for id in &edit.gone {
            if let Some((block, ..)) = self.find(*id) {
                edits.blocks.entry(block).or_default().insert(*id, None);
            }
        }
        for group in &edit.groups {
            let id = group.id();
            if drops_others {
                named.insert(id);
            }
            let Some((block, content, at)) = self.find(id) else {
                edits.new.push(group);
                continue;
            };
            let start = edits.text.len();
            encode(group, &mut edits.text);
            let range = start..edits.text.len();
            let fingerprint = RawGroup::read(&edits.text[range.clone()]).map(RawGroup::fingerprint);
            if fingerprint == Some(content.groups()[at].fingerprint) {
                edits.text.truncate(start);
            } else {
                edits.blocks.entry(block).or_default().insert(id, Some(range));
            }
        }
        if edit.whole {
            for (block, content) in &self.blocks {
                let dropped = content.groups().iter().map(|head| head.id).filter(|id| edit.drops(*id));
                for id in dropped.filter(|id| !named.contains(id)) {
                    edits.blocks.entry(*block).or_default().insert(id, None);
                }
            }
        } else {
            // A picture in pieces replaces some sources at a time: what there is of them is looked for, not looked through.
            let replaced = edit.replaced.iter().flat_map(|source| self.index.of_source(*source));
            for id in replaced.filter(|id| !named.contains(id)) {
                if let Some((block, ..)) = self.find(id) {
                    edits.blocks.entry(block).or_default().insert(id, None);
                }
            }
        }
        edits
    }

    /// Replaces and removes groups, one block after the other.
    fn rewrite(&mut self, edits: &Edits<'_>, changes: &mut Vec<BlockChange>) {
        let mut last: Option<Run> = None;
        for (&id, groups) in &edits.blocks {
            let run = self.edited(id, groups, &edits.text, changes);
            last = Some(match last.take() {
                Some(mut before) if self.blocks.range(before.id..id).next().is_none() && before.takes(&run) => {
                    before.append(run);
                    before
                }
                Some(before) => {
                    self.settle(before, id, changes);
                    run
                }
                None => run,
            });
        }
        if let Some(run) = last {
            self.settle(run, BlockId::MAX, changes);
        }
    }

    /// Takes a block away; returns what its groups are now.
    fn edited(
        &mut self,
        id: BlockId,
        groups: &HashMap<GroupId, Option<Range<usize>>>,
        text: &[u8],
        changes: &mut Vec<BlockChange>,
    ) -> Run {
        let before = self.take(id, changes);
        let unpacked = before.unpack();
        let mut run = Run::new(id);
        let mut size = 0;
        for (group, head) in unpacked.groups().zip(before.groups()) {
            size += group.bytes().len();
            match groups.get(&head.id) {
                None => run.push(id + u64::from(head.offset), group.bytes()),
                Some(Some(range)) => run.push(id + u64::from(head.offset), &text[range.clone()]),
                Some(None) => self.index.remove(head.id),
            }
        }
        run.shrank = run.text.len() < size;
        run
    }

    /// Makes blocks of a run. If it shrank, the blocks beside it that fit become part of it; those from `until` on are
    /// about to change and wait for their turn.
    fn settle(&mut self, mut run: Run, until: BlockId, changes: &mut Vec<BlockChange>) {
        if run.numbers.is_empty() {
            // The blocks on both sides are beside each other now.
            let before = self.blocks.range(..run.id).next_back().map(|(id, block)| (*id, block.unpacked_size()));
            let after = self.blocks.range(run.id..until).next().map(|(_, block)| block.unpacked_size());
            let (Some((before, size)), Some(more)) = (before, after) else { return };
            if size + more > MERGED {
                return;
            }
            run = Run { shrank: true, ..Run::of(before, &self.take(before, changes)) };
        }
        if run.shrank {
            self.join_after(&mut run, until, changes);
            self.join_before(&mut run, changes);
        }
        let mut pieces = run.split();
        // The outer pieces are smaller than the block was that stood beside the next ones.
        if let [first, .., last] = &mut pieces[..] {
            self.join_before(first, changes);
            self.join_after(last, until, changes);
        }
        for piece in &pieces {
            let mut writer = BlockWriter::default();
            for (number, group) in piece.groups() {
                writer.push(group, offset(piece.id, number).expect("a run is not longer than a block may be"));
            }
            self.put(piece.id, writer.finish(), changes);
        }
    }

    /// Makes the blocks that follow part of a run as long as they fit.
    fn join_after(&mut self, run: &mut Run, until: BlockId, changes: &mut Vec<BlockChange>) {
        while let Some((&after, block)) = self.blocks.range(run.id..until).next()
            && run.fits(after, block)
        {
            let block = self.take(after, changes);
            run.append(Run::of(after, &block));
        }
    }

    /// Makes the blocks that stand before part of a run as long as they fit.
    fn join_before(&mut self, run: &mut Run, changes: &mut Vec<BlockChange>) {
        while let Some((&before, block)) = self.blocks.range(..run.id).next_back()
            && run.fits(before, block)
        {
            let block = self.take(before, changes);
            let after = std::mem::replace(run, Run::of(before, &block));
            run.append(after);
        }
    }

    /// Appends new groups to the last block, then to new ones.
    fn append(&mut self, new: &[&TargetGroup], changes: &mut Vec<BlockChange>) {
        let last = self.blocks.last_key_value().map(|(id, block)| (*id, block.unpacked_size()));
        let (mut writer, mut id) = (BlockWriter::default(), self.next);
        if let Some((last, size)) = last
            && size < FULL
            && offset(last, self.next + new.len() as u64).is_some()
            && !new.is_empty()
        {
            let block = self.take(last, changes);
            for (group, head) in block.unpack().groups().zip(block.groups()) {
                writer.push(group, head.offset);
            }
            id = last;
        }
        let mut text = Vec::new();
        for group in new {
            let number = self.next;
            self.next += 1;
            self.index.insert(group.id(), number);
            text.clear();
            encode(group, &mut text);
            if overflows(writer.size(), &text) {
                self.put(id, writer.finish(), changes);
            }
            if writer.is_empty() {
                id = number;
            }
            let group = RawGroup::read(&text).expect("a group is read as it was written");
            writer.push(group, offset(id, number).expect("a block is closed long before"));
            if writer.size() >= FULL {
                self.put(id, writer.finish(), changes);
            }
        }
        if !writer.is_empty() {
            self.put(id, writer.finish(), changes);
        }
    }

    fn take(&mut self, id: BlockId, changes: &mut Vec<BlockChange>) -> Arc<Block> {
        changes.push(BlockChange { id, after: None });
        let block = self.blocks.remove(&id).expect("a block is taken once");
        self.entries -= block.len();
        block
    }

    fn put(&mut self, id: BlockId, block: Block, changes: &mut Vec<BlockChange>) {
        let block = Arc::new(block);
        self.entries += block.len();
        self.blocks.insert(id, Arc::clone(&block));
        changes.push(BlockChange { id, after: Some(block) });
    }
}

#[derive(Debug, Default)]
struct Edits<'e> {
    /// Groups that are replaced, encoded.
    text: Vec<u8>,
    /// For each block the groups that are replaced or, with `None`, removed.
    blocks: BTreeMap<BlockId, HashMap<GroupId, Option<Range<usize>>>>,
    /// Groups that were not known. They are encoded one at a time when they are appended: in the first picture of a provider these are
    /// all groups, and their text is far larger than they are.
    new: Vec<&'e TargetGroup>,
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
mod tests;
