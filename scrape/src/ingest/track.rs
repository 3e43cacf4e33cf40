//! What is remembered of a target's series from one scrape to the next: a hash of each, and their labels, packed.

use std::sync::Arc;

use rosterd_exposition::Metadata;
use rosterd_ship::wire::field::{put_varint, take_varint};

/// What is remembered of a target's series: some 16 bytes each.
#[derive(Debug, Clone, Default)]
pub struct Track {
    /// A hash of each series as the target wrote it, in the order of the exposition.
    pub(super) hashes: Box<[u64]>,
    /// Which of them relabelling dropped, a bit each; empty without rules.
    pub(super) dropped: Box<[u64]>,
    /// Their final labels, for stale markers. Packed anew only when the set of series changes.
    packed: Box<[u8]>,
    /// How long `packed` is when it is unpacked.
    unpacked: u32,
    /// Whether the series have been marked as stale since.
    pub(super) stale: bool,
    /// Whether the last scrape had series twice, so that the short way is no good.
    pub(super) irregular: bool,
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

    /// The memory behind it, in bytes, without what targets share.
    pub fn size(&self) -> usize {
        self.hashes.len() * 8 + self.dropped.len() * 8 + self.packed.len()
    }

    /// Has to be called when relabelling rules have changed: what they dropped has to be asked again.
    pub fn rules_changed(&mut self) {
        self.irregular = true;
        self.dropped = Box::default();
    }

    pub(super) fn is_dropped(&self, index: usize) -> bool {
        self.dropped.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Remembers the final labels of all series; an empty one has no stale marker to come.
    pub(super) fn remember<'l>(&mut self, labels: impl Iterator<Item = &'l [u8]>, scratch: &mut Vec<u8>) {
        scratch.clear();
        for labels in labels {
            put_varint(labels.len() as u64, scratch);
            scratch.extend_from_slice(labels);
        }
        self.unpacked = scratch.len() as u32;
        let packed = zstd::bulk::compress(scratch, LEVEL).expect("the level exists and the buffer is large enough");
        self.packed = packed.into_boxed_slice();
    }

    /// Hands out the index and the final labels of each series that can become stale.
    pub(super) fn each(&self, mut see: impl FnMut(usize, &[u8])) {
        let unpacked = zstd::bulk::decompress(&self.packed, self.unpacked as usize).expect("it was packed here");
        let mut rest = unpacked.as_slice();
        let mut index = 0;
        while let Some(length) = take_varint(&mut rest) {
            let (labels, behind) = rest.split_at(length as usize);
            if !labels.is_empty() {
                see(index, labels);
            }
            rest = behind;
            index += 1;
        }
    }
}
