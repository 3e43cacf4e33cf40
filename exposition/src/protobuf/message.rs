//! The messages of `io.prometheus.client`, read into reused memory.

use std::ops::Range;

use super::wire::{Cursor, Result, fault, zigzag};
use crate::{MetricKind, Span};

/// A metric family without its metrics.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family<'b> {
    pub(super) name: &'b str,
    pub(super) help: &'b str,
    pub(super) unit: &'b str,
    pub(super) kind: MetricKind,
    /// Where the next metric is looked for.
    pub(super) rest: Cursor<'b>,
}

impl<'b> Family<'b> {
    /// `None` if it has no metrics.
    pub(super) fn read(message: Cursor<'b>) -> Result<Option<Self>> {
        let mut family = Self { name: "", help: "", unit: "", kind: MetricKind::Counter, rest: message };
        let (mut fields, mut metrics) = (message, 0usize);
        while let Some(field) = fields.field()? {
            match field.number {
                1 => family.name = field.text()?,
                2 => family.help = field.text()?,
                3 => {
                    let kind = field.integer()?;
                    family.kind =
                        kind_of(kind).ok_or_else(|| fault(message.at, format!("metric type {kind} is not known")))?;
                }
                4 => {
                    field.message()?;
                    metrics += 1;
                }
                5 => family.unit = field.text()?,
                _ => {}
            }
        }
        if metrics == 0 {
            return Ok(None);
        }
        if family.name.is_empty() {
            return Err(fault(message.at, "a metric family without name"));
        }
        Ok(Some(family))
    }

    pub(super) fn next_metric(&mut self) -> Result<Option<Cursor<'b>>> {
        while let Some(field) = self.rest.field()? {
            if field.number == 4 {
                return field.message().map(Some);
            }
        }
        Ok(None)
    }
}

fn kind_of(number: u64) -> Option<MetricKind> {
    Some(match number {
        0 => MetricKind::Counter,
        1 => MetricKind::Gauge,
        2 => MetricKind::Summary,
        3 => MetricKind::Unknown,
        4 => MetricKind::Histogram,
        5 => MetricKind::GaugeHistogram,
        _ => return None,
    })
}

/// A metric: one value, or a summary or histogram.
#[derive(Debug, Default)]
pub(super) struct Metric {
    pub(super) value: f64,
    pub(super) timestamp_ms: i64,
    pub(super) created_ms: i64,
    /// The exemplar of a counter.
    pub(super) exemplar: Option<Range<usize>>,
    pub(super) count: f64,
    pub(super) sum: f64,
    /// Buckets of a classic histogram, or quantiles.
    pub(super) parts: Vec<Part>,
    pub(super) native: Native,
    count_float: f64,
}

/// A bucket of a classic histogram, or a quantile.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    /// The upper bound, or which quantile.
    pub(super) bound: f64,
    pub(super) value: f64,
    pub(super) exemplar: Option<Range<usize>>,
}

/// What only native histograms have.
#[derive(Debug, Default)]
pub(super) struct Native {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) zero_count: u64,
    pub(super) zero_count_float: f64,
    pub(super) negative: Side,
    pub(super) positive: Side,
    pub(super) exemplars: Vec<Range<usize>>,
}

#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) spans: Vec<Span>,
    pub(super) deltas: Vec<f64>,
    pub(super) counts: Vec<f64>,
}

impl Side {
    fn clear(&mut self) {
        self.spans.clear();
        self.deltas.clear();
        self.counts.clear();
    }
}

impl Metric {
    /// Reads a metric of this kind; hands its labels over as they come.
    pub(super) fn read<'b>(
        &mut self,
        mut fields: Cursor<'b>,
        kind: MetricKind,
        mut label: impl FnMut(Cursor<'b>) -> Result<()>,
    ) -> Result<()> {
        self.clear();
        while let Some(field) = fields.field()? {
            match (field.number, kind) {
                (1, _) => label(field.message()?)?,
                (6, _) => self.timestamp_ms = field.integer()? as i64,
                (2, MetricKind::Gauge) | (5, MetricKind::Unknown) => self.read_value(field.message()?)?,
                (3, MetricKind::Counter) => self.read_value(field.message()?)?,
                (4, MetricKind::Summary) => self.read_summary(field.message()?)?,
                (7, MetricKind::Histogram | MetricKind::GaugeHistogram) => self.read_histogram(field.message()?)?,
                _ => {}
            }
        }
        if self.count_float != 0.0 {
            self.count = self.count_float;
        }
        Ok(())
    }

