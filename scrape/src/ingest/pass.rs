//! One pass over an exposition.

use rosterd_exposition::{Entry, Histogram, HistogramError, Parse, ParseError, Sample};
use rosterd_model::Builder;
use rosterd_model::relabel::Scratch;
use rosterd_ship::wire::STALE;
use rosterd_ship::{Block, Extra};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::due::Due;
use super::exemplars::Sieve;
use super::families::{Families, List, Said};
use super::labels::Final;
use super::other::{Other, Times};
use super::parts::Parts;
use super::room::Room;
use super::shape::Shape;
use super::track::{Packer, flag, set_bit};
use super::{IngestError, Rules, Track};

/// Samples this far in the future are refused, as by Prometheus.
pub(super) const AHEAD_MS: i64 = 10 * 60 * 1000;

/// What a scrape held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ingested {
    /// Samples in the exposition.
    pub scraped: usize,
    /// Samples that metric relabelling kept.
    pub kept: usize,
    /// Series that scrapes before did not have.
    pub added: usize,
    /// Samples that were left out because their series was there already.
    pub duplicates: usize,
    /// Samples that were left out because their series had a newer one.
    pub out_of_order: usize,
    /// Samples that were left out because their timestamp is too far in the future.
    pub out_of_bounds: usize,
    /// Exemplars that were left out because all of their sample are older than one before.
    pub exemplars_out_of_order: usize,
}

/// Memory that scrapes share: one for each thread that ingests, used again and again.
#[derive(Debug, Default)]
pub struct Bench {
    /// What the scrape hands over.
    pub block: Block,
    pub(super) families: Families,
    pub(super) shapes: Vec<Shape>,
    /// The shape of the sample before, if it had one.
    pub(super) recent: Option<usize>,
    pub(super) due: Due,
    pub(super) hashes: Vec<u64>,
    /// How many bytes the identity of each series has.
    pub(super) lengths: Vec<u32>,
    /// The final labels of each series; nowhere for those that cannot become stale.
    pub(super) labels: Vec<Span>,
    /// Final labels of series that are not in the block.
    pub(super) aside: Vec<u8>,
    pub(super) dropped: Vec<u64>,
    /// The newest timestamp of each series that carries its own.
    pub(super) times: Vec<i64>,
    pub(super) said: Said,
    pub(super) sieve: Sieve,
    pub(super) other: Other,
    pub(super) scratch: Scratch,
    pub(super) merged: Builder,
    pub(super) encoded: Vec<u8>,
    pub(super) message: Vec<u8>,
    /// The sample field of this scrape, but for the value.
    pub(super) tail: Vec<u8>,
    pub(super) packer: Packer,
    pub(super) parts: Parts,
    pub(super) room: Room,
}

/// Where labels stand: in the block or aside. One word, because it is written for each sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span(u64);

impl Span {
    pub(super) const NOWHERE: Self = Self(0);
    const ASIDE: u64 = 1 << 63;

    pub(super) fn block(start: usize, end: usize) -> Self {
        Self((start as u64) << 32 | end as u64)
    }

    fn aside(start: usize, end: usize) -> Self {
        Self(Self::ASIDE | Self::block(start, end).0)
    }

    pub(super) fn is_aside(self) -> bool {
        self.0 & Self::ASIDE != 0
    }

    /// The labels, in the part whose series these are.
    pub(super) fn of<'p>(self, series: &'p [u8], aside: &'p [u8]) -> &'p [u8] {
        let text = if self.is_aside() { aside } else { series };
        &text[(self.0 >> 32 & 0x7fff_ffff) as usize..self.0 as u32 as usize]
    }
}

/// What is known in the course of a pass.
pub(super) struct Pass<'a> {
    pub(super) rules: &'a Rules,
    pub(super) target: &'a [(&'a str, &'a str)],
    pub(super) at_ms: i64,
    pub(super) ingested: Ingested,
    /// Whether all series until here are those of the scrape before.
    pub(super) same: bool,
    /// Whether a series came twice.
    pub(super) irregular: bool,
    appended: usize,
    /// The first series that is beyond `sample_limit`.
    pub(super) cut: Option<usize>,
    /// A histogram exceeded the limit on buckets, and this many series came before it.
    buckets: Option<(IngestError, usize)>,
}

