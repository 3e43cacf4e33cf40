//! Endpoints of remote write as the API tells of them. Pure.

use std::time::{Duration, SystemTime};

use rosterd_ship::EndpointStatus;
use rosterd_ship::wire::Message;

use crate::api::RemoteWriteStatus;

/// An endpoint as the API tells of it.
pub(super) fn of(endpoint: EndpointStatus) -> RemoteWriteStatus {
    let pending = endpoint.pending;
    RemoteWriteStatus {
        name: endpoint.name,
        url: endpoint.url,
        protocol: match endpoint.message {
            Message::V1 => "1.0",
            Message::V2 => "2.0",
        },
        compression: endpoint.compression.name(),
        lanes: usize::from(endpoint.lanes),
        pending_samples: u64::from(pending.samples) + u64::from(pending.histograms),
        bytes_on_disk: endpoint.bytes_on_disk,
        oldest_pending: endpoint.oldest_pending_ms.and_then(|ms| {
            let since = Duration::from_millis(u64::try_from(ms).ok()?);
            SystemTime::UNIX_EPOCH.checked_add(since)
        }),
        last_success: endpoint.last_success,
        last_error: endpoint.last_error.filter(|_| !endpoint.healthy),
        samples_sent: endpoint.samples_sent,
        samples_failed: endpoint.samples_rejected,
        samples_dropped: endpoint.samples_dropped,
    }
}
