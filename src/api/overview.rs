//! `/`: a plain page that shows how things are and where to go.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::State as Extract;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::CONTENT_SECURITY_POLICY;
use rosterd_discovery::{Presence as Reported, ProviderKey, ProviderStatus, ProviderWatch, Status, WatchState};
use rosterd_model::Report;
use rosterd_scrape::Statuses;

use super::providers::size;
use super::words::{Moment, Tally, bytes, coarse, grouped};
use super::{Refused, State, StorageFailure, routes};
use crate::problem::TYPES;
use crate::publish::Publication;
use crate::roster::hold::Missing;
use crate::roster::presence::Presence;
use crate::roster::view::{Counts, JobView, ProviderPresence, RosterView};
use crate::scrape::{RemoteWriteState, RemoteWriteStatus};

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    version: String,
    uptime: String,
    loaded: Moment,
    refused: Option<Refused>,
    prefix: String,
    jobs: Vec<Job>,
    endpoints: Vec<Endpoint>,
    failing: Vec<Failing>,
    /// What of the storage does not work.
    storage: Vec<FailingStorage>,
    idle: Option<&'static str>,
    providers: Vec<Provider>,
    watches: Vec<Watch>,
    /// Those that are not shown.
    more_watches: usize,
    paths: Vec<&'static str>,
    docs: &'static str,
    /// Where codes are explained.
    errors: &'static str,
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
    sent: String,
    failed: String,
    dropped: String,
    disk: String,
}

/// A part of the storage that does not work.
struct FailingStorage {
    what: String,
    since: Moment,
    error: String,
}

/// A publication that does not work.
struct Failing {
    id: String,
    error: String,
}

struct Provider {
    name: String,
    reads: String,
    jobs: String,
    success: Option<Moment>,
    next: Option<Moment>,
    presence: &'static str,
    /// The class that the word for it has.
    class: &'static str,
    groups: usize,
    targets: usize,
    error: String,
    code: String,
}

/// Something that is followed, for one or several providers.
struct Watch {
    what: String,
    jobs: String,
    state: &'static str,
    /// The class that the word for the state has.
    class: &'static str,
    objects: usize,
    heard: Option<Moment>,
    lists: String,
    error: String,
    failed: Option<Moment>,
}

/// How many watches are shown; those that do not go well come first.
const WATCHES: usize = 200;

/// The page.
pub(super) async fn overview(Extract(state): Extract<Arc<State>>) -> Response {
    let config = Arc::clone(&state.config.borrow());
    let links = |route: &super::Route| {
        route.methods == ["GET"] && !matches!(route.path, "/" | "/targets") && !route.path.contains('{')
    };
    let (now, view) = (SystemTime::now(), state.roster.view());
    let (providers, endpoints) = (state.providers.list(), state.remote_writes.list());
    let (watches, more_watches) = Watch::all(&providers, now);
    let stale = providers.iter().filter(|provider| provider.status.presence == Reported::Stale);
    let stale: HashSet<_> = stale.map(|provider| provider.key.clone()).collect();
    page(&Overview {
        version: state.build.version.clone(),
        uptime: uptime(state.started),
        loaded: Moment::of(config.loaded, now),
        refused: config.refused.clone(),
        prefix: state.external_url.path().to_owned(),
        jobs: view.jobs().map(|job| Job::of(job, &stale, &state.scrapes)).collect(),
        storage: FailingStorage::all(state.storage.failing(), &endpoints, now),
        endpoints: endpoints.into_iter().map(|status| Endpoint::of(status, now)).collect(),
        idle: config.idle,
        failing: state.publications.list().into_iter().filter_map(Failing::of).collect(),
        providers: providers.into_iter().map(|provider| Provider::of(provider, &view, now)).collect(),
        watches,
        more_watches,
        paths: routes().iter().filter(|route| links(route)).map(|route| route.path).collect(),
        docs: concat!(env!("CARGO_PKG_REPOSITORY"), "/tree/main/docs"),
        errors: TYPES,
    })
}

