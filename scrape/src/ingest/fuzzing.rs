//! What fuzzing runs, and stable tests with it: any bytes as a sequence of scrapes, beside a model without shortcuts.

use std::collections::{BTreeMap, BTreeSet};

use rosterd_exposition::{
    Dialect, Entry, HistogramOptions, MetricKind, Parse, ParseError, ProtobufParser, Sample, TextParser,
};
use rosterd_ship::wire::{STALE, each_series};
use rosterd_ship::{Block, Wants};

use super::pass::AHEAD_MS;
use super::{Bench, Rules, Track};

const TARGET: [(&str, &str); 2] = [("instance", "h:1"), ("job", "j")];
/// What stands between two scrapes.
const SEPARATOR: u8 = 0x1e;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of the text formats.
    Text(Dialect),
    /// Protocol buffers.
    Protobuf,
}

/// Ingests the parts of these bytes one after the other. What comes out is what the model says, also when each series is as
/// much as is kept unpacked.
pub fn scrapes(bytes: &[u8], kind: Kind) {
    in_parts(bytes, kind, Bench::default());
    let mut bench = Bench::default();
    bench.room.part = 1;
    in_parts(bytes, kind, bench);
}

fn in_parts(bytes: &[u8], kind: Kind, mut bench: Bench) {
    let (mut track, mut model) = (Track::default(), Model::default());
    let wants = Wants { samples: true, exemplars: true, native_histograms: true, extras: true };
    let rules = Rules { wants, ..Rules::default() };
    for (body, at_ms) in bytes.split(|byte| *byte == SEPARATOR).zip(1000..) {
        bench.begin();
        match kind {
            Kind::Text(dialect) => {
                let make = || TextParser::new(body, dialect);
                model.scrape(make(), at_ms);
                drop(bench.ingest(make, &mut track, &rules, &TARGET, at_ms));
            }
            Kind::Protobuf => {
                let options = HistogramOptions { native: true, always_classic: true, convert_classic: true };
                let make = || Ok(ProtobufParser::new(body, options));
                model.scrape(make(), at_ms);
                drop(bench.ingest(make, &mut track, &rules, &TARGET, at_ms));
            }
        }
        assert_eq!(found(&mut bench), std::mem::take(&mut model.out), "{}", String::from_utf8_lossy(body));
    }
}

/// A sample: labels, time, and the bits of the value; `None` for a native histogram.
type Found = (Labels, i64, Option<u64>);
type Labels = Vec<(String, String)>;

fn found(bench: &mut Bench) -> BTreeSet<Found> {
    let mut all = BTreeSet::new();
    bench.each_block(|block| {
        let mut found = found_in(block);
        let count = all.len() + found.len();
        all.append(&mut found);
        assert_eq!(all.len(), count, "nothing comes in two blocks");
    });
    all
}

