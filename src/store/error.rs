//! What can go wrong with a store, and what that means for whoever has to act.

use std::io;
use std::path::PathBuf;

use rosterd_model::{Coded, Priority, Retry};

use super::ledger::Precondition;

/// A failure of a store. Those that tell of a path are of stores in files alone.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A precondition of the transaction does not hold; nothing was changed.
    #[error("not true any more: {0}")]
    Precondition(Precondition),
    /// Another process has the store open.
    #[error("{path} is in use by another rosterd: give each its own storage path")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The folder of the store is a file, or lies below one.
    #[error("nothing can be kept below {path}, which is not a folder: name another one by --storage.path")]
    NotAFolder {
        /// What stands in its place.
        path: PathBuf,
    },
    /// The store was written by a newer rosterd.
    #[error("{path} has format {found}, and this rosterd reads up to {supported}: run the newer rosterd again")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest known format.
        supported: u64,
    },
    /// The disk, or the quota, is full.
    #[error("no space left for {path}")]
    Full {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the store cannot be read or written.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is damaged. The next start moves it aside.
    #[error("{path} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file that is open is not at its path any more.
    #[error("somebody removed or replaced {path}: restart rosterd, which begins there with what it finds then")]
    Gone {
        /// Where it was.
        path: PathBuf,
    },
    /// A stored record cannot be understood.
    #[error("{store} holds a record that cannot be read: {table} {key}")]
    Record {
        /// What the store is called: a file, an address.
        store: String,
        /// The table of the record.
        table: &'static str,
        /// The key of the record.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The backend failed in a way that has no name of its own.
    #[error("{store} failed")]
    Backend {
        /// What the store is called: a file, an address.
        store: String,
        /// What the backend said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Coded for StoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::Precondition(_) => "store_precondition_failed",
            Self::InUse { .. } => "store_in_use",
            Self::NotAFolder { .. } => "store_not_a_folder",
            Self::Newer { .. } => "store_format_newer",
            Self::Full { .. } => "store_disk_full",
            Self::Io { .. } => "store_io",
            Self::Damaged { .. } => "store_damaged",
            Self::Gone { .. } => "store_gone",
            Self::Record { .. } => "store_record_unreadable",
            Self::Backend { .. } => "store_backend_failed",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Precondition(_) => Priority::Retry,
            Self::InUse { .. }
            | Self::NotAFolder { .. }
            | Self::Newer { .. }
            | Self::Full { .. }
            | Self::Io { .. }
            | Self::Damaged { .. }
            | Self::Gone { .. }
            | Self::Record { .. }
            | Self::Backend { .. } => Priority::Operator,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Precondition(_) | Self::Full { .. } | Self::Io { .. } | Self::Backend { .. } => Retry::Backoff,
            Self::InUse { .. }
            | Self::NotAFolder { .. }
            | Self::Newer { .. }
            | Self::Damaged { .. }
            | Self::Gone { .. }
            | Self::Record { .. } => Retry::Never,
        }
    }
}
