//! Blocks: discovered target groups, a few hundred together, packed and compressed. The form in which discovered labels
//! are kept in memory and in the store, where a label costs a few bytes. Pure.

use std::ops::Range;

use rosterd_model::{Builder, Coded, GroupId, Priority, Retry, TargetGroup};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

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
        let mut reader = Reader(&text);
        while !reader.0.is_empty() {
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
        Walk { text: self.unpack().text, labels: 0..0, at: 0, left: 0 }
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
        let mut reader = Reader(&self.text);
        std::iter::from_fn(move || Some(reader.numbered()?.1))
    }
}

/// A group inside a block.
#[derive(Debug, Clone, Copy)]
pub struct RawGroup<'a> {
    /// All of it, to be copied into another block.
    bytes: &'a [u8],
    source: &'a str,
    key: &'a str,
    labels: &'a [u8],
    targets: &'a [u8],
    count: usize,
}

impl<'a> RawGroup<'a> {
    /// Where the group was read from.
    pub fn source(self) -> &'a str {
        self.source
    }

    /// Which of the groups of its source it is.
    pub fn key(self) -> &'a str {
        self.key
    }

    /// How many entries it has.
    pub fn len(self) -> usize {
        self.count
    }

    /// Whether it has no entries.
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// All of it, as [`encode`] wrote it.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Reads a group that [`encode`] wrote.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        Reader(bytes).group()
    }

    /// A hash of its content, without source and key.
    pub fn fingerprint(self) -> u64 {
        xxh3_64_with_seed(self.targets, xxh3_64(self.labels))
    }

    /// Its entries, in order.
    pub fn entries(self) -> impl Iterator<Item = RawEntry<'a>> {
        let mut reader = Reader(self.targets);
        (0..self.count).map_while(move |_| Some(RawEntry { group: self.labels, own: reader.label_list()? }))
    }
}

/// An entry of a group inside a block.
#[derive(Debug, Clone, Copy)]
pub struct RawEntry<'a> {
    group: &'a [u8],
    own: &'a [u8],
}

impl RawEntry<'_> {
    /// Puts the discovered labels into the builder: its own over those of the group.
    pub fn load(self, labels: &mut Builder) {
        labels.reset(Reader(self.group).labels());
        labels.extend(Reader(self.own).labels());
    }

    fn fingerprint(self, group: u64) -> u64 {
        xxh3_64_with_seed(self.own, group)
    }
}

/// Reads the entries of a block one after the other, and holds its place between two of them.
#[derive(Debug)]
pub struct Walk {
    text: Vec<u8>,
    /// Where the labels of the present group are.
    labels: Range<usize>,
    /// Where the next entry or group begins.
    at: usize,
    /// How many entries of the present group are left.
    left: usize,
}

impl Walk {
    /// The next entry, `None` after the last one.
    pub fn next_entry(&mut self) -> Option<RawEntry<'_>> {
        let mut reader = Reader(&self.text[self.at..]);
        while self.left == 0 {
            reader.length()?;
            reader.str()?;
            reader.str()?;
            let labels = reader.label_list()?.len();
            let end = self.text.len() - reader.0.len();
            self.labels = end - labels..end;
            self.left = reader.length()?;
        }
        let own = reader.label_list()?;
        self.left -= 1;
        self.at = self.text.len() - reader.0.len();
        Some(RawEntry { group: &self.text[self.labels.clone()], own })
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
        self.text.extend_from_slice(group.bytes);
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
        let shared = xxh3_64(group.labels);
        self.entries.extend(group.entries().map(|entry| entry.fingerprint(shared)));
        let id = GroupId::of(group.source, group.key);
        self.groups.push(GroupHead { id, fingerprint: group.fingerprint(), first, offset });
    }
}

/// Appends a group in the form that blocks hold.
pub fn encode(group: &TargetGroup, text: &mut Vec<u8>) {
    push_str(text, &group.source);
    push_str(text, &group.key);
    push_labels(text, group.labels.iter());
    push_length(text, group.targets.len());
    for target in &group.targets {
        push_labels(text, target.iter());
    }
}

fn push_length(text: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        text.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    text.push(length as u8);
}

fn push_str(text: &mut Vec<u8>, value: &str) {
    push_length(text, value.len());
    text.extend_from_slice(value.as_bytes());
}

/// A list of labels is its length in bytes, then names and values in turn.
fn push_labels<'a>(text: &mut Vec<u8>, labels: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
    let length_size = |length: usize| (usize::BITS - (length | 1).leading_zeros()).div_ceil(7) as usize;
    let size = labels
        .clone()
        .map(|(name, value)| length_size(name.len()) + name.len() + length_size(value.len()) + value.len());
    push_length(text, size.sum());
    for (name, value) in labels {
        push_str(text, name);
        push_str(text, value);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A group inside a block, and how many numbers were left out before it.
    fn numbered(&mut self) -> Option<(usize, RawGroup<'a>)> {
        Some((self.length()?, self.group()?))
    }

    fn group(&mut self) -> Option<RawGroup<'a>> {
        let start = self.0;
        let source = self.str()?;
        let key = self.str()?;
        let labels = self.label_list()?;
        let count = self.length()?;
        let targets = self.0;
        for _ in 0..count {
            self.label_list()?;
        }
        let used = |rest: &[u8], whole: &'a [u8]| &whole[..whole.len() - rest.len()];
        Some(RawGroup { bytes: used(self.0, start), source, key, labels, targets: used(self.0, targets), count })
    }

    fn labels(mut self) -> impl Iterator<Item = (&'a str, &'a str)> {
        std::iter::from_fn(move || if self.0.is_empty() { None } else { Some((self.str()?, self.str()?)) })
    }

    fn label_list(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn str(&mut self) -> Option<&'a str> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn length(&mut self) -> Option<usize> {
        let mut length = 0usize;
        for shift in (0..usize::BITS).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            length |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(length);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use rosterd_model::{Labels, Names};

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
