//! Native histograms: their rules, and how to lower their resolution.

use std::borrow::Cow;

/// A native histogram, as `prometheus.Histogram` of remote write has it. Counts are floats in a float histogram and
/// whole numbers in an integer one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Histogram {
    /// Whether counts are floats and buckets absolute; otherwise buckets are deltas of whole numbers.
    pub is_float: bool,
    /// The schema: -4 to 8 are exponential, -53 has custom buckets.
    pub schema: i32,
    /// The sum of observations.
    pub sum: f64,
    /// The number of observations.
    pub count: f64,
    /// The width of the zero bucket.
    pub zero_threshold: f64,
    /// The observations in the zero bucket.
    pub zero_count: f64,
    /// Which negative buckets there are.
    pub negative_spans: Vec<Span>,
    /// The negative buckets: deltas in an integer histogram.
    pub negative_buckets: Vec<f64>,
    /// Which positive buckets there are.
    pub positive_spans: Vec<Span>,
    /// The positive buckets: deltas in an integer histogram.
    pub positive_buckets: Vec<f64>,
    /// The upper bounds of custom buckets.
    pub custom_values: Vec<f64>,
    /// Whether this is a gauge histogram, whose counts may go down.
    pub is_gauge: bool,
}

/// Buckets that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The gap to the span before, or the index of the first bucket.
    pub offset: i32,
    /// How many buckets.
    pub length: u32,
}

/// Why a native histogram is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HistogramError {
    /// The schema is not known.
    #[error("histogram has schema {schema}, which is neither between -4 and 8 nor -53")]
    Schema {
        /// The schema.
        schema: i32,
    },
    /// Spans and buckets do not fit each other.
    #[error("histogram has spans for {needed} buckets, and {found} buckets")]
    Spans {
        /// The buckets that the spans need.
        needed: u64,
        /// The buckets there are.
        found: usize,
    },
    /// Spans overlap.
    #[error("histogram has a span with the offset {offset}")]
    Offset {
        /// The offset.
        offset: i32,
    },
    /// A count is negative.
    #[error("histogram has a negative count: {count}")]
    Negative {
        /// The count.
        count: f64,
    },
    /// The count is not that of the buckets.
    #[error("histogram has the count {count}, its buckets have {buckets}")]
    Count {
        /// The count.
        count: f64,
        /// The sum of the buckets.
        buckets: f64,
    },
    /// The upper bounds of custom buckets are not finite numbers in increasing order, or too few.
    #[error("histogram has custom bounds that are not increasing, not finite, or too few")]
    CustomBounds,
    /// There is something that histograms with custom buckets do not have, or bounds where there are no custom buckets.
    #[error("histogram mixes custom and exponential buckets")]
    Mixed,
    /// There are more buckets than `native_histogram_bucket_limit`, at any resolution.
    #[error("histogram bucket limit exceeded: more than {limit} buckets")]
    BucketLimit {
        /// The limit.
        limit: usize,
    },
}

/// What a job says about native histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistogramLimits {
    /// The most buckets; 0 is no limit: `native_histogram_bucket_limit`.
    pub buckets: usize,
    /// The finest schema.
    pub max_schema: i32,
}

impl Default for HistogramLimits {
    fn default() -> Self {
        Self { buckets: 0, max_schema: Histogram::FINEST }
    }
}

impl HistogramLimits {
    /// From `native_histogram_bucket_limit` and `native_histogram_min_bucket_factor`.
    pub fn new(buckets: usize, min_bucket_factor: f64) -> Self {
        let factor = if min_bucket_factor <= 1.0 { 1.00271 } else { min_bucket_factor };
        let finest = (-factor.log2().log2()).floor();
        // The cast saturates, and clamping makes it fit.
        Self { buckets, max_schema: (finest as i32).clamp(Histogram::COARSEST, Histogram::FINEST) }
    }

