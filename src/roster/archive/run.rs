//! Groups that are about to become blocks: what is put together, and where it is split. Pure.

use crate::roster::block::{Block, BlockId, FULL, GroupNumber, RawGroup};

/// Two blocks beside each other, one of which shrank, become one when it is not larger than this.
pub(super) const MERGED: usize = FULL + FULL / 2;
/// A block that grew is split when it is larger than this. Far enough from [`MERGED`] that no group going to and fro has a
/// block split and merged each time.
pub(super) const LARGEST: usize = 2 * FULL;

/// Groups of blocks beside each other that are about to become one block.
#[derive(Debug)]
pub(super) struct Run {
    /// The first of the blocks.
    pub(super) id: BlockId,
    /// The numbers of the groups.
    pub(super) numbers: Vec<GroupNumber>,
    /// The groups one after the other.
    pub(super) text: Vec<u8>,
    /// Whether it is smaller than the blocks were.
    pub(super) shrank: bool,
}

impl Run {
    pub(super) fn new(id: BlockId) -> Self {
        Self { id, numbers: Vec::new(), text: Vec::new(), shrank: false }
    }

    pub(super) fn of(id: BlockId, block: &Block) -> Self {
        let mut run = Self::new(id);
        for (group, head) in block.unpack().groups().zip(block.groups()) {
            run.push(id + u64::from(head.offset), group.bytes());
        }
        run
    }

    pub(super) fn push(&mut self, number: GroupNumber, group: &[u8]) {
        self.numbers.push(number);
        self.text.extend_from_slice(group);
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = (GroupNumber, RawGroup<'_>)> {
        let mut text = &self.text[..];
        self.numbers.iter().map(move |number| {
            let group = RawGroup::read(text).expect("a group is read as it was written");
            text = &text[group.bytes().len()..];
            (*number, group)
        })
    }

    /// The run itself, or several of equal size where it is too large for a block. A group that is very large is alone.
    pub(super) fn split(self) -> Vec<Self> {
        let size = self.text.len();
        if size <= LARGEST {
            return vec![self];
        }
        let piece = size / (size / FULL);
        let (mut pieces, mut run) = (Vec::new(), Self::new(self.id));
        let (mut written, mut end) = (0, piece);
        for (number, group) in self.groups() {
            if written >= end || overflows(run.text.len(), group.bytes()) {
                pieces.push(std::mem::replace(&mut run, Self::new(number)));
                end += piece;
                if end < written {
                    end = written + piece;
                }
            }
            run.push(number, group.bytes());
            written += group.bytes().len();
        }
        pieces.push(run);
        pieces
    }

    /// Whether it should become one with the run that follows.
    pub(super) fn takes(&self, after: &Self) -> bool {
        let last = after.numbers.last().copied().unwrap_or(after.id);
        let fits = self.text.len() + after.text.len() <= MERGED && offset(self.id, last).is_some();
        (self.shrank || after.shrank) && fits
    }

    /// Whether a block beside it may become part of it.
    pub(super) fn fits(&self, id: BlockId, block: &Block) -> bool {
        let first = self.id.min(id);
        let last = self.numbers.last().copied().unwrap_or(self.id).max(id + u64::from(block.last_offset()));
        self.text.len() + block.unpacked_size() <= MERGED && offset(first, last).is_some()
    }

    pub(super) fn append(&mut self, after: Self) {
        self.numbers.extend(after.numbers);
        self.text.extend(after.text);
        self.shrank = true;
    }
}

/// Whether a group is too large to come into the block that is being written: who changes one of the groups there would have
/// to do with all of it.
pub(super) fn overflows(written: usize, group: &[u8]) -> bool {
    written > 0 && written + group.len() > LARGEST
}

/// A number as a block holds it.
pub(super) fn offset(id: BlockId, number: GroupNumber) -> Option<u32> {
    u32::try_from(number - id).ok().filter(|offset| *offset < u32::MAX)
}
