//! What can go wrong: with endpoints when they are configured, and with requests.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use rosterd_client::ClientError;
use rosterd_credentials::Told;
use rosterd_model::{Coded, Priority, Retry, counted};

/// Why endpoints are not as they were asked for.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// Two endpoints have one name. Nothing was changed.
    #[error("two remote write endpoints are named {name:?}")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// The settings of the HTTP client are of no use. Nothing was changed.
    #[error("cannot use the HTTP client settings of remote write endpoint {endpoint:?}")]
    Client {
        /// The endpoint.
        endpoint: String,
        /// Why not.
        source: ClientError,
    },
    /// A setting is of no use. Nothing was changed.
    #[error("remote write endpoint {endpoint:?}: {reason}")]
    Settings {
        /// The endpoint.
        endpoint: String,
        /// Why not.
        reason: String,
    },
    /// Another process has the queue on disk. The endpoint runs with a queue in memory until it has ended.
    #[error("the queue of remote write endpoint {endpoint:?} is in use")]
    QueueInUse {
        /// The endpoint.
        endpoint: String,
        /// Where.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The queue on disk cannot be opened. The endpoint runs with a queue in memory, and the disk is tried again.
    #[error("cannot open the queue of remote write endpoint {endpoint:?}")]
    Queue {
        /// The endpoint.
        endpoint: String,
        /// Why not.
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl Coded for ShipError {
    fn code(&self) -> &'static str {
        match self {
            Self::DuplicateName { .. } => "ship_duplicate_name",
            Self::Client { .. } => "ship_client",
            Self::Settings { .. } => "ship_settings",
            Self::QueueInUse { .. } => "ship_queue_in_use",
            Self::Queue { .. } => "ship_queue_io",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        match self {
            Self::QueueInUse { .. } | Self::Queue { .. } => Retry::Backoff,
            _ => Retry::Never,
        }
    }
}

/// The queue on disk does not do what it is for. The endpoint goes on in memory, and the disk is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskError {
    /// The file system does not do something.
    #[error("the queue on disk fails: {doing} in {}", folder.display())]
    Failed {
        /// What was tried.
        doing: &'static str,
        /// The folder of the queue.
        folder: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// What was on disk alone is lost.
    #[error("somebody removed the queue on disk, {}: another one is begun there", folder.display())]
    Gone {
        /// The folder of the queue.
        folder: PathBuf,
    },
}

impl Coded for DiskError {
    fn code(&self) -> &'static str {
        match self {
            Self::Failed { .. } => "ship_queue_io",
            Self::Gone { .. } => "ship_queue_gone",
        }
    }

    fn priority(&self) -> Priority {
        Priority::Operator
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// Why a request did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// There is no reply.
    #[error("no reply to remote write")]
    NoReply {
        /// Why not.
        source: ClientError,
    },
    /// The request cannot be signed.
    #[error("cannot sign a request")]
    Unsigned {
        /// Why not.
        source: Told,
    },
    /// There is nothing to prove with who sends.
    #[error("cannot prove to the receiver who sends")]
    Unproven {
        /// Why not.
        source: Told,
    },
    /// 5xx: sent again.
    #[error("{url} failed with HTTP status {status}{}", said(words))]
    Failed { url: String, status: u16, words: String },
    /// 429: sent again.
    #[error("{url} asks for time with HTTP status {status}{}", said(words))]
    Throttled { url: String, status: u16, words: String, after: Option<Duration> },
    /// A refusal that says nothing about the samples, by the configuration: sent again.
    #[error("{url} refused samples with HTTP status {status}, they are kept{}", said(words))]
    Kept { url: String, status: u16, words: String },
    /// Another status: not sent again.
    #[error("{url} rejected samples with HTTP status {status}{}", said(words))]
    Rejected { url: String, status: u16, words: String },
    /// 2xx, but not everything was written.
    #[error("{url} wrote only a part, and left out {}", left_out(*samples, *histograms, *exemplars))]
    Partial { url: String, samples: u64, histograms: u64, exemplars: u64 },
    /// The receiver knows version 1.0 alone.
    #[error("{url} does not take {what}: falling back to {to}")]
    FallBack { url: String, what: &'static str, to: &'static str },
}

/// What was not written.
fn left_out(samples: u64, histograms: u64, exemplars: u64) -> String {
    let many = [(samples, "sample"), (histograms, "histogram"), (exemplars, "exemplar")];
    let many = many.into_iter().filter(|(number, _)| *number > 0);
    let many: Vec<_> =
        many.map(|(number, what)| counted(usize::try_from(number).unwrap_or(usize::MAX), what)).collect();
    many.join(", ")
}

/// What a receiver says besides, if it says anything.
fn said(words: &str) -> String {
    if words.trim().is_empty() { String::new() } else { format!(": {words}") }
}

impl Coded for SendError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoReply { source } => source.code(),
            Self::Unsigned { .. } => "ship_unsigned",
            Self::Unproven { .. } => "ship_unproven",
            Self::Failed { .. } => "ship_receiver_failed",
            Self::Throttled { .. } => "ship_throttled",
            Self::Kept { .. } => "ship_kept",
            Self::Rejected { .. } => "ship_rejected",
            Self::Partial { .. } => "ship_partial_write",
            Self::FallBack { .. } => "ship_fell_back",
        }
    }

    fn priority(&self) -> Priority {
        match self {
            Self::NoReply { source } => source.priority(),
            Self::Unsigned { .. } | Self::Unproven { .. } | Self::Kept { .. } => Priority::Operator,
            Self::Failed { .. } | Self::Throttled { .. } => Priority::Retry,
            Self::Rejected { .. } | Self::Partial { .. } | Self::FallBack { .. } => Priority::Remote,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Throttled { after: Some(after), .. } => Retry::After(*after),
            Self::Rejected { .. } | Self::Partial { .. } => Retry::Never,
            _ => Retry::Backoff,
        }
    }
}
