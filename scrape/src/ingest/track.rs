//! What is remembered of a target's series from one scrape to the next: a hash of each, and their labels, packed.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use rosterd_exposition::Metadata;
use rosterd_ship::wire::field::{put_varint, take_varint};
use zstd::bulk::{Compressor, Decompressor};

use super::exemplars::Newest;
use super::parts::LEVEL;

/// The bits of a hash that are not of the series, but of what became of it.
pub(super) mod flag {
    /// The series never gets a stale marker.
    pub(in super::super) const UNTRACKED: u64 = 1;
    /// It carries timestamps of its own.
    pub(in super::super) const TIMED: u64 = 2;
    /// None of its samples was ever taken.
    pub(in super::super) const REFUSED: u64 = 4;
    /// All of them.
    pub(in super::super) const ALL: u64 = 7;
}

/// What is remembered of a target's series: some 16 bytes each.
#[derive(Debug, Clone, Default)]
pub struct Track {
    /// A hash of each series as the target wrote it, in the order of the exposition.
    pub(super) hashes: Box<[u64]>,
    /// Which of them relabelling dropped, a bit each; empty without rules.
    pub(super) dropped: Box<[u64]>,
    /// Their final labels, and how long they are as the target wrote them. Packed anew only when the set of series changes.
    pub(super) packed: Packed,
    /// The newest timestamp of each series that carries its own, in the order of `hashes`.
    pub(super) times: Box<[i64]>,
    /// Series that are not among `hashes` because scrapes failed before they came: no news when they come again. Sorted.
    pub(super) known: Box<[u64]>,
    /// The newest exemplar of each series that has some, by the hash of the series.
    pub(super) exemplars: Box<[Newest]>,
    /// Whether the series have been marked as stale since.
    pub(super) stale: bool,
    /// Whether the last scrape had series twice, so that the short way is no good.
    pub(super) irregular: bool,
    /// Whether final labels were made by other rules than those of the next scrape.
    pub(super) outdated: bool,
    /// Whether anything, the automatic series included, was ever sent.
    pub(super) reported: bool,
    pub(super) families_hash: u64,
    pub(super) families: Option<Arc<[Metadata]>>,
}

/// Final labels of series and the lengths of their identities, in pieces of [`PIECE`] bytes, each packed for itself: what a large
/// target has is never there in full. Before each piece stands how long it is, unpacked and packed.
#[derive(Debug, Clone, Default)]
pub(super) struct Packed(Box<[u8]>);

/// How much is packed at once: more of it is not packed better.
const PIECE: usize = 256 << 10;

impl Packed {
    /// Hands out the index and the final labels of each series that can become stale.
    pub(super) fn each(&self, packer: &mut Packer, mut see: impl FnMut(usize, &[u8])) {
        packer.rewind();
        let mut index = 0;
        while let Some((_, labels)) = packer.next(self) {
            if !labels.is_empty() {
                see(index, &packer.plain[labels]);
            }
            index += 1;
        }
    }
}

impl Track {
    /// How many series the last good scrape had.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// What the target says about its metric families.
    pub fn metadata(&self) -> &[Metadata] {
        self.families.as_deref().unwrap_or_default()
    }

    /// The same, shared with all targets that say the same.
    pub fn families(&self) -> Option<&Arc<[Metadata]>> {
        self.families.as_ref()
    }

    /// Whether anything was ever told of the target, if only that it is down.
    pub(crate) fn has_said_something(&self) -> bool {
        self.reported
    }

    /// The memory behind it, in bytes, without what targets share.
    pub fn size(&self) -> usize {
        let words = self.hashes.len() + self.dropped.len() + self.times.len() + self.known.len();
        words * 8 + self.packed.0.len() + size_of_val(&*self.exemplars)
    }

    /// Has to be called when the rules are other ones than at the last scrape, or the labels of the target. The next scrape
    /// works out all final labels anew, and marks as stale what has others than before.
    pub fn rules_changed(&mut self) {
        self.outdated = true;
        self.dropped = Box::default();
        self.known = Box::default();
    }

