//! What Nomad discovery counts, over all its discoverers.

use prometheus::{IntCounter, Registry};

use rosterd_discovery::MechanismMetrics;

/// The metrics of Nomad discovery.
#[derive(Debug, Clone)]
pub struct NomadMetrics {
    /// Questions without a usable answer.
    pub(super) failures: IntCounter,
}

impl MechanismMetrics for NomadMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let failures = IntCounter::new(
            "rosterd_discovery_nomad_failures_total",
            "Questions to which Nomad gave no usable answer.",
        )?;
        registry.register(Box::new(failures.clone()))?;
        Ok(Self { failures })
    }
}
