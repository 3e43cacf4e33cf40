//! The protobuf format: `io.prometheus.client.MetricFamily` messages, each after its length. Summaries and classic
//! histograms become the series that the text formats would have.

mod message;
mod wire;

use message::{Family, Metric, Part, Side, timestamp_ms};
use wire::{Cursor, Result, fault};

use crate::convert::ClassicHistogram;
use crate::series::{ExemplarText, Series, put};
use crate::{Entry, Histogram, MetricKind, Parse, ParseError, Sample, format_open_metrics};

/// What becomes of histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HistogramOptions {
    /// Whether native histograms are read: `scrape_native_histograms`. Otherwise their classic part is, even if empty.
    pub native: bool,
    /// Whether a classic histogram is read that is there as a native one too, or becomes one:
    /// `always_scrape_classic_histograms`.
    pub always_classic: bool,
    /// Whether classic histograms become native ones with custom buckets: `convert_classic_histograms_to_nhcb`.
    pub convert_classic: bool,
}

/// Reads length-delimited protocol buffers in place.
#[derive(Debug)]
pub struct ProtobufParser<'b> {
    body: &'b [u8],
    families: Cursor<'b>,
    options: HistogramOptions,
    family: Option<Family<'b>>,
    step: Step,
    /// Where the metric begins.
    at: usize,
    metric: Metric,
    series: Series,
    exemplars: ExemplarText,
    histogram: Histogram,
    /// The texts of the last bounds at each position: all metrics of a family tend to have the same.
    bounds: Vec<(u64, String)>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Family,
    Unit,
    Type,
    Metric,
    /// The only series of a simple metric.
    Value,
    /// The native histogram.
    Native,
    /// `_count`, `_sum`, and then the parts.
    Count,
    Sum,
    Part(usize),
    /// The native histogram made of a classic one.
    Converted,
}

/// What to hand out.
enum Next {
    Help,
    Unit,
    Type,
    Value(f64),
    Histogram,
}

impl<'b> ProtobufParser<'b> {
    /// A parser of this body, which has fewer than 2^31 bytes.
    pub fn new(body: &'b [u8], options: HistogramOptions) -> Self {
        Self {
            body,
            families: Cursor::new(body),
            options,
            family: None,
            step: Step::Family,
            at: 0,
            metric: Metric::default(),
            series: Series::default(),
            exemplars: ExemplarText::default(),
            histogram: Histogram::default(),
            bounds: Vec::new(),
        }
    }

    fn find(&mut self) -> Result<Option<Next>> {
        loop {
            let Some(family) = self.family.as_mut().filter(|_| self.step != Step::Family) else {
                if self.families.is_at_end() {
                    return Ok(None);
                }
                self.family = Family::read(self.families.delimited()?)?;
                if let Some(family) = &self.family {
                    self.step = Step::Unit;
                    if !family.help.is_empty() {
                        return Ok(Some(Next::Help));
                    }
                }
                continue;
            };
            match self.step {
                Step::Family => {}
                Step::Unit => {
                    self.step = Step::Type;
                    if !family.unit.is_empty() {
                        return Ok(Some(Next::Unit));
                    }
                }
                Step::Type => {
                    self.step = Step::Metric;
                    return Ok(Some(Next::Type));
                }
                Step::Metric => {
                    let Some(metric) = family.next_metric()? else {
                        self.step = Step::Family;
                        continue;
                    };
                    self.at = metric.at;
                    self.series.start();
                    let (series, kind) = (&mut self.series, family.kind);
                    self.metric.read(metric, kind, |label| {
                        let (name, value) = read_label(label)?;
                        series.label(name, value);
                        Ok(())
                    })?;
                    self.series.end_labels();
                    self.step = self.first_step(kind);
                }
                _ => {
                    let (name, kind) = (family.name, family.kind);
                    if let Some(found) = self.series(name, kind)? {
                        return Ok(Some(found));
                    }
                }
            }
        }
    }

    fn first_step(&self, kind: MetricKind) -> Step {
        match kind {
            MetricKind::Summary => Step::Count,
            MetricKind::Histogram | MetricKind::GaugeHistogram => {
                if self.options.native && self.metric.is_native() {
                    Step::Native
                } else if self.options.convert_classic && !self.options.always_classic {
                    Step::Converted
                } else {
                    Step::Count
                }
            }
            _ => Step::Value,
        }
    }

