//! What discoverers of one agent have in common.

use std::sync::Arc;

use rosterd_discovery::{Build, MechanismConfig, MechanismMetrics, MechanismShared, System};
use rosterd_tasks::{Stopper, Supervision};
use tokio::time::Instant;

use super::run::{Run, equipment};
use crate::patience;

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

/// What discoverers of these configurations fail with first, by its code: one after the other, in one agent on a machine with this
/// environment.
///
/// # Panics
///
/// When there is none, when one cannot be built, and when one does not fail within [`patience`].
pub async fn failures_in_turn<C: MechanismConfig>(system: &System, configs: &[C]) -> Vec<String> {
    let equipment = equipment(system, &configs[0]);
    let mut codes = Vec::new();
    for config in configs {
        let built = equipment.of(C::MECHANISM).build(config, "test/1");
        let mut run = Run::of(built.expect("it can be built"));
        codes.push(run.first_failure().await);
        run.stop().await.expect("it ends").expect("in order");
    }
    equipment.end(Instant::now() + patience()).await;
    codes
}
