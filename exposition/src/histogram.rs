//! Native histograms.

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
