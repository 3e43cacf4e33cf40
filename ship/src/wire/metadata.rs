//! Metadata of metric families: requests of their own in version 1.0, part of each series in version 2.0.

use rosterd_exposition::{Metadata, MetricKind};

use super::field::{put_bytes, put_number};

/// The number of a type, the same in both versions.
pub(super) const fn kind_number(kind: MetricKind) -> u64 {
    match kind {
        MetricKind::Unknown => 0,
        MetricKind::Counter => 1,
        MetricKind::Gauge => 2,
        MetricKind::Histogram => 3,
        MetricKind::GaugeHistogram => 4,
        MetricKind::Summary => 5,
        MetricKind::Info => 6,
        MetricKind::StateSet => 7,
    }
}

/// A `prometheus.WriteRequest` with these metadata and no series.
pub fn metadata_request<'a>(all: impl IntoIterator<Item = &'a Metadata>) -> Vec<u8> {
    let (mut body, mut message) = (Vec::new(), Vec::new());
    for metadata in all {
        message.clear();
        put_number(1, kind_number(metadata.kind), &mut message);
        for (field, text) in [(2, &metadata.family), (4, &metadata.help), (5, &metadata.unit)] {
            if !text.is_empty() {
                put_bytes(field, text.as_bytes(), &mut message);
            }
        }
        put_bytes(3, &message, &mut body);
    }
    body
}
