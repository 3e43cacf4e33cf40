//! `/api/v1/remote_write`: the endpoints that samples are sent to, and how that goes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State as Extract;
use axum::response::Response;
use rosterd_model::Report;
use serde::{Serialize, Serializer};

use super::State;
use super::envelope::success;
use super::status::rfc3339;

/// How old the oldest pending sample may be before an endpoint counts as behind.
const BEHIND: Duration = Duration::from_secs(60);

/// An endpoint of remote write at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
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
    /// The time of the oldest sample that was not sent yet.
    #[serde(serialize_with = "time")]
    pub oldest_pending: Option<SystemTime>,
    /// When a request last succeeded.
    #[serde(serialize_with = "time")]
    pub last_success: Option<SystemTime>,
    /// Why the last request failed; nothing once one has succeeded since.
    pub last_error: Option<Report>,
    /// Samples that arrived, since the start.
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
    /// The last request failed.
    Down,
}

impl RemoteWriteState {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Behind => "behind",
            Self::Down => "down",
        }
    }
}

impl RemoteWriteStatus {
    /// How it is at this time.
    pub fn state(&self, now: SystemTime) -> RemoteWriteState {
        let waited = self.oldest_pending.and_then(|oldest| now.duration_since(oldest).ok()).unwrap_or_default();
        match self.last_error {
            Some(_) => RemoteWriteState::Down,
            None if waited > BEHIND => RemoteWriteState::Behind,
            None => RemoteWriteState::Sending,
        }
    }
}

fn time<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoints {
    remote_writes: Vec<Endpoint>,
}

#[derive(Serialize)]
struct Endpoint {
    state: RemoteWriteState,
    #[serde(flatten)]
    status: RemoteWriteStatus,
}

/// All endpoints.
pub(super) async fn remote_write(Extract(state): Extract<Arc<State>>) -> Response {
    let now = SystemTime::now();
    let list = state.remote_writes.list().into_iter();
    success(Endpoints { remote_writes: list.map(|status| Endpoint { state: status.state(now), status }).collect() })
}
