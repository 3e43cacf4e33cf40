//! Why a file was not written.

use std::io;
use std::path::PathBuf;

use rosterd_model::{Coded, Priority, Retry};

use crate::reconcile::steps::{Tried, Tries};

/// A failure to write a file. The file that was there before is untouched.
#[derive(Debug, thiserror::Error)]
pub enum FileSdError {
    /// The path is a folder.
    #[error("{path} is a folder, not a file: choose another path for the output")]
    IsFolder {
        /// The path.
        path: PathBuf,
    },
    /// There is something at the path that can be no file with targets.
    #[error("{path} is {what}, not a file: remove it, or choose another path for the output")]
    InTheWay {
        /// The path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
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
    /// A file is where the folder, or one above it, should be.
    #[error("cannot make the folder {path}: {at} is a file, remove it or choose another path for the output")]
    NotAFolder {
        /// The folder.
        path: PathBuf,
        /// What is in the way.
        at: PathBuf,
    },
    /// The disk has not answered to what was asked of it before.
    #[error("{path} is still being written or looked at since an earlier attempt: its disk does not answer")]
    Hangs {
        /// The file.
        path: PathBuf,
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
            Self::InTheWay { .. } => "publish_path_in_use",
            Self::Hangs { .. } => "publish_disk_hangs",
            Self::NoName { .. } => "publish_path_without_name",
            Self::Full { .. } => "publish_disk_full",
            Self::Folder { .. } | Self::NotAFolder { .. } => "publish_folder_failed",
            Self::Write { .. } => "publish_write_failed",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        match self {
            Self::IsFolder { .. } | Self::NoName { .. } => Retry::Never,
            Self::InTheWay { .. }
            | Self::Full { .. }
            | Self::Folder { .. }
            | Self::NotAFolder { .. }
            | Self::Hangs { .. }
            | Self::Write { .. } => Retry::Backoff,
        }
    }
}

impl Tried for FileSdError {
    /// Only what may be otherwise a second later is tried again before it is said.
    fn tries(&self) -> Tries {
        if self.retry() == Retry::Never { Tries::AtMost(1) } else { Tries::AtMost(3) }
    }
}
