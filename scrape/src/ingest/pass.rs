//! One pass over an exposition.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use rosterd_exposition::{Entry, Parse, Sample};
use rosterd_model::Builder;
use rosterd_model::labels::is_valid_name;
use rosterd_model::relabel::Scratch;
use rosterd_ship::wire::{STALE, encode_histogram, field, put_exemplar, put_sample};
use rosterd_ship::{Block, Extra};
use xxhash_rust::xxh3::xxh3_64;

use super::families::{Families, Said, collect};
use super::report::{count, put};
use super::shape::{NAME, Shape, encode_labels, labels_length};
use super::{IngestError, Rules, Track};

/// Samples this far in the future are refused, as by Prometheus.
const AHEAD_MS: i64 = 10 * 60 * 1000;
/// More shapes than this are not kept.
const SHAPES: usize = 16;

/// The bit of a hash that says that the series never gets a stale marker.
const UNTRACKED: u64 = 1;

type Set = HashSet<u64, BuildHasherDefault<Identity>>;

/// Hashes are hashed already.
#[derive(Debug, Default, Clone, Copy)]
struct Identity(u64);

impl std::hash::Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only hashes are hashed");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// What a scrape held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ingested {
    /// Samples in the exposition.
    pub scraped: usize,
    /// Samples that metric relabelling kept.
    pub kept: usize,
    /// Series that the scrape before did not have.
    pub added: usize,
    /// Samples that were left out because their series was there already.
    pub duplicates: usize,
    /// Samples that were left out because their timestamp is too far in the future.
    pub out_of_bounds: usize,
}

/// Memory that scrapes share: one for each thread that ingests, used again and again.
#[derive(Debug, Default)]
pub struct Bench {
    /// What the scrape hands over.
    pub block: Block,
    families: Families,
    shapes: Vec<Shape>,
    /// The shape that fitted last.
    recent: usize,
    hashes: Vec<u64>,
    /// Where the final labels of each series stand in the block; empty ranges for those that cannot become stale.
    labels: Vec<(u32, u32)>,
    dropped: Vec<u64>,
    seen: Set,
    said: Said,
    builder: Builder,
    scratch: Scratch,
    merged: Builder,
    buffer: Vec<u8>,
}

/// What is known in the course of a pass.
struct Pass<'a> {
    rules: &'a Rules,
    target: &'a [(&'a str, &'a str)],
    at_ms: i64,
    ingested: Ingested,
    /// Whether all series until here are those of the scrape before.
    same: bool,
    appended: usize,
    /// Final label sets that are there already; only relabelling can make two series equal.
    finals: Set,
}

impl Bench {
    /// A bench whose targets share lists of metadata with those of other benches.
    pub fn new(families: Families) -> Self {
        Self { families, ..Self::default() }
    }

    /// Begins a scrape: the block is empty afterwards.
    pub fn begin(&mut self) {
        let block = &mut self.block;
        block.series.clear();
        block.extras.clear();
        block.counts = Default::default();
        block.metadata = None;
        (block.oldest_ms, block.newest_ms) = (0, 0);
    }

    /// Adds the samples of an exposition, and stale markers of series that are gone.
    ///
    /// After an error the block holds stale markers of all series, as after [`failed`](Self::failed); what was counted
    /// until then is with the error.
    pub fn ingest<P: Parse>(
        &mut self,
        make: impl Fn() -> Result<P, rosterd_exposition::ParseError>,
        track: &mut Track,
        rules: &Rules,
        target: &[(&str, &str)],
        at_ms: i64,
    ) -> Result<Ingested, (IngestError, Ingested)> {
        self.shapes.clear();
        self.recent = 0;
        self.hashes.clear();
        self.labels.clear();
        self.dropped.clear();
        self.seen.clear();
        self.said.clear();
        let same = !track.irregular;
        let mut pass =
            Pass { rules, target, at_ms, ingested: Ingested::default(), same, appended: 0, finals: Set::default() };
        let result = self.all(&make, track, &mut pass);
        let mut ingested = pass.ingested;
        if let Err(error) = result {
            self.begin();
            self.failed(track, at_ms);
            return Err((error, ingested));
        }
        if pass.same && self.hashes.len() == track.hashes.len() {
            track.stale = false;
        } else {
            ingested.added = self.settle(track, rules, at_ms);
        }
        self.note_families(&make, track);
        Ok(ingested)
    }

