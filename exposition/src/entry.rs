//! What a parser hands out.

use crate::{Histogram, MetricKind};

/// One piece of an exposition. It borrows from the body or from the parser, until the next one is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<'a> {
    /// The type of a metric family.
    Type {
        /// The family.
        family: &'a str,
        /// Its type.
        kind: MetricKind,
    },
    /// The help text of a metric family, without escapes.
    Help {
        /// The family.
        family: &'a str,
        /// The text.
        help: &'a str,
    },
    /// The unit of a metric family.
    Unit {
        /// The family.
        family: &'a str,
        /// The unit.
        unit: &'a str,
    },
    /// A float sample.
    Sample(Sample<'a>),
    /// A native histogram: its series and the histogram in place of the value, which is 0.
    Histogram(Sample<'a>, &'a Histogram),
}

/// A sample of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<'a> {
    /// Bytes that tell this series from the others of the same exposition, and are the same whenever the target writes
    /// the series in the same way: in the text formats the series as it stands in the body. Only good for hashing and
    /// comparing.
    pub identity: &'a [u8],
    /// The metric name, without quotes and escapes. Empty when the series has none.
    pub name: &'a str,
    /// The labels besides the name, in the order of the exposition. Values may be empty, names may repeat.
    pub labels: &'a [Label<'a>],
    /// The value.
    pub value: f64,
    /// The explicit timestamp, in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// When the counter, histogram or summary was created, in milliseconds since 1970.
    pub created_ms: Option<i64>,
    /// The exemplars: at most one for a float sample.
    pub exemplars: &'a [Exemplar<'a>],
}

/// A label of a sample, without quotes and escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: &'a str,
}

/// An exemplar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exemplar<'a> {
    /// Its labels.
    pub labels: &'a [Label<'a>],
    /// Its value.
    pub value: f64,
    /// Its timestamp, in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
}
