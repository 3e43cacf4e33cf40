//! What can be wrong with who asks Azure.

use std::path::PathBuf;

use rosterd_client::ClientError;
use rosterd_model::{Coded, Priority, Retry};
use rosterd_sign::KeyError;

use crate::Told;

/// There is nobody to ask as, or nobody who can.
#[derive(Debug, thiserror::Error)]
pub enum AzureError {
    /// The environment does not say who asks.
    #[error("{variable} of the environment is missing: the webhook of workload identity sets it")]
    NotInjected {
        /// What is missing.
        variable: &'static str,
    },
    /// Nothing of what the SDK looks at says who asks.
    #[error(
        "nothing says who asks: neither AZURE_CLIENT_ID and others of the environment, nor a workload identity, nor a managed \
         identity; the command line tools of Azure are not asked"
    )]
    Nobody {
        /// Of the last that was tried.
        source: Option<Told>,
    },
    /// The environment says something that cannot be.
    #[error("{reason}")]
    Environment {
        /// What.
        reason: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A certificate is of no use.
    #[error("the certificate {} is of no use: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key is of no use.
    #[error("the key in {} is of no use", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KeyError,
    },
    /// Who knows the identity of this machine does not tell it.
    #[error("the managed identity of this machine gives no token")]
    Identity {
        /// Why not.
        source: ClientError,
    },
}

impl Coded for AzureError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotInjected { .. } => "cloud_azure_not_injected",
            Self::Nobody { .. } => "cloud_azure_nobody",
            Self::Environment { .. } => "cloud_azure_environment",
            Self::Unreadable { .. } => "cloud_azure_unreadable",
            Self::Certificate { .. } => "cloud_azure_certificate",
            Self::Key { .. } => "cloud_azure_key",
            Self::Identity { .. } => "cloud_azure_identity",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Identity { source } => source.priority(),
            _ => Priority::Operator,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            // Of a service that is being updated everything can be said, for a minute.
            Self::Identity { source } => match source.retry() {
                after @ Retry::After(_) => after,
                _ => Retry::Backoff,
            },
            Self::NotInjected { .. } | Self::Environment { .. } => Retry::Interval,
            _ => Retry::Backoff,
        }
    }
}