/// A sample whose series is kept.
#[derive(Clone, Copy)]
pub(super) struct Kept<'s> {
    pub(super) sample: &'s Sample<'s>,
    pub(super) histogram: Option<&'s Histogram>,
    pub(super) labels: Final,
    pub(super) hash: u64,
    pub(super) at_ms: i64,
}

/// What becomes of it.
enum Verdict {
    Take,
    /// The receiver has it.
    Repeated,
    /// The series has another sample in this scrape.
    Duplicate,
    Refuse,
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
        self.parts.clear();
    }

    /// Hands out what the scrape hands over: in several blocks if it is large.
    pub fn each_block(&mut self, see: impl FnMut(&Block)) {
        self.parts.each_block(&self.block, see);
    }

    /// Adds the samples of an exposition, and stale markers of series that are gone.
    ///
    /// After an error the block holds no samples, only stale markers of what did not come before the fault. What was
    /// counted until then is with the error. An exposition without anything is like a scrape that failed.
    pub fn ingest<P: Parse>(
        &mut self,
        make: impl Fn() -> Result<P, ParseError>,
        track: &mut Track,
        rules: &Rules,
        target: &[(&str, &str)],
        at_ms: i64,
    ) -> Result<Ingested, (IngestError, Ingested)> {
        self.clear();
        self.prepare(at_ms);
        let mut pass = Pass {
            rules,
            target,
            at_ms,
            ingested: Ingested::default(),
            same: true,
            irregular: false,
            appended: 0,
            cut: None,
            buckets: None,
        };
        if track.irregular || track.outdated {
            self.diverge(track, &mut pass);
        } else {
            self.packer.rewind();
        }
        let result = self.all(&make, track, &mut pass).and_then(|()| pass.exceeded());
        let counted = pass.buckets.as_ref().map_or(usize::MAX, |(_, counted)| *counted);
        let result = match result {
            Ok(()) if pass.ingested.scraped == 0 && self.said.is_empty() => {
                self.failed(track, at_ms);
                return Ok(pass.ingested);
            }
            Err(error) if self.hashes.is_empty() || pass.cut == Some(0) => {
                self.begin();
                self.failed(track, at_ms);
                Err(error)
            }
            result => {
                self.settle(track, &mut pass, result.is_ok(), counted);
                result
            }
        };
        match result {
            Ok(()) => {
                self.sieve.settle(track);
                self.note_families(&make, track);
                Ok(pass.ingested)
            }
            Err(error) => Err((error, pass.ingested)),
        }
    }

    fn clear(&mut self) {
        self.shapes.clear();
        self.recent = None;
        self.hashes.clear();
        self.lengths.clear();
        self.labels.clear();
        self.aside.clear();
        self.dropped.clear();
        self.times.clear();
        self.said.clear();
        self.sieve.clear();
    }

    fn all<P: Parse>(
        &mut self,
        make: &impl Fn() -> Result<P, ParseError>,
        track: &Track,
        pass: &mut Pass<'_>,
    ) -> Result<(), IngestError> {
        let mut parser = make()?;
        self.expect(track, pass);
        loop {
            let (seed, mut is_due) = (self.said.bounds, false);
            // The name of a series in quotes is not found at a glance.
            let quoted = pass.rules.wants.extras;
            let entry = parser.next_due(self.due.length, |identity| {
                is_due = self.due.is(identity, seed) && !(quoted && identity[0] == b'{');
                is_due
            })?;
            match &entry {
                Some(Entry::Sample(sample)) if is_due => self.due(sample, track, pass),
                Some(Entry::Sample(sample)) => self.sample(sample, None, track, pass)?,
                Some(Entry::Histogram(sample, histogram)) => self.sample(sample, Some(histogram), track, pass)?,
                Some(said) => {
                    self.said.note(said);
                    continue;
                }
                None => return Ok(()),
            }
            if self.is_part() {
                self.seal();
                self.cover()?;
            }
            self.expect(track, pass);
        }
    }

    fn sample(
        &mut self,
        sample: &Sample<'_>,
        histogram: Option<&Histogram>,
        track: &Track,
        pass: &mut Pass<'_>,
    ) -> Result<(), IngestError> {
        if sample.identity.len() > self.room.series {
            return Err(IngestError::SeriesSize { limit: self.room.series });
        }
        pass.ingested.scraped += 1;
        let index = self.hashes.len();
        let timestamp = sample.timestamp_ms.filter(|_| pass.rules.honor_timestamps);
        // A series that begins to carry timestamps is another one for staleness.
        let hash = xxh3_64_with_seed(sample.identity, self.said.bounds);
        let hash = hash & !flag::ALL | pass.rules.flags(timestamp.is_some());
        if pass.same && track.hashes.get(index) != Some(&hash) {
            self.diverge(track, pass);
        }
        let repeated = !pass.same && !self.other.seen.insert(hash & !flag::ALL);
        pass.irregular |= repeated;
        let Some(labels) = self.final_labels(sample, pass)? else {
            set_bit(&mut self.dropped, index);
            self.add(hash, sample.identity.len(), Span::NOWHERE, i64::MIN);
            return Ok(());
        };
        pass.ingested.kept += 1;
        let duplicate = repeated && timestamp.is_none();
        let mut reduced = None;
        let mut verdict = if duplicate { Verdict::Duplicate } else { Verdict::Take };
        if let Some(histogram) = histogram.filter(|_| !duplicate) {
            match pass.rules.histograms.apply(histogram) {
                Ok(histogram) => reduced = Some(histogram),
                Err(HistogramError::BucketLimit { limit }) => {
                    let error = || IngestError::BucketLimit { metric: sample.name.to_owned(), limit };
                    pass.buckets.get_or_insert_with(|| (error(), index));
                    verdict = Verdict::Refuse;
                }
                Err(source) => return Err(IngestError::Histogram { metric: sample.name.to_owned(), source }),
            }
        }
        let value = reduced.as_ref().map_or(sample.value, |histogram| histogram.sum);
        if matches!(verdict, Verdict::Take) && !(value.to_bits() == STALE.to_bits() && self.is_known(hash, pass)) {
            pass.append(index);
        }
        if pass.cut.is_some() {
            // Counted to the end all the same: the report tells by how much.
            self.add(hash, sample.identity.len(), Span::NOWHERE, i64::MIN);
            return Ok(());
        }
        let at_ms = timestamp.unwrap_or(pass.at_ms);
        if matches!(verdict, Verdict::Take) {
            verdict = self.judge(hash, at_ms, track, pass);
        }
        let kept = Kept { sample, histogram: reduced.as_deref(), labels, hash, at_ms };
        self.take(kept, verdict, track, pass);
        Ok(())
    }

    /// Whether a sample comes at the right time.
    #[inline]
    fn judge(&self, hash: u64, at_ms: i64, track: &Track, pass: &mut Pass<'_>) -> Verdict {
        if hash & flag::TIMED == 0 {
            return Verdict::Take;
        }
        if at_ms > pass.at_ms.saturating_add(AHEAD_MS) {
            pass.ingested.out_of_bounds += 1;
            return Verdict::Refuse;
        }
        match at_ms.cmp(&self.newest(hash, track, pass)) {
            std::cmp::Ordering::Less => {
                pass.ingested.out_of_order += 1;
                Verdict::Refuse
            }
            std::cmp::Ordering::Equal => Verdict::Repeated,
            std::cmp::Ordering::Greater => Verdict::Take,
        }
    }

    /// Does what the verdict says, and remembers the series.
    #[inline]
    fn take(&mut self, mut kept: Kept<'_>, verdict: Verdict, track: &Track, pass: &mut Pass<'_>) {
        let mut newest = kept.at_ms;
        if kept.hash & flag::TIMED != 0 {
            newest = newest.max(self.newest(kept.hash, track, pass));
        }
        let span = match verdict {
            Verdict::Refuse => {
                newest = self.newest(kept.hash, track, pass);
                if pass.same {
                    self.diverge(track, pass);
                    self.other.seen.insert(kept.hash & !flag::ALL);
                }
                kept.hash |= flag::UNTRACKED | if self.is_known(kept.hash, pass) { 0 } else { flag::REFUSED };
                self.lay_aside(kept, pass)
            }
            Verdict::Duplicate => {
                pass.ingested.duplicates += 1;
                kept.hash |= flag::UNTRACKED;
                Span::NOWHERE
            }
            _ if !pass.rules.wants.samples => Span::NOWHERE,
            Verdict::Repeated => self.lay_aside(kept, pass),
            Verdict::Take if pass.same => self.put(kept, track, pass),
            Verdict::Take => self.put_if_new(kept, track, pass),
        };
        self.add(kept.hash, kept.sample.identity.len(), span, newest);
        if !pass.same && kept.hash & flag::TIMED != 0 {
            self.other.times.insert(kept.hash & !flag::ALL, newest);
        }
    }

    /// Puts a series into the block, unless another one with the same labels and the same time is there.
    fn put_if_new(&mut self, mut kept: Kept<'_>, track: &Track, pass: &mut Pass<'_>) -> Span {
        self.encode(kept.labels, kept.sample);
        kept.labels = Final::Encoded;
        let times = self.other.come(&self.encoded, kept.at_ms);
        pass.irregular |= times != Times::First;
        if times == Times::Again {
            pass.ingested.duplicates += 1;
            return Span::NOWHERE;
        }
        self.put(kept, track, pass)
    }

    #[inline]
    fn put(&mut self, kept: Kept<'_>, track: &Track, pass: &mut Pass<'_>) -> Span {
        if kept.histogram.is_some() && !pass.rules.wants.native_histograms {
            self.keep_aside(kept)
        } else {
            self.write(kept, track, pass)
        }
    }

    /// Keeps the labels of a series of which the block gets nothing.
    fn lay_aside(&mut self, kept: Kept<'_>, pass: &mut Pass<'_>) -> Span {
        let span = self.keep_aside(kept);
        if !pass.same {
            pass.irregular |= self.other.come(&self.encoded, i64::MIN) != Times::First;
        }
        span
    }

    fn keep_aside(&mut self, kept: Kept<'_>) -> Span {
        self.encode(kept.labels, kept.sample);
        let start = self.aside.len();
        self.aside.extend_from_slice(&self.encoded);
        Span::aside(start, self.aside.len())
    }

    /// Remembers a series. `newest` matters if it carries timestamps of its own.
    #[inline]
    pub(super) fn add(&mut self, hash: u64, length: usize, span: Span, newest: i64) {
        self.hashes.push(hash);
        self.lengths.push(length as u32);
        self.labels.push(span);
        if hash & flag::TIMED != 0 {
            self.times.push(newest);
        }
    }

    fn note_families<P: Parse>(&mut self, make: &impl Fn() -> Result<P, ParseError>, track: &mut Track) {
        if self.said.hash != track.families_hash || track.families.is_none() {
            track.families_hash = self.said.hash;
            track.families = Some(self.families.intern(self.said.hash, || {
                let mut list = List::default();
                // It was read to its end a moment ago.
                if let Ok(mut parser) = make() {
                    while let Ok(Some(entry)) = parser.next() {
                        list.collect(&entry);
                    }
                }
                list.finish()
            }));
        }
        if !self.block.extras.is_empty() || !self.parts.is_empty() {
            self.block.metadata = track.families.clone();
        }
    }

    /// What remote write 2.0 says about the series.
    pub(super) fn extra(&self, sample: &Sample<'_>) -> Extra {
        let metadata = self.said.of(sample.name).unwrap_or(Extra::NO_METADATA);
        Extra { created_ms: sample.created_ms.unwrap_or(0), metadata }
    }
}

impl Pass<'_> {
    /// Counts a sample against the limit.
    #[inline]
    pub(super) fn append(&mut self, index: usize) {
        self.appended += 1;
        if self.rules.sample_limit > 0 && self.appended > self.rules.sample_limit {
            self.cut.get_or_insert(index);
        }
    }

    /// Whether a limit was exceeded that is looked at when all is read.
    fn exceeded(&mut self) -> Result<(), IngestError> {
        if self.cut.is_some() {
            return Err(IngestError::SampleLimit { limit: self.rules.sample_limit });
        }
        match &self.buckets {
            Some((error, _)) => Err(error.clone()),
            None => Ok(()),
        }
    }
}
