//! What can go wrong besides questions and answers.

use std::path::PathBuf;

use rosterd_model::{Coded, Priority, Retry};

/// There is nobody to ask, or nothing to ask with.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenstackError {
    #[error("neither identity_endpoint nor OS_AUTH_URL of the environment says where Keystone is")]
    NoKeystone,
    #[error("what the environment (OS_USERNAME and others) says of who asks is of no use: {reason}")]
    Environment { reason: String },
    #[error("cannot read {}", path.display())]
    TokenUnreadable { path: PathBuf, source: std::io::Error },
    #[error("the catalog of Keystone has no {wanted}: {reason}")]
    NoEndpoint { wanted: String, reason: String },
}

impl Coded for OpenstackError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoKeystone => "sd_openstack_no_keystone",
            Self::Environment { .. } => "sd_openstack_environment",
            Self::TokenUnreadable { .. } => "sd_openstack_token_unreadable",
            Self::NoEndpoint { .. } => "sd_openstack_no_endpoint",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        match self {
            // An environment does not change.
            Self::NoKeystone | Self::Environment { .. } => Retry::Never,
            Self::TokenUnreadable { .. } => Retry::Backoff,
            Self::NoEndpoint { .. } => Retry::Interval,
        }
    }
}
