//! How an endpoint is, for the API and the pages.

use std::time::SystemTime;

use rosterd_model::Report;

use crate::Counts;
use crate::wire::{Compression, Message};

/// How requests to an endpoint end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// Something of the last request was taken, or there was none yet.
    Working,
    /// The receiver refused all of the last request for good.
    Rejecting,
    /// The last request failed, and what it carried is sent again.
    Failing,
}

/// The queue on disk does not work, and what should be there is in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFailure {
    /// What went wrong, the last time.
    pub report: Report,
    /// Since when it does not work.
    pub since: SystemTime,
}

impl DiskFailure {
    /// It goes wrong for this reason, after it has gone wrong `before`.
    pub(crate) fn again(before: Option<Self>, report: Report) -> Self {
        Self { report, since: before.map_or_else(SystemTime::now, |before| before.since) }
    }
}

/// How an endpoint is.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointStatus {
    /// Its name.
    pub name: String,
    /// Where it is, without user and password.
    pub url: String,
    /// The version that is sent now.
    pub message: Message,
    /// The compression that is used now.
    pub compression: Compression,
    /// What is in the queue.
    pub pending: Counts,
    /// Bytes of finished bodies in memory.
    pub bytes_in_memory: u64,
    /// Bytes of the queue on disk.
    pub bytes_on_disk: u64,
    /// Why what should be on disk is in memory, if it is.
    pub disk_failure: Option<DiskFailure>,
    /// The timestamp of the batch that waits longest in the queue, in milliseconds since 1970: the newest in it, as targets may
    /// give their samples old ones.
    pub oldest_pending_ms: Option<i64>,
    /// How many requests may be under way at once.
    pub lanes: u16,
    /// `queue_config.capacity`.
    pub capacity: u32,
    /// How requests end at the moment.
    pub state: EndpointState,
    /// What went wrong last, even if all is well since.
    pub last_error: Option<Report>,
    /// When a receiver last took something.
    pub last_success: Option<SystemTime>,
    /// Samples that a receiver took, since the start. These and the following are float samples and native histograms.
    pub samples_sent: u64,
    /// Samples that a receiver refused for good.
    pub samples_rejected: u64,
    /// Samples that were given up before: too old, or too many. Those that relabelling dropped do not count.
    pub samples_dropped: u64,
}
