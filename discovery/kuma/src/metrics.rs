//! What Kuma discovery counts, over all its discoverers.

use prometheus::{Histogram, HistogramOpts, IntCounter, Registry};

use rosterd_discovery::MechanismMetrics;

/// The metrics of Kuma discovery.
#[derive(Debug, Clone)]
pub struct KumaMetrics {
    /// How long answers took, those that were held back included.
    pub(super) duration: Histogram,
    /// Questions without a usable answer.
    pub(super) failures: IntCounter,
    /// Answers that there is nothing new.
    pub(super) skipped: IntCounter,
}

impl MechanismMetrics for KumaMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            duration: Histogram::with_opts(
                HistogramOpts::new(
                    "rosterd_discovery_kuma_fetch_duration_seconds",
                    "How long answers of Kuma took, those that were held back included.",
                )
                .buckets(vec![0.01, 0.1, 1.0, 10.0, 60.0, 120.0]),
            )?,
            failures: IntCounter::new(
                "rosterd_discovery_kuma_fetch_failures_total",
                "Questions to which Kuma gave no usable answer.",
            )?,
            skipped: IntCounter::new(
                "rosterd_discovery_kuma_fetch_skipped_updates_total",
                "Answers of Kuma that there is nothing new.",
            )?,
        };
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(metrics.skipped.clone()))?;
        Ok(metrics)
    }
}