    /// The histogram at the resolution that the limits allow; fails if there is none, or if it is not valid.
    pub fn apply<'a>(&self, histogram: &'a Histogram) -> Result<Cow<'a, Histogram>, HistogramError> {
        let mut histogram = Cow::Borrowed(histogram);
        let is_reduced = self.max_schema < Histogram::FINEST;
        if is_reduced && (-9..=52).contains(&histogram.schema) && histogram.schema > self.max_schema {
            histogram.to_mut().reduce_to(self.max_schema)?;
        }
        while self.buckets > 0 && histogram.positive_buckets.len() + histogram.negative_buckets.len() > self.buckets {
            let schema = histogram.schema;
            if schema <= Histogram::COARSEST || schema > Histogram::FINEST {
                return Err(HistogramError::BucketLimit { limit: self.buckets });
            }
            histogram.to_mut().reduce_to(schema - 1)?;
        }
        histogram.validate()?;
        Ok(histogram)
    }
}

impl Histogram {
    /// The schema of custom buckets.
    pub const CUSTOM: i32 = -53;
    const FINEST: i32 = 8;
    const COARSEST: i32 = -4;

    /// Whether receivers take it.
    pub fn validate(&self) -> Result<(), HistogramError> {
        if self.schema == Self::CUSTOM {
            self.check_custom()?;
        } else if !(Self::COARSEST..=Self::FINEST).contains(&self.schema) {
            return Err(HistogramError::Schema { schema: self.schema });
        } else if !self.custom_values.is_empty() {
            return Err(HistogramError::Mixed);
        }
        check_spans(&self.positive_spans, self.positive_buckets.len())?;
        check_spans(&self.negative_spans, self.negative_buckets.len())?;
        for count in [self.count, self.zero_count] {
            if count < 0.0 {
                return Err(HistogramError::Negative { count });
            }
        }
        let buckets = observations(&self.negative_buckets, !self.is_float)?
            + observations(&self.positive_buckets, !self.is_float)?
            + self.zero_count;
        // NaN observations are in no bucket, and make the sum NaN. Floats do not add up exactly.
        let is_complete = if self.sum.is_nan() { buckets <= self.count } else { buckets == self.count };
        if self.is_float || is_complete { Ok(()) } else { Err(HistogramError::Count { count: self.count, buckets }) }
    }

    fn check_custom(&self) -> Result<(), HistogramError> {
        if self.zero_count != 0.0
            || self.zero_threshold != 0.0
            || !self.negative_spans.is_empty()
            || !self.negative_buckets.is_empty()
        {
            return Err(HistogramError::Mixed);
        }
        let bounds = &self.custom_values;
        let mut reach = 0;
        for span in &self.positive_spans {
            if span.offset < 0 {
                return Err(HistogramError::Offset { offset: span.offset });
            }
            reach += u64::from(span.offset.unsigned_abs()) + u64::from(span.length);
        }
        let is_increasing = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        let is_finite = bounds.iter().all(|bound| !bound.is_nan()) && bounds.last() != Some(&f64::INFINITY);
        if is_increasing && is_finite && bounds.len() as u64 + 1 >= reach {
            Ok(())
        } else {
            Err(HistogramError::CustomBounds)
        }
    }

    /// Merges buckets until the schema is this coarser one.
    fn reduce_to(&mut self, schema: i32) -> Result<(), HistogramError> {
        let by = self.schema - schema;
        for (spans, buckets) in [
            (&mut self.positive_spans, &mut self.positive_buckets),
            (&mut self.negative_spans, &mut self.negative_buckets),
        ] {
            check_spans(spans, buckets.len())?;
            let mut builder = Builder::new(!self.is_float);
            for (index, count) in absolute(spans, buckets, !self.is_float) {
                builder.add(((index - 1) >> by) + 1, count);
            }
            (*spans, *buckets) = builder.finish();
        }
        self.schema = schema;
        Ok(())
    }

