//! Blocks: discovered target groups, a few hundred together, packed and compressed. The form in which discovered labels
//! are kept in memory and in the store, where a label costs a few bytes. Pure.

mod first; // as much of it as is read
mod raw; // the unpacked form: bytes that are read in place

pub use first::FirstEntries;
pub use raw::{RawEntry, RawGroup, Walk, encode};
use raw::{Reader, push_length};
use rosterd_model::{Coded, GroupId, Priority, Retry};

/// A block is closed when its unpacked groups reach this size; a larger group has a block of its own.
pub const FULL: usize = 64 * 1024;
const LEVEL: i32 = 1;
/// The first byte of what is stored. Version 1, in which groups had neither numbers nor keys, goes with the store that had it.
const VERSION: u8 = 2;
/// What a block may unpack to: a bound against damaged input, far above any real group.
const LARGEST: usize = 4 << 30;

/// The place of a group in the order in which its provider's groups were discovered, from 1: each group gets the next
/// number, and keeps it while it changes and moves between blocks.
pub type GroupNumber = u64;

/// A block goes by the number of a group that was the first in it once: its groups have this number or higher ones, those
/// of the block before it have lower ones.
pub type BlockId = GroupNumber;

/// Blocks from here on hold what a job keeps of a provider beside what that one has.
pub const KEPT: BlockId = 1 << 62;

/// Groups of one provider, compressed. Immutable: a change makes a new block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    packed: Box<[u8]>,
    unpacked: usize,
    groups: Box<[GroupHead]>,
    entries: Box<[u64]>,
}

/// What is known of a group without unpacking its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupHead {
    /// The hashes of its source and key.
    pub id: GroupId,
    /// A hash of its content.
    pub fingerprint: u64,
    /// The index of its first entry within the block.
    pub first: u32,
    /// Its number, less that of the block.
    pub offset: u32,
}

/// A stored block is damaged or of another version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Another rosterd wrote it.
    #[error("stored block has format {found}, this rosterd reads {VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// It does not hold what it says.
    #[error("stored block is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
}

impl Coded for BlockError {
    fn code(&self) -> &'static str {
        match self {
            Self::Version { .. } => "roster_block_version",
            Self::Damaged { .. } => "roster_block_damaged",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

impl Block {
    /// The block's form in the store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.packed.len() + 9);
        bytes.push(VERSION);
        bytes.extend_from_slice(&(self.unpacked as u64).to_le_bytes());
        bytes.extend_from_slice(&self.packed);
        bytes
    }

    /// A block from its form in the store.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BlockError> {
        let damaged = |what| BlockError::Damaged { what };
        let (&version, rest) = bytes.split_first().ok_or(damaged("it is empty"))?;
        if version != VERSION {
            return Err(BlockError::Version { found: version });
        }
        let (size, packed) = rest.split_first_chunk::<8>().ok_or(damaged("it is cut short"))?;
        let size = usize::try_from(u64::from_le_bytes(*size)).unwrap_or(usize::MAX);
        if size > LARGEST {
            return Err(damaged("its size cannot be true"));
        }
        let text = unpack(packed, size).ok_or(damaged("it does not decompress"))?;
        let mut writer = BlockWriter::default();
        let mut reader = Reader::new(&text);
        while !reader.is_empty() {
            let (skipped, raw) = reader.numbered().ok_or(damaged("a group is cut short"))?;
            let offset = writer.next.checked_add(u32::try_from(skipped).unwrap_or(u32::MAX));
            writer.push(raw, offset.filter(|offset| *offset < u32::MAX).ok_or(damaged("a number cannot be true"))?);
        }
        Ok(writer.head(packed.into(), text.len()))
    }

    /// The heads of its groups, in order.
    pub fn groups(&self) -> &[GroupHead] {
        &self.groups
    }

    /// How many entries its groups have together.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A hash of each entry's discovered labels: equal for equal labels.
    pub fn entries(&self) -> &[u64] {
        &self.entries
    }

    /// The entries of a group.
    pub fn entries_of(&self, group: usize) -> std::ops::Range<usize> {
        let end = self.groups.get(group + 1).map_or(self.entries.len(), |next| next.first as usize);
        self.groups[group].first as usize..end
    }

    /// How many bytes its groups have when they are not packed.
    pub fn unpacked_size(&self) -> usize {
        self.unpacked
    }

    /// The number of its last group, less that of the block.
    pub fn last_offset(&self) -> u32 {
        self.groups.last().map_or(0, |head| head.offset)
    }

    /// The group that an entry belongs to.
    pub fn group_of(&self, entry: usize) -> Option<&GroupHead> {
        let after = self.groups.partition_point(|head| head.first as usize <= entry);
        self.groups.get(after.checked_sub(1)?)
    }

