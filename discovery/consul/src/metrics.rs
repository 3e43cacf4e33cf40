//! What Consul discovery counts and measures, over all its discoverers.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, Registry};

use rosterd_discovery::MechanismMetrics;

/// The metrics of Consul discovery.
#[derive(Debug, Clone)]
pub struct ConsulMetrics {
    /// Questions without a usable answer.
    pub(super) failures: IntCounter,
    /// How long answers about the catalog took, those that were waited for included.
    pub(super) services: Histogram,
    /// The same of answers about one service.
    pub(super) service: Histogram,
}

impl MechanismMetrics for ConsulMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let failures = IntCounter::new(
            "rosterd_discovery_consul_failures_total",
            "Questions to which Consul gave no usable answer.",
        )?;
        let opts = HistogramOpts::new(
            "rosterd_discovery_consul_duration_seconds",
            "How long answers of Consul took, waiting for news included, by what was asked about.",
        );
        let durations = HistogramVec::new(opts.buckets(vec![0.01, 0.1, 1.0, 10.0, 60.0, 120.0]), &["call"])?;
        registry.register(Box::new(failures.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        let [services, service] = ["services", "service"].map(|call| durations.with_label_values(&[call]));
        Ok(Self { failures, services, service })
    }
}
