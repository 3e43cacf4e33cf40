//! Exemplars: each is sent once, however often the target shows it.

use std::cmp::Ordering;

use rosterd_exposition::{Exemplar, Exemplars};
use rosterd_ship::wire::put_exemplar;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Track;

/// OpenMetrics allows this many characters in names and values of labels together, and receivers take no more.
const LONGEST: usize = 128;

/// The newest exemplar of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Newest {
    /// The hash of the series, as the target writes it.
    pub(super) series: u64,
    at_ms: i64,
    value: f64,
    hash: u64,
}

/// What becomes of the exemplars of one scrape.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    newest: Vec<Newest>,
    /// Which exemplars of a series come when.
    order: Vec<(i64, usize)>,
    encoded: Vec<u8>,
}

/// How many exemplars of a sample were taken, and how many are older than one that was.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TakenExemplars {
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
    ) -> TakenExemplars {
        let known = track.exemplars.binary_search_by_key(&series, |known| known.series);
        let before = known.ok().map(|index| track.exemplars[index]);
        let mut newest = before;
        let mut last = before.map(|before| before.hash);
        self.order.clear();
        let times = exemplars.iter().map(|exemplar| exemplar.timestamp_ms.unwrap_or(at_ms));
        self.order.extend(times.enumerate().map(|(index, at_ms)| (at_ms, index)));
        if self.order.len() > 1 {
            self.order.sort_by_cached_key(|(at_ms, index)| ExemplarPlace::of(exemplars, *at_ms, *index));
        }
        let mut found = TakenExemplars::default();
        for &(at_ms, index) in &self.order {
            let Some(exemplar) = exemplars.iter().nth(index) else { continue };
            let Some(labels) = labels(exemplar) else { continue };
            self.encoded.clear();
            super::shape::encode_labels(labels.iter().copied(), &mut self.encoded);
            // Without a timestamp, the same one again is not a new one.
            let seed = exemplar.value.to_bits() ^ exemplar.timestamp_ms.unwrap_or_default() as u64;
            let hash = xxh3_64_with_seed(&self.encoded, seed);
            let this = Newest { series, at_ms, value: exemplar.value, hash };
            if last == Some(hash) {
                continue;
            }
            if before.is_some_and(|before| this.is_before(&before)) {
                found.out_of_order += 1;
                continue;
            }
            last = Some(hash);
            if newest.is_none_or(|newest| newest.is_before(&this)) {
                newest = Some(this);
            }
            put_exemplar(labels.iter().copied(), exemplar.value, at_ms, out);
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

impl Newest {
    /// Of exemplars of the same time that with the smaller value comes first, as in Prometheus. Among equals any order
    /// does that is always the same.
    fn is_before(&self, other: &Self) -> bool {
        let by_value = self.value.total_cmp(&other.value);
        self.at_ms.cmp(&other.at_ms).then(by_value).then(self.hash.cmp(&other.hash)).is_lt()
    }
}

/// Where an exemplar comes among those of its sample: by time, value and labels, as Prometheus sorts them.
#[derive(Debug, PartialEq)]
struct ExemplarPlace<'a> {
    at_ms: i64,
    value: f64,
    labels: Vec<(&'a str, &'a str)>,
}

impl<'a> ExemplarPlace<'a> {
    fn of(exemplars: Exemplars<'a>, at_ms: i64, index: usize) -> Self {
        let exemplar = exemplars.iter().nth(index);
        let (value, labels) = exemplar.map_or((0.0, None), |exemplar| (exemplar.value, labels(exemplar)));
        Self { at_ms, value, labels: labels.unwrap_or_default() }
    }
}

impl Eq for ExemplarPlace<'_> {}

impl Ord for ExemplarPlace<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_value = self.value.total_cmp(&other.value);
        self.at_ms.cmp(&other.at_ms).then(by_value).then_with(|| self.labels.cmp(&other.labels))
    }
}

impl PartialOrd for ExemplarPlace<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The labels that are sent, sorted by name; a label without value is none. `None` if receivers would refuse them: one is
/// there twice, or they are too long.
fn labels(exemplar: Exemplar<'_>) -> Option<Vec<(&str, &str)>> {
    let mut labels: Vec<_> = exemplar.labels.iter().filter(|(_, value)| !value.is_empty()).collect();
    labels.sort_unstable();
    let length: usize = labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    let is_good = length <= LONGEST && labels.windows(2).all(|pair| pair[0].0 != pair[1].0);
    is_good.then_some(labels)
}