    /// The memory it occupies, in bytes.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.packed.len() + size_of_val(&*self.groups) + size_of_val(&*self.entries)
    }

    /// A block of those of its groups that are wanted, if there are any.
    pub fn only(&self, wanted: impl Fn(GroupId) -> bool) -> Option<Self> {
        if !self.groups.iter().any(|head| wanted(head.id)) {
            return None;
        }
        let (unpacked, mut writer) = (self.unpack(), BlockWriter::default());
        let groups = unpacked.groups().zip(&self.groups).filter(|(_, head)| wanted(head.id));
        groups.for_each(|(group, head)| writer.push(group, head.offset));
        Some(writer.finish())
    }

    /// Its entries, for reading with pauses in between.
    pub fn walk(&self) -> Walk {
        Walk::new(self.unpack().text)
    }

    /// Its entries, of which no more are unpacked than are read, but for a little.
    pub fn first_entries(&self) -> FirstEntries<'_> {
        FirstEntries::of(self)
    }

    /// Its content, for reading.
    pub fn unpack(&self) -> Unpacked {
        let text = unpack(&self.packed, self.unpacked).expect("a block was packed or checked by this process");
        Unpacked { text }
    }
}

fn unpack(packed: &[u8], size: usize) -> Option<Vec<u8>> {
    let text = zstd::bulk::decompress(packed, size).ok()?;
    (text.len() == size).then_some(text)
}

/// The content of a block.
#[derive(Debug)]
pub struct Unpacked {
    text: Vec<u8>,
}

impl Unpacked {
    /// Its groups, in order.
    pub fn groups(&self) -> impl Iterator<Item = RawGroup<'_>> {
        let mut reader = Reader::new(&self.text);
        std::iter::from_fn(move || Some(reader.numbered()?.1))
    }
}

/// Collects groups into a block.
#[derive(Debug, Default)]
pub struct BlockWriter {
    text: Vec<u8>,
    groups: Vec<GroupHead>,
    entries: Vec<u64>,
    /// The lowest offset of the next group.
    next: u32,
}

impl BlockWriter {
    /// Adds a group. `offset` is its number, less that of the block, and above those of the groups before.
    pub fn push(&mut self, group: RawGroup<'_>, offset: u32) {
        push_length(&mut self.text, (offset - self.next) as usize);
        self.text.extend_from_slice(group.bytes());
        self.next = offset + 1;
        self.note(group, offset);
    }

    /// How many bytes its groups have until now.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// Whether it has no groups.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The block; the writer starts anew.
    pub fn finish(&mut self) -> Block {
        let packed =
            zstd::bulk::compress(&self.text, LEVEL).expect("zstd compresses any bytes into a large enough buffer");
        let unpacked = self.text.len();
        self.text.clear();
        self.head(packed.into(), unpacked)
    }

    fn head(&mut self, packed: Box<[u8]>, unpacked: usize) -> Block {
        let groups = std::mem::take(&mut self.groups).into();
        self.next = 0;
        Block { packed, unpacked, groups, entries: std::mem::take(&mut self.entries).into() }
    }

    fn note(&mut self, group: RawGroup<'_>, offset: u32) {
        let first = u32::try_from(self.entries.len()).expect("a block holds far fewer than 2^32 entries");
        self.entries.extend(group.entry_hashes());
        let id = GroupId::of(group.source(), group.key());
        self.groups.push(GroupHead { id, fingerprint: group.fingerprint(), first, offset });
    }
}

