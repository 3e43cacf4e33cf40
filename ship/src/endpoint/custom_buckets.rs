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

#[cfg(test)]
mod tests {
    use rosterd_testkit::Log;

    use super::*;
    use crate::Metrics;

    #[test]
    fn the_log_is_told_once_and_not_before_there_are_any() {
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap().endpoint("e");
        let (buckets, log) = (CustomBuckets::new("e", &metrics), Log::of("rosterd_ship"));
        let counts = [0, 2, 0, 3].map(|histograms| {
            tracing::subscriber::with_default(log.clone(), || buckets.dropped(histograms));
            log.take().len()
        });
        assert_eq!(counts, [0, 1, 0, 0]);
    }
}
