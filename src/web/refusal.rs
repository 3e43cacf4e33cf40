//! Why a request is turned away whatever it asks for.

use std::time::Duration;

use rosterd_model::{Coded, Priority, Retry};

/// Why a request may not come in, or was not answered.
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
    /// All connections are busy, and this one is kept for probes.
    #[error("all connections are busy with other requests: raise --web.max-connections if that is no attack")]
    Busy,
    /// Too many passwords of one address wait to be looked at.
    #[error("too many passwords of this address wait to be looked at")]
    Crowded,
    /// Answering it panicked.
    #[error("the answering of the request panicked, the log has the words")]
    Panicked,
}

impl Coded for Refusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized => "web_unauthorized",
            Self::RateLimited { .. } => "web_rate_limited",
            Self::Busy => "web_busy",
            Self::Crowded => "web_crowded",
            Self::Panicked => "web_panicked",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Unauthorized => Priority::Remote,
            Self::RateLimited { .. } | Self::Busy | Self::Crowded => Priority::Retry,
            Self::Panicked => Priority::Operator,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Unauthorized | Self::Panicked => Retry::Never,
            Self::RateLimited { wait } => Retry::After(*wait),
            Self::Busy | Self::Crowded => Retry::After(Duration::from_secs(5)),
        }
    }
}
