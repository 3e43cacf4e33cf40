//! The folder of a log: who may use it, and what can be seen of it without its records.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rosterd_tasks::files::{Lock, in_the_way};

use super::segment::Segment;
use crate::private;

pub(super) const POSITION: &str = "position";
pub(super) const LOCK: &str = "lock";
/// What [`Log::probe`] writes for a moment.
pub(super) const PROBE: &str = "probe";

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// Another process has it.
    #[error("the queue {} is in use by another process", folder.display())]
    InUse {
        /// Its folder.
        folder: PathBuf,
    },
    /// The file system does not let us.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

pub(super) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> LogError {
    move |source| LogError::Io { path: path.to_owned(), source }
}

/// Takes the lock of a folder, which is made if need be.
pub(super) fn lock(folder: &Path) -> Result<Lock, LogError> {
    std::fs::create_dir_all(folder).map_err(io_error(folder))?;
    let path = folder.join(LOCK);
    let lock = Lock::take(&path).map_err(io_error(&path))?;
    lock.ok_or_else(|| LogError::InUse { folder: folder.to_owned() })
}

/// Whether no process has the log of a folder open.
pub(crate) fn is_free(folder: &Path) -> bool {
    lock(folder).is_ok()
}

/// Whether there are segments in a folder, as far as can be known.
pub(crate) fn has_segments(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|all| all.flatten().any(|entry| Segment::is_name(&entry.path())))
}

/// Whether a log could be opened in a folder, as far as can be seen without a look at its records.
pub(crate) fn is_usable(folder: &Path) -> bool {
    let usable = || -> io::Result<bool> {
        let Ok(_lock) = lock(folder) else { return Ok(false) };
        let position = folder.join(POSITION);
        let was_there = position.exists();
        // What is no file is moved aside by whoever opens the log.
        if in_the_way(&position).is_none() {
            private::options().open(&position)?;
        }
        if !was_there {
            // Whoever opens the log has to see that it is missing.
            std::fs::remove_file(&position)?;
        }
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if Segment::is_name(&path) && in_the_way(&path).is_none() {
                File::open(&path)?;
            }
        }
        Ok(true)
    };
    usable().unwrap_or(false)
}

/// Whether there is something, as far as can be known.
pub(super) fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).map_or_else(|error| error.kind() != io::ErrorKind::NotFound, |_| true)
}
