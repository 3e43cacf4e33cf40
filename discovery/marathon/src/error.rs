//! What can go wrong besides questions and answers.

use std::path::PathBuf;

use rosterd_model::{Coded, Priority};

/// There is no token to ask with.
#[derive(Debug, thiserror::Error)]
pub(super) enum MarathonError {
    #[error("cannot read {}", path.display())]
    TokenUnreadable { path: PathBuf, source: std::io::Error },
    #[error("the token has characters that no header may have: see auth_token and auth_token_file")]
    TokenInvalid,
}

impl Coded for MarathonError {
    fn code(&self) -> &'static str {
        match self {
            Self::TokenUnreadable { .. } => "sd_marathon_token_unreadable",
            Self::TokenInvalid => "sd_marathon_token_invalid",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }
}