    fn all<P: Parse>(
        &mut self,
        make: &impl Fn() -> Result<P, rosterd_exposition::ParseError>,
        track: &Track,
        pass: &mut Pass<'_>,
    ) -> Result<(), IngestError> {
        let mut parser = make()?;
        while let Some(entry) = parser.next()? {
            match &entry {
                Entry::Sample(sample) => self.sample(sample, None, track, pass)?,
                Entry::Histogram(sample, histogram) => self.sample(sample, Some(histogram), track, pass)?,
                _ => self.said.note(&entry),
            }
        }
        let limit = pass.rules.sample_limit;
        if limit > 0 && pass.appended > limit { Err(IngestError::SampleLimit { limit }) } else { Ok(()) }
    }

    fn sample(
        &mut self,
        sample: &Sample<'_>,
        histogram: Option<&rosterd_exposition::Histogram>,
        track: &Track,
        pass: &mut Pass<'_>,
    ) -> Result<(), IngestError> {
        let index = self.hashes.len();
        pass.ingested.scraped += 1;
        let timestamp = sample.timestamp_ms.filter(|_| pass.rules.honor_timestamps);
        let tracked = timestamp.is_none() || pass.rules.track_timestamps_staleness;
        // A series that begins to carry timestamps is another one for staleness.
        let hash = xxh3_64(sample.identity) & !UNTRACKED | if tracked { 0 } else { UNTRACKED };
        if pass.same && track.hashes.get(index) != Some(&hash) {
            pass.same = false;
            self.seen.extend(self.hashes.iter().copied());
        }
        let repeated = !pass.same && !self.seen.insert(hash);
        let known_dropped = pass.same && track.is_dropped(index);
        self.hashes.push(hash);
        let labels = if known_dropped {
            None
        } else if pass.rules.relabel.is_empty() {
            Some(self.plain(sample, pass)?)
        } else {
            self.relabelled(sample, pass)?
        };
        let Some(labels) = labels else {
            self.mark_dropped(index);
            self.labels.push((0, 0));
            return Ok(());
        };
        pass.ingested.kept += 1;
        let at_ms = timestamp.unwrap_or(pass.at_ms);
        let twice = (repeated || matches!(labels, Final::Relabelled { twice: true, .. })) && timestamp.is_none();
        let ahead = at_ms > pass.at_ms + AHEAD_MS;
        if twice || ahead {
            pass.ingested.duplicates += usize::from(twice);
            pass.ingested.out_of_bounds += usize::from(ahead && !twice);
            self.labels.push((0, 0));
            return Ok(());
        }
        pass.appended += 1;
        if pass.rules.sample_limit > 0 && pass.appended > pass.rules.sample_limit {
            // Counted to the end all the same: the report tells by how much.
            self.labels.push((0, 0));
            return Ok(());
        }
        let span = self.write(&labels, sample, histogram, at_ms, pass);
        self.labels.push(if tracked { span } else { (0, 0) });
        Ok(())
    }

    fn mark_dropped(&mut self, index: usize) {
        if self.dropped.len() <= index / 64 {
            self.dropped.resize(index / 64 + 1, 0);
        }
        self.dropped[index / 64] |= 1 << (index % 64);
    }

