//! `/-/ready`: whether the roster can be relied upon.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, StatusCode};
use rosterd_discovery::ProviderKey;
use rosterd_model::Report;
use serde::Serialize;
use tokio::time::Instant;

use super::State;
use super::missing::Causes;
use super::words::few;
use crate::roster::view::{ProviderPresence, RosterView};

/// Prometheus tells a process that ends from one that starts by this header.
const STOPPING: HeaderName = HeaderName::from_static("x-prometheus-stopping");

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Readiness {
    ready: bool,
    stopping: bool,
    waiting_for: Vec<Waiting>,
}

#[derive(Serialize)]
struct Waiting {
    provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Arc<str>>,
    jobs: Vec<Arc<str>>,
    /// Why it has not reported, if it tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Report>,
    /// Whether its time of grace is over: no list waits for it, nor does readiness.
    overdue: bool,
}

/// Ready when every provider has reported and could read all its sources, those aside that are overdue, or when the time of
/// grace is over. What was overdue before a restart is so after it.
pub(super) async fn ready(Extract(state): Extract<Arc<State>>, headers: HeaderMap) -> Response {
    let readiness = readiness(&state);
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let stopping = [(STOPPING, readiness.stopping.to_string())];
    let json =
        headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("json"));
    if json {
        (status, stopping, Json(readiness)).into_response()
    } else {
        (status, stopping, text(&readiness)).into_response()
    }
}

fn readiness(state: &State) -> Readiness {
    let view = state.roster.view();
    let waiting_for = waiting_for(&view, &Causes::of(state));
    let stopping = state.lifecycle.stopping.is_cancelled();
    let waits = waiting_for.iter().any(|waiting| !waiting.overdue);
    let ready = !stopping && (!waits || Instant::now() >= state.ready_at);
    Readiness { ready, stopping, waiting_for }
}

/// The providers that have not reported, and the sources that could not be read, each with the jobs that wait for it.
fn waiting_for(view: &RosterView, causes: &Causes) -> Vec<Waiting> {
    let mut waiting: BTreeMap<(ProviderKey, Option<Arc<str>>), Waiting> = BTreeMap::new();
    for job in view.jobs() {
        let unheard = job.providers().iter().filter(|it| it.presence != ProviderPresence::Synced);
        let overdue: BTreeSet<_> =
            job.missing().iter().filter(|it| it.overdue && it.source.is_none()).map(|it| &it.provider).collect();
        let unheard = unheard.map(|it| (it.key.clone(), None, causes.get(&it.key), overdue.contains(&it.key)));
        let unread = job.missing().iter().filter(|missing| missing.source.is_some());
        let unread = unread.map(|it| (it.provider.clone(), it.source.clone(), it.report.clone(), it.overdue));
        for (provider, source, error, overdue) in unheard.chain(unread) {
            let (name, of) = (provider.to_string(), source.clone());
            let new = || Waiting { provider: name, source: of, jobs: Vec::new(), error, overdue };
            let entry = waiting.entry((provider.clone(), source.clone())).or_insert_with(new);
            entry.jobs.push(Arc::clone(&job.spec().name));
        }
    }
    waiting.into_values().collect()
}

fn text(readiness: &Readiness) -> String {
    let mut text = match readiness {
        Readiness { stopping: true, .. } => "rosterd is stopping.\n".to_owned(),
        Readiness { ready: true, .. } => "rosterd is Ready.\n".to_owned(),
        _ => "rosterd is not ready.\n".to_owned(),
    };
    for waiting in &readiness.waiting_for {
        let jobs = few(&waiting.jobs);
        let source = waiting.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
        let cause = waiting.error.as_ref().map_or(".".to_owned(), |error| format!(": {error}"));
        writeln!(text, "{}{source} of {jobs} has not reported yet{cause}", waiting.provider)
            .expect("a string takes any text");
    }
    text
}
