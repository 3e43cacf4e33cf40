//! `/-/ready`: whether the roster can be relied upon.

use std::fmt::Write;
use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, StatusCode};
use serde::Serialize;
use tokio::time::Instant;

use super::State;

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
    jobs: Vec<Arc<str>>,
}

/// Ready when every provider has reported, or when the time of grace is over.
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
    let waiting_for: Vec<_> = view
        .waiting_for()
        .into_iter()
        .map(|key| {
            let jobs = view.jobs().filter(|job| job.providers().iter().any(|(known, _)| *known == key));
            Waiting { provider: key.to_string(), jobs: jobs.map(|job| Arc::clone(&job.spec().name)).collect() }
        })
        .collect();
    let stopping = state.lifecycle.stopping.is_cancelled();
    let ready = !stopping && (waiting_for.is_empty() || Instant::now() >= state.ready_at);
    Readiness { ready, stopping, waiting_for }
}

fn text(readiness: &Readiness) -> String {
    let mut text = match readiness {
        Readiness { stopping: true, .. } => "rosterd is stopping.\n".to_owned(),
        Readiness { ready: true, .. } => "rosterd is Ready.\n".to_owned(),
        _ => "rosterd is not ready.\n".to_owned(),
    };
    for waiting in &readiness.waiting_for {
        let jobs = waiting.jobs.join(", ");
        writeln!(text, "{} of {jobs} has not reported yet.", waiting.provider).expect("a string takes any text");
    }
    text
}
