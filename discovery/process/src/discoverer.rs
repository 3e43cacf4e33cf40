//! Looks at processes off the runtime's threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use rosterd_discovery::{Build, Error, Reading, Refresh};
use rosterd_tasks::{Guard, blocking};
use tracing::debug;

use crate::config::ProcessConfig;
use crate::error::ProcessError;
use crate::metrics::ProcessMetrics;
use crate::scan::{Memory, Places, look};

/// Looks at the processes of a machine.
pub(crate) struct Processes {
    config: ProcessConfig,
    places: Places,
    metrics: ProcessMetrics,
    guard: Guard,
    /// How many processes the last look was not allowed to read, and how many there were.
    refused: u64,
    all: usize,
    /// Away while a look is under way.
    memory: Option<Memory>,
}

impl Processes {
    pub(crate) fn new(config: &ProcessConfig, places: Places, cx: &Build<'_, ProcessConfig>) -> Self {
        let (config, metrics, guard) = (config.clone(), cx.metrics.clone(), cx.guard.clone());
        Self { config, places, metrics, guard, refused: 0, all: 0, memory: None }
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
        (self.refused, self.all) = (found.refused, found.all);
        debug!(processes = found.groups.len(), read = found.read, refused = found.refused, "looked at processes");
        Ok(Reading::EverythingBut(found.groups, found.unread))
    }

    fn warning(&self) -> Option<Error> {
        warning(self.refused, self.all, rustix::process::geteuid().is_root())
    }
}

/// That so many of all may not be read.
fn warning(refused: u64, all: usize, as_root: bool) -> Option<Error> {
    (refused > 0).then(|| ProcessError::Refused { refused, all, as_root }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_processes_may_not_be_read_is_a_warning() {
        assert!(warning(0, 131, false).is_none());
        for (as_root, advice) in [(false, "run rosterd as root, or with CAP_SYS_PTRACE"), (true, "root may read them ")]
        {
            let told = warning(130, 131, as_root).expect("a warning");
            assert_eq!(told.code(), "sd_process_refused");
            let begin = format!("130 of 131 processes may not be read and are left out: {advice}");
            assert!(told.to_string().starts_with(&begin), "{told}");
        }
    }
}
