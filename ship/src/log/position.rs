//! Up to where records were acknowledged: two slots, written in turn, so that one of them is always whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::mend::mend;

/// How far ahead of the first record that is not acknowledged others can be.
pub(crate) const REACH: u64 = 4096;

const MAGIC: [u8; 4] = *b"rpos";
const VERSION: u16 = 1;
const BITS: usize = REACH as usize / 8;
const SLOT: usize = 4 + 2 + 2 + 8 + 8 + BITS + 4;

/// All records below `base` are acknowledged, and those at `base + i` for each bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    generation: u64,
    pub(super) base: u64,
    bits: Box<[u8]>,
}

impl Position {
    pub(super) fn at(base: u64) -> Self {
        Self { generation: 0, base, bits: vec![0; BITS].into() }
    }

    pub(super) fn is_acknowledged(&self, seq: u64) -> bool {
        let Some(ahead) = seq.checked_sub(self.base) else { return true };
        ahead < REACH && self.bits[ahead as usize / 8] >> (ahead % 8) & 1 == 1
    }

    /// How many of these are not acknowledged.
    pub(super) fn left(&self, first: u64, end: u64) -> u64 {
        let (first, reach) = (first.max(self.base), self.base + REACH);
        let near = (first..end.min(reach)).filter(|seq| !self.is_acknowledged(*seq)).count() as u64;
        near + end.saturating_sub(first.max(reach))
    }

    /// No record from this number on is acknowledged.
    pub(super) fn end(&self) -> u64 {
        let last = (self.base..self.base + REACH).rev().find(|seq| self.is_acknowledged(*seq));
        last.map_or(self.base, |last| last + 1)
    }

    /// Moves on; what is acknowledged stays so. Records out of reach are not remembered: they would be sent twice after a
    /// crash.
    pub(super) fn set(&mut self, base: u64, beyond: impl Iterator<Item = u64>) {
        let base = base.max(self.base);
        let before: Vec<u64> = if self.bits.iter().all(|bits| *bits == 0) {
            Vec::new()
        } else {
            (self.base..self.base + REACH).filter(|seq| self.is_acknowledged(*seq)).collect()
        };
        self.generation += 1;
        self.base = base;
        self.bits.fill(0);
        let all = before.into_iter().chain(beyond);
        for ahead in all.filter_map(|seq| seq.checked_sub(base)).filter(|ahead| *ahead < REACH) {
            self.bits[ahead as usize / 8] |= 1 << (ahead % 8);
        }
    }

    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        let mut slot = Vec::with_capacity(SLOT);
        slot.extend(MAGIC);
        slot.extend(VERSION.to_le_bytes());
        slot.extend([0; 2]);
        slot.extend(self.generation.to_le_bytes());
        slot.extend(self.base.to_le_bytes());
        slot.extend(&*self.bits);
        slot.extend(crc32fast::hash(&slot).to_le_bytes());
        file.write_all_at(&slot, self.generation % 2 * SLOT as u64)
    }

    /// The newest whole slot.
    pub(super) fn read(path: &Path) -> io::Result<Read> {
        let bytes = match rosterd_tasks::files::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Missing),
            Err(error) => return Err(error),
        };
        let slots = bytes.chunks_exact(SLOT).map(<[u8]>::to_vec);
        // Of two slots the second may have been written alone. What is cut off is none.
        let is_known = |slot: &Vec<u8>| {
            slot.iter().all(|byte| *byte == 0) || decode(slot).or_else(|| mended(slot.clone())).is_some()
        };
        let is_whole = slots.clone().all(|slot| is_known(&slot)) && bytes.len().is_multiple_of(SLOT);
        let mut whole: Vec<Position> = slots.clone().filter_map(|slot| decode(&slot)).collect();
        // Of the others only a byte may be wrong. The first of all has none before it.
        let before = whole.iter().map(|position| position.generation).max().unwrap_or(0);
        let base = whole.first().map_or(0, |position| position.base);
        let next = |position: &Position| position.generation == before + 1 && position.base >= base;
        if whole.len() < 2
            && let Some(mended) = slots.clone().filter_map(mended).find(next)
        {
            whole.push(mended);
        }
        let newest = whole.into_iter().max_by_key(|position| position.generation);
        Ok(match newest {
            Some(position) => Read::Position { position, is_whole },
            None if bytes.is_empty() => Read::Missing,
            None if slots.clone().any(|slot| version(&slot) > Some(VERSION)) => Read::Newer,
            None => Read::Damaged,
        })
    }
}

/// What a position file holds.
#[derive(Debug)]
pub(super) enum Read {
    /// There is no file, or nothing in it.
    Missing,
    Position {
        position: Position,
        /// The other slot, if there is one, is whole, too: it was written before.
        is_whole: bool,
    },
    Damaged,
    Newer,
}

/// The version of a slot, unless it is none.
fn version(slot: &[u8]) -> Option<u16> {
    let (magic, rest) = slot.split_first_chunk()?;
    let known = *magic == MAGIC;
    known.then_some(u16::from_le_bytes(*rest.first_chunk()?))
}

fn mended(mut slot: Vec<u8>) -> Option<Position> {
    mend(&mut slot).then(|| decode(&slot)).flatten()
}

fn decode(slot: &[u8]) -> Option<Position> {
    let (content, checksum) = slot.split_last_chunk()?;
    if version(slot)? > VERSION || crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let number = |at: usize| Some(u64::from_le_bytes(content.get(at..at + 8)?.try_into().ok()?));
    Some(Position { generation: number(8)?, base: number(16)?, bits: content.get(24..)?.into() })
}