    fn clear(&mut self) {
        (self.value, self.count, self.sum, self.count_float) = (0.0, 0.0, 0.0, 0.0);
        (self.timestamp_ms, self.created_ms, self.exemplar) = (0, 0, None);
        self.parts.clear();
        let native = &mut self.native;
        (native.schema, native.zero_threshold, native.zero_count, native.zero_count_float) = (0, 0.0, 0, 0.0);
        native.negative.clear();
        native.positive.clear();
        native.exemplars.clear();
    }

    /// A counter, a gauge or an untyped value: they agree on what they share.
    fn read_value(&mut self, mut fields: Cursor<'_>) -> Result<()> {
        while let Some(field) = fields.field()? {
            match field.number {
                1 => self.value = field.double()?,
                2 => self.exemplar = Some(field.message()?.range()),
                3 => self.created_ms = timestamp_ms(field.message()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_summary(&mut self, mut fields: Cursor<'_>) -> Result<()> {
        while let Some(field) = fields.field()? {
            match field.number {
                1 => self.count = field.integer()? as f64,
                2 => self.sum = field.double()?,
                3 => {
                    let mut quantile = Part::default();
                    let mut fields = field.message()?;
                    while let Some(field) = fields.field()? {
                        match field.number {
                            1 => quantile.bound = field.double()?,
                            2 => quantile.value = field.double()?,
                            _ => {}
                        }
                    }
                    self.parts.push(quantile);
                }
                4 => self.created_ms = timestamp_ms(field.message()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_histogram(&mut self, mut fields: Cursor<'_>) -> Result<()> {
        let native = &mut self.native;
        while let Some(field) = fields.field()? {
            match field.number {
                1 => self.count = field.integer()? as f64,
                2 => self.sum = field.double()?,
                3 => self.parts.push(read_bucket(field.message()?)?),
                4 => self.count_float = field.double()?,
                5 => native.schema = zigzag(field.integer()?) as i32,
                6 => native.zero_threshold = field.double()?,
                7 => native.zero_count = field.integer()?,
                8 => native.zero_count_float = field.double()?,
                9 => native.negative.spans.push(read_span(field.message()?)?),
                10 => field.signed_integers(&mut native.negative.deltas)?,
                11 => field.doubles(&mut native.negative.counts)?,
                12 => native.positive.spans.push(read_span(field.message()?)?),
                13 => field.signed_integers(&mut native.positive.deltas)?,
                14 => field.doubles(&mut native.positive.counts)?,
                15 => self.created_ms = timestamp_ms(field.message()?)?,
                16 => native.exemplars.push(field.message()?.range()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the histogram has something that only native ones have. One without observations tells by an empty span.
    pub(super) fn is_native(&self) -> bool {
        let native = &self.native;
        !native.positive.spans.is_empty()
            || !native.negative.spans.is_empty()
            || native.zero_threshold > 0.0
            || native.zero_count > 0
    }

    /// Whether the native histogram counts in floats. One without observations tells by its empty buckets.
    pub(super) fn is_float(&self) -> bool {
        let Native { negative, positive, zero_count_float, .. } = &self.native;
        let counts = !negative.counts.is_empty() || !positive.counts.is_empty();
        let deltas = !negative.deltas.is_empty() || !positive.deltas.is_empty();
        self.count_float > 0.0 || *zero_count_float > 0.0 || counts && !deltas
    }

    /// The count as the native histogram of this kind has it.
    pub(super) fn native_count(&self) -> f64 {
        if self.is_float() { self.count_float } else { self.count }
    }
}

fn read_bucket(mut fields: Cursor<'_>) -> Result<Part> {
    let (mut bucket, mut float) = (Part::default(), 0.0);
    while let Some(field) = fields.field()? {
        match field.number {
            1 => bucket.value = field.integer()? as f64,
            2 => bucket.bound = field.double()?,
            3 => bucket.exemplar = Some(field.message()?.range()),
            4 => float = field.double()?,
            _ => {}
        }
    }
    if float != 0.0 {
        bucket.value = float;
    }
    Ok(bucket)
}

fn read_span(mut fields: Cursor<'_>) -> Result<Span> {
    let mut span = Span { offset: 0, length: 0 };
    while let Some(field) = fields.field()? {
        match field.number {
            1 => span.offset = zigzag(field.integer()?) as i32,
            2 => span.length = field.integer()? as u32,
            _ => {}
        }
    }
    Ok(span)
}

/// A `google.protobuf.Timestamp` in milliseconds.
pub(super) fn timestamp_ms(mut fields: Cursor<'_>) -> Result<i64> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    while let Some(field) = fields.field()? {
        match field.number {
            1 => seconds = field.integer()? as i64,
            2 => nanos = field.integer()? as i64,
            _ => {}
        }
    }
    Ok(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000))
}