    /// The labels of a series that no relabelling touches.
    #[inline]
    fn plain(&mut self, sample: &Sample<'_>, pass: &Pass<'_>) -> Result<Final, IngestError> {
        let labels = sample.labels;
        // A label without value is no label, except that it takes the target's away under `honor_labels`.
        if pass.rules.limits_labels() || labels.iter().any(|(_, value)| value.is_empty()) {
            self.merge(sample, pass)?;
            return Ok(Final::Merged);
        }
        if self.shapes.get(self.recent).is_some_and(|shape| shape.fits(labels.iter().map(|(name, _)| name))) {
            return Ok(Final::Shape(self.recent));
        }
        let found = self.shapes.iter().position(|shape| shape.fits(labels.iter().map(|(name, _)| name)));
        let index = match found {
            Some(index) => index,
            None => {
                if self.shapes.len() == SHAPES {
                    self.shapes.clear();
                }
                let names = labels.iter().map(|(name, _)| name);
                self.shapes.push(Shape::new(names, pass.target, pass.rules, sample.name)?);
                self.shapes.len() - 1
            }
        };
        if pass.rules.scheme != rosterd_model::NameScheme::Utf8 {
            check_metric(sample.name, pass.rules)?;
        }
        self.recent = index;
        Ok(Final::Shape(index))
    }

    /// Puts the final labels into `merged`, without the external ones.
    fn merge(&mut self, sample: &Sample<'_>, pass: &Pass<'_>) -> Result<(), IngestError> {
        self.merge_unchecked(sample, pass)?;
        self.check(sample.name, pass.rules)?;
        self.add_external(pass.rules);
        Ok(())
    }

    fn merge_unchecked(&mut self, sample: &Sample<'_>, pass: &Pass<'_>) -> Result<(), IngestError> {
        let merged = &mut self.merged;
        merged.clear();
        merged.set(NAME, sample.name);
        for (name, value) in sample.labels.iter() {
            if merged.contains(name) {
                return Err(IngestError::DuplicateLabel { metric: sample.name.to_owned(), label: name.to_owned() });
            }
            merged.set(name, value);
        }
        let mut conflicts: Vec<(&str, &str)> = Vec::new();
        for (name, value) in pass.target {
            let exposed = sample.labels.get(name);
            if pass.rules.honor_labels {
                if exposed.is_none() {
                    merged.set(name, value);
                }
                continue;
            }
            if let Some(exposed) = exposed.filter(|exposed| !exposed.is_empty()) {
                conflicts.push((name, exposed));
            }
            merged.set(name, value);
        }
        conflicts.sort_by_key(|(name, _)| name.len());
        for (name, value) in conflicts {
            let mut name = format!("exported_{name}");
            while merged.contains(&name) {
                name.insert_str(0, "exported_");
            }
            merged.set(&name, value);
        }
        Ok(())
    }

    fn add_external(&mut self, rules: &Rules) {
        for (name, value) in &rules.external {
            self.merged.set_default(name, value);
        }
        self.merged.sort();
    }

    /// Names and limits of the labels in `merged`.
    fn check(&self, metric: &str, rules: &Rules) -> Result<(), IngestError> {
        let name = self.merged.get(NAME);
        if name.is_empty() {
            return Err(IngestError::NoName);
        }
        check_metric(name, rules)?;
        let metric = || metric.chars().take(50).collect::<String>();
        let exceeded = |limit, what, most| Err(IngestError::LabelLimit { limit, metric: metric(), what, most });
        if rules.label_limit > 0 && self.merged.len() > rules.label_limit {
            let what = format!("number of labels: {}", self.merged.len());
            return exceeded("label_limit", what, rules.label_limit);
        }
        let (longest_name, longest_value) = (rules.label_name_length_limit, rules.label_value_length_limit);
        for (name, value) in self.merged.iter() {
            if !is_valid_name(name, rules.scheme) {
                return Err(IngestError::BadName { metric: metric(), name: name.to_owned() });
            }
            if longest_name > 0 && name.len() > longest_name {
                let what = format!("label name: {name:.50}, length: {}", name.len());
                return exceeded("label_name_length_limit", what, longest_name);
            }
            if longest_value > 0 && value.len() > longest_value {
                let what = format!("label name: {name:.50}, value: {value:.50}, length: {}", value.len());
                return exceeded("label_value_length_limit", what, longest_value);
            }
        }
        Ok(())
    }

