//! What went wrong inside the database, before it is known for which file.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rosterd_tasks::panic_text;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::StoreError;
use crate::store::ledger::Precondition;

/// A failure that has yet to be told with the name of the file.
#[derive(Debug)]
pub(in crate::store) enum Fault {
    Precondition(Precondition),
    Newer { found: u64, supported: u64 },
    Record { table: &'static str, key: String, source: serde_json::Error },
    Database(redb::Error),
    Panicked(String),
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

impl Fault {
    /// Whether the database refuses all further work until it is opened again.
    pub(super) fn needs_reopening(&self) -> bool {
        match self {
            Self::Precondition(_) | Self::Newer { .. } | Self::Record { .. } => false,
            Self::Database(_) | Self::Panicked(_) => true,
        }
    }

    /// Whether the content of the file is at fault, so that an empty file would do better.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            // No rosterd has written a format that asks for an upgrade: where it seems so, that byte is another one.
            Self::Database(redb::Error::Corrupted(_) | redb::Error::UpgradeRequired(_)) | Self::Panicked(_) => true,
            Self::Database(redb::Error::Io(error)) => {
                // Not a database at all, or cut off, or a folder of that name.
                use io::ErrorKind::{InvalidData, IsADirectory, UnexpectedEof};
                matches!(error.kind(), InvalidData | IsADirectory | UnexpectedEof)
            }
            _ => false,
        }
    }

    /// The failure for whoever called the store.
    pub(super) fn at(self, path: &Path) -> StoreError {
        let path = path.to_path_buf();
        let damage = self.is_damage();
        match self {
            Self::Precondition(precondition) => StoreError::Precondition(precondition),
            Self::Newer { found, supported } => StoreError::Newer { path, found, supported },
            Self::Record { table, key, source } => {
                StoreError::Record { store: path.display().to_string(), table, key, source }
            }
            Self::Panicked(text) => StoreError::Damaged { path, source: text.into() },
            Self::Database(redb::Error::Io(source)) if !damage => io_error(path, source),
            Self::Database(redb::Error::DatabaseAlreadyOpen) => StoreError::InUse { path },
            Self::Database(error) if damage => StoreError::Damaged { path, source: error.into() },
            Self::Database(error) => {
                StoreError::Backend { store: format!("the database {}", path.display()), source: error.into() }
            }
        }
    }
}

/// What a failed system call on a file of the store is.
pub(super) fn io_error(path: impl Into<std::path::PathBuf>, source: io::Error) -> StoreError {
    let path = path.into();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { path, source },
        _ => StoreError::Io { path, source },
    }
}

/// Runs a use of the database. A panic in it is a fault: a damaged file must not take the process down.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Fault::Panicked(panic_text(&*panic))))
}

/// A record as it is stored.
pub(in crate::store) fn encode(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("a record is plain data with text as keys")
}

/// A stored record; the table and the key are for the error.
pub(in crate::store) fn decode<T: DeserializeOwned>(
    table: &'static str,
    key: &dyn std::fmt::Display,
    bytes: &[u8],
) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|source| Fault::Record { table, key: key.to_string(), source })
}
