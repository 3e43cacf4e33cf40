//! What nerve and serverset count.

use prometheus::{IntGauge, Registry};
use rosterd_discovery::MechanismMetrics;

/// The metrics of nerve.
#[derive(Debug, Clone)]
pub struct NerveMetrics {
    /// Watches of nodes.
    pub(crate) watches: IntGauge,
}

/// The metrics of serverset.
#[derive(Debug, Clone)]
pub struct ServersetMetrics {
    /// Watches of nodes.
    pub(crate) watches: IntGauge,
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    let gauge = IntGauge::new(name, help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

impl MechanismMetrics for NerveMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let watches = gauge(
            registry,
            "rosterd_discovery_nerve_watches",
            "Watches that nerve discovery has on nodes of ZooKeeper.",
        )?;
        Ok(Self { watches })
    }
}

impl MechanismMetrics for ServersetMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let watches = gauge(
            registry,
            "rosterd_discovery_serverset_watches",
            "Watches that serverset discovery has on nodes of ZooKeeper.",
        )?;
        Ok(Self { watches })
    }
}
