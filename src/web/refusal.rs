//! Why a request is turned away before anybody looks at what it asks for.

use std::time::Duration;

use rosterd_model::{Coded, Priority, Retry};

/// Why a request may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No user, or not with his password.
    #[error("a user name and the right password are needed")]
    Unauthorized,
    /// More requests than the rate limit of the web configuration lets through.
    #[error("too many requests")]
    RateLimited {
        /// How long until one may pass.
        wait: Duration,
    },
}

impl Coded for Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized => "web_unauthorized",
            Self::RateLimited { .. } => "web_rate_limited",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Unauthorized => Priority::Remote,
            Self::RateLimited { .. } => Priority::Retry,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Unauthorized => Retry::Never,
            Self::RateLimited { wait } => Retry::After(*wait),
        }
    }
}
