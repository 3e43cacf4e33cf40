//! What can be wrong with a reply that arrived.

use rosterd_model::{Coded, Priority, Retry};

use rosterd_discovery::decode::DecodeError;

/// The reply cannot be used. Everything before it is a [`ClientError`](rosterd_client::ClientError).
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// JSON, but not a list of target groups.
    #[error("reply of {url} is not a list of target groups")]
    Malformed {
        /// What was asked for.
        url: String,
        /// What is wrong.
        source: DecodeError,
    },
}

impl Coded for HttpError {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed { source, .. } => source.code(),
        }
    }

    fn priority(&self) -> Priority {
        Priority::Remote
    }

    fn retry(&self) -> Retry {
        Retry::Interval
    }
}