fn found_in(block: &Block) -> BTreeSet<Found> {
    let (mut found, mut count) = (BTreeSet::new(), 0);
    each_series(&block.series, |series| {
        let labels: Labels = series.labels().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert!(labels.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted, and none twice: {labels:?}");
        count += series.samples().count() + series.histograms().count();
        found.extend(series.samples().map(|(value, at_ms)| (labels.clone(), at_ms, Some(value.to_bits()))));
        found.extend(series.histograms().map(|bytes| {
            let fields = rosterd_ship::wire::Fields(bytes).map_while(Result::ok);
            let at_ms = fields.filter(|(number, _)| *number == 15).last().map_or(0, |(_, value)| value.number() as i64);
            (labels.clone(), at_ms, None)
        }));
    })
    .expect("the block is good");
    assert_eq!(found.len(), count, "nothing comes twice");
    let counts = block.counts;
    assert_eq!((counts.samples + counts.histograms) as usize, count);
    found
}

#[derive(Default)]
struct Model {
    /// The final labels of what can become stale.
    last: BTreeSet<Labels>,
    times: BTreeMap<Vec<u8>, i64>,
    out: BTreeSet<Found>,
}

/// What a scrape had so far.
#[derive(Default)]
struct Now {
    seen: BTreeSet<Vec<u8>>,
    tracked: BTreeSet<Labels>,
    times: BTreeMap<Vec<u8>, i64>,
    written: BTreeSet<(Labels, i64)>,
    /// The last type: the same text may be another series then.
    bounds: MetricKind,
}

impl Model {
    fn scrape<P: Parse>(&mut self, parser: Result<P, ParseError>, at_ms: i64) {
        let mut now = Now::default();
        let (mut said, mut failed) = (false, true);
        if let Ok(mut parser) = parser {
            failed = loop {
                match parser.next() {
                    Ok(Some(Entry::Sample(sample))) => {
                        if self.sample(&sample, Some(sample.value.to_bits()), &mut now, at_ms).is_none() {
                            break true;
                        }
                    }
                    Ok(Some(Entry::Histogram(sample, histogram))) => {
                        let good = Rules::default().histograms.apply(histogram).is_ok();
                        let twice = now.seen.contains(&series_of(&sample, now.bounds)) && sample.timestamp_ms.is_none();
                        if merged(&sample).is_none() || !good && !twice {
                            break true;
                        }
                        self.sample(&sample, None, &mut now, at_ms);
                    }
                    Ok(Some(Entry::Type { kind, .. })) => (said, now.bounds) = (true, kind),
                    Ok(Some(_)) => said = true,
                    Ok(None) => break false,
                    Err(_) => break true,
                }
            };
        }
        if failed {
            self.out.clear();
        }
        if !now.seen.is_empty() {
            let newest = |series: Vec<u8>| now.times.get(&series).map(|at_ms| (series.clone(), *at_ms));
            self.times = if failed { BTreeMap::new() } else { now.seen.into_iter().filter_map(newest).collect() };
        } else if said && !failed {
            self.times.clear();
        }
        for gone in self.last.difference(&now.tracked) {
            self.out.insert((gone.clone(), at_ms, Some(STALE.to_bits())));
        }
        self.last = now.tracked;
    }

    /// `None` if the sample refuses the scrape.
    fn sample(&mut self, sample: &Sample<'_>, value: Option<u64>, now: &mut Now, at_ms: i64) -> Option<()> {
        let labels = merged(sample)?;
        let series = series_of(sample, now.bounds);
        let repeated = !now.seen.insert(series.clone());
        let Some(time) = sample.timestamp_ms else {
            if repeated {
                return Some(());
            }
            now.tracked.insert(labels.clone());
            if now.written.insert((labels.clone(), at_ms)) {
                self.out.insert((labels, at_ms, value));
            }
            return Some(());
        };
        let newest = now.times.get(&series).or(self.times.get(&series)).copied();
        if let Some(newest) = newest {
            now.times.insert(series.clone(), newest);
        }
        if time <= at_ms + AHEAD_MS && newest.is_none_or(|newest| newest < time) {
            now.times.insert(series, time);
            if now.written.insert((labels.clone(), time)) {
                self.out.insert((labels, time, value));
            }
        }
        Some(())
    }
}

fn series_of(sample: &Sample<'_>, kind: MetricKind) -> Vec<u8> {
    let bounds = match kind {
        MetricKind::Histogram => 1,
        MetricKind::Summary => 2,
        _ => 0,
    };
    [sample.identity, &[bounds]].concat()
}

/// The labels of the sample and those of the target; `None` if one is there twice.
fn merged(sample: &Sample<'_>) -> Option<Labels> {
    let mut labels = BTreeMap::from([("__name__".to_owned(), sample.name)]);
    for (name, value) in sample.labels.iter() {
        if labels.contains_key(name) {
            return None;
        }
        if !value.is_empty() {
            labels.insert(name.to_owned(), value);
        }
    }
    if labels.keys().any(String::is_empty) || sample.name.is_empty() {
        return None;
    }
    let mut conflicts: Vec<_> =
        TARGET.into_iter().filter_map(|(name, value)| Some((name, labels.insert(name.to_owned(), value)?))).collect();
    conflicts.sort_by_key(|(name, _)| name.len());
    for (name, value) in conflicts {
        let mut name = format!("exported_{name}");
        while labels.contains_key(&name) {
            name.insert_str(0, "exported_");
        }
        labels.insert(name, value);
    }
    Some(labels.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
}
