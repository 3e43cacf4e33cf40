//! What can be wrong with who asks Google.

use std::path::PathBuf;

use rosterd_client::ClientError;
use rosterd_model::{Coded, Priority, Retry};

/// There is nobody to ask as, or nobody who can.
#[derive(Debug, thiserror::Error)]
pub enum GoogleError {
    /// The environment names nobody.
    #[error(
        "nobody is named to ask as: GOOGLE_APPLICATION_CREDENTIALS is not set, nobody has logged in by gcloud (there is no \
         ~/.config/gcloud/application_default_credentials.json), and no metadata server answers"
    )]
    Nobody {
        /// Of the metadata server.
        source: ClientError,
    },
    /// A file that is named cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is of no use.
    #[error("{} is of no use: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Coded for GoogleError {
    fn code(&self) -> &'static str {
        match self {
            Self::Nobody { .. } => "cloud_google_nobody",
            Self::Unreadable { .. } => "cloud_google_unreadable",
            Self::Unusable { .. } => "cloud_google_unusable",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        // Files come, and so does the metadata server of a machine that has just started.
        Retry::Backoff
    }
}
