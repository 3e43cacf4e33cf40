//! Types, help texts and units of metric families.

/// The type of a metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub enum MetricKind {
    /// Not said.
    #[default]
    Unknown,
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
    /// Counts what is, not what was, in buckets.
    GaugeHistogram,
    /// Observations with quantiles.
    Summary,
    /// Labels with the value 1.
    Info,
    /// Which of several states holds.
    StateSet,
}

impl MetricKind {
    /// The name, as in the API of Prometheus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }
}

/// What an exposition says about a metric family.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Metadata {
    /// The name of the family.
    pub family: Box<str>,
    /// Its type.
    pub kind: MetricKind,
    /// Its help text.
    pub help: Box<str>,
    /// Its unit.
    pub unit: Box<str>,
}