    /// The labels of a series after `metric_relabel_configs`; `None` when they drop it.
    fn relabelled(&mut self, sample: &Sample<'_>, pass: &mut Pass<'_>) -> Result<Option<Final>, IngestError> {
        self.merge_unchecked(sample, pass)?;
        self.merged.sort();
        std::mem::swap(&mut self.builder, &mut self.merged);
        let kept = pass.rules.relabel.apply(&mut self.builder, &mut self.scratch) && !self.builder.is_empty();
        std::mem::swap(&mut self.builder, &mut self.merged);
        if !kept {
            return Ok(None);
        }
        self.check(sample.name, pass.rules)?;
        self.add_external(pass.rules);
        self.buffer.clear();
        encode_labels(self.merged.iter(), &mut self.buffer);
        let twice = !pass.finals.insert(xxh3_64(&self.buffer));
        Ok(Some(Final::Relabelled { twice }))
    }

    /// Writes a series to the block. Returns where its labels stand.
    #[inline]
    fn write(
        &mut self,
        labels: &Final,
        sample: &Sample<'_>,
        histogram: Option<&rosterd_exposition::Histogram>,
        at_ms: i64,
        pass: &Pass<'_>,
    ) -> (u32, u32) {
        let wants = pass.rules.wants;
        if wants.extras {
            let metadata = self.said.of(sample.name).unwrap_or(Extra::NO_METADATA);
            self.block.extras.push(Extra { created_ms: sample.created_ms.unwrap_or(0), metadata });
        }
        let exemplar = sample.exemplar.filter(|_| wants.exemplars);
        let mut span = (0, 0);
        let Self { block, shapes, merged, buffer, .. } = self;
        let mut values = [""; 32];
        let mut many = Vec::new();
        let values: &[&str] = if sample.labels.len() <= values.len() {
            for (slot, (_, value)) in values.iter_mut().zip(sample.labels.iter()) {
                *slot = value;
            }
            &values[..sample.labels.len()]
        } else {
            many.extend(sample.labels.iter().map(|(_, value)| value));
            &many
        };
        let length = match labels {
            Final::Shape(index) => shapes[*index].length(sample.name, values),
            Final::Merged => labels_length(merged.iter()),
            Final::Relabelled { .. } => buffer.len(),
        };
        let mut encode = |out: &mut Vec<u8>| {
            let start = out.len();
            match labels {
                Final::Shape(index) => shapes[*index].encode(sample.name, values, out),
                Final::Merged => encode_labels(merged.iter(), out),
                Final::Relabelled { .. } => out.extend_from_slice(buffer),
            }
            debug_assert_eq!(out.len() - start, length, "the length was told before");
            span = (start as u32, out.len() as u32);
        };
        if histogram.is_none() && exemplar.is_none() {
            put(block, length, &mut encode, sample.value, at_ms);
            return span;
        }
        let mut message = Vec::with_capacity(length + 128);
        if let Some(histogram) = histogram {
            let mut encoded = Vec::new();
            encode_histogram(histogram, at_ms, &mut encoded);
            field::put_bytes(4, &encoded, &mut message);
            block.counts.histograms += 1;
        } else {
            put_sample(sample.value, at_ms, &mut message);
            block.counts.samples += 1;
        }
        if let Some(exemplar) = exemplar {
            let at_ms = exemplar.timestamp_ms.unwrap_or(at_ms);
            put_exemplar(exemplar.labels.iter(), exemplar.value, at_ms, &mut message);
            block.counts.exemplars += 1;
        }
        block.series.push(field::bytes_key(1));
        field::put_varint((length + message.len()) as u64, &mut block.series);
        encode(&mut block.series);
        block.series.extend_from_slice(&message);
        count(block, at_ms);
        span
    }

