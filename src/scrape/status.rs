//! What scraping tells of remote write: its endpoints, and how each is. Pure.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rosterd_model::Report;
use rosterd_ship::wire::Message;
use rosterd_ship::{DiskFailure, EndpointState, EndpointStatus};
use serde::Serialize;

/// How old what waits longest may be before an endpoint counts as behind.
const BEHIND: Duration = Duration::from_secs(60);

/// Lists the endpoints of remote write as they are at the moment.
#[derive(Clone)]
pub struct RemoteWrites(Arc<dyn Fn() -> Vec<RemoteWriteStatus> + Send + Sync>);

impl RemoteWrites {
    /// Wraps what knows the endpoints; it must not block.
    pub fn new(list: impl Fn() -> Vec<RemoteWriteStatus> + Send + Sync + 'static) -> Self {
        Self(Arc::new(list))
    }

    /// All endpoints, in the order of the configuration.
    pub fn list(&self) -> Vec<RemoteWriteStatus> {
        (self.0)()
    }
}

impl fmt::Debug for RemoteWrites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoteWrites")
    }
}

/// An endpoint of remote write at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteWriteStatus {
    /// Its name in the configuration, or what stands for that.
    pub name: String,
    /// Its URL without user and password.
    pub url: String,
    /// The version of the protocol in use: `1.0` or `2.0`.
    pub protocol: &'static str,
    /// The compression in use: `snappy` or `zstd`.
    pub compression: &'static str,
    /// How many requests may be on their way at once.
    pub lanes: usize,
    /// Samples that were not sent yet, those on disk included.
    pub pending_samples: u64,
    /// How much its queue occupies on disk.
    pub bytes_on_disk: u64,
    /// Why what should be on disk is in memory, if it is.
    pub disk_failure: Option<DiskFailure>,
    /// The time of what waits longest.
    pub oldest_pending: Option<SystemTime>,
    /// When something was last taken.
    pub last_success: Option<SystemTime>,
    /// Why the last request failed or was refused; nothing once something was taken since.
    pub last_error: Option<Report>,
    /// All of the last request was refused for good.
    pub rejecting: bool,
    /// Samples that arrived, since the start. These and the following are float samples and native histograms.
    pub samples_sent: u64,
    /// Samples that the endpoint refused.
    pub samples_failed: u64,
    /// Samples that were given up before they were sent: too old, or too many.
    pub samples_dropped: u64,
}

/// How an endpoint is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RemoteWriteState {
    /// Samples arrive as they come.
    Sending,
    /// Requests succeed, and samples wait for longer than a minute.
    Behind,
    /// The receiver refuses what it is sent, and it is lost.
    Rejecting,
    /// The last request failed.
    Down,
}

impl RemoteWriteState {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Behind => "behind",
            Self::Rejecting => "rejecting",
            Self::Down => "down",
        }
    }
}

impl RemoteWriteStatus {
    /// How it is at this time.
    pub fn state(&self, now: SystemTime) -> RemoteWriteState {
        let waited = self.oldest_pending.and_then(|oldest| now.duration_since(oldest).ok()).unwrap_or_default();
        match self.last_error {
            Some(_) if self.rejecting => RemoteWriteState::Rejecting,
            Some(_) => RemoteWriteState::Down,
            None if waited > BEHIND => RemoteWriteState::Behind,
            None => RemoteWriteState::Sending,
        }
    }
}

/// An endpoint as others are told of it.
pub(super) fn of(endpoint: EndpointStatus) -> RemoteWriteStatus {
    RemoteWriteStatus {
        name: endpoint.name,
        url: endpoint.url,
        protocol: match endpoint.message {
            Message::V1 => "1.0",
            Message::V2 => "2.0",
        },
        compression: endpoint.compression.name(),
        lanes: usize::from(endpoint.lanes),
        pending_samples: endpoint.pending.all_samples(),
        bytes_on_disk: endpoint.bytes_on_disk,
        disk_failure: endpoint.disk_failure,
        oldest_pending: endpoint.oldest_pending_ms.and_then(|ms| {
            let since = Duration::from_millis(u64::try_from(ms).ok()?);
            SystemTime::UNIX_EPOCH.checked_add(since)
        }),
        last_success: endpoint.last_success,
        last_error: endpoint.last_error.filter(|_| endpoint.state != EndpointState::Working),
        rejecting: endpoint.state == EndpointState::Rejecting,
        samples_sent: endpoint.samples_sent,
        samples_failed: endpoint.samples_rejected,
        samples_dropped: endpoint.samples_dropped,
    }
}
