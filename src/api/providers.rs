//! `/api/v1/providers`: how discovery is doing.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State as Extract;
use axum::response::Response;
use rosterd_discovery::{Failure, Presence, ProviderStatus};
use rosterd_model::Report;
use serde::Serialize;

use super::State;
use super::envelope::success;
use super::status::rfc3339;
use crate::roster::view::{Knowledge, RosterView};

#[derive(Serialize)]
struct Providers {
    providers: Vec<Provider>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Provider {
    provider: String,
    mechanism: String,
    jobs: Vec<Arc<str>>,
    presence: &'static str,
    last_success: Option<String>,
    last_error: Option<LastError>,
    unread: Vec<UnreadSource>,
    next_try: Option<String>,
    groups: usize,
    targets: usize,
}

/// A source that could not be read lately.
#[derive(Serialize)]
struct UnreadSource {
    source: Arc<str>,
    /// Since when.
    since: String,
    /// Whether this process has read it before, so that its targets are stale; otherwise nothing is known of it.
    known: bool,
    #[serde(flatten)]
    report: Report,
}

#[derive(Serialize)]
struct LastError {
    at: String,
    #[serde(flatten)]
    report: Report,
}

/// All providers.
pub(super) async fn providers(Extract(state): Extract<Arc<State>>) -> Response {
    let view = state.roster.view();
    let providers = state.providers.list().into_iter().map(|provider| Provider::of(provider, &view)).collect();
    success(Providers { providers })
}

/// The word for a provider's presence. The manager does not know what was stored, the roster does.
pub(super) fn presence(presence: Presence, knowledge: Option<Knowledge>) -> &'static str {
    match (presence, knowledge) {
        (Presence::Unsynced, Some(Knowledge::Restored)) => "restored",
        (presence, _) => presence.as_str(),
    }
}

impl Provider {
    fn of(ProviderStatus { key, jobs, status }: ProviderStatus, view: &RosterView) -> Self {
        let time = |time: Option<SystemTime>| time.map(rfc3339);
        let unread = status.unread.iter().map(|(source, unread)| UnreadSource {
            source: Arc::clone(source),
            since: rfc3339(unread.since),
            known: unread.known,
            report: unread.report.clone(),
        });
        let last_error = |Failure { report, at }: Failure| LastError { at: rfc3339(at), report };
        Self {
            presence: presence(status.presence, view.knowledge(&key, &jobs)),
            provider: key.to_string(),
            mechanism: key.mechanism().to_owned(),
            jobs,
            last_success: time(status.last_success),
            last_error: status.worst().map(last_error),
            unread: unread.collect(),
            next_try: time(status.next_try),
            groups: status.groups,
            targets: status.targets,
        }
    }
}
