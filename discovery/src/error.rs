//! The error of any mechanism, whatever its own type.

use std::fmt;
use std::ops::Deref;

use rosterd_model::{Coded, Priority, Report, Retry};

use crate::Stopped;

/// An error of a discoverer. Made by `?` from every type that implements [`Coded`], and read through it.
pub struct Error(Box<dyn Coded>);

impl Error {
    /// Everything that the error can tell, as data.
    pub fn report(&self) -> Report {
        Report::of(&*self.0)
    }
}

impl<E: Coded> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl Deref for Error {
    type Target = dyn Coded;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// The message and all its causes.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.report(), f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Coded for Stopped {
    fn code(&self) -> &'static str {
        "sd_stopped"
    }

    fn priority(&self) -> Priority {
        Priority::Retry
    }
}

/// The discoverer ended unasked, or panicked while it was built or ran.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("the discoverer ended although nobody stopped it")]
    EndedUnasked,
    #[error("the discoverer panicked: {message}")]
    Panicked { message: String },
    #[error("the discoverer panicked while it was built: {message}")]
    BuildPanicked { message: String },
}

impl Coded for RunError {
    fn code(&self) -> &'static str {
        match self {
            Self::EndedUnasked => "sd_ended_unasked",
            Self::Panicked { .. } | Self::BuildPanicked { .. } => "sd_panicked",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}
