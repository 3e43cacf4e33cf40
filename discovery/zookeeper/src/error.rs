//! What can go wrong at an ensemble.

use std::sync::Arc;

use rosterd_model::{Coded, Priority, Retry};
use rosterd_tasks::Panicked;
use zookeeper_client::Error as Cause;

/// Reading failed, or part of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ZookeeperError {
    #[error("none of {servers} answers as a ZooKeeper that takes sessions")]
    Unreachable { servers: Arc<str> },
    #[error("cannot open a session at {servers}")]
    Session { servers: Arc<str>, source: Cause },
    #[error("the connection to {servers} is lost")]
    Lost { servers: Arc<str> },
    #[error("the session at {servers} has expired")]
    Expired { servers: Arc<str> },
    #[error("{path} does not exist")]
    Missing { path: Arc<str> },
    #[error("may not read {path}: allow everybody to read it (world:anyone:r)")]
    Denied { path: Arc<str> },
    #[error("cannot read {path}")]
    Read { path: Arc<str>, source: Cause },
    #[error("the data of {path} made the reading of it panic: {message}")]
    Panicked { path: Arc<str>, message: String },
}

impl ZookeeperError {
    /// No session.
    pub(crate) fn of_session(servers: &Arc<str>, cause: Cause) -> Self {
        let servers = Arc::clone(servers);
        match cause {
            Cause::NoHosts | Cause::Timeout | Cause::ConnectionLoss => Self::Unreachable { servers },
            source => Self::Session { servers, source },
        }
    }

    /// A node that is there cannot be read.
    pub(crate) fn of_node(path: &Arc<str>, cause: Cause) -> Self {
        let path = Arc::clone(path);
        match cause {
            Cause::NoAuth => Self::Denied { path },
            source => Self::Read { path, source },
        }
    }

    pub(crate) fn panicked(path: &Arc<str>, panicked: Panicked) -> Self {
        Self::Panicked { path: Arc::clone(path), message: panicked.0 }
    }
}

/// Whether this says that the session, or its connection, is no more, and nothing of the node that was asked for.
pub(crate) fn is_of_session(cause: &Cause) -> bool {
    // What the client tells of a broken connection has no name of its own.
    matches!(
        cause,
        Cause::ConnectionLoss
            | Cause::SessionExpired
            | Cause::SessionMoved
            | Cause::ClientClosed
            | Cause::AuthFailed
            | Cause::Timeout
            | Cause::NoHosts
            | Cause::UnexpectedError(_)
            | Cause::Custom(_)
    )
}

impl Coded for ZookeeperError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "sd_zookeeper_unreachable",
            Self::Session { .. } => "sd_zookeeper_no_session",
            Self::Lost { .. } => "sd_zookeeper_connection_lost",
            Self::Expired { .. } => "sd_zookeeper_session_expired",
            Self::Missing { .. } => "sd_zookeeper_no_path",
            Self::Denied { .. } => "sd_zookeeper_denied",
            Self::Read { .. } => "sd_zookeeper_read",
            Self::Panicked { .. } => "sd_zookeeper_panicked",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Lost { .. } | Self::Expired { .. } => Priority::Retry,
            Self::Unreachable { .. } | Self::Session { .. } | Self::Read { .. } => Priority::Remote,
            Self::Missing { .. } | Self::Denied { .. } | Self::Panicked { .. } => Priority::Operator,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            // It is watched for.
            Self::Missing { .. } => Retry::Interval,
            _ => Retry::Backoff,
        }
    }
}
