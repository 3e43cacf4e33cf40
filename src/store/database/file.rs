//! The files of the embedded stores: the lock, the opening, and what happens to a damaged file.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use redb::StorageBackend;
use redb::backends::{FileBackend, InMemoryBackend};
use rosterd_model::{Coded, Report};
use rosterd_tasks::files;
use tracing::{error, info, warn};

use super::fault::{Fault, caught, io_error};
use super::format::Format;
use crate::store::failures::Use;
use crate::store::{Loss, StoreError, StoreFailures};

/// How a database is opened; the flag asks for a check of every page.
pub(in crate::store) type Opener = fn(&Path, bool) -> Result<redb::Database, redb::DatabaseError>;

/// Pages that a database keeps in memory. The roster itself is not read from here.
const CACHE: usize = 8 * 1024 * 1024;

/// Nobody but the agent has to read what was discovered.
const MODE: u32 = 0o600;

/// A folder that belongs to this process from when it is taken, as long as a clone of this lives.
#[derive(Debug, Clone)]
pub(in crate::store) struct Lock(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// The locked file; `None` until it could be had.
    file: Mutex<Option<files::Lock>>,
    failures: StoreFailures,
}

impl Lock {
    /// The lock of a folder, not taken yet.
    pub(in crate::store) fn of(folder: &Path) -> Self {
        Self(Arc::new(Folder {
            path: folder.to_path_buf(),
            file: Mutex::new(None),
            failures: StoreFailures::default(),
        }))
    }

    /// What does not work of the files in the folder.
    fn failures(&self) -> &StoreFailures {
        &self.0.failures
    }

    /// Makes the folder if need be, and locks it, if that is not done.
    fn take(&self) -> Result<(), StoreError> {
        let mut held = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            return Ok(());
        }
        let folder = &self.0.path;
        std::fs::create_dir_all(folder).map_err(|source| match in_its_place(folder) {
            Some(path) => StoreError::NotAFolder { path },
            None => io_error(folder, source),
        })?;
        let path = folder.join("roster.lock");
        *held = files::Lock::take(&path).map_err(|source| io_error(&path, source))?;
        if held.is_none() { Err(StoreError::InUse { path }) } else { Ok(()) }
    }
}

/// What stands where a folder, or one of those that it lies in, has to be. A link to what is not there may be a disk that
/// comes later.
fn in_its_place(folder: &Path) -> Option<PathBuf> {
    let found = folder.ancestors().find_map(|path| Some((path, std::fs::metadata(path).ok()?)));
    found.filter(|(_, found)| !found.is_dir()).map(|(path, _)| path.to_path_buf())
}

/// Where a database is and how it is opened.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    pub(super) path: PathBuf,
    format: &'static Format,
    opener: Opener,
    lock: Lock,
    opened: Mutex<Identity>,
}

/// Which file is open.
#[derive(Debug, Default)]
struct Identity {
    /// Its device and number, if they are known.
    file: Option<(u64, u64)>,
    /// Whether it was told that another is at its path, or none.
    missed: bool,
}

impl DatabaseFile {
    pub(super) fn new(lock: &Lock, format: &'static Format, opener: Opener) -> Self {
        Self { path: lock.0.path.join(format.file), format, opener, lock: lock.clone(), opened: Mutex::default() }
    }

    /// Opens the database at start. A damaged one is moved aside, and an empty one takes its place: a store that refuses
    /// to open would keep the whole agent down. Returns what is not in it that was stored before.
    pub(super) fn open_or_replace(&self) -> Result<(redb::Database, Option<Loss>), StoreError> {
        self.lock.take()?;
        let missing = self.is_new().then_some(Loss::Missing);
        let damage = match self.try_open(true) {
            Err(fault) if fault.is_damage() => fault.at(&self.path),
            result => return result.map(|database| (database, missing)).map_err(|fault| fault.at(&self.path)),
        };
        let aside = self.move_aside().map_err(|source| io_error(&self.path, source))?;
        error!(
            error = %Report::of(&damage), code = damage.code(),
            moved_to = %aside.display(),
            "a damaged store was moved aside and is empty now: {}", self.format.when_lost
        );
        self.try_open(true).map(|database| (database, Some(Loss::MovedTo(aside)))).map_err(|fault| fault.at(&self.path))
    }

    /// Opens the database again after a failure.
    pub(super) fn open(&self) -> Result<redb::Database, StoreError> {
        self.lock.take()?;
        self.try_open(false).map_err(|fault| fault.at(&self.path))
    }

