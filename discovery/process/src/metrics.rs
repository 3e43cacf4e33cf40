//! What discovery of processes counts.

use prometheus::{IntCounter, Registry};
use rosterd_discovery::MechanismMetrics;

/// The metrics of discovery of processes.
#[derive(Debug, Clone)]
pub struct ProcessMetrics {
    /// Processes that could not be read.
    pub(crate) unreadable: IntCounter,
}

impl MechanismMetrics for ProcessMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let unreadable = IntCounter::new(
            "rosterd_discovery_process_unreadable_total",
            "Processes that discovery was not allowed to read, or could not, once for each refresh.",
        )?;
        registry.register(Box::new(unreadable.clone()))?;
        Ok(Self { unreadable })
    }
}
