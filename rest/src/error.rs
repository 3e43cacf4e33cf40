//! What can be wrong with a reply that arrived. All before that is a [`ClientError`](rosterd_client::ClientError).

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use rosterd_discovery::Error;
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

/// An error that is told to several, or as the cause of another.
#[derive(Debug, Clone)]
pub struct Told(Arc<Error>);

impl From<Error> for Told {
    fn from(error: Error) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self.0, f)
    }
}

impl StdError for Told {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        (**self.0).source()
    }
}

/// A reply that is of no use, or no token to ask with.
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
    /// There is no token to ask with.
    #[error("cannot get a token")]
    NoToken {
        /// Why not.
        source: Told,
    },
    /// One that was just given is none to whoever is asked with it.
    #[error("a new token is refused")]
    TokenRefused {
        /// Who refused it.
        source: Told,
    },
    /// The reading of a source panicked.
    #[error("reading it panicked: {message}")]
    Panicked {
        /// The words of the panic.
        message: String,
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
            Self::NoToken { .. } => "sd_rest_no_token",
            Self::TokenRefused { .. } => "sd_rest_token_refused",
            Self::Panicked { .. } => "sd_rest_panicked",
            Self::Unheld => "sd_rest_unheld",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Malformed { .. } => Priority::Remote,
            Self::NoToken { source } | Self::TokenRefused { source } => source.0.priority(),
            Self::Panicked { .. } | Self::Unheld => Priority::Operator,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            // It is not down: it will answer the same when it is asked at once.
            Self::Malformed { .. } | Self::Unheld => Retry::Interval,
            Self::NoToken { source } | Self::TokenRefused { source } => source.0.retry(),
            Self::Panicked { .. } => Retry::Backoff,
        }
    }
}
