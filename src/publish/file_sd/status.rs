//! What is known of each file, for the API.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::store::ledger::Revision;

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileStatus {
    /// When this process wrote it; `None` also when it was there already as it should be.
    pub last_written: Option<SystemTime>,
    /// What it was to be when this process last wrote it, or saw that it is as it should be; `None` before that.
    pub reached: Option<Revision>,
    /// When what was given up is begun again, unless something changes before.
    pub next_try: Option<SystemTime>,
}

/// The states of all files, by path. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct FileStatuses(Arc<Mutex<BTreeMap<PathBuf, FileStatus>>>);

impl FileStatuses {
    /// What is known of the file at a path, if it is published.
    pub fn get(&self, path: &Path) -> Option<FileStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    pub(in crate::publish) fn edit(&self, path: &Path, edit: impl FnOnce(&mut FileStatus)) {
        let mut statuses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        edit(statuses.entry(path.to_path_buf()).or_default());
    }

    pub(in crate::publish) fn remove(&self, path: &Path) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }
}
