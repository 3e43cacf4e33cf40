//! Classic histograms of the text formats as native ones with custom buckets: `convert_classic_histograms_to_nhcb`.
//!
//! The lines of a classic histogram follow each other, so it is known to be whole when something else comes.

use crate::convert::ClassicHistogram;
use crate::number::parse_float;
use crate::series::{ExemplarText, Series};
use crate::text::Step;
use crate::{Entry, Histogram, MetricKind, Parse, ParseError, Sample, TextParser};

/// Reads a text format and makes native histograms of classic ones. Those that contradict themselves are left out, as by
/// Prometheus.
#[derive(Debug)]
pub struct ConvertingParser<'b> {
    text: TextParser<'b>,
    collector: Collector,
    /// What ended a classic histogram, and comes after the native one.
    pending: Option<Step>,
}

impl<'b> ConvertingParser<'b> {
    /// A parser that hands out what `text` does, and native histograms in place of classic ones or, with `keep_classic`
    /// (`always_scrape_classic_histograms`), after them.
    pub fn new(text: TextParser<'b>, keep_classic: bool) -> Self {
        Self { text, collector: Collector { keep_classic, ..Collector::default() }, pending: None }
    }
}

impl Parse for ConvertingParser<'_> {
    fn next(&mut self) -> Result<Option<Entry<'_>>, ParseError> {
        loop {
            let step = match self.pending.take() {
                Some(step) => Some(step),
                None => self.text.advance(0, |_| false)?,
            };
            let Some(step) = step else {
                return Ok(if self.collector.finish() { Some(self.collector.entry()) } else { None });
            };
            match self.collector.look(&self.text.entry(&step)) {
                Next::Skip => {}
                Next::HandOut => {
                    let mut entry = self.text.entry(&step);
                    if let Entry::Sample(sample) = &mut entry {
                        // The line before may not have been handed out.
                        sample.labels.names_stay = false;
                    }
                    return Ok(Some(entry));
                }
                Next::Convert => {
                    self.pending = Some(step);
                    return Ok(Some(self.collector.entry()));
                }
            }
        }
    }
}

/// What becomes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    HandOut,
    Skip,
    /// First comes the histogram that it ended; then it is looked at again.
    Convert,
}

/// What a line of a classic histogram tells.
#[derive(Debug, Clone, Copy)]
enum Part {
    Bucket(f64),
    Sum,
    Count,
}

/// The classic histogram that is being read.
#[derive(Debug, Default)]
struct Collector {
    keep_classic: bool,
    /// The family whose type was told last.
    family: String,
    kind: MetricKind,
    is_collecting: bool,
    classic: ClassicHistogram,
    series: Series,
    exemplars: ExemplarText,
    timestamp_ms: Option<i64>,
    histogram: Histogram,
}

impl Collector {
    fn look(&mut self, entry: &Entry<'_>) -> Next {
        let Entry::Sample(sample) = entry else {
            if self.finish() {
                return Next::Convert;
            }
            if let Entry::Type { family, kind } = *entry {
                self.family.clear();
                self.family.push_str(family);
                self.kind = kind;
            }
            return Next::HandOut;
        };
        let part = self.part(sample);
        let belongs = part.is_some() && self.is_collecting && self.has_labels_of(sample);
        if !belongs && self.finish() {
            return Next::Convert;
        }
        let Some(part) = part else { return Next::HandOut };
        self.collect(sample, part);
        if self.keep_classic { Next::HandOut } else { Next::Skip }
    }

    /// What the sample is to a classic histogram of the family.
    fn part(&self, sample: &Sample<'_>) -> Option<Part> {
        if self.kind != MetricKind::Histogram {
            return None;
        }
        match sample.name.strip_prefix(self.family.as_str())? {
            "_sum" => Some(Part::Sum),
            "_count" => Some(Part::Count),
            "_bucket" => parse_float(sample.labels.get("le")?).filter(|bound| !bound.is_nan()).map(Part::Bucket),
            _ => None,
        }
    }

    fn has_labels_of(&self, sample: &Sample<'_>) -> bool {
        let known = self.series.sample(0.0).labels;
        let labels = || sample.labels.iter().filter(|(name, _)| *name != "le");
        // Nearly always in the same order.
        known.iter().eq(labels())
            || known.len() == labels().count() && labels().all(|(name, value)| known.get(name) == Some(value))
    }

    fn collect(&mut self, sample: &Sample<'_>, part: Part) {
        if !self.is_collecting {
            self.is_collecting = true;
            self.exemplars.clear();
            self.series.start();
            for (name, value) in sample.labels.iter().filter(|(name, _)| *name != "le") {
                self.series.label(name, value);
            }
            self.series.end_labels();
            self.series.name(&self.family, "");
        }
        self.timestamp_ms = sample.timestamp_ms;
        for exemplar in sample.exemplars.iter().filter(|exemplar| exemplar.timestamp_ms.is_some()) {
            self.exemplars.add(exemplar);
        }
        match part {
            Part::Bucket(bound) => self.classic.set_bucket(bound, sample.value),
            Part::Sum => self.classic.set_sum(sample.value),
            Part::Count => self.classic.set_count(sample.value),
        }
    }

    /// Says whether there is a histogram to hand out.
    fn finish(&mut self) -> bool {
        if !std::mem::take(&mut self.is_collecting) {
            return false;
        }
        let classic = std::mem::take(&mut self.classic);
        classic.convert(&mut self.histogram).is_ok() && self.histogram.validate().is_ok()
    }

    fn entry(&self) -> Entry<'_> {
        let (timestamp_ms, exemplars) = (self.timestamp_ms, self.exemplars.get());
        Entry::Histogram(Sample { timestamp_ms, exemplars, ..self.series.sample(0.0) }, &self.histogram)
    }
}

#[cfg(test)]
mod tests;
