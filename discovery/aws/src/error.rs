//! What can go wrong besides the exchange itself.

use std::time::Duration;

use rosterd_model::{Coded, Priority, Retry};

use super::refusal::{Kind, Refusal};

/// A service does not answer what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServiceError {
    #[error("{service} refuses {operation}: {refusal}")]
    Refused {
        service: &'static str,
        operation: &'static str,
        refusal: Refusal,
        /// How long it wants to be left alone, if it says so.
        after: Option<Duration>,
    },
    #[error("the URL of {service} is of no use: {reason}")]
    Endpoint { service: &'static str, reason: String },
    #[error("there is no cluster {name:?}: {reason}")]
    NoCluster { name: String, reason: String },
    #[error("{operation} does not tell of {name:?}: {reason}")]
    NotTold { operation: &'static str, name: String, reason: String },
    #[error("{service} wants to be asked less: it is asked {rate:.1} times a second")]
    SlowedDown { service: &'static str, rate: f64 },
}

impl ServiceError {
    /// The code of AWS, if it has one.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }
}

impl Coded for ServiceError {
    fn code(&self) -> &'static str {
        match self {
            Self::Refused { refusal, .. } => match refusal.kind {
                Kind::Throttled => "sd_aws_throttled",
                Kind::Passing => "sd_aws_failed",
                Kind::Keys => "sd_aws_keys_refused",
                Kind::Denied => "sd_aws_denied",
                Kind::Refused => "sd_aws_refused",
            },
            Self::Endpoint { .. } => "sd_aws_endpoint",
            Self::NoCluster { .. } => "sd_aws_no_cluster",
            Self::NotTold { .. } => "sd_aws_not_told",
            Self::SlowedDown { .. } => "sd_aws_slowed_down",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Refused { refusal, .. } => match refusal.kind {
                Kind::Throttled | Kind::Passing => Priority::Retry,
                Kind::Keys | Kind::Denied | Kind::Refused => Priority::Operator,
            },
            Self::NotTold { .. } => Priority::Remote,
            Self::SlowedDown { .. } => Priority::Retry,
            Self::Endpoint { .. } | Self::NoCluster { .. } => Priority::Operator,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Refused { after: Some(after), .. } => Retry::After(*after),
            Self::Refused { refusal, .. } if matches!(refusal.kind, Kind::Throttled | Kind::Passing) => Retry::Backoff,
            _ => Retry::Interval,
        }
    }
}
