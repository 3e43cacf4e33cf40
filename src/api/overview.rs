//! `/`: a plain page that shows how things are and where to go.

use std::sync::Arc;
use std::time::SystemTime;

use askama::Template;
use axum::extract::State as Extract;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use rosterd_discovery::{Presence, ProviderStatus};
use rosterd_scrape::Statuses;

use super::words::{Moment, Tally, bytes, coarse, grouped};
use super::{State, routes};
use crate::roster::view::{Counts, JobView};
use crate::scrape::{RemoteWriteState, RemoteWriteStatus};

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    version: String,
    uptime: String,
    loaded: Moment,
    refused: Option<String>,
    prefix: String,
    jobs: Vec<Job>,
    endpoints: Vec<Endpoint>,
    providers: Vec<Provider>,
    paths: Vec<&'static str>,
    docs: &'static str,
}

struct Job {
    name: Arc<str>,
    counts: Counts,
    tally: Tally,
    state: String,
}

struct Endpoint {
    name: String,
    url: String,
    state: &'static str,
    /// Follows the word for the state.
    detail: String,
    pending: String,
    disk: String,
}

struct Provider {
    name: String,
    jobs: String,
    presence: &'static str,
    groups: usize,
    targets: usize,
    error: String,
}

/// The page.
pub(super) async fn overview(Extract(state): Extract<Arc<State>>) -> Response {
    let config = Arc::clone(&state.config.borrow());
    let links = |route: &super::Route| {
        route.methods == ["GET"] && !matches!(route.path, "/" | "/targets") && !route.path.contains('{')
    };
    let now = SystemTime::now();
    page(&Overview {
        version: state.build.version.clone(),
        uptime: uptime(state.started),
        loaded: Moment::of(config.loaded, now),
        refused: config.refused.as_ref().map(ToString::to_string),
        prefix: state.external_url.path().to_owned(),
        jobs: state.roster.view().jobs().map(|job| Job::of(job, &state.scrapes)).collect(),
        endpoints: state.remote_writes.list().into_iter().map(|status| Endpoint::of(status, now)).collect(),
        providers: state.providers.list().into_iter().map(Provider::from).collect(),
        paths: routes().iter().filter(|route| links(route)).map(|route| route.path).collect(),
        docs: concat!(env!("CARGO_PKG_REPOSITORY"), "/tree/main/docs"),
    })
}

/// A page as an answer.
pub(super) fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(page) => Html(page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn uptime(started: SystemTime) -> String {
    let up = SystemTime::now().duration_since(started).unwrap_or_default().as_secs();
    rosterd_model::Duration::from(std::time::Duration::from_secs(up)).to_string()
}

impl Job {
    fn of(job: &JobView, statuses: &Statuses) -> Self {
        let restored = job.restored();
        let state = match job.servable() {
            Err(error) => error.to_string(),
            Ok(()) if restored.is_empty() => "synced".to_owned(),
            Ok(()) => format!("restored, waiting for {} of {} providers", restored.len(), job.providers().len()),
        };
        let tally = Tally::of(job, statuses);
        Self { name: Arc::clone(&job.spec().name), counts: job.counts(), tally, state }
    }
}

impl Endpoint {
    fn of(status: RemoteWriteStatus, now: SystemTime) -> Self {
        let state = status.state(now);
        let waiting = status.oldest_pending.and_then(|oldest| now.duration_since(oldest).ok()).map(coarse);
        let detail = match (state, &status.last_error, waiting) {
            (RemoteWriteState::Down, Some(error), _) => format!(": {error}"),
            (RemoteWriteState::Behind, _, Some(waiting)) => format!(" by {waiting}"),
            _ => String::new(),
        };
        Self {
            name: status.name,
            url: status.url,
            state: state.as_str(),
            detail,
            pending: grouped(status.pending_samples),
            disk: bytes(status.bytes_on_disk),
        }
    }
}

impl From<ProviderStatus> for Provider {
    fn from(ProviderStatus { key, jobs, status }: ProviderStatus) -> Self {
        Self {
            name: key.to_string(),
            jobs: jobs.join(", "),
            presence: match status.presence {
                Presence::Unsynced => "unsynced",
                Presence::Synced => "synced",
            },
            groups: status.groups,
            targets: status.targets,
            error: status.last_error.map(|failure| failure.report.to_string()).unwrap_or_default(),
        }
    }
}
