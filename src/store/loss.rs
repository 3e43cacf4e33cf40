//! What a store had before and has not when it is opened.

use std::fmt;
use std::path::PathBuf;

/// Why a store that is opened at the start is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// What was there is damaged, and was moved there.
    MovedTo(PathBuf),
    /// There was no file, or an empty one: nothing was stored before, or somebody took it away.
    Missing,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MovedTo(path) => write!(f, "is damaged, and moved to {}", path.display()),
            Self::Missing => f.write_str("is not there any more"),
        }
    }
}
