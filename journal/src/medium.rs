//! What a segment is kept in: a file or, where there is no folder or the disk fails, memory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Where a segment is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    File(PathBuf),
    Memory(Arc<RwLock<Vec<u8>>>),
}

/// A segment that is open.
#[derive(Debug)]
pub(crate) enum Medium {
    File(File),
    Memory(Arc<RwLock<Vec<u8>>>),
}

impl Place {
    pub(crate) fn is_memory(&self) -> bool {
        matches!(self, Self::Memory(_))
    }

    /// The file; nothing of what is in memory.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Memory(_) => Path::new(""),
        }
    }

    pub(crate) fn open(&self) -> io::Result<Medium> {
        Ok(match self {
            Self::File(path) => Medium::File(File::open(path)?),
            Self::Memory(bytes) => Medium::Memory(Arc::clone(bytes)),
        })
    }

    /// Opens it to be written, or makes it, readable by nobody else: labels may be nobody's business.
    pub(crate) fn open_to_write(&self) -> io::Result<Medium> {
        Ok(match self {
            Self::File(path) => {
                let mut options = OpenOptions::new();
                Medium::File(options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?)
            }
            Self::Memory(bytes) => Medium::Memory(Arc::clone(bytes)),
        })
    }

    /// Makes its name outlive the machine.
    pub(crate) fn sync_name(&self) -> io::Result<()> {
        match self {
            Self::File(path) => {
                let folder = path.parent().unwrap_or(Path::new("."));
                #[cfg(test)]
                tests::note_sync(folder);
                File::open(folder)?.sync_all()
            }
            Self::Memory(_) => Ok(()),
        }
    }

    /// Gives its space back. What somebody reads just now stays until that has ended.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match self {
            Self::File(path) => std::fs::remove_file(path),
            Self::Memory(_) => Ok(()),
        }
    }
}

impl Medium {
    /// Fills the buffer; `false` if there is not so much.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        match self {
            Self::File(file) => match file.read_exact_at(buffer, offset) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
                Err(error) => Err(error),
            },
            Self::Memory(bytes) => {
                let bytes = bytes.read().unwrap_or_else(PoisonError::into_inner);
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let found = bytes.get(start..).and_then(|rest| rest.get(..buffer.len()));
                Ok(found.map(|found| buffer.copy_from_slice(found)).is_some())
            }
        }
    }

    /// Writes at an offset where nothing, or nothing of use, stands.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all_at(bytes, offset),
            Self::Memory(memory) => {
                let mut memory = memory.write().unwrap_or_else(PoisonError::into_inner);
                memory.truncate(usize::try_from(offset).unwrap_or(usize::MAX));
                memory.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Cuts off what stands behind.
    pub(crate) fn truncate(&self, length: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.set_len(length),
            Self::Memory(_) => Ok(()),
        }
    }

    /// Makes it outlive the machine.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match self {
            Self::File(file) => file.sync_data(),
            Self::Memory(_) => Ok(()),
        }
    }

    pub(crate) fn length(&self) -> io::Result<u64> {
        Ok(match self {
            Self::File(file) => file.metadata()?.len(),
            Self::Memory(bytes) => bytes.read().unwrap_or_else(PoisonError::into_inner).len() as u64,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static SYNCED: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note_sync(folder: &Path) {
        SYNCED.with_borrow_mut(|synced| synced.push(folder.to_owned()));
    }

    /// The folders whose names were made to stay, by this test.
    pub(crate) fn synced() -> Vec<PathBuf> {
        SYNCED.take()
    }
}
