use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Only the owner has to know that a lock is there.
const MODE: u32 = 0o600;

/// A file that is locked for this process as long as this lives. It is unlocked and not only closed: a command that another
/// thread starts just now has the open file too for a moment.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Locks a file, which is made if need be; `None` if another process has it locked. Does not wait.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(MODE).open(path)?;
        // One that was made by an earlier version may be open to all; on some file systems nothing can be done about it.
        file.set_permissions(Permissions::from_mode(MODE)).ok();
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing does it, too, only perhaps later.
        self.0.unlock().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_free_again_even_while_somebody_else_has_the_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = Lock::take(&path).unwrap().unwrap();
        assert!(Lock::take(&path).unwrap().is_none());
        let inherited = lock.0.try_clone().unwrap();
        drop(lock);
        assert!(Lock::take(&path).unwrap().is_some());
        drop(inherited);
    }
}
