//! What can be wrong with a file.

use std::io;
use std::path::PathBuf;

use rosterd_model::{Coded, Priority, Retry};

use rosterd_discovery::decode::DecodeError;

/// A file could not be used; what was read from it before is kept.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The directory, or one above it, could not be looked into: its files may or may not exist.
    #[error("cannot list {}", path.display())]
    List {
        /// What could not be looked into.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A directory, a pipe or a device.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// What is not a file.
        path: PathBuf,
    },
    /// The file is larger than a list is read.
    #[error("{} is larger than {limit} bytes: split it", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What it may be.
        limit: u64,
    },
    /// The file does not hold target groups, or is being written.
    #[error("{} does not hold target groups", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        source: DecodeError,
    },
    /// Paths and patterns that no file is there for: no failure, but seldom what was meant.
    #[error("no file is there for {}", named(paths))]
    Absent {
        /// Those, as they were written.
        paths: Vec<PathBuf>,
    },
    /// Reading the file panicked.
    #[error("reading {} panicked: {message}", path.display())]
    Panicked {
        /// The file.
        path: PathBuf,
        /// What the panic said.
        message: String,
    },
}

/// So many paths are named.
const NAMED: usize = 3;

fn named(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().take(NAMED).map(|path| path.display().to_string()).collect();
    let more = paths.len() - names.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

impl FileError {
    /// Whether the same bytes fail again, so that only a change can help.
    pub(super) fn is_of_content(&self) -> bool {
        matches!(self, Self::Malformed { .. } | Self::TooLarge { .. })
    }
}

impl Coded for FileError {
    fn code(&self) -> &'static str {
        match self {
            Self::List { .. } => "sd_file_list",
            Self::Read { .. } => "sd_file_read",
            Self::NotAFile { .. } => "sd_file_not_a_file",
            Self::TooLarge { .. } => "sd_file_too_large",
            Self::Malformed { .. } => "sd_file_malformed",
            Self::Absent { .. } => "sd_file_absent",
            Self::Panicked { .. } => "sd_file_panicked",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::List { .. }
            | Self::Read { .. }
            | Self::NotAFile { .. }
            | Self::TooLarge { .. }
            | Self::Absent { .. }
            | Self::Panicked { .. } => Priority::Operator,
            Self::Malformed { .. } => Priority::Remote,
        }
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}
