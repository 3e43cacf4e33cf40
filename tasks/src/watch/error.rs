//! Why files cannot be watched.

use std::path::PathBuf;

use rosterd_model::{Coded, Priority, Retry};

/// Files cannot be watched. Changes are still noticed, but only when the caller looks at its interval.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// There is no watcher at all: too many of them (`fs.inotify.max_user_instances`), or not supported.
    #[error("cannot watch files")]
    Unavailable {
        /// What the operating system said.
        source: notify::Error,
    },
    /// One directory cannot be watched: too many of them (`fs.inotify.max_user_watches`), or no permission.
    #[error("cannot watch directory {}", directory.display())]
    Refused {
        /// The directory.
        directory: PathBuf,
        /// What the operating system said.
        source: notify::Error,
    },
    /// Events could not be read.
    #[error("cannot read what changed in watched directories")]
    Lost {
        /// What the operating system said.
        source: notify::Error,
    },
}

impl Coded for WatchError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "sd_watch_unavailable",
            Self::Refused { .. } => "sd_watch_refused",
            Self::Lost { .. } => "sd_watch_lost",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Interval
    }
}