    /// The set of series is another one: adds stale markers of what is gone and remembers what is there. Returns how many
    /// series are new.
    fn settle(&mut self, track: &mut Track, rules: &Rules, at_ms: i64) -> usize {
        let old: Set = track.hashes.iter().copied().collect();
        let new: Set = self.hashes.iter().copied().collect();
        let listed = |index: usize| self.labels[index] != (0, 0);
        let mut counted = Set::default();
        let known: Set = old.iter().map(|hash| hash & !UNTRACKED).collect();
        let added = (0..self.hashes.len())
            .filter(|&index| {
                let hash = self.hashes[index] & !UNTRACKED;
                let dropped = self.dropped.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1);
                !known.contains(&hash) && !dropped && counted.insert(hash)
            })
            .count();
        let irregular = new.len() != self.hashes.len();
        let mut spans: Vec<&[u8]> = Vec::with_capacity(self.labels.len());
        for index in 0..self.labels.len() {
            let (start, end) = self.labels[index];
            spans.push(if listed(index) { &self.block.series[start as usize..end as usize] } else { &[] });
        }
        let mut gone: Vec<Vec<u8>> = Vec::new();
        if !track.stale && old.iter().any(|hash| !new.contains(hash)) {
            // The same series, written in another way, is not gone.
            let finals: Set = spans.iter().map(|labels| xxh3_64(labels)).collect();
            track.each(|index, labels| {
                if !new.contains(&track.hashes[index]) && !finals.contains(&xxh3_64(labels)) {
                    gone.push(labels.to_vec());
                }
            });
        }
        let packing = spans.into_iter();
        let mut scratch = std::mem::take(&mut self.buffer);
        track.remember(packing, &mut scratch);
        self.buffer = scratch;
        track.hashes = self.hashes.as_slice().into();
        track.dropped = if rules.relabel.is_empty() { Box::default() } else { self.dropped.as_slice().into() };
        track.irregular = irregular;
        track.stale = false;
        gone.iter().for_each(|labels| self.stale(labels, at_ms));
        added
    }

    fn note_families<P: Parse>(
        &mut self,
        make: &impl Fn() -> Result<P, rosterd_exposition::ParseError>,
        track: &mut Track,
    ) {
        if self.said.hash != track.families_hash || track.families.is_none() {
            track.families_hash = self.said.hash;
            track.families = Some(self.families.intern(self.said.hash, || {
                let mut list = Vec::new();
                // It was read to its end a moment ago.
                if let Ok(mut parser) = make() {
                    while let Ok(Some(entry)) = parser.next() {
                        collect(&entry, &mut list);
                    }
                }
                list
            }));
        }
        if !self.block.extras.is_empty() {
            self.block.metadata = track.families.clone();
        }
    }

    /// Adds stale markers of all series: the scrape failed.
    pub fn failed(&mut self, track: &mut Track, at_ms: i64) {
        if std::mem::replace(&mut track.stale, true) || track.is_empty() {
            return;
        }
        track.each(|_, labels| self.stale(labels, at_ms));
    }

    fn stale(&mut self, labels: &[u8], at_ms: i64) {
        put(&mut self.block, labels.len(), |out| out.extend_from_slice(labels), STALE, at_ms);
    }
}

/// Where the final labels of a series come from.
enum Final {
    /// The shape at this index.
    Shape(usize),
    /// They stand in `merged`.
    Merged,
    /// They stand encoded in `buffer`.
    Relabelled {
        /// Whether another series came out the same.
        twice: bool,
    },
}

fn check_metric(name: &str, rules: &Rules) -> Result<(), IngestError> {
    // Colons are for metric names alone.
    let valid = match rules.scheme {
        rosterd_model::NameScheme::Utf8 => !name.is_empty(),
        scheme => {
            name.split(':').all(|part| part.is_empty() || is_valid_name(&format!("_{part}"), scheme))
                && !name.starts_with(|first: char| first.is_ascii_digit())
        }
    };
    let bad = || IngestError::BadName { metric: name.chars().take(50).collect(), name: name.to_owned() };
    if valid { Ok(()) } else { Err(bad()) }
}
