//! What DNS discovery counts, over all its discoverers.

use prometheus::{IntCounter, Registry};

use rosterd_discovery::MechanismMetrics;

/// The metrics of DNS discovery.
#[derive(Debug, Clone)]
pub struct DnsMetrics {
    /// Names that were looked up.
    pub(super) lookups: IntCounter,
    /// Names that no nameserver gave a usable answer for.
    pub(super) lookup_failures: IntCounter,
}

impl MechanismMetrics for DnsMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            lookups: IntCounter::new("rosterd_discovery_dns_lookups_total", "Names that DNS discovery looked up.")?,
            lookup_failures: IntCounter::new(
                "rosterd_discovery_dns_lookup_failures_total",
                "Names that no nameserver gave DNS discovery a usable answer for.",
            )?,
        };
        registry.register(Box::new(metrics.lookups.clone()))?;
        registry.register(Box::new(metrics.lookup_failures.clone()))?;
        Ok(metrics)
    }
}
