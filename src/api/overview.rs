//! `/`: a plain page that shows how things are and where to go.

use std::sync::Arc;
use std::time::SystemTime;

use askama::Template;
use axum::extract::State as Extract;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use rosterd_discovery::{Presence, ProviderStatus};

use super::status::rfc3339;
use super::{State, routes};
use crate::roster::view::{Counts, JobView};

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    version: String,
    uptime: String,
    loaded: String,
    refused: Option<String>,
    prefix: String,
    jobs: Vec<Job>,
    providers: Vec<Provider>,
    paths: Vec<&'static str>,
    docs: &'static str,
}

struct Job {
    name: Arc<str>,
    counts: Counts,
    state: String,
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
    let links = |route: &super::Route| route.methods == ["GET"] && route.path != "/" && !route.path.contains('{');
    let page = Overview {
        version: state.build.version.clone(),
        uptime: uptime(state.started),
        loaded: rfc3339(config.loaded),
        refused: config.refused.as_ref().map(ToString::to_string),
        prefix: state.external_url.path().to_owned(),
        jobs: state.roster.view().jobs().map(|job| Job::from(&**job)).collect(),
        providers: state.providers.list().into_iter().map(Provider::from).collect(),
        paths: routes().iter().filter(|route| links(route)).map(|route| route.path).collect(),
        docs: concat!(env!("CARGO_PKG_REPOSITORY"), "/tree/main/docs"),
    };
    match page.render() {
        Ok(page) => Html(page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn uptime(started: SystemTime) -> String {
    let up = SystemTime::now().duration_since(started).unwrap_or_default().as_secs();
    rosterd_model::Duration::from(std::time::Duration::from_secs(up)).to_string()
}

impl From<&JobView> for Job {
    fn from(job: &JobView) -> Self {
        let restored = job.restored();
        let state = match job.servable() {
            Err(error) => error.to_string(),
            Ok(()) if restored.is_empty() => "synced".to_owned(),
            Ok(()) => format!("restored, waiting for {} of {} providers", restored.len(), job.providers().len()),
        };
        Self { name: Arc::clone(&job.spec().name), counts: job.counts(), state }
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
