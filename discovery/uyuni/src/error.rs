//! What Uyuni says when it does not do what it is asked.

use rosterd_model::{Coded, Priority, Retry};

/// The code of a session that Uyuni does not know, or not any more.
pub(super) const NO_SESSION: &str = "sd_uyuni_session";

/// A fault, as XML-RPC calls it.
#[derive(Debug, thiserror::Error)]
pub(super) enum UyuniError {
    #[error("{url} does not know the session of {method}: fault {code}: {text}")]
    Session { url: String, method: &'static str, code: i64, text: String },
    #[error("{url} refuses {method}: fault {code}: {text}")]
    Fault { url: String, method: &'static str, code: i64, text: String },
}

impl Coded for UyuniError {
    fn code(&self) -> &'static str {
        match self {
            Self::Session { .. } => "sd_uyuni_session",
            Self::Fault { .. } => "sd_uyuni_fault",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Session { .. } => Priority::Remote,
            Self::Fault { .. } => Priority::Operator,
        }
    }

    fn retry(&self) -> Retry {
        Retry::Interval
    }
}
