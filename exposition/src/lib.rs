//! Expositions: what a scraped target answers, read in place. Pure: no I/O, no clock, no tokio.
//!
//! Every format has a parser that hands out [`Entry`] after [`Entry`] and allocates nothing for a sample of the text
//! formats. The formats are those of the [Prometheus documentation] and of [OpenMetrics].
//!
//! [Prometheus documentation]: https://prometheus.io/docs/instrumenting/exposition_formats/
//! [OpenMetrics]: https://prometheus.io/docs/specs/om/open_metrics_spec/

mod convert;
mod converting;
mod entry;
mod error;
mod histogram;
mod metadata;
mod negotiate;
mod number;
mod protobuf;
mod series;
mod text;

pub use converting::ConvertingParser;
pub use entry::{Entry, Exemplar, Exemplars, Labels, Sample};
pub use error::ParseError;
pub use histogram::{Histogram, HistogramError, HistogramLimits, Span};
pub use metadata::{Metadata, MetricKind};
pub use negotiate::{ContentTypeError, Escaping, Format, Negotiated, Protocol, accept, negotiate};
pub use number::{format_open_metrics, format_shortest, format_value};
pub use protobuf::{HistogramOptions, ProtobufParser};
pub use text::{Dialect, TextParser};

/// Reads one exposition, entry by entry.
pub trait Parse {
    /// The next entry; `None` at the end. After an error the parser is not to be used again.
    fn next(&mut self) -> Result<Option<Entry<'_>>, ParseError>;

    /// The next entry, for those who know which series is due and how many bytes its identity has. If these bytes stand
    /// there and `is_due` says that they are that series, its name and labels are not looked at and left empty. A parser may
    /// do without asking.
    fn next_due(&mut self, length: usize, is_due: impl FnMut(&[u8]) -> bool) -> Result<Option<Entry<'_>>, ParseError>
    where
        Self: Sized,
    {
        let _ = (length, is_due);
        self.next()
    }
}

#[doc(hidden)]
pub mod fuzzing;