/// A page as an answer. It may use the style that stands in it and send its forms back, and nothing else.
pub(super) fn page(template: &impl Template) -> Response {
    let Ok(page) = template.render() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        STANDARD.encode(digest(&SHA256, style(&page).as_bytes())),
    );
    ([(CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}

/// What stands between the tags of the first style of a page: what comes from outside is escaped, and after it.
fn style(page: &str) -> &str {
    let after = page.split_once("<style>").map_or("", |(_, after)| after);
    after.split_once("</style>").map_or("", |(style, _)| style)
}

fn uptime(started: SystemTime) -> String {
    let up = SystemTime::now().duration_since(started).unwrap_or_default().as_secs();
    rosterd_model::Duration::from(std::time::Duration::from_secs(up)).to_string()
}

impl Job {
    fn of(job: &JobView, stale: &HashSet<ProviderKey>, statuses: &Statuses) -> Self {
        let tally = Tally::of(job, statuses);
        let stale = job.providers().iter().filter(|provider| stale.contains(&provider.key)).count();
        Self { name: Arc::clone(&job.spec().name), counts: job.counts(), tally, state: state(job, stale) }
    }
}

/// How a job is, in words, of whose providers so many cannot read all of what they have read before.
fn state(job: &JobView, stale: usize) -> String {
    let (providers, held) = (job.providers(), job.pages().held());
    let unheard: Vec<_> = providers.iter().filter(|it| it.presence != ProviderPresence::Synced).collect();
    let missing: Vec<_> = job.missing().iter().filter(|missing| missing.overdue).map(Missing::to_string).collect();
    let waiting = || format!("waiting for {} of {} providers", unheard.len(), providers.len());
    let mut words = match job.servable() {
        Err(error) => error.to_string(),
        Ok(()) if unheard.iter().any(|provider| provider.restored) => format!("restored, {}", waiting()),
        Ok(()) if !unheard.is_empty() => waiting(),
        Ok(()) if !missing.is_empty() || held > 0 || stale > 0 => "stale".to_owned(),
        Ok(()) => "synced".to_owned(),
    };
    if job.servable().is_ok() && stale > 0 {
        words.push_str(&format!("; {stale} of {} providers cannot be read", providers.len()));
    }
    if job.servable().is_ok() && !missing.is_empty() {
        words.push_str(&format!("; incomplete: {}", missing.join("; ")));
    }
    if held > 0 {
        let targets = if held == 1 { "target is" } else { "targets are" };
        words.push_str(&format!("; {held} {targets} held"));
    }
    words
}

impl Endpoint {
    fn of(status: RemoteWriteStatus, now: SystemTime) -> Self {
        let state = status.state(now);
        let waiting = status.oldest_pending.and_then(|oldest| now.duration_since(oldest).ok()).map(coarse);
        let detail = match (state, &status.last_error, waiting) {
            (RemoteWriteState::Down | RemoteWriteState::Rejecting, Some(error), _) => format!(": {error}"),
            (RemoteWriteState::Behind, _, Some(waiting)) => format!(" by {waiting}"),
            _ => String::new(),
        };
        Self {
            name: status.name,
            url: status.url,
            state: state.as_str(),
            detail,
            pending: grouped(status.pending_samples),
            sent: grouped(status.samples_sent),
            failed: grouped(status.samples_failed),
            dropped: grouped(status.samples_dropped),
            disk: bytes(status.bytes_on_disk),
        }
    }
}

impl FailingStorage {
    /// Files of the store, and queues that are to be on disk.
    fn all(files: Vec<StorageFailure>, endpoints: &[RemoteWriteStatus], now: SystemTime) -> Vec<Self> {
        let one = |what, since, error: &Report| Self { what, since: Moment::of(since, now), error: error.to_string() };
        let files = files.into_iter().map(|it| one(it.file.to_owned(), it.since, &it.report));
        let queues = endpoints.iter().filter_map(|endpoint| {
            let failure = endpoint.disk_failure.as_ref()?;
            Some(one(format!("queue of {}", endpoint.name), failure.since, &failure.report))
        });
        files.chain(queues).collect()
    }
}

impl Failing {
    fn of(publication: Publication) -> Option<Self> {
        let error = publication.worker.last_error?.to_string();
        Some(Self { id: publication.worker.id.to_string(), error })
    }
}

/// What is not as it should be.
fn problem(status: &Status) -> Option<Report> {
    let failure = status.worst().map(|failure| failure.report);
    failure.or_else(|| status.warning.as_ref().map(|warning| warning.report.clone()))
}

impl Provider {
    fn of(ProviderStatus { key, jobs, reads, status, .. }: ProviderStatus, view: &RosterView, now: SystemTime) -> Self {
        let seen = view.provider(&key, &jobs);
        let (groups, targets) = size(&status, seen);
        let presence = Presence::of_provider(status.presence, seen);
        let problem = problem(&status);
        Self {
            presence: presence.as_str(),
            class: match presence {
                Presence::Unsynced => "down",
                Presence::Stale => "behind",
                Presence::Restored => "unknown",
                Presence::Synced => "",
            },
            reads: reads.to_string(),
            success: status.last_success.map(|time| Moment::of(time, now)),
            next: status.next_try.map(|time| Moment::of(time, now)),
            name: key.to_string(),
            jobs: jobs.join(", "),
            groups,
            targets,
            code: problem.as_ref().map(|report| report.code.clone()).unwrap_or_default(),
            error: problem.map(|report| report.to_string()).unwrap_or_default(),
        }
    }
}

impl Watch {
    /// Each once, whoever shares it, and how many more there are.
    fn all(providers: &[ProviderStatus], now: SystemTime) -> (Vec<Self>, usize) {
        let mut all: Vec<_> = providers.iter().flat_map(|provider| &provider.watches).collect();
        all.sort_by_key(|watch| watch.number);
        all.dedup_by_key(|watch| watch.number);
        all.sort_by(|a, b| {
            let place =
                |it: &ProviderWatch| (it.status.state, Arc::clone(&it.status.resource), it.status.scope.clone());
            place(a).cmp(&place(b))
        });
        let more = all.len().saturating_sub(WATCHES);
        (all.into_iter().take(WATCHES).map(|watch| Self::of(watch, now)).collect(), more)
    }

    fn of(ProviderWatch { jobs, status, .. }: &ProviderWatch, now: SystemTime) -> Self {
        let mut what = status.resource.to_string();
        if let Some(scope) = &status.scope {
            what.push_str(&format!(" in {scope}"));
        }
        if !status.selectors.is_empty() {
            what.push_str(&format!(" where {}", status.selectors.join(" and ")));
        }
        let class = match status.state {
            WatchState::Unread => "down",
            WatchState::Silent => "behind",
            WatchState::Listing => "unknown",
            WatchState::Watching => "",
        };
        let lists = status.lists.iter().map(|(cause, count)| format!("{count} {cause}"));
        let failure = status.last_error.as_ref();
        Self {
            what,
            jobs: jobs.join(", "),
            state: status.state.as_str(),
            class,
            objects: status.objects,
            heard: status.last_heard.map(|heard| Moment::of(heard, now)),
            lists: lists.collect::<Vec<_>>().join(", "),
            error: failure.map(|failure| failure.report.to_string()).unwrap_or_default(),
            failed: failure.map(|failure| Moment::of(failure.at, now)),
        }
    }
}