    /// The next series of the metric; `None` if there is none at this step.
    fn series(&mut self, name: &'b str, kind: MetricKind) -> Result<Option<Next>> {
        self.exemplars.clear();
        let value = match self.step {
            Step::Value => {
                self.step = Step::Metric;
                self.series.name(name, "");
                read_exemplar(&mut self.exemplars, self.body, self.metric.exemplar.as_ref(), false)?;
                self.metric.value
            }
            Step::Native => {
                self.step = match self.options.always_classic && !self.metric.parts.is_empty() {
                    true => Step::Count,
                    false => Step::Metric,
                };
                self.series.name(name, "");
                self.native(name, kind)?;
                return Ok(Some(Next::Histogram));
            }
            Step::Converted => {
                self.step = Step::Metric;
                self.series.name(name, "");
                self.converted(name, kind)?;
                return Ok(Some(Next::Histogram));
            }
            Step::Count => {
                self.step = Step::Sum;
                self.series.name(name, "_count");
                self.metric.count
            }
            Step::Sum => {
                self.step = Step::Part(0);
                self.series.name(name, "_sum");
                self.metric.sum
            }
            Step::Part(index) => match self.part(name, kind, index)? {
                Some(value) => value,
                None => return Ok(None),
            },
            Step::Family | Step::Unit | Step::Type | Step::Metric => return Ok(None),
        };
        Ok(Some(Next::Value(value)))
    }

    /// A quantile or a bucket. A histogram always ends with the bucket of infinity.
    fn part(&mut self, name: &str, kind: MetricKind, index: usize) -> Result<Option<f64>> {
        let is_summary = kind == MetricKind::Summary;
        let infinite = Part { bound: f64::INFINITY, value: self.metric.count, exemplar: None };
        let part = match self.metric.parts.get(index) {
            Some(part) => part,
            None if is_summary => {
                self.step = Step::Metric;
                return Ok(None);
            }
            None => &infinite,
        };
        self.step =
            if !is_summary && part.bound == f64::INFINITY { self.after_classic() } else { Step::Part(index + 1) };
        let (suffix, label) = if is_summary { ("", "quantile") } else { ("_bucket", "le") };
        self.series.name(name, suffix);
        self.series.label(label, bound_text(&mut self.bounds, index, part.bound));
        read_exemplar(&mut self.exemplars, self.body, part.exemplar.as_ref(), false)?;
        Ok(Some(part.value))
    }

    fn after_classic(&self) -> Step {
        let is_classic = !(self.options.native && self.metric.is_native());
        if is_classic && self.options.convert_classic { Step::Converted } else { Step::Metric }
    }

    fn native(&mut self, name: &str, kind: MetricKind) -> Result<()> {
        let (metric, histogram) = (&self.metric, &mut self.histogram);
        let (native, is_float) = (&metric.native, metric.is_float());
        histogram.is_float = is_float;
        histogram.is_gauge = kind == MetricKind::GaugeHistogram;
        histogram.schema = native.schema;
        histogram.sum = metric.sum;
        histogram.count = metric.native_count();
        histogram.zero_threshold = native.zero_threshold;
        histogram.zero_count = if is_float { native.zero_count_float } else { native.zero_count as f64 };
        histogram.custom_values.clear();
        for (side, of, spans, buckets) in [
            (&native.positive, "positive", &mut histogram.positive_spans, &mut histogram.positive_buckets),
            (&native.negative, "negative", &mut histogram.negative_spans, &mut histogram.negative_buckets),
        ] {
            let Side { spans: from, deltas, counts } = side;
            spans.clone_from(from);
            buckets.clone_from(if is_float { counts } else { deltas });
            let needed: u64 = from.iter().map(|span| u64::from(span.length)).sum();
            if needed != buckets.len() as u64 {
                let message =
                    format!("histogram {name:?}: the {of} spans need {needed} buckets, there are {}", buckets.len());
                return Err(fault(self.at, message));
            }
        }
        histogram.compact(0);
        self.native_exemplars()
    }