    pub(super) fn is_dropped(&self, index: usize) -> bool {
        bit(&self.dropped, index)
    }
}

/// Memory for packing and unpacking, which is large and soon the same for all.
#[derive(Default)]
pub(super) struct Packer {
    /// The piece that is read or written.
    pub(super) plain: Vec<u8>,
    /// How far [`next`](Self::next) came in it.
    at: usize,
    /// How far it came in all pieces.
    read: usize,
    packed: Vec<u8>,
    /// The pieces that are written.
    pieces: Vec<u8>,
    compressor: Option<Compressor<'static>>,
    decompressor: Option<Decompressor<'static>>,
}

impl Packer {
    /// The memory behind it, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.plain.capacity() + self.packed.capacity() + self.pieces.capacity()
    }

    /// Adds a series to what is packed: how long its identity is, and its final labels; empty ones have no stale marker to
    /// come.
    pub(super) fn add(&mut self, length: u32, labels: &[u8]) {
        put_varint(length.into(), &mut self.plain);
        put_varint(labels.len() as u64, &mut self.plain);
        self.plain.extend_from_slice(labels);
        if self.plain.len() >= PIECE {
            self.pack();
        }
    }

    /// What was added since the last [`rewind`](Self::rewind).
    pub(super) fn finish(&mut self) -> Packed {
        if !self.plain.is_empty() {
            self.pack();
        }
        Packed(self.pieces.as_slice().into())
    }

    fn pack(&mut self) {
        let compressor = self.compressor.get_or_insert_with(|| Compressor::new(LEVEL).expect("the level exists"));
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(self.plain.len()));
        compressor.compress_to_buffer(&self.plain, &mut self.packed).expect("the buffer is large enough");
        put_varint(self.plain.len() as u64, &mut self.pieces);
        put_varint(self.packed.len() as u64, &mut self.pieces);
        self.pieces.extend_from_slice(&self.packed);
        self.plain.clear();
    }

    /// Begins with reading or writing.
    pub(super) fn rewind(&mut self) {
        (self.at, self.read) = (0, 0);
        self.plain.clear();
        self.pieces.clear();
    }

    /// How long the identity of the next series is, and where its labels stand in `plain`; empty if they are not remembered.
    #[inline]
    pub(super) fn next(&mut self, packed: &Packed) -> Option<(usize, Range<usize>)> {
        if self.at == self.plain.len() {
            self.unpack(packed)?;
        }
        let mut rest = self.plain.get(self.at..)?;
        let before = rest.len();
        let identity = take_varint(&mut rest)? as usize;
        let labels = take_varint(&mut rest)? as usize;
        let start = self.at + before - rest.len();
        self.at = start + labels;
        Some((identity, start..self.at))
    }

    /// Unpacks the next piece, if there is one. It stays out of what is done for each sample.
    #[cold]
    #[inline(never)]
    fn unpack(&mut self, packed: &Packed) -> Option<()> {
        let mut rest = packed.0.get(self.read..)?;
        let (plain, length) = (take_varint(&mut rest)? as usize, take_varint(&mut rest)? as usize);
        let piece = rest.get(..length)?;
        self.read = packed.0.len() - rest.len() + length;
        self.at = 0;
        self.plain.clear();
        self.plain.reserve(plain);
        let decompressor = self.decompressor.get_or_insert_with(|| Decompressor::new().expect("there is memory"));
        decompressor.decompress_to_buffer(piece, &mut self.plain).expect("it was packed here");
        Some(())
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

/// Whether the bit at this index is set; those behind the end are not.
pub(super) fn bit(words: &[u64], index: usize) -> bool {
    words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
}

/// Sets the bit at this index.
pub(super) fn set_bit(words: &mut Vec<u64>, index: usize) {
    if words.len() <= index / 64 {
        words.resize(index / 64 + 1, 0);
    }
    words[index / 64] |= 1 << (index % 64);
}
