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
    presence: Presence,
    last_success: Option<String>,
    last_error: Option<LastError>,
    next_try: Option<String>,
    groups: usize,
    targets: usize,
}

#[derive(Serialize)]
struct LastError {
    at: String,
    #[serde(flatten)]
    report: Report,
}

/// All providers.
pub(super) async fn providers(Extract(state): Extract<Arc<State>>) -> Response {
    let providers = state.providers.list().into_iter().map(Provider::from).collect();
    success(Providers { providers })
}

impl From<ProviderStatus> for Provider {
    fn from(ProviderStatus { key, jobs, status }: ProviderStatus) -> Self {
        let time = |time: Option<SystemTime>| time.map(rfc3339);
        let last_error = |Failure { report, at }: Failure| LastError { at: rfc3339(at), report };
        Self {
            provider: key.to_string(),
            mechanism: key.mechanism().to_owned(),
            jobs,
            presence: status.presence,
            last_success: time(status.last_success),
            last_error: status.last_error.map(last_error),
            next_try: time(status.next_try),
            groups: status.groups,
            targets: status.targets,
        }
    }
}
