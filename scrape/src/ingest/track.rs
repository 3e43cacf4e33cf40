//! What is remembered of a target's series from one scrape to the next: a hash of each, and their labels, packed.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use rosterd_exposition::Metadata;
use rosterd_ship::wire::field::{put_varint, take_varint};
use zstd::bulk::{Compressor, Decompressor};

use super::exemplars::Newest;

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
    packed: Box<[u8]>,
    /// How long `packed` is when it is unpacked.
    unpacked: u32,
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

/// The level of zstd: this runs on every scrape of targets whose series come and go.
const LEVEL: i32 = 1;

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
        words * 8 + self.packed.len() + size_of_val(&*self.exemplars)
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

    /// Remembers how long the identities of all series are, and their final labels; empty ones have no stale marker to come.
    pub(super) fn remember<'l>(&mut self, series: impl Iterator<Item = (usize, &'l [u8])>, packer: &mut Packer) {
        let plain = &mut packer.plain;
        plain.clear();
        for (length, labels) in series {
            put_varint(length as u64, plain);
            put_varint(labels.len() as u64, plain);
            plain.extend_from_slice(labels);
        }
        self.unpacked = plain.len() as u32;
        self.packed = packer.pack();
    }

    /// Hands out the index and the final labels of each series that can become stale.
    pub(super) fn each(&self, packer: &mut Packer, mut see: impl FnMut(usize, &[u8])) {
        self.unpack(packer);
        let mut index = 0;
        while let Some((_, labels)) = packer.next() {
            if !labels.is_empty() {
                see(index, &packer.plain[labels]);
            }
            index += 1;
        }
    }

    /// Makes the final labels of all series ready for [`Packer::next`].
    pub(super) fn unpack(&self, packer: &mut Packer) {
        packer.unpack(&self.packed, self.unpacked as usize);
    }
}

/// Memory for packing and unpacking, which is large and soon the same for all.
#[derive(Default)]
pub(super) struct Packer {
    pub(super) plain: Vec<u8>,
    /// How far [`next`](Self::next) came.
    at: usize,
    packed: Vec<u8>,
    compressor: Option<Compressor<'static>>,
    decompressor: Option<Decompressor<'static>>,
}

impl Packer {
    fn pack(&mut self) -> Box<[u8]> {
        let compressor = self.compressor.get_or_insert_with(|| Compressor::new(LEVEL).expect("the level exists"));
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(self.plain.len()));
        compressor.compress_to_buffer(&self.plain, &mut self.packed).expect("the buffer is large enough");
        self.packed.as_slice().into()
    }

    /// How long the identity of the next series is, and where its labels stand in `plain`; empty if they are not remembered.
    #[inline]
    pub(super) fn next(&mut self) -> Option<(usize, Range<usize>)> {
        let mut rest = self.plain.get(self.at..)?;
        let before = rest.len();
        let identity = take_varint(&mut rest)? as usize;
        let labels = take_varint(&mut rest)? as usize;
        let start = self.at + before - rest.len();
        self.at = start + labels;
        Some((identity, start..self.at))
    }

    fn unpack(&mut self, packed: &[u8], length: usize) {
        self.at = 0;
        self.plain.clear();
        if length > 0 {
            let decompressor = self.decompressor.get_or_insert_with(|| Decompressor::new().expect("there is memory"));
            self.plain.reserve(length);
            decompressor.decompress_to_buffer(packed, &mut self.plain).expect("it was packed here");
        }
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
