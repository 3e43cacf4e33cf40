//! The first entries of a block, of which no more is unpacked than they take: a block may be one group of a million.

use std::io::Read;

use zstd::stream::read::Decoder;

use super::raw::{RawEntry, Walk};
use super::{Block, FULL};

/// Reads the entries of a block one after the other, and unpacks twice as much each time that what it has is over.
#[derive(Debug)]
pub struct FirstEntries<'a> {
    walk: Walk,
    /// What is not unpacked yet, if anything is left.
    rest: Option<Packed<'a>>,
}

struct Packed<'a>(Decoder<'a, &'a [u8]>);

impl std::fmt::Debug for Packed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Packed")
    }
}

impl<'a> FirstEntries<'a> {
    pub(super) fn of(block: &'a Block) -> Self {
        let decoder = || Decoder::with_buffer(&*block.packed).expect("there is memory for it");
        match block.unpacked {
            0..=FULL => Self { walk: block.walk(), rest: None },
            _ => Self { walk: Walk::new(Vec::new()), rest: Some(Packed(decoder())) },
        }
    }

    /// The next entry and the source of its group, `None` after the last one.
    pub fn next_entry(&mut self) -> Option<(&str, RawEntry<'_>)> {
        loop {
            if let Some(own) = self.walk.step() {
                return Some(self.walk.entry(own));
            }
            self.unpack()?;
        }
    }

    /// How many bytes were unpacked.
    #[cfg(test)]
    pub(super) fn unpacked(&self) -> usize {
        self.walk.size()
    }

    /// `None` where there is no more.
    fn unpack(&mut self) -> Option<()> {
        let more = self.walk.size().max(FULL);
        let Packed(rest) = self.rest.as_mut()?;
        let read = self.walk.extend(|text| rest.take(more as u64).read_to_end(text));
        if read.expect("a block was packed or checked by this process") < more {
            self.rest = None;
        }
        Some(())
    }
}
