//! Exemplars: each is sent once, however often the target shows it.

use rosterd_exposition::Exemplars;
use rosterd_ship::wire::put_exemplar;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Track;

/// OpenMetrics allows this many characters in names and values of labels together, and receivers take no more.
const LONGEST: usize = 128;

/// The newest exemplar of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Newest {
    /// The hash of the series, as the target writes it.
    pub(super) series: u64,
    at_ms: i64,
    hash: u64,
}

/// What becomes of the exemplars of one scrape.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    newest: Vec<Newest>,
    /// Which exemplars of a series come when.
    order: Vec<(i64, usize)>,
    labels: Vec<u8>,
}

/// How many exemplars of a sample were taken, and how many are older than one that was.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    pub(super) taken: u32,
    pub(super) out_of_order: usize,
}

impl Sieve {
    pub(super) fn clear(&mut self) {
        self.newest.clear();
    }

    /// Appends those that are new as fields of a series.
    pub(super) fn put(
        &mut self,
        exemplars: Exemplars<'_>,
        series: u64,
        at_ms: i64,
        track: &Track,
        out: &mut Vec<u8>,
    ) -> Taken {
        let known = track.exemplars.binary_search_by_key(&series, |known| known.series);
        let mut newest = known.ok().map(|index| track.exemplars[index]);
        self.order.clear();
        let times = exemplars.iter().map(|exemplar| exemplar.timestamp_ms.unwrap_or(at_ms));
        self.order.extend(times.enumerate().map(|(index, at_ms)| (at_ms, index)));
        self.order.sort_unstable();
        let mut found = Taken::default();
        for &(at_ms, index) in &self.order {
            let Some(exemplar) = exemplars.iter().nth(index) else { continue };
            self.labels.clear();
            let mut length = 0;
            for (name, value) in exemplar.labels.iter() {
                length += name.chars().count() + value.chars().count();
                super::shape::encode_labels(std::iter::once((name, value)), &mut self.labels);
            }
            if length > LONGEST {
                continue;
            }
            // Without a timestamp, the same one again is not a new one.
            let seed = exemplar.value.to_bits() ^ exemplar.timestamp_ms.unwrap_or_default() as u64;
            let hash = xxh3_64_with_seed(&self.labels, seed);
            match newest {
                Some(newest) if newest.hash == hash => continue,
                Some(newest) if at_ms < newest.at_ms => {
                    found.out_of_order += 1;
                    continue;
                }
                _ => {}
            }
            newest = Some(Newest { series, at_ms, hash });
            put_exemplar(exemplar.labels.iter(), exemplar.value, at_ms, out);
            found.taken += 1;
        }
        self.newest.extend(newest);
        // Some old ones beside new ones are what a histogram keeps.
        if found.out_of_order < self.order.len() {
            found.out_of_order = 0;
        }
        found
    }

    /// Remembers what the scrape had.
    pub(super) fn settle(&mut self, track: &mut Track) {
        self.newest.sort_unstable_by_key(|newest| newest.series);
        self.newest.dedup_by_key(|newest| newest.series);
        if *self.newest != *track.exemplars {
            track.exemplars = self.newest.as_slice().into();
        }
    }
}
