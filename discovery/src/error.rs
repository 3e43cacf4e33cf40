//! What can be wrong with a run itself.

use rosterd_model::{Coded, Priority, Retry};

use crate::Stopped;

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
