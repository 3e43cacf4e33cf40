//! What can go wrong with a journal.

use std::io;
use std::path::PathBuf;

use rosterd_model::{Coded, Priority, Retry};

use crate::Time;

/// Something on disk was not as it was written. It was passed over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where; of what was kept in memory, nowhere.
    pub path: PathBuf,
    /// What was wrong and what was done.
    pub what: &'static str,
    /// Where in it.
    pub offset: u64,
    /// How many bytes were of no use.
    pub bytes: u64,
}

/// Failures of a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has it.
    #[error("the journal {} is in use by another rosterd: give each its own storage path", folder.display())]
    InUse {
        /// Its folder.
        folder: PathBuf,
    },
    /// The file system does not let us.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nothing is known of that time any more.
    #[error(
        "{}, and {asked} is before that: ask for a later time{}",
        if *.is_whole { format!("the journal was begun at {oldest}") } else { format!("the journal goes back to {oldest}") },
        if *.is_whole { "" } else { "; with a larger rosterd.journal.retention or max_size more of it is kept from now on" }
    )]
    TooEarly {
        /// The time that was asked for.
        asked: Time,
        /// When it begins.
        oldest: Time,
        /// Whether that is all that was ever written: nothing older is gone.
        is_whole: bool,
    },
    /// Nothing is written yet, or nothing is to be.
    #[error("there is no journal{}", if *.off { ": rosterd.journal.enabled is false" } else { " yet: ask again soon" })]
    Empty {
        /// Whether it is off.
        off: bool,
    },
}

impl Coded for JournalError {
    fn code(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "journal_in_use",
            Self::Io { .. } => "journal_io",
            Self::TooEarly { .. } => "journal_too_early",
            Self::Empty { .. } => "journal_empty",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::InUse { .. } | Self::Io { .. } => Priority::Operator,
            Self::TooEarly { .. } => Priority::Remote,
            Self::Empty { off } => {
                if *off {
                    Priority::Operator
                } else {
                    Priority::Retry
                }
            }
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Io { .. } | Self::InUse { .. } => Retry::Backoff,
            Self::TooEarly { .. } => Retry::Never,
            Self::Empty { off } => {
                if *off {
                    Retry::Never
                } else {
                    Retry::Backoff
                }
            }
        }
    }
}