    /// Native histograms have exemplars of their own or those of their buckets, and only with a timestamp.
    fn native_exemplars(&mut self) -> Result<()> {
        let own = &self.metric.native.exemplars;
        if own.is_empty() {
            for part in &self.metric.parts {
                read_exemplar(&mut self.exemplars, self.body, part.exemplar.as_ref(), true)?;
            }
        } else {
            for exemplar in own {
                read_exemplar(&mut self.exemplars, self.body, Some(exemplar), true)?;
            }
        }
        Ok(())
    }

    fn converted(&mut self, name: &str, kind: MetricKind) -> Result<()> {
        let mut classic = ClassicHistogram::default();
        classic.set_count(self.metric.count);
        classic.set_sum(self.metric.sum);
        for part in &self.metric.parts {
            classic.set_bucket(part.bound, part.value);
        }
        classic
            .convert(&mut self.histogram)
            .map_err(|error| fault(self.at, format!("histogram {name:?} cannot be converted: {error}")))?;
        self.histogram.is_gauge = kind == MetricKind::GaugeHistogram;
        self.native_exemplars()
    }

    fn sample(&self, value: f64) -> Sample<'_> {
        let metric = &self.metric;
        Sample {
            timestamp_ms: Some(metric.timestamp_ms).filter(|at_ms| *at_ms != 0),
            created_ms: Some(metric.created_ms).filter(|at_ms| *at_ms != 0),
            exemplars: self.exemplars.get(),
            ..self.series.sample(value)
        }
    }
}

impl Parse for ProtobufParser<'_> {
    fn next(&mut self) -> std::result::Result<Option<Entry<'_>>, ParseError> {
        let Some(found) = self.find()? else { return Ok(None) };
        let entry = match (found, &self.family) {
            (Next::Value(value), _) => Entry::Sample(self.sample(value)),
            (Next::Histogram, _) => Entry::Histogram(self.sample(0.0), &self.histogram),
            (Next::Help, Some(family)) => Entry::Help { family: family.name, help: family.help },
            (Next::Unit, Some(family)) => Entry::Unit { family: family.name, unit: family.unit },
            (Next::Type, Some(family)) => Entry::Type { family: family.name, kind: family.kind },
            (_, None) => return Ok(None),
        };
        Ok(Some(entry))
    }
}

/// The text of a bound; written anew only if it is not that of the metric before.
fn bound_text(known: &mut Vec<(u64, String)>, index: usize, bound: f64) -> &str {
    let bits = bound.to_bits();
    if index >= known.len() {
        // The bits of no bound that has an empty text.
        known.resize_with(index + 1, || (0, String::new()));
    }
    let (of, text) = &mut known[index];
    if *of != bits || text.is_empty() {
        *of = bits;
        text.clear();
        format_open_metrics(bound, text);
    }
    text
}

fn read_label<'b>(mut fields: Cursor<'b>) -> Result<(&'b str, &'b str)> {
    let at = fields.at;
    let (mut name, mut value) = ("", "");
    while let Some(field) = fields.field()? {
        match field.number {
            1 => name = field.text()?,
            2 => value = field.text()?,
            _ => {}
        }
    }
    if name.is_empty() {
        return Err(fault(at, "a label without name"));
    }
    Ok((name, value))
}

/// Adds an exemplar of the body to the list.
fn read_exemplar(
    exemplars: &mut ExemplarText,
    body: &[u8],
    range: Option<&std::ops::Range<usize>>,
    only_timed: bool,
) -> Result<()> {
    let Some(range) = range else { return Ok(()) };
    let mut fields = Cursor::part(body, range);
    let start = exemplars.list.pieces.len();
    let (mut value, mut at_ms) = (0.0, None);
    while let Some(field) = fields.field()? {
        match field.number {
            1 => {
                let (name, value) = read_label(field.message()?)?;
                exemplars.list.pieces.push((put(name, &mut exemplars.text), put(value, &mut exemplars.text)));
            }
            2 => value = field.double()?,
            3 => at_ms = Some(timestamp_ms(field.message()?)?),
            _ => {}
        }
    }
    if only_timed && at_ms.is_none() {
        exemplars.list.pieces.truncate(start);
    } else {
        exemplars.list.end(value, at_ms);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
