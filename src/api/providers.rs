//! `/api/v1/providers`: how discovery is doing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State as Extract;
use axum::response::Response;
use rosterd_discovery::{
    Failure, ProviderKey, ProviderStatus, ProviderWatch, Reads, Status, Unread, Warning, WatchStatus,
};
use rosterd_model::Report;
use serde::Serialize;

use super::State;
use super::envelope::success;
use super::status::{self, rfc3339};
use crate::roster::hold::Missing;
use crate::roster::presence::Presence;
use crate::roster::view::{ProviderView, RosterView};

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
    /// What it reads: names with their values.
    reads: Arc<Reads>,
    presence: Presence,
    last_success: Option<String>,
    last_error: Option<LastError>,
    /// What a person should know although nothing fails.
    warning: Option<status::Failure>,
    unread: Vec<UnreadSource>,
    next_try: Option<String>,
    groups: usize,
    targets: usize,
    watches: Vec<Watch>,
}

/// Something that a mechanism that watches follows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Watch {
    resource: Arc<str>,
    scope: Option<Arc<str>>,
    selectors: Vec<Arc<str>>,
    /// All that share it.
    jobs: Vec<Arc<str>>,
    state: &'static str,
    objects: usize,
    last_heard: Option<String>,
    /// How often everything was asked for, by why.
    lists: BTreeMap<&'static str, u64>,
    last_error: Option<LastError>,
    next_try: Option<String>,
}

/// A source that could not be read lately.
#[derive(Serialize)]
struct UnreadSource {
    source: Arc<str>,
    /// What is known of it.
    presence: Presence,
    /// Since when.
    since: String,
    /// When it was last tried.
    at: String,
    /// Whether this process has read it before, so that its targets are stale; otherwise it knows nothing of it but what is held
    /// from before.
    known: bool,
    #[serde(flatten)]
    report: Report,
}

#[derive(Serialize)]
struct LastError {
    /// When it failed last.
    at: String,
    /// Since when it fails each time.
    since: String,
    #[serde(flatten)]
    report: Report,
}

/// All providers.
pub(super) async fn providers(Extract(state): Extract<Arc<State>>) -> Response {
    let view = state.roster.view();
    let providers = state.providers.list().into_iter().map(|provider| Provider::of(provider, &view)).collect();
    success(Providers { providers })
}

/// How many groups and targets of a provider are known, whoever said so.
pub(super) fn size(status: &Status, view: Option<&ProviderView>) -> (usize, usize) {
    view.map_or((status.groups, status.targets), |view| (view.size.groups, view.size.targets))
}

/// What is known of a source that could not be read: nothing, if its jobs miss it.
fn of_source(key: &ProviderKey, source: &str, unread: &Unread, jobs: &[Arc<str>], view: &RosterView) -> Presence {
    let is_missing =
        |missing: &Missing| missing.provider == *key && missing.source.as_deref().is_none_or(|it| it == source);
    let is_unknown = || jobs.iter().filter_map(|job| view.job(job)).any(|job| job.missing().iter().any(is_missing));
    match unread.known {
        true => Presence::Stale,
        false if view.provider(key, jobs).is_none() || is_unknown() => Presence::Unsynced,
        false => Presence::Restored,
    }
}

impl LastError {
    fn of(Failure { report, at, since }: Failure) -> Self {
        Self { at: rfc3339(at), since: rfc3339(since), report }
    }
}

impl Watch {
    fn of(ProviderWatch { jobs, status, .. }: ProviderWatch) -> Self {
        let WatchStatus { resource, scope, selectors, state, objects, last_heard, lists, last_error, next_try } =
            status;
        Self {
            resource,
            scope,
            selectors,
            jobs,
            state: state.as_str(),
            objects,
            last_heard: last_heard.map(rfc3339),
            lists,
            last_error: last_error.map(LastError::of),
            next_try: next_try.map(rfc3339),
        }
    }
}

impl Provider {
    fn of(ProviderStatus { key, jobs, reads, status, watches }: ProviderStatus, view: &RosterView) -> Self {
        let time = |time: Option<SystemTime>| time.map(rfc3339);
        let unread = status.unread.iter().map(|(source, unread)| UnreadSource {
            source: Arc::clone(source),
            presence: of_source(&key, source, unread, &jobs, view),
            since: rfc3339(unread.since),
            at: rfc3339(status.last_try(source).unwrap_or(unread.since)),
            known: unread.known,
            report: unread.report.clone(),
        });
        let unread = unread.collect();
        let seen = view.provider(&key, &jobs);
        let (groups, targets) = size(&status, seen);
        Self {
            presence: Presence::of_provider(status.presence, seen),
            reads,
            provider: key.to_string(),
            mechanism: key.mechanism().to_owned(),
            jobs,
            last_success: time(status.last_success),
            last_error: status.worst().map(LastError::of),
            warning: status
                .warning
                .clone()
                .map(|Warning { report, since }| status::Failure { since: rfc3339(since), report }),
            unread,
            next_try: time(status.next_try),
            groups,
            targets,
            watches: watches.into_iter().map(Watch::of).collect(),
        }
    }
}
