//! What of the stores does not work at the moment, for whoever looks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rosterd_model::Report;

use super::StoreError;

/// A file of the store that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFailure {
    /// What went wrong, the last time.
    pub report: Report,
    /// Since when it goes wrong each time.
    pub since: SystemTime,
}

/// The files that cannot be used, by their names. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct StoreFailures(Arc<Mutex<BTreeMap<&'static str, StoreFailure>>>);

impl StoreFailures {
    /// What does not work now.
    pub fn list(&self) -> Vec<(&'static str, StoreFailure)> {
        self.all().iter().map(|(file, failure)| (*file, failure.clone())).collect()
    }

    /// How a use of a file ended. What was refused for its content says nothing of the file.
    pub(super) fn note(&self, file: &'static str, result: Result<(), &StoreError>) {
        let mut all = self.all();
        match result {
            Ok(()) | Err(StoreError::Precondition(_) | StoreError::Record { .. }) => drop(all.remove(file)),
            Err(error) => {
                let since = all.get(file).map_or_else(SystemTime::now, |before| before.since);
                all.insert(file, StoreFailure { report: Report::of(error), since });
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<&'static str, StoreFailure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
