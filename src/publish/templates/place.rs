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

    /// Whether the file in place has this content.
    pub(super) fn has(&self, hash: u128) -> bool {
        hash_of(self.0.path()).is_ok_and(|found| found == hash)
    }

    /// Writes what was rendered.
    pub(super) fn stage(&self, disk: &dyn Disk, content: Bytes) -> Result<(), FileSdError> {
        self.0.write(disk, &self.staged(), std::iter::once(content))
    }

    /// Keeps what is in place. Says whether anything is.
    pub(super) fn keep_former(&self) -> Result<bool, FileSdError> {
        let (path, former) = (self.0.path(), self.former());
        remove(&former).map_err(|error| self.0.failed(error))?;
        if !path.exists() {
            return Ok(false);
        }
        // Not every file system has links, and not every file may be linked.
        fs::hard_link(path, &former)
            .or_else(|_| fs::copy(path, &former).map(drop))
            .map_err(|error| self.0.failed(error))?;
        self.0.sync()?;
        Ok(true)
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
    /// somebody removed what was kept, and what was rendered is still in place.
    pub(super) fn restore(
        &self,
        disk: &dyn Disk,
        had_former: bool,
        rendered: Option<u128>,
    ) -> Result<bool, FileSdError> {
        if !had_former {
            remove(self.0.path()).map_err(|error| self.0.failed(error))?;
            return self.0.sync().map(|()| true);
        }
        if self.has_former()? {
            return self.0.take_in(disk, &self.former()).map(|()| true);
        }
        Ok(!rendered.is_some_and(|hash| self.has(hash)))
    }

    /// Whether what was in place before is there again.
    pub(super) fn is_restored(&self, had_former: bool, rendered: Option<u128>) -> Result<bool, FileSdError> {
        match had_former {
            true => Ok(!self.has_former()? && !rendered.is_some_and(|hash| self.has(hash))),
            false => Ok(!self.0.path().exists()),
        }
    }

    fn has_former(&self) -> Result<bool, FileSdError> {
        self.former().try_exists().map_err(|error| self.0.failed(error))
    }

    /// Removes everything but what is in place.
    pub(super) fn clear(&self) -> Result<(), FileSdError> {
        for path in [self.staged(), self.former()] {
            remove(&path).map_err(|error| self.0.failed(error))?;
        }
        Ok(())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
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
