//! `/api/v1/remote_write`: the endpoints that samples are sent to, and how that goes.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State as Extract;
use axum::response::Response;
use rosterd_model::Report;
use rosterd_ship::DiskFailure;
use serde::Serialize;

use super::State;
use super::envelope::success;
use super::status::{Failure, rfc3339};
use crate::scrape::{RemoteWriteState, RemoteWriteStatus};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoints {
    remote_writes: Vec<Endpoint>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    state: RemoteWriteState,
    name: String,
    url: String,
    protocol: &'static str,
    compression: &'static str,
    lanes: usize,
    pending_samples: u64,
    bytes_on_disk: u64,
    disk_failure: Option<Failure>,
    oldest_pending: Option<String>,
    last_success: Option<String>,
    last_error: Option<Report>,
    samples_sent: u64,
    samples_failed: u64,
    samples_dropped: u64,
}

impl Endpoint {
    fn of(status: RemoteWriteStatus, now: SystemTime) -> Self {
        Self {
            state: status.state(now),
            name: status.name,
            url: status.url,
            protocol: status.protocol,
            compression: status.compression,
            lanes: status.lanes,
            pending_samples: status.pending_samples,
            bytes_on_disk: status.bytes_on_disk,
            disk_failure: status
                .disk_failure
                .map(|DiskFailure { report, since }| Failure { since: rfc3339(since), report }),
            oldest_pending: status.oldest_pending.map(rfc3339),
            last_success: status.last_success.map(rfc3339),
            last_error: status.last_error,
            samples_sent: status.samples_sent,
            samples_failed: status.samples_failed,
            samples_dropped: status.samples_dropped,
        }
    }
}

/// All endpoints.
pub(super) async fn remote_write(Extract(state): Extract<Arc<State>>) -> Response {
    let now = SystemTime::now();
    let list = state.remote_writes.list().into_iter();
    success(Endpoints { remote_writes: list.map(|status| Endpoint::of(status, now)).collect() })
}