#[cfg(test)]
mod tests {
    use rosterd_model::{Builder, Labels, Names, TargetGroup};

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect()
    }

    fn group(source: &str, shared: &[(&str, &str)], addresses: &[&str]) -> TargetGroup {
        let targets = addresses.iter().map(|address| labels(&[("__address__", address)])).collect();
        TargetGroup { source: source.into(), labels: labels(shared), targets, ..TargetGroup::default() }
    }

    fn block(groups: &[TargetGroup]) -> Block {
        numbered(groups, &[0, 1, 2])
    }

    fn numbered(groups: &[TargetGroup], offsets: &[u32]) -> Block {
        let mut writer = BlockWriter::default();
        for (group, &offset) in groups.iter().zip(offsets) {
            let mut text = Vec::new();
            encode(group, &mut text);
            writer.push(RawGroup::read(&text).expect("a group is read as it was written"), offset);
        }
        writer.finish()
    }

    fn discovered(block: &Block) -> Vec<(String, String)> {
        let mut builder = Builder::new();
        let unpacked = block.unpack();
        let mut found = Vec::new();
        for group in unpacked.groups() {
            for entry in group.entries() {
                entry.load(&mut builder);
                found.push((group.source().to_owned(), builder.build(&mut Names::new()).to_string()));
            }
        }
        found
    }

    #[test]
    fn groups_come_back_as_they_went_in() {
        let block =
            block(&[group("a", &[("x", "1")], &["h:1", "h:2"]), group("b", &[], &[]), group("c", &[], &["h:3"])]);
        let expected = [
            ("a", r#"{__address__="h:1", x="1"}"#),
            ("a", r#"{__address__="h:2", x="1"}"#),
            ("c", r#"{__address__="h:3"}"#),
        ];
        assert_eq!(discovered(&block), expected.map(|(source, text)| (source.to_owned(), text.to_owned())));
        assert_eq!((0..3).map(|index| block.entries_of(index)).collect::<Vec<_>>(), [0..2, 2..2, 2..3]);
    }

    #[test]
    fn no_more_is_unpacked_than_is_read() {
        let addresses: Vec<_> =
            (0..20_000u64).map(|number| format!("h{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let large: Vec<_> = addresses.iter().map(|address| &**address).collect();
        let small = block(&[group("a", &[], &["h:1"])]);
        let block = block(&[group("a", &[("x", "1")], &["h:1"]), group("b", &[], &[]), group("c", &[], &large)]);
        assert!(block.unpacked_size() > 4 * FULL);
        let (mut builder, mut names) = (Builder::new(), Names::new());
        let mut read = |entries: &mut FirstEntries<'_>| {
            let (source, entry) = entries.next_entry()?;
            entry.load(&mut builder);
            Some((source.to_owned(), builder.build(&mut names).to_string()))
        };
        let (mut entries, all) = (block.first_entries(), discovered(&block));
        assert_eq!((0..10).filter_map(|_| read(&mut entries)).collect::<Vec<_>>(), all[..10]);
        assert_eq!(entries.unpacked(), FULL);
        assert_eq!(std::iter::from_fn(|| read(&mut entries)).collect::<Vec<_>>(), all[10..]);
        assert_eq!(entries.unpacked(), block.unpacked_size());
        let mut entries = small.first_entries();
        assert_eq!(std::iter::from_fn(|| read(&mut entries)).count(), 1);
    }

    #[test]
    fn the_stored_form_comes_back_whole() {
        let groups = [group("a", &[("x", "1")], &["h:1"]), group("b", &[("x", "2")], &["h:2", "h:3"])];
        let block = numbered(&groups, &[3, 70_000]);
        assert_eq!(block.groups().iter().map(|head| head.offset).collect::<Vec<_>>(), [3, 70_000]);
        assert_eq!(Block::from_bytes(&block.to_bytes()), Ok(block));
    }

    #[test]
    fn groups_of_one_source_are_told_apart_by_their_keys() {
        let keyed = |key: &str| TargetGroup { key: key.into(), ..group("a", &[], &["h:1"]) };
        let block = block(&[keyed("1"), keyed("2")]);
        let ids: Vec<_> = block.groups().iter().map(|head| head.id).collect();
        assert_eq!(ids, [GroupId::of("a", "1"), GroupId::of("a", "2")]);
        assert_eq!(block.unpack().groups().map(|group| group.key().to_owned()).collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn a_damaged_block_is_refused_and_never_panics() {
        let bytes = block(&[group("a", &[("x", "1")], &["h:1"])]).to_bytes();
        assert!(Block::from_bytes(&[]).is_err());
        for cut in 0..bytes.len() {
            assert!(Block::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        assert_eq!(Block::from_bytes(&[9, 0]), Err(BlockError::Version { found: 9 }));
    }

    #[test]
    fn entries_with_equal_labels_have_equal_hashes() {
        let one = block(&[group("a", &[("x", "1")], &["h:1", "h:2"])]);
        let two = block(&[group("b", &[("x", "1")], &["h:2"]), group("c", &[("x", "2")], &["h:1"])]);
        assert_eq!(one.entries()[1], two.entries()[0]);
        assert_ne!(one.entries()[0], two.entries()[1]);
    }

    #[test]
    fn a_walk_sees_what_reading_at_once_sees() {
        let block = block(&[group("a", &[("g", "1")], &["x", "y"]), group("b", &[], &["z"])]);
        let (mut builder, mut walk, mut walked) = (Builder::new(), block.walk(), Vec::new());
        assert_eq!(
            (0..3).map(|entry| block.group_of(entry).map(|head| head.offset)).collect::<Vec<_>>(),
            [Some(0), Some(0), Some(1)]
        );
        while let Some(entry) = walk.next_entry() {
            entry.load(&mut builder);
            walked.push(builder.build(&mut Names::new()).to_string());
        }
        assert_eq!(walked, discovered(&block).into_iter().map(|(_, labels)| labels).collect::<Vec<_>>());
    }
}
