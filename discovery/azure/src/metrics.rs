//! What discovery by Azure counts, over all its discoverers.

use prometheus::{IntCounter, Registry};

use rosterd_discovery::MechanismMetrics;
use rosterd_rest::Calls;

use super::AzureConfig;

/// The metrics of `azure`.
#[derive(Debug)]
pub struct AzureMetrics {
    /// Questions to the Resource Manager.
    pub(super) calls: Calls<AzureConfig>,
    /// Network interfaces that need not be asked about.
    pub(super) cache_hits: IntCounter,
}

impl MechanismMetrics for AzureMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let calls = Calls::register(registry)?;
        let cache_hits = IntCounter::new(
            "rosterd_discovery_azure_cache_hits_total",
            "Network interfaces of machines that were known from before, and were not asked about.",
        )?;
        registry.register(Box::new(cache_hits.clone()))?;
        Ok(Self { calls, cache_hits })
    }
}
