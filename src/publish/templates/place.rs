//! The files of a destination: what was rendered and is not in its place yet, what is in place, and what was there before.
//! Blocking. Each function may be cut off by a crash at any point.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rosterd_tasks::files;
use xxhash_rust::xxh3::Xxh3Default;

use crate::publish::file_sd::FileSdError;
use crate::publish::file_sd::write::{Disk, Place};

/// How a file ends that is not in its place yet.
const STAGED: &str = ".rosterd-new";
/// How a file ends that was in place before.
const FORMER: &str = ".rosterd-old";
/// How a file ends that is there as long as nothing was in place before.
const NO_FORMER: &str = ".rosterd-none";

/// The files of a destination.
pub(super) struct Files(Place);

impl Files {
    /// Those of the file at this path.
    pub(super) fn of(destination: &Path) -> Result<Self, FileSdError> {
        Place::of(destination).map(Self)
    }

    /// The file that was rendered, as long as it is not in its place.
    pub(super) fn staged(&self) -> PathBuf {
        self.0.beside(STAGED)
    }

    fn former(&self) -> PathBuf {
        self.0.beside(FORMER)
    }

    fn no_former(&self) -> PathBuf {
        self.0.beside(NO_FORMER)
    }

    /// Whether an operation is under way that has gone as far as to keep what is in place. Without one, the ledger has forgotten
    /// it, and the program may not know what is in place.
    pub(super) fn is_under_way(&self) -> Result<bool, FileSdError> {
        Ok(self.has_former()? || Self::is_there(&self.no_former())?)
    }

    /// Whether the file in place has this content. One that cannot be read has not, as far as can be known.
    pub(super) fn has(&self, hash: u128) -> bool {
        self.compare(hash).unwrap_or(false)
    }

    /// Whether the file in place has this content. One that is missing has not; fails where it cannot be read.
    pub(super) fn compare(&self, hash: u128) -> Result<bool, FileSdError> {
        match hash_of(self.0.path()) {
            Ok(found) => Ok(found == hash),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(FileSdError::Read { path: self.0.path().to_owned(), source }),
        }
    }

    /// Writes what was rendered.
    pub(super) fn stage(&self, disk: &dyn Disk, content: Bytes) -> Result<(), FileSdError> {
        self.0.write(disk, &self.staged(), std::iter::once(content))
    }

    /// Keeps what is in place, unless that is what was rendered, and what was there before is kept already: that is what the
    /// program knows. Returns its hash, `None` when there was nothing.
    pub(super) fn keep_former(&self, disk: &dyn Disk, rendered: Option<u128>) -> Result<Option<u128>, FileSdError> {
        let (path, former, none) = (self.0.path(), self.former(), self.no_former());
        let is_swapped = rendered.is_some_and(|hash| self.has(hash));
        if is_swapped && Self::is_there(&none)? {
            return Ok(None);
        }
        if !is_swapped || !self.has_former()? {
            for left in [&former, &none] {
                remove(left)?;
            }
            if !Self::is_there(path)? {
                fs::write(&none, "").map_err(|error| self.0.failed(error))?;
                return self.0.sync().map(|()| None);
            }
            self.0.double(disk, path, &former)?;
        }
        hash_of(&former).map(Some).map_err(|source| FileSdError::Read { path: former, source })
    }

    /// Puts what was rendered in its place.
    pub(super) fn swap(&self, disk: &dyn Disk) -> Result<(), FileSdError> {
        self.0.take_in(disk, &self.staged())
    }

    /// Whether what was rendered has gone to its place.
    pub(super) fn is_swapped(&self, hash: u128) -> bool {
        !self.staged().exists() && self.has(hash)
    }

    /// Whether what was rendered is beside its place as it was rendered.
    pub(super) fn has_staged(&self, hash: u128) -> bool {
        hash_of(&self.staged()).is_ok_and(|found| found == hash)
    }

    /// Whether what was rendered is there at all.
    pub(super) fn is_staged(&self) -> bool {
        self.staged().exists()
    }

    /// Puts what was in place before back there; what was not there is not there again. Says whether that can be: not where
    /// somebody removed what was kept. That stays, so that nobody takes the program for told.
    pub(super) fn restore(&self, disk: &dyn Disk, former: Option<u128>) -> Result<bool, FileSdError> {
        match former {
            None => {
                remove(self.0.path())?;
                self.0.sync().map(|()| true)
            }
            Some(hash) if self.has(hash) => Ok(true),
            Some(_) if self.has_former()? => {
                remove(&self.staged())?;
                let doubled = self.0.double(disk, &self.former(), &self.staged());
                let restored = doubled.and_then(|()| self.0.take_in(disk, &self.staged()));
                restored.map(|()| true).map_err(FileSdError::of_restoring)
            }
            Some(_) => Ok(false),
        }
    }

    /// Whether what was in place before is there again.
    pub(super) fn is_restored(&self, former: Option<u128>) -> Result<bool, FileSdError> {
        match former {
            Some(hash) => Ok(self.has(hash)),
            None => self.is_in_place().map(|there| !there),
        }
    }

    fn has_former(&self) -> Result<bool, FileSdError> {
        Self::is_there(&self.former())
    }

    fn is_there(path: &Path) -> Result<bool, FileSdError> {
        path.try_exists().map_err(|source| FileSdError::Read { path: path.to_owned(), source })
    }

    /// Whether there is a file in place.
    pub(super) fn is_in_place(&self) -> Result<bool, FileSdError> {
        Self::is_there(self.0.path())
    }

    /// Removes what was rendered.
    pub(super) fn discard(&self) -> Result<(), FileSdError> {
        remove(&self.staged())
    }

    /// Removes everything but what is in place.
    pub(super) fn clear(&self) -> Result<(), FileSdError> {
        for path in [self.staged(), self.former(), self.no_former()] {
            remove(&path)?;
        }
        Ok(())
    }
}

fn remove(path: &Path) -> Result<(), FileSdError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(FileSdError::Remove { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn hash_of(path: &Path) -> io::Result<u128> {
    let (mut file, mut hasher) = (files::open(path)?, Xxh3Default::new());
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.digest128()),
            read => hasher.update(&piece[..read]),
        }
    }
}
