//! What can go wrong before a request is sent.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use rosterd_model::{Coded, Error, Priority, Retry};

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

/// There is no token to ask with, or none that helps.
#[derive(Debug, thiserror::Error)]
pub enum NoToken {
    /// None was given.
    #[error("cannot get a token")]
    None {
        /// Why not.
        source: Told,
    },
    /// One that was just given is none to whoever is asked with it.
    #[error("a new token is refused")]
    Refused {
        /// Who refused it.
        source: Told,
    },
}

impl Coded for NoToken {
    fn code(&self) -> &'static str {
        match self {
            Self::None { .. } => "sd_rest_no_token",
            Self::Refused { .. } => "sd_rest_token_refused",
        }
    }

    fn priority(&self) -> Priority {
        let (Self::None { source } | Self::Refused { source }) = self;
        source.0.priority()
    }

    fn retry(&self) -> Retry {
        let (Self::None { source } | Self::Refused { source }) = self;
        source.0.retry()
    }
}
