//! Native histograms with custom buckets, which remote write 1.0 has no place for: dropped, counted, and told once.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing::warn;

use crate::Counts;
use crate::metrics::{EndpointMetrics, Reason};

/// What an endpoint knows of them.
#[derive(Debug)]
pub(super) struct CustomBuckets {
    endpoint: String,
    metrics: EndpointMetrics,
    told: AtomicBool,
}

impl CustomBuckets {
    pub(super) fn new(endpoint: &str, metrics: &EndpointMetrics) -> Self {
        Self { endpoint: endpoint.to_owned(), metrics: metrics.clone(), told: AtomicBool::new(false) }
    }

    /// So many were left out.
    pub(super) fn dropped(&self, histograms: u32) {
        self.metrics.dropped(Reason::CustomBuckets, Counts { histograms, ..Counts::default() });
        if histograms > 0 && !self.told.swap(true, Ordering::Relaxed) {
            warn!(
                endpoint = self.endpoint,
                code = "ship_custom_buckets",
                "native histograms with custom buckets are dropped: remote write 1.0 cannot carry them, 2.0 can"
            );
        }
    }
}
