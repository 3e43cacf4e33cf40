//! Why a whole scrape is refused.

use rosterd_exposition::{HistogramError, ParseError};
use rosterd_model::{Coded, Priority, Retry};

/// Why nothing of a scrape is taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IngestError {
    /// The exposition has a fault.
    #[error("the exposition has a fault")]
    Parse(#[from] ParseError),
    /// More samples than `sample_limit`.
    #[error("sample limit exceeded: the scrape has more than {limit} samples")]
    SampleLimit {
        /// The limit.
        limit: usize,
    },
    /// The samples with all their labels take more memory than there is for scrapes under way.
    #[error(
        "the samples with their labels do not fit into the memory for all scrapes under way \
         (rosterd.scrape.memory_limit: {limit} bytes): raise it, or let the target expose less"
    )]
    BlockSize {
        /// The limit.
        limit: u64,
    },
    /// A single series is as long as no receiver takes it.
    #[error(
        "a series has more than {limit} bytes: let the target expose shorter labels, or metric_relabel_configs make shorter ones"
    )]
    SeriesSize {
        /// The limit.
        limit: usize,
    },
    /// A native histogram has more buckets than `native_histogram_bucket_limit`, at any resolution.
    #[error("histogram bucket limit exceeded: {metric:?} has more than {limit} buckets at any resolution")]
    BucketLimit {
        /// The first of these metrics.
        metric: String,
        /// The limit.
        limit: usize,
    },
    /// A native histogram contradicts itself.
    #[error("native histogram {metric:?} is not valid")]
    Histogram {
        /// The metric.
        metric: String,
        /// What is wrong.
        source: HistogramError,
    },
    /// A series exceeds one of the limits on labels.
    #[error("{limit} exceeded (metric: {metric:?}, {what}, limit: {most})")]
    LabelLimit {
        /// The key of the limit.
        limit: &'static str,
        /// The metric.
        metric: String,
        /// What there is too much of.
        what: Box<str>,
        /// The limit.
        most: usize,
    },
    /// Relabelling, or the exposition, left a series without name.
    #[error("missing metric name (__name__ label)")]
    NoName,
    /// A name is not valid in the name validation scheme of the job.
    #[error("invalid metric name or label name {name:?} of metric {metric:?}")]
    BadName {
        /// The metric.
        metric: String,
        /// The name.
        name: String,
    },
    /// A series has a label twice.
    #[error("label name {label:?} of metric {metric:?} is not unique")]
    DuplicateLabel {
        /// The metric.
        metric: String,
        /// The label.
        label: String,
    },
}

impl Coded for IngestError {
    fn code(&self) -> &'static str {
        match self {
            Self::Parse(_) => "scrape_exposition_invalid",
            Self::SampleLimit { .. } => "scrape_sample_limit",
            Self::BlockSize { .. } | Self::SeriesSize { .. } => "scrape_block_size",
            Self::BucketLimit { .. } => "scrape_bucket_limit",
            Self::Histogram { .. } => "scrape_histogram_invalid",
            Self::LabelLimit { .. } => "scrape_label_limit",
            Self::NoName => "scrape_name_missing",
            Self::BadName { .. } => "scrape_name_invalid",
            Self::DuplicateLabel { .. } => "scrape_label_duplicate",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::SampleLimit { .. }
            | Self::BlockSize { .. }
            | Self::SeriesSize { .. }
            | Self::BucketLimit { .. }
            | Self::LabelLimit { .. } => Priority::Operator,
            _ => Priority::Remote,
        }
    }

    fn retry(&self) -> Retry {
        Retry::Interval
    }
}
