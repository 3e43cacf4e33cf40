//! Why a file was not written.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rosterd_model::{Coded, Priority, Retry};

use crate::reconcile::steps::{Tried, Tries};

/// What is at the path of a file after it could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InPlace {
    /// The file that was there before.
    Old,
    /// Nothing, as before.
    Nothing,
    /// What was written, only not for certain on the disk.
    New,
    /// What was refused: the old file could not be put back.
    Refused,
    /// The old file again, only not for certain on the disk.
    Restored,
}

impl fmt::Display for InPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Old => "the old file stays",
            Self::Nothing => "there was no file before, and there is none now",
            Self::New => "the new file is in its place, but a crash of the machine may undo that",
            Self::Refused => "what was refused is in its place still",
            Self::Restored => "the old file is in its place again, but a crash of the machine may undo that",
        })
    }
}

/// A failure to write a file. The file that was there before is untouched, unless it says otherwise.
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
    #[error("no space left to write {path}: {in_place}")]
    Full {
        /// The file.
        path: PathBuf,
        /// What is there.
        in_place: InPlace,
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
    /// Nobody can tell whether the folder is there.
    #[error("cannot look into {at}, which is above the folder {path}")]
    HiddenFolder {
        /// The folder.
        path: PathBuf,
        /// The folder above it that cannot be looked into.
        at: PathBuf,
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
    /// The file cannot be replaced.
    #[error("cannot write {path}: {in_place}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What is there.
        in_place: InPlace,
        /// What the system said.
        source: io::Error,
    },
    /// What is in place, or beside it, cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is beside the file, or was put in its place, cannot be removed.
    #[error("cannot remove {path}")]
    Remove {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FileSdError {
    /// The same of a file that is put back, in whose place is what was refused until then.
    pub(in crate::publish) fn of_restoring(mut self) -> Self {
        if let Self::Full { in_place, .. } | Self::Write { in_place, .. } = &mut self {
            *in_place = match in_place {
                InPlace::New | InPlace::Restored => InPlace::Restored,
                InPlace::Old | InPlace::Nothing | InPlace::Refused => InPlace::Refused,
            };
        }
        self
    }
}

impl Coded for FileSdError {
    fn code(&self) -> &'static str {
        match self {
            Self::IsFolder { .. } => "publish_path_is_folder",
            Self::InTheWay { .. } => "publish_path_in_use",
            Self::Hangs { .. } => "publish_disk_hangs",
            Self::NoName { .. } => "publish_path_without_name",
            Self::Full { .. } => "publish_disk_full",
            Self::Folder { .. } | Self::HiddenFolder { .. } | Self::NotAFolder { .. } => "publish_folder_failed",
            Self::Write { .. } | Self::Read { .. } | Self::Remove { .. } => "publish_write_failed",
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
            | Self::HiddenFolder { .. }
            | Self::NotAFolder { .. }
            | Self::Hangs { .. }
            | Self::Write { .. }
            | Self::Read { .. }
            | Self::Remove { .. } => Retry::Backoff,
        }
    }
}

impl Tried for FileSdError {
    /// Only what may be otherwise a second later is tried again before it is said.
    fn tries(&self) -> Tries {
        if self.retry() == Retry::Never { Tries::AtMost(1) } else { Tries::AtMost(3) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_put_back_says_what_is_in_its_place_until_then() {
        let failed = |in_place| {
            let (path, source) = (PathBuf::from("x.conf"), io::Error::from(io::ErrorKind::StorageFull));
            FileSdError::Full { path, in_place, source }.of_restoring().to_string()
        };
        let refused = "no space left to write x.conf: what was refused is in its place still";
        assert_eq!([InPlace::Old, InPlace::Nothing].map(failed), [refused; 2]);
        assert!(
            failed(InPlace::New)
                .ends_with("the old file is in its place again, but a crash of the machine may undo that")
        );
    }
}
