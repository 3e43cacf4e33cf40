//! The files of the embedded store: the lock, the opening, and what happens to a damaged file.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use redb::Database;
use tracing::error;

use super::fault::{Fault, caught, io_error};
use super::tables::{self, STEPS};
use crate::store::StoreError;

/// How the database is opened; the flag asks for a check of every page.
pub(super) type Opener = fn(&Path, bool) -> Result<Database, redb::DatabaseError>;

/// Pages that the database keeps in memory. The roster itself is not read from here.
const CACHE: usize = 8 * 1024 * 1024;

/// Where the store is, locked for this process as long as this lives.
#[derive(Debug)]
pub(super) struct StoreFile {
    /// The database.
    pub(super) path: PathBuf,
    opener: Opener,
    _lock: File,
}

impl StoreFile {
    /// Makes the folder if need be, and locks it.
    pub(super) fn lock(folder: &Path, opener: Opener) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(|source| io_error(folder, source))?;
        let path = folder.join("roster.lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|source| io_error(&path, source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: folder.join("roster.redb"), opener, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path }),
            Err(TryLockError::Error(source)) => Err(io_error(path, source)),
        }
    }

    /// Opens the database at start. A damaged one is moved aside, and an empty one takes its place: what was lost is
    /// discovered again, while a store that refuses to open would keep the whole agent down.
    pub(super) fn open_or_replace(&self) -> Result<Database, StoreError> {
        let damage = match self.open(true) {
            Err(fault) if fault.is_damage() => fault.at(&self.path),
            result => return result.map_err(|fault| fault.at(&self.path)),
        };
        let aside = self.move_aside().map_err(|source| io_error(&self.path, source))?;
        error!(
            error = %rosterd_model::Report::of(&damage), code = rosterd_model::Coded::code(&damage),
            moved_to = %aside.display(),
            "the store was damaged and is empty now: groups are discovered again"
        );
        self.open(true).map_err(|fault| fault.at(&self.path))
    }

    /// Opens the database again after a failure.
    pub(super) fn reopen(&self) -> Result<Database, StoreError> {
        self.open(false).map_err(|fault| fault.at(&self.path))
    }

    fn open(&self, check: bool) -> Result<Database, Fault> {
        caught(|| {
            let database = (self.opener)(&self.path, check)?;
            tables::prepare(&database, STEPS)?;
            Ok(database)
        })
    }

    fn move_aside(&self) -> io::Result<PathBuf> {
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let names = (0u32..).map(|n| if n == 0 { time.clone() } else { format!("{time}-{n}") });
        let paths = names.map(|name| self.path.with_file_name(format!("roster.redb.corrupt-{name}")));
        for aside in paths {
            if !aside.try_exists()? {
                std::fs::rename(&self.path, &aside)?;
                return Ok(aside);
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists))
    }
}

/// Opens the database as the agent does.
pub(super) fn open_file(path: &Path, check: bool) -> Result<Database, redb::DatabaseError> {
    Database::builder().set_cache_size(CACHE).set_check_integrity_on_open(check).create(path)
}
