//! Looks at processes off the runtime's threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use rosterd_discovery::{Build, Error, Reading, Refresh};
use rosterd_tasks::{Guard, blocking};
use tracing::{debug, warn};

use crate::config::ProcessConfig;
use crate::metrics::ProcessMetrics;
use crate::scan::{Memory, Places, look};

/// Looks at the processes of a machine.
pub(crate) struct Processes {
    config: ProcessConfig,
    places: Places,
    metrics: ProcessMetrics,
    guard: Guard,
    /// The name of the provider, for the log.
    provider: Box<str>,
    refusals: Refusals,
    /// Away while a look is under way.
    memory: Option<Memory>,
}

impl Processes {
    pub(crate) fn new(config: &ProcessConfig, places: Places, cx: &Build<'_, ProcessConfig>) -> Self {
        let (config, metrics, guard) = (config.clone(), cx.metrics.clone(), cx.guard.clone());
        Self {
            config,
            places,
            metrics,
            guard,
            provider: cx.provider.into(),
            refusals: Refusals::default(),
            memory: None,
        }
    }
}

/// Whether it was told that processes may not be read: what a user may read stays as it is, so that once is enough.
#[derive(Debug, Default)]
struct Refusals {
    told: bool,
}

impl Refusals {
    /// Whether to tell that so many may not be read.
    fn is_news(&mut self, refused: u64) -> bool {
        refused > 0 && !std::mem::replace(&mut self.told, true)
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
        self.metrics.unreadable.inc_by(found.refused + found.unread.len() as u64);
        if self.refusals.is_news(found.refused) {
            let (provider, refused, processes) = (&*self.provider, found.refused, found.all);
            warn!(
                provider,
                refused,
                processes,
                "processes may not be read and are left out: run rosterd as root, or with CAP_SYS_PTRACE"
            );
        }
        debug!(processes = found.groups.len(), read = found.read, refused = found.refused, "looked at processes");
        Ok(Reading::EverythingBut(found.groups, found.unread))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_processes_may_not_be_read_is_told_once() {
        let mut refusals = Refusals::default();
        assert_eq!(
            [0, 0, 3, 3, 0, 4].map(|refused| refusals.is_news(refused)),
            [false, false, true, false, false, false]
        );
    }
}
