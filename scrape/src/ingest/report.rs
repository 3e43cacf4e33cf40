//! The series that every scrape has, whatever the target says.

use rosterd_ship::Block;
use rosterd_ship::wire::STALE;
use xxhash_rust::xxh3::xxh3_64;

use super::other::Set;
use super::pass::{Bench, Ingested};
use super::shape::{NAME, encode_labels, labels_length};
use super::{Rules, Track};

/// What became of a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Report {
    /// Whether it worked.
    pub up: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What it held.
    pub ingested: Ingested,
    /// The timeout, in seconds.
    pub timeout_seconds: f64,
    /// The size of the body, unpacked; -1 when it was above the limit.
    pub body_bytes: i64,
}

/// The automatic series, in the order in which Prometheus writes them, and their values.
fn series(report: &Report, rules: &Rules) -> impl Iterator<Item = (&'static str, f64)> {
    let always = [
        ("up", f64::from(u8::from(report.up))),
        ("scrape_duration_seconds", report.seconds),
        ("scrape_samples_scraped", report.ingested.scraped as f64),
        ("scrape_samples_post_metric_relabeling", report.ingested.kept as f64),
        ("scrape_series_added", report.ingested.added as f64),
    ];
    let extra = [
        ("scrape_timeout_seconds", report.timeout_seconds),
        ("scrape_sample_limit", rules.sample_limit as f64),
        ("scrape_body_size_bytes", report.body_bytes as f64),
    ];
    always.into_iter().chain(extra.into_iter().filter(|_| rules.extra_metrics))
}

impl Bench {
    /// Adds the automatic series to the block.
    pub fn report(&mut self, track: &mut Track, rules: &Rules, target: &[(&str, &str)], report: &Report, at_ms: i64) {
        for (name, value) in series(report, rules) {
            self.automatic(rules, target, name, value, at_ms);
        }
        track.reported = true;
    }

    /// Adds stale markers of automatic series that other rules do not have any more, or have with other labels. To be called
    /// along with [`Track::rules_changed`].
    pub fn replaced(&mut self, track: &Track, before: &Rules, now: &Rules, target: &[(&str, &str)], at_ms: i64) {
        if !track.reported {
            return;
        }
        let report = Report::default();
        for (name, _) in series(&report, before) {
            if before.external != now.external || series(&report, now).all(|(kept, _)| kept != name) {
                self.automatic(before, target, name, STALE, at_ms);
            }
        }
    }

    /// Adds stale markers of everything that the target ever had, but for what others with its labels have: it is gone.
    pub fn end(
        &mut self,
        track: &mut Track,
        rules: &Rules,
        others: &[(&Track, &Rules)],
        target: &[(&str, &str)],
        at_ms: i64,
    ) {
        let mut had = Set::default();
        for (other, _) in others {
            other.packed.each(&mut self.packer, |_, labels| {
                had.insert(xxh3_64(labels));
            });
        }
        self.failed_but(track, &had, at_ms);
        if std::mem::take(&mut track.reported) {
            let report = Report::default();
            for (name, _) in series(&report, rules) {
                let has = |(other, its): &(&Track, &Rules)| {
                    other.reported
                        && its.external == rules.external
                        && series(&report, its).any(|(kept, _)| kept == name)
                };
                if !others.iter().any(has) {
                    self.automatic(rules, target, name, STALE, at_ms);
                }
            }
        }
        *track = Track::default();
    }

    fn automatic(&mut self, rules: &Rules, target: &[(&str, &str)], name: &'static str, value: f64, at_ms: i64) {
        let external = rules.external.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let missing = external.filter(|(name, _)| !target.iter().any(|(known, _)| known == name));
        let mut labels: Vec<_> = target.iter().copied().chain(missing).chain([(NAME, name)]).collect();
        labels.sort_unstable();
        let labels = labels.iter().copied();
        let length = labels_length(labels.clone());
        put(&mut self.block, length, |out| encode_labels(labels, out), value, at_ms);
    }
}

/// Adds a series of one sample to a block.
#[inline]
pub(super) fn put(block: &mut Block, length: usize, labels: impl FnOnce(&mut Vec<u8>), value: f64, at_ms: i64) {
    use rosterd_ship::wire::{field, put_sample, sample_len};
    let out = &mut block.series;
    out.push(field::bytes_key(1));
    field::put_varint((length + 2 + sample_len(at_ms)) as u64, out);
    labels(out);
    put_sample(value, at_ms, out);
    count(block, at_ms);
    block.counts.samples += 1;
}

/// Counts a series.
#[inline]
pub(super) fn count(block: &mut Block, at_ms: i64) {
    if block.counts.series == 0 {
        (block.oldest_ms, block.newest_ms) = (at_ms, at_ms);
    } else {
        block.oldest_ms = block.oldest_ms.min(at_ms);
        block.newest_ms = block.newest_ms.max(at_ms);
    }
    block.counts.series += 1;
}
