//! What discoverers of one agent have in common.

use std::sync::Arc;

use rosterd_discovery::{Build, MechanismConfig, MechanismMetrics, MechanismShared, System};
use rosterd_tasks::{Stopper, Supervision};

/// Builds a discoverer of each configuration, one after the other as reloads do, and hands out what they share. They never run.
///
/// # Panics
///
/// When one cannot be built.
pub fn shared_by<C: MechanismConfig>(configs: impl IntoIterator<Item = C>) -> Arc<C::Shared> {
    let metrics = C::Metrics::register(&prometheus::Registry::new()).expect("an empty registry takes all names");
    let (system, guard) = (System::default(), Supervision::default().guard("source"));
    let shared = Arc::new(C::Shared::start(&Stopper::new(), &system));
    for config in configs {
        let cx = Build { metrics: &metrics, shared: &shared, provider: "test/1", system: &system, guard: &guard };
        drop(config.build(cx).expect("it can be built"));
    }
    shared
}
