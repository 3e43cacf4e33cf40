//! A disk that is full when a test says so, and stores on it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::Tested;
use crate::store::folder::open_with;
use crate::store::{EmbeddedBlocks, EmbeddedLedger};

/// A file on a disk that takes nothing as long as a file named `full` stands beside it, and on which no file gets larger as long
/// as one named `brim` does.
#[derive(Debug)]
struct Disk(FileBackend, PathBuf);

impl Disk {
    fn check(&self) -> io::Result<()> {
        if self.1.exists() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn check_growth(&self, len: u64) -> io::Result<()> {
        let full = self.1.with_file_name("brim").exists() && len > self.0.len()?;
        if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

/// Opens a database on the disk.
pub(crate) fn open_on_disk(path: &Path, check: bool) -> Result<redb::Database, redb::DatabaseError> {
    let file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
    let disk = Disk(FileBackend::new(file)?, path.with_file_name("full"));
    redb::Database::builder().set_check_integrity_on_open(check).create_with_backend(disk)
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.check_growth(len)?;
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.0.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

/// Both stores in a new folder, and what makes the disk full.
async fn opened() -> (EmbeddedBlocks, EmbeddedLedger, Box<dyn Fn(bool) + Send + Sync>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (blocks, ledger) = open_with(folder.path(), open_on_disk).await.unwrap();
    let full = folder.path().join("full");
    let fail = move |fail| if fail { fs::write(&full, "").unwrap() } else { fs::remove_file(&full).unwrap() };
    (blocks, ledger, Box::new(fail), folder)
}

/// For the suite of blocks.
pub(crate) async fn blocks() -> (Tested<EmbeddedBlocks>, tempfile::TempDir) {
    let (store, _, fail, folder) = opened().await;
    (Tested { store, fail }, folder)
}

/// For the suite of the ledger.
pub(crate) async fn ledger() -> (Tested<EmbeddedLedger>, tempfile::TempDir) {
    let (_, store, fail, folder) = opened().await;
    (Tested { store, fail }, folder)
}