    /// A copy in memory of what is there, to be read while the file itself cannot be opened, as on a disk that cannot be written.
    pub(super) fn copy(&self) -> Option<redb::Database> {
        let bytes = std::fs::read(&self.path).ok().filter(|bytes| !bytes.is_empty())?;
        let (file, bytes_read) = (self.path.display(), bytes.len());
        let copied = caught(|| {
            let memory = InMemoryBackend::new();
            let filled = memory.set_len(bytes.len() as u64).and_then(|()| memory.write(0, &bytes));
            filled.map_err(redb::Error::Io)?;
            let mut builder = redb::Database::builder();
            let database =
                builder.set_cache_size(CACHE).set_check_integrity_on_open(true).create_with_backend(memory)?;
            self.format.prepare(&database)?;
            Ok(database)
        });
        match copied {
            Ok(database) => {
                warn!(%file, bytes_read, "what is stored was read, and what changes is not stored until the file can be written");
                Some(database)
            }
            Err(fault) => {
                let error = fault.at(&self.path);
                error!(error = %Report::of(&error), code = error.code(), %file, "what is stored cannot be read");
                None
            }
        }
    }

    fn try_open(&self, check: bool) -> Result<redb::Database, Fault> {
        let is_new = self.is_new();
        let opened = caught(|| {
            let database = (self.opener)(&self.path, check)?;
            self.format.prepare(&database)?;
            *self.opened.lock().unwrap_or_else(PoisonError::into_inner) =
                Identity { file: self.found(), missed: false };
            Ok(database)
        });
        match &opened {
            // Whoever misses what was known sees since when there is nothing.
            Ok(_) if is_new => info!(file = %self.path.display(), "store begun"),
            // What is half made is no damaged store, and takes room where there may be none.
            Err(_) if is_new => drop(File::options().write(true).truncate(true).open(&self.path)),
            _ => {}
        }
        opened
    }

    /// Whether there is nothing to open.
    fn is_new(&self) -> bool {
        match std::fs::metadata(&self.path) {
            Ok(found) => found.is_file() && found.len() == 0,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// What does not work of the files in its folder.
    pub(super) fn failures(&self) -> &StoreFailures {
        self.lock.failures()
    }

    /// How a use of it ended.
    pub(super) fn note(&self, by: Use, result: Result<(), &StoreError>) {
        self.failures().note(self.format.file, by, result);
    }

    /// Notes whether the file is at its path still, and tells once if it is not: nobody will find there what is written to it.
    pub(super) fn look(&self) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = opened.file else { return };
        if self.found() == Some(file) {
            opened.missed = false;
            return self.note(Use::Keeping, Ok(()));
        }
        let gone = StoreError::Gone { path: self.path.clone() };
        self.note(Use::Keeping, Err(&gone));
        if !std::mem::replace(&mut opened.missed, true) {
            let (error, code, file) = (Report::of(&gone), gone.code(), self.format.file);
            error!(%error, code, file, "what is written to the store now is lost with this process");
        }
    }

    fn found(&self) -> Option<(u64, u64)> {
        std::fs::metadata(&self.path).ok().map(|found| (found.dev(), found.ino()))
    }

    fn move_aside(&self) -> io::Result<PathBuf> {
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let names = (0u32..).map(|n| if n == 0 { time.clone() } else { format!("{time}-{n}") });
        let paths = names.map(|name| self.path.with_file_name(format!("{}.corrupt-{name}", self.format.file)));
        for aside in paths {
            if !aside.try_exists()? {
                std::fs::rename(&self.path, &aside)?;
                return Ok(aside);
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists))
    }
}

/// The first release left its files to the umask.
fn keep_private(file: &File, path: &Path) {
    let private = file.metadata().and_then(|found| match found.mode() & 0o077 {
        0 => Ok(()),
        _ => file.set_permissions(Permissions::from_mode(MODE)),
    });
    if let Err(error) = private {
        warn!(%error, file = %path.display(), "cannot keep others from reading a file of the store");
    }
}

/// Opens a database as the agent does.
pub(in crate::store) fn open_file(path: &Path, check: bool) -> Result<redb::Database, redb::DatabaseError> {
    let file = File::options().create(true).truncate(false).read(true).write(true).mode(MODE).open(path)?;
    keep_private(&file, path);
    let mut builder = redb::Database::builder();
    builder.set_cache_size(CACHE).set_check_integrity_on_open(check).create_with_backend(FileBackend::new(file)?)
}
