//! Why a file was not written.

use std::io;
use std::path::PathBuf;

use rosterd_model::{Coded, Priority, Retry};

/// A failure to write a file. The file that was there before is untouched.
#[derive(Debug, thiserror::Error)]
pub enum FileSdError {
    /// The path is a folder.
    #[error("{path} is a folder, not a file: choose another path for the output")]
    IsFolder {
        /// The path.
        path: PathBuf,
    },
    /// The path has no name of a file at its end.
    #[error("{path} does not name a file")]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// The disk, or the quota, is full.
    #[error("no space left to write {path}, the old file stays")]
    Full {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder does not exist and cannot be made.
    #[error("cannot make the folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be read or replaced.
    #[error("cannot write {path}, the old file stays")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Coded for FileSdError {
    fn code(&self) -> &'static str {
        match self {
            Self::IsFolder { .. } => "publish_path_is_folder",
            Self::NoName { .. } => "publish_path_without_name",
            Self::Full { .. } => "publish_disk_full",
            Self::Folder { .. } => "publish_folder_failed",
            Self::Write { .. } => "publish_write_failed",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        match self {
            Self::IsFolder { .. } | Self::NoName { .. } => Retry::Never,
            Self::Full { .. } | Self::Folder { .. } | Self::Write { .. } => Retry::Backoff,
        }
    }
}
