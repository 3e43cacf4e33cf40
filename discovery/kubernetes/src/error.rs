//! What can go wrong between rosterd and an API server.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use rosterd_client::ClientError;
use rosterd_model::{Coded, Priority, Retry};

use crate::resource::WatchKey;
use crate::store::StoreError;

/// How the API server is reached cannot be found out.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Neither `api_server` nor `kubeconfig_file`, and not in a pod.
    #[error("rosterd does not run in a pod of a cluster, for {missing} is not set: set api_server or kubeconfig_file")]
    NotInCluster {
        /// The variable that a pod would have.
        missing: &'static str,
    },
    /// `own_namespace`, and no file that says which one.
    #[error("cannot find out the own namespace from {}", path.display())]
    OwnNamespace {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file that says so is empty.
    #[error("{} is empty, and should name the own namespace", path.display())]
    NoNamespace {
        /// The file.
        path: PathBuf,
    },
    /// The URL of the API server is none.
    #[error("the URL of the API server cannot be used: {reason}")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// No role, which the checks of a configuration refuse.
    #[error("role is missing")]
    NoRole,
    /// What `kubeconfig_file` names.
    #[error(transparent)]
    Kubeconfig(#[from] KubeconfigError),
}

/// A kubeconfig file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not YAML, or has something else where a setting should be.
    #[error("{} does not hold a kubeconfig", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<rosterd_yaml::Problems>,
    },
    /// Its user is told by a command, and none may be run.
    #[error("{} has a user who is told by the command {command}: start rosterd with --enable-exec-sd to allow commands", path.display())]
    Command {
        /// The file.
        path: PathBuf,
        /// The command.
        command: String,
    },
    /// What it says is incomplete, or not supported.
    #[error("{} cannot be used: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Coded for AccessError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotInCluster { .. } => "sd_kubernetes_not_in_cluster",
            Self::OwnNamespace { .. } | Self::NoNamespace { .. } => "sd_kubernetes_own_namespace",
            Self::Url { .. } => "sd_kubernetes_url",
            Self::NoRole => "sd_kubernetes_no_role",
            Self::Kubeconfig(KubeconfigError::Command { .. }) => "sd_kubernetes_exec_disabled",
            Self::Kubeconfig(_) => "sd_kubernetes_kubeconfig",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }
}

/// A command gave no credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginError {
    #[error("cannot start {command}{}", hinted(hint))]
    Start { command: String, hint: String, source: io::Error },
    #[error("cannot read what {command} prints")]
    Read { command: String, source: io::Error },
    #[error("cannot read {} for {command}", path.display())]
    Certificates { command: String, path: PathBuf, source: io::Error },
    #[error("{command} did not end within {after:?} and was killed{}", told(stderr))]
    Timeout { command: String, after: Duration, stderr: String },
    #[error("{command} failed with {status}{}", told(stderr))]
    Failed { command: String, status: ExitStatus, stderr: String },
    #[error("{command} printed more than {limit} bytes")]
    TooMuch { command: String, limit: u64 },
    #[error("what {command} printed are no credentials: {reason}")]
    Malformed { command: String, reason: String },
    #[error("the credentials that {command} printed cannot be used")]
    Unusable { command: String, source: ClientError },
}

fn told(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; it said: {stderr}") }
}

fn hinted(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!(" ({hint})") }
}

impl PluginError {
    fn priority(&self) -> Priority {
        match self {
            Self::Start { .. }
            | Self::Certificates { .. }
            | Self::TooMuch { .. }
            | Self::Malformed { .. }
            | Self::Unusable { .. } => Priority::Operator,
            Self::Read { .. } | Self::Timeout { .. } | Self::Failed { .. } => Priority::Remote,
        }
    }
}

/// Why no answer came.
#[derive(Debug)]
pub(crate) enum AskError {
    Client(ClientError),
    Plugin(Arc<PluginError>),
}

impl From<ClientError> for AskError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<Arc<PluginError>> for AskError {
    fn from(error: Arc<PluginError>) -> Self {
        Self::Plugin(error)
    }
}

impl AskError {
    /// The error of who asked for this.
    pub(crate) fn of(self, verb: Verb, key: &WatchKey) -> WatchError {
        let key = key.clone();
        match self {
            Self::Client(source) => WatchError::Unreachable { verb, key, source },
            Self::Plugin(source) => WatchError::Credentials { verb, key, source },
        }
    }
}

