//! How much memory a scrape may take while it is looked at, and what is given back afterwards.

use rosterd_client::Share;

use super::IngestError;
use super::pass::Bench;

/// A part of a scrape that is as large as this is finished: see [`Parts`](super::parts::Parts).
const PART: usize = 2 << 20;
/// So much is kept of the memory that a scrape needed, for the next one.
const KEPT: usize = 4 << 20;
/// The longest series: where it stands is told by 31 bits.
const SERIES: usize = 1 << 30;
/// What is noted of each series besides what has a size of its own: its hash, length and place, and what is remembered of it.
const A_SERIES: usize = 40;

/// The limits of a scrape.
#[derive(Debug)]
pub(super) struct Room {
    /// What it takes of the memory for all scrapes under way.
    pub(super) share: Share,
    /// How much of it is the body.
    pub(super) body: usize,
    pub(super) part: usize,
    pub(super) series: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { share: Share::default(), body: 0, part: PART, series: SERIES }
    }
}

impl Bench {
    /// Begins with a body that takes this share of the memory for all scrapes under way. What it becomes takes more of it,
    /// until [`shrink`](Self::shrink).
    pub fn charge(&mut self, share: Share) {
        self.room.body = share.bytes();
        self.room.share = share;
    }

    /// Gives back what an unusually large scrape needed. What it hands over is gone.
    pub fn shrink(&mut self) {
        self.room.share = Share::default();
        if self.bytes() > KEPT {
            let families = std::mem::take(&mut self.families);
            let Self { room, .. } = std::mem::replace(self, Self::new(families));
            self.room = room;
        }
    }

    /// Whether what is written now is enough for a part.
    #[inline]
    pub(super) fn is_part(&self) -> bool {
        let series = self.hashes.len().saturating_sub(self.parts.series());
        self.block.series.len() + self.aside.len() + series * size_of::<u64>() > self.room.part
    }

    /// Finishes a part.
    #[cold]
    pub(super) fn seal(&mut self) {
        self.parts.add(&mut self.block, &mut self.aside, self.hashes.len());
    }

    /// Takes as much of the memory for all scrapes as this one needs by now.
    pub(super) fn cover(&mut self) -> Result<(), IngestError> {
        let bytes = self.room.body + self.bytes();
        match self.room.share.cover(bytes) {
            true => Ok(()),
            false => Err(IngestError::BlockSize { limit: self.room.share.limit() }),
        }
    }

    /// The memory behind it, in bytes.
    fn bytes(&self) -> usize {
        let texts = [&self.block.series, &self.aside, &self.encoded, &self.message].map(Vec::capacity);
        texts.iter().sum::<usize>()
            + self.hashes.capacity() * A_SERIES
            + (self.times.capacity() + self.dropped.capacity()) * size_of::<u64>()
            + self.block.extras.capacity() * size_of::<rosterd_ship::Extra>()
            + self.parts.bytes()
            + self.packer.bytes()
            + self.other.bytes()
    }
}
