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

/// What is done with a file, the gravest first. That one works says nothing of the others: a full disk gives what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    Opening,
    /// The file stays where it is opened by the next process.
    Keeping,
    Writing,
    Reading,
}

/// The files that cannot be used, by their names. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct StoreFailures(Arc<Mutex<BTreeMap<(&'static str, Use), StoreFailure>>>);

impl StoreFailures {
    /// What does not work now: of each file the gravest.
    pub fn list(&self) -> Vec<(&'static str, StoreFailure)> {
        let mut files: Vec<(&'static str, StoreFailure)> = Vec::new();
        for ((file, _), failure) in &*self.all() {
            if files.last().is_none_or(|(last, _)| last != file) {
                files.push((file, failure.clone()));
            }
        }
        files
    }

    /// How a use of a file ended, whose failures begin with the first of them in a row. What was refused for its content says nothing of the file.
    pub(super) fn note(&self, file: &'static str, by: Use, result: Result<(), &StoreError>) {
        let mut all = self.all();
        match result {
            Ok(()) => drop(all.remove(&(file, by))),
            Err(StoreError::Precondition(_) | StoreError::Record { .. }) => {}
            Err(error) => {
                let before = all.iter().filter(|((other, _), _)| *other == file).map(|(_, before)| before.since);
                let since = before.min().unwrap_or_else(SystemTime::now);
                all.insert((file, by), StoreFailure { report: Report::of(error), since });
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<(&'static str, Use), StoreFailure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