    /// Drops empty buckets, except for so many between two that are not empty. Leaves spans that overlap alone.
    pub(crate) fn compact(&mut self, keep: u32) {
        for (spans, buckets) in [
            (&mut self.positive_spans, &mut self.positive_buckets),
            (&mut self.negative_spans, &mut self.negative_buckets),
        ] {
            if check_spans(spans, buckets.len()).is_err() || is_compact(spans, buckets, !self.is_float, keep) {
                continue;
            }
            let mut builder = Builder::new(!self.is_float);
            for (index, count) in absolute(spans, buckets, !self.is_float) {
                if count == 0.0 {
                    continue;
                }
                while let Some(next) =
                    builder.next.filter(|next| *next < index && index - builder.seen <= i64::from(keep) + 1)
                {
                    builder.add(next, 0.0);
                }
                builder.add(index, count);
                builder.seen = index;
            }
            (*spans, *buckets) = builder.finish();
        }
    }
}

fn check_spans(spans: &[Span], buckets: usize) -> Result<(), HistogramError> {
    if let Some(span) = spans.iter().skip(1).find(|span| span.offset < 0) {
        return Err(HistogramError::Offset { offset: span.offset });
    }
    let needed: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if needed == buckets as u64 { Ok(()) } else { Err(HistogramError::Spans { needed, found: buckets }) }
}

fn observations(buckets: &[f64], deltas: bool) -> Result<f64, HistogramError> {
    let (mut last, mut sum) = (0.0, 0.0);
    for bucket in buckets {
        let count = if deltas { last + bucket } else { *bucket };
        if count < 0.0 {
            return Err(HistogramError::Negative { count });
        }
        last = count;
        sum += count;
    }
    Ok(sum)
}

/// The indices and absolute counts of buckets. There are as many as the spans need.
fn absolute(spans: &[Span], buckets: &[f64], deltas: bool) -> impl Iterator<Item = (i64, f64)> {
    let mut start = 0;
    let indices = spans.iter().flat_map(move |span| {
        let first = start + i64::from(span.offset);
        start = first + i64::from(span.length);
        first..start
    });
    let mut last = 0.0;
    indices.zip(buckets).map(move |(index, bucket)| {
        last = if deltas { last + bucket } else { *bucket };
        (index, last)
    })
}

fn is_compact(spans: &[Span], buckets: &[f64], deltas: bool, keep: u32) -> bool {
    spans.iter().all(|span| span.length > 0)
        && spans.iter().skip(1).all(|span| i64::from(span.offset) > i64::from(keep))
        && absolute(spans, buckets, deltas).all(|(_, count)| count != 0.0)
}

/// Makes spans and buckets of counts whose indices do not go down.
struct Builder {
    deltas: bool,
    spans: Vec<Span>,
    counts: Vec<f64>,
    /// The index after the last bucket.
    next: Option<i64>,
    /// The last bucket that was not added as a filler.
    seen: i64,
}

impl Builder {
    fn new(deltas: bool) -> Self {
        Self { deltas, spans: Vec::new(), counts: Vec::new(), next: None, seen: 0 }
    }

    fn add(&mut self, index: i64, count: f64) {
        match (self.next, self.spans.last_mut(), self.counts.last_mut()) {
            (Some(next), _, Some(last)) if index < next => {
                *last += count;
                return;
            }
            (Some(next), Some(span), _) if index == next => span.length += 1,
            (next, ..) => {
                // Gaps are never wider than between the spans that they come from, but for a sum of several.
                let gap = (index - next.unwrap_or(0)).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
                self.spans.push(Span { offset: gap as i32, length: 1 });
            }
        }
        self.counts.push(count);
        self.next = Some(index + 1);
    }

    fn finish(mut self) -> (Vec<Span>, Vec<f64>) {
        if self.deltas {
            let mut last = 0.0;
            for count in &mut self.counts {
                (*count, last) = (*count - last, *count);
            }
        }
        (self.spans, self.counts)
    }
}
