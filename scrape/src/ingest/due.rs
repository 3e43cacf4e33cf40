//! The short way: the series that is due, because the scrape before had it at this place, with its labels as they were sent then.
//!
//! A body whose series did not change is so nearly copied: its series are hashed, their values read, and that is all.

use std::ops::Range;

use rosterd_exposition::Sample;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Track;
use super::labels::Final;
use super::pass::{Bench, Kept, Pass, Span};
use super::track::{flag, set_bit};

/// The series that is due.
#[derive(Debug, Clone, Default)]
pub(super) struct Due {
    hash: u64,
    /// How many bytes its identity has; 0 if it has to be read in full.
    pub(super) length: usize,
    /// Its final labels, in what was unpacked.
    pub(super) labels: Range<usize>,
    pub(super) dropped: bool,
}

impl Due {
    /// Whether the bytes are this series. `seed` is that of the hash.
    #[inline]
    pub(super) fn is(&self, identity: &[u8], seed: u64) -> bool {
        xxh3_64_with_seed(identity, seed) & !flag::ALL == self.hash
    }
}

impl Bench {
    /// Looks up which series is due next.
    #[inline]
    pub(super) fn expect(&mut self, track: &Track, pass: &Pass<'_>) {
        let index = self.hashes.len();
        self.due = Due::default();
        if !pass.same || index >= track.hashes.len() {
            return;
        }
        let Some((length, labels)) = self.packer.next(&track.packed) else { return };
        let (hash, dropped) = (track.hashes[index], track.is_dropped(index));
        // What carries timestamps or was refused is judged anew each time.
        let known = hash & flag::ALL == 0 && (dropped || !labels.is_empty());
        self.due = Due { hash, length: if known { length } else { 0 }, labels, dropped };
    }

    /// Takes a sample of the series that is due.
    #[inline]
    pub(super) fn due(&mut self, sample: &Sample<'_>, track: &Track, pass: &mut Pass<'_>) {
        pass.ingested.scraped += 1;
        let hash = self.due.hash;
        let index = self.hashes.len();
        if self.due.dropped {
            set_bit(&mut self.dropped, index);
            return self.add(hash, sample.identity.len(), Span::NOWHERE, 0);
        }
        pass.ingested.kept += 1;
        pass.append(index);
        if pass.cut.is_some() {
            return self.add(hash, sample.identity.len(), Span::NOWHERE, 0);
        }
        let labels = Final::Remembered(self.due.labels.start as u32, self.due.labels.end as u32);
        let name = if pass.rules.wants.extras { name_of(sample.identity) } else { "" };
        let sample = Sample { name, ..*sample };
        let kept = Kept { sample: &sample, histogram: None, labels, hash, at_ms: pass.at_ms };
        let span = self.write(kept, track, pass);
        self.add(hash, sample.identity.len(), span, 0);
    }
}

/// The metric name at the beginning of a series. Not told of one in quotes.
fn name_of(identity: &[u8]) -> &str {
    let end = identity.iter().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':')));
    std::str::from_utf8(&identity[..end.unwrap_or(identity.len())]).unwrap_or_default()
}