/// Why a watch is not up to date.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    #[error("cannot {verb} {key}")]
    Unreachable { verb: Verb, key: WatchKey, source: ClientError },
    #[error("cannot {verb} {key}: there are no credentials")]
    Credentials { verb: Verb, key: WatchKey, source: Arc<PluginError> },
    #[error("cannot {verb} {key}: the API server does not know who asks{}", said(message))]
    Unauthorized { verb: Verb, key: WatchKey, message: String },
    #[error("cannot {verb} {key}: forbidden{}; {}", said(message), rule(key))]
    Forbidden { verb: Verb, key: WatchKey, message: String },
    #[error("cannot {verb} {key}: the API server has no {} of {}/v1", key.resource, group(key))]
    NoResource { verb: Verb, key: WatchKey },
    #[error("cannot {verb} {key}: the API server asks for time")]
    Throttled { verb: Verb, key: WatchKey, wait: Option<Duration> },
    #[error("cannot {verb} {key}: the history since the last event is gone{}", said(message))]
    Expired { verb: Verb, key: WatchKey, message: String },
    #[error("cannot {verb} {key}: HTTP status {status}{}", said(message))]
    Refused { verb: Verb, key: WatchKey, status: u16, message: String },
    #[error("the watch of {key} was silent for {silence:?}")]
    Silent { key: WatchKey, silence: Duration },
    #[error("the list of {key} ended before it was whole")]
    Incomplete { key: WatchKey },
    #[error("what the API server says of {key} cannot be read")]
    Malformed { key: WatchKey, source: Malformed },
}

/// What cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error(transparent)]
    Object(#[from] StoreError),
    #[error("an event, the end of a list or an error is no such thing")]
    Json(#[from] serde_json::Error),
    #[error("an object is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("a list is not a map with items")]
    NoList,
    #[error("the list has no version")]
    NoVersion,
}

/// What is asked of the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    List,
    Watch,
}

impl std::fmt::Display for Verb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Watch => "watch",
        })
    }
}

/// What the API server said, if anything.
fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" ({message})") }
}

fn group(key: &WatchKey) -> &'static str {
    match key.resource.group() {
        "" => "core",
        group => group,
    }
}

/// The rule that would allow it, and where it belongs.
fn rule(key: &WatchKey) -> String {
    let permission = key.permission();
    let place = match &permission.namespace {
        Some(namespace) => format!("a Role in {namespace}"),
        None => "a ClusterRole".to_owned(),
    };
    format!("bind {place} with {permission}")
}

impl Coded for WatchError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "sd_kubernetes_unreachable",
            Self::Credentials { .. } => "sd_kubernetes_credentials",
            Self::Unauthorized { .. } => "sd_kubernetes_unauthorized",
            Self::Forbidden { .. } => "sd_kubernetes_forbidden",
            Self::NoResource { .. } => "sd_kubernetes_no_resource",
            Self::Throttled { .. } => "sd_kubernetes_throttled",
            Self::Expired { .. } => "sd_kubernetes_expired",
            Self::Refused { .. } => "sd_kubernetes_refused",
            Self::Silent { .. } => "sd_kubernetes_silent",
            Self::Incomplete { .. } => "sd_kubernetes_incomplete",
            Self::Malformed { .. } => "sd_kubernetes_malformed",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::Unreachable { source, .. } => source.priority(),
            Self::Credentials { source, .. } => source.priority(),
            Self::Unauthorized { .. } | Self::Forbidden { .. } | Self::NoResource { .. } => Priority::Operator,
            Self::Throttled { .. } | Self::Expired { .. } | Self::Silent { .. } | Self::Incomplete { .. } => {
                Priority::Retry
            }
            Self::Refused { .. } | Self::Malformed { .. } => Priority::Remote,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Throttled { wait: Some(wait), .. } => Retry::After(*wait),
            // Whoever grants a right wants to see it soon; what the server does not have does not come by itself.
            Self::NoResource { .. } => Retry::Interval,
            _ => Retry::Backoff,
        }
    }
}

/// The error of a watch in the hands of all that use it.
#[derive(Debug, Clone)]
pub(crate) struct SharedError(pub(crate) Arc<WatchError>);

impl std::fmt::Display for SharedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for SharedError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl Coded for SharedError {
    fn code(&self) -> &'static str {
        self.0.code()
    }

    fn priority(&self) -> Priority {
        self.0.priority()
    }

    fn retry(&self) -> Retry {
        self.0.retry()
    }
}
