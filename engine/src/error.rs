//! What an engine answers in place of what was asked for.

use rosterd_client::ClientError;
use rosterd_model::{Coded, Priority, Retry};

use crate::HostError;

/// Why an engine tells nothing. All before an answer is a [`ClientError`].
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The host is none, which the checks of a configuration refuse.
    #[error("cannot use host")]
    Host(#[from] HostError),
    /// It says no.
    #[error("the Docker Engine refuses{}", said(message))]
    Refused {
        /// Its words.
        message: String,
        /// Its status.
        source: ClientError,
    },
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl Coded for EngineError {
    fn code(&self) -> &'static str {
        match self {
            Self::Host(_) => "sd_engine_host",
            Self::Refused { .. } => "sd_engine_refused",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Host(_) => Priority::Operator,
            Self::Refused { source, .. } => source.priority(),
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Host(_) => Retry::Never,
            Self::Refused { source, .. } => source.retry(),
        }
    }
}
