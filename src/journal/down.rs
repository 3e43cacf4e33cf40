//! The targets that were down when the process before ended: that they still are is no news, and that they are up is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rosterd_journal::{Fingerprints, Kind, Note};
use rosterd_model::Labels;

/// Those that nobody has scraped since. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(super) struct WereDown(Arc<Mutex<Fingerprints>>);

impl WereDown {
    /// It is these.
    pub(super) fn set(&self, down: Fingerprints) {
        *self.locked() = down;
    }

    /// A target is looked at for the first time. Returns whether it was down.
    pub(super) fn take(&self, job: &str, fingerprint: u64) -> bool {
        let mut all = self.locked();
        let Some(of_job) = all.get_mut(job) else { return false };
        let was_down = of_job.remove(&fingerprint);
        if of_job.is_empty() {
            all.remove(job);
        }
        was_down
    }

    /// A target that goes with an event comes back as another one.
    pub(super) fn follow(&self, note: &Note) {
        let gone = match note.kind {
            Kind::Removed => &note.labels,
            Kind::Changed => &note.from,
            _ => return,
        };
        if let Some((job, labels)) = note.job.as_deref().zip(gone.as_ref().map(Labels::fingerprint)) {
            self.take(job, labels);
        }
    }

    fn locked(&self) -> MutexGuard<'_, Fingerprints> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
