//! What can be wrong with a reply that arrived. All before that is a [`ClientError`](rosterd_client::ClientError).

use std::time::Duration;

use rosterd_discovery::decode::JsonFault;
use rosterd_model::{Coded, Priority, Retry};
use rosterd_tasks::Panicked;

/// Why a text is not what an API promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    /// This is wrong, at this place.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self(JsonFault::from(error).to_string())
    }
}

/// A reply that is of no use.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// It cannot be read.
    #[error("the reply of {url} is not what its API promises")]
    Malformed {
        /// What was asked for.
        url: String,
        /// What is wrong.
        source: Fault,
    },
    /// The reading of a source panicked.
    #[error("reading it panicked: {message}")]
    Panicked {
        /// The words of the panic.
        message: String,
    },
    /// It wants to be asked less.
    #[error("{server} wants to be asked less: nothing is asked for another {} s", left.as_secs().max(1))]
    SlowedDown {
        /// Who.
        server: String,
        /// How long nothing is asked yet.
        left: Duration,
    },
    /// A source was not read in the time that all have together.
    #[error("it was not read within {} s: it does not answer, or others before it did not", longest.as_secs())]
    Late {
        /// The time.
        longest: Duration,
    },
    /// A warning: it is asked in vain to wait for news.
    #[error("the server answers at once when it has nothing new, and so is asked at each interval only")]
    Unheld,
}

impl From<Panicked> for RestError {
    fn from(panicked: Panicked) -> Self {
        Self::Panicked { message: panicked.0 }
    }
}

impl Coded for RestError {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "sd_rest_malformed",
            Self::Panicked { .. } => "sd_rest_panicked",
            Self::SlowedDown { .. } => "sd_rest_slowed_down",
            Self::Late { .. } => "sd_rest_late",
            Self::Unheld => "sd_rest_unheld",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Malformed { .. } => Priority::Remote,
            Self::SlowedDown { .. } | Self::Late { .. } => Priority::Retry,
            Self::Panicked { .. } | Self::Unheld => Priority::Operator,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            // It is not down: it will answer the same when it is asked at once.
            Self::Malformed { .. } | Self::Unheld => Retry::Interval,
            Self::SlowedDown { left, .. } => Retry::After(*left),
            Self::Panicked { .. } | Self::Late { .. } => Retry::Backoff,
        }
    }
}
