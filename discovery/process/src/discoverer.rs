//! Looks at processes off the runtime's threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use rosterd_discovery::{Error, Reading, Refresh};
use rosterd_tasks::{Guard, blocking};
use tracing::debug;

use crate::config::ProcessConfig;
use crate::metrics::ProcessMetrics;
use crate::scan::{Memory, Places, look};

/// Looks at the processes of a machine.
pub(crate) struct Processes {
    config: ProcessConfig,
    places: Places,
    metrics: ProcessMetrics,
    guard: Guard,
    /// Away while a look is under way.
    memory: Option<Memory>,
}

impl Processes {
    pub(crate) fn new(config: &ProcessConfig, places: Places, metrics: &ProcessMetrics, guard: &Guard) -> Self {
        let (config, metrics, guard) = (config.clone(), metrics.clone(), guard.clone());
        Self { config, places, metrics, guard, memory: None }
    }
}

/// Tells a look that nobody waits for it any more.
struct Waits(Arc<AtomicBool>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Refresh for Processes {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let (config, places, guard) = (self.config.clone(), self.places.clone(), self.guard.clone());
        let mut memory = self.memory.take().unwrap_or_default();
        let waits = Waits(Arc::default());
        let given_up = Arc::clone(&waits.0);
        let looked = blocking(move || {
            let found = look(&config, &places, &mut memory, &guard, &given_up);
            (memory, found)
        });
        let (memory, found) = looked.await;
        self.memory = Some(memory);
        let found = found?;
        self.metrics.unreadable.inc_by(found.refused);
        debug!(processes = found.groups.len(), read = found.read, refused = found.refused, "looked at processes");
        Ok(Reading::EverythingBut(found.groups, found.unread))
    }
}
