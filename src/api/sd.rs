//! `/sd` and `/sd/{job}`: the relabelled targets for http_sd. Unknown is not empty: without news of every source the
//! answer is an error, upon which a consumer keeps what it has. What is missing for long, were it a whole job among others, is
//! named beside the rest.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use rosterd_model::{Coded, Priority, Retry, nearest};
use rosterd_tasks::{blocking, by_size};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3Default;

use super::missing::{self, Causes};
use super::query::Query;
use super::{Error, State};
use crate::problem::Problem;
use crate::publish::encode::{self, Encoding};
use crate::roster::hold::HoldReason;
use crate::roster::holding;
use crate::roster::pages::Slot;
use crate::roster::view::{self, JobView, NotServable, RosterView};

/// Says how many targets of a list are held, by reason.
const HELD: HeaderName = HeaderName::from_static("x-rosterd-held");
/// How long a request may wait for news, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// So many pieces of a list are made before the first of them is sent: some ten milliseconds where none was kept.
const BATCH: usize = 16;
/// Changes with the form of the lists, so that a new release is not taken for unchanged.
const FORM: u32 = 1;

/// What the roster has no answer to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// No job has this name.
    #[error("there is no job {job:?}{}", nearest.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
    UnknownJob {
        /// What was asked for.
        job: String,
        /// The job that was most likely meant.
        nearest: Option<String>,
    },
}

impl Coded for RosterError {
    fn code(&self) -> &'static str {
        "roster_unknown_job"
    }

    fn priority(&self) -> Priority {
        Priority::Remote
    }

    fn retry(&self) -> Retry {
        Retry::Never
    }
}

/// The error for a job that is not in the view.
pub(super) fn unknown_job(view: &RosterView, job: &str) -> RosterError {
    let nearest = nearest(job, view.jobs().map(|job| &*job.spec().name)).map(str::to_owned);
    RosterError::UnknownJob { job: job.to_owned(), nearest }
}

/// The targets of one job.
pub(super) async fn job(
    Extract(state): Extract<Arc<State>>,
    job: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path(job) = job.map_err(|_| not_utf8("job", &uri))?;
    serve(&state, Some(&job), &Query::of(&uri), &headers).await
}

/// The last part of a path is not the text that it should be.
pub(super) fn not_utf8(name: &'static str, uri: &Uri) -> Error {
    let value = uri.path().rsplit('/').next().unwrap_or_default().to_owned();
    Error::BadParameter { name, value, expected: "a name in UTF-8, percent-encoded where need be" }
}

/// The targets of all jobs.
pub(super) async fn all(
    Extract(state): Extract<Arc<State>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    serve(&state, None, &Query::of(&uri), &headers).await
}

async fn serve(state: &State, job: Option<&str>, query: &Query, headers: &HeaderMap) -> Result<Response, Problem> {
    let wait = query.duration("wait")?.unwrap_or_default().min(LONGEST_WAIT);
    let end = Instant::now() + wait;
    let (encoding, held) = (encoding(headers), query.wants("held")?);
    let mut views = state.roster.watch();
    let mut waiting = None;
    loop {
        let view = Arc::clone(&views.borrow_and_update());
        let asked = select(&view, job)?;
        let jobs = view::servable(&asked).map_err(|error| not_servable(state, error))?;
        let jobs = match held {
            true => jobs,
            false => without_held(jobs).await.map_err(|error| not_servable(state, error))?,
        };
        let revision = revision(&jobs);
        if !knows(headers, &revision) {
            state.served.note(job, SystemTime::now(), &view);
            let told = headers_of(state, &view, &asked, &jobs).await;
            return Ok((told, list(&jobs, encoding, &revision, &state.compressing)).into_response());
        }
        if !wait.is_zero() && waiting.is_none() {
            waiting = Some(state.waiting.try_acquire().map_err(|_| Error::TooManyWaiting)?);
        }
        let news = tokio::select! {
            biased;
            () = state.lifecycle.stopping.cancelled() => false,
            changed = views.changed() => changed.is_ok(),
            () = tokio::time::sleep_until(end) => false,
        };
        if !news || wait.is_zero() {
            state.served.note(job, SystemTime::now(), &view);
            let told = headers_of(state, &view, &asked, &jobs).await;
            return Ok((told, described(StatusCode::NOT_MODIFIED, encoding, &revision)).into_response());
        }
    }
}

/// What a list does not say itself.
async fn headers_of(
    state: &State,
    view: &RosterView,
    asked: &[Arc<JobView>],
    jobs: &[Arc<JobView>],
) -> (HeaderMap, HeaderMap, HeaderMap) {
    (missing::header(asked), missing::presence(state, view, asked), held_header(jobs).await)
}

/// The jobs that are asked for.
fn select(view: &RosterView, job: Option<&str>) -> Result<Vec<Arc<JobView>>, RosterError> {
    match job {
        Some(name) => Ok(vec![Arc::clone(view.job(name).ok_or_else(|| unknown_job(view, name))?)]),
        None => Ok(view.jobs().cloned().collect()),
    }
}

/// The jobs without what is held.
async fn without_held(jobs: Vec<Arc<JobView>>) -> Result<Vec<Arc<JobView>>, NotServable> {
    let held: usize = jobs.iter().map(|job| job.pages().held()).sum();
    let rest = move || jobs.iter().map(|job| job.without_held().map(Arc::new)).collect();
    by_size(held * size_of::<Slot>(), rest).await
}

/// Tells a consumer of a list how many of its targets are held, and why.
async fn held_header(jobs: &[Arc<JobView>]) -> HeaderMap {
    let (weight, jobs) = (jobs.iter().map(|job| holding::weight(job)).sum(), jobs.to_vec());
    let count = move || {
        let mut counted = BTreeMap::<HoldReason, usize>::new();
        for (reason, held) in jobs.iter().flat_map(|job| holding::by_reason(job)) {
            *counted.entry(reason).or_default() += held;
        }
        counted
    };
    let counted = by_size(weight, count).await;
    if counted.is_empty() {
        return HeaderMap::new();
    }
    let words: Vec<_> = counted.iter().map(|(reason, held)| format!("{}={held}", reason.as_str())).collect();
    HeaderValue::try_from(words.join(", ")).map(|value| (HELD, value)).into_iter().collect()
}

fn not_servable(state: &State, error: NotServable) -> Problem {
    let (job, mut missing) = match error {
        NotServable::Unsynced { job, missing } => (job, missing),
        NotServable::TargetLimit { .. } => return error.into(),
    };
    let causes = Causes::of(state);
    for missing in &mut missing {
        missing.report = missing.report.take().or_else(|| causes.get(&missing.provider));
    }
    let mut unsynced: Vec<_> = missing.iter().map(|missing| missing.provider.as_str().to_owned()).collect();
    unsynced.dedup();
    let members: Vec<_> = causes.explain(&missing).iter().filter_map(|it| serde_json::to_value(it).ok()).collect();
    let problem = Problem::from(NotServable::Unsynced { job, missing });
    problem.with("unsynced", unsynced).with("missing", members).with_header(RETRY_AFTER, "5")
}

/// Equal for equal lists, also after a restart.
fn revision(jobs: &[Arc<JobView>]) -> String {
    let mut hasher = Xxh3Default::new();
    hasher.update(&FORM.to_le_bytes());
    for job in jobs {
        hasher.update(job.spec().name.as_bytes());
        hasher.update(&[0xff]);
        hasher.update(&job.revision().to_le_bytes());
    }
    format!("{:032x}", hasher.digest128())
}

/// Whether the client has this list already, in whatever encoding.
fn knows(headers: &HeaderMap, revision: &str) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|tags| tags.split(',')).any(|tag| {
        let tag = tag.trim().trim_start_matches("W/").trim_matches('"');
        tag == "*" || tag.split('-').next() == Some(revision)
    })
}

/// The best of the encodings that are kept, among those that the client takes.
fn encoding(headers: &HeaderMap) -> Encoding {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let accepted: Vec<_> = accepted.flat_map(|value| value.split(',')).map(weighed).collect();
    let weight = |name: &str| {
        let of = |name: &str| accepted.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, q)| *q);
        of(name).or_else(|| of("*")).unwrap_or(0.0)
    };
    match (weight("zstd"), weight("gzip")) {
        (zstd, gzip) if zstd > 0.0 && zstd >= gzip => Encoding::Zstd,
        (_, gzip) if gzip > 0.0 => Encoding::Gzip,
        _ => Encoding::Identity,
    }
}

fn weighed(part: &str) -> (&str, f32) {
    let (name, parameters) = part.split_once(';').unwrap_or((part, ""));
    let weight = parameters.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse().ok());
    (name.trim(), weight.unwrap_or(1.0))
}

fn list(jobs: &[Arc<JobView>], encoding: Encoding, revision: &str, compressing: &Arc<Semaphore>) -> Response {
    let mut response = described(StatusCode::OK, encoding, revision).into_response();
    let pieces = encode::list(jobs, encoding);
    *response.body_mut() = match encoding {
        // Small ones, each made when the client has taken the one before.
        Encoding::Identity => Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>))),
        Encoding::Gzip | Encoding::Zstd => Body::from_stream(aside(pieces, Arc::clone(compressing))),
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(name) = name(encoding) {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    response
}

/// The pieces, made some at a time on a thread for such work: nobody has asked for most of a large list before, and whoever
/// asks for it at the same time waits for the same pages.
fn aside(
    pieces: impl Iterator<Item = Bytes> + Send + 'static,
    compressing: Arc<Semaphore>,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let batches = stream::unfold((pieces, compressing), |(mut pieces, compressing)| async {
        let turn = compressing.acquire().await;
        let (batch, rest) = blocking(move || (pieces.by_ref().take(BATCH).collect::<Vec<_>>(), pieces)).await;
        drop(turn);
        (!batch.is_empty()).then_some((batch, (rest, compressing)))
    });
    batches.flat_map(stream::iter).map(Ok)
}

fn described(status: StatusCode, encoding: Encoding, revision: &str) -> impl IntoResponse {
    let suffix = name(encoding).map(|name| format!("-{name}")).unwrap_or_default();
    let headers = [
        (ETAG, format!("\"{revision}{suffix}\"")),
        (VARY, "accept-encoding".to_owned()),
        // A cache in between has to ask each time.
        (CACHE_CONTROL, "no-cache".to_owned()),
    ];
    (status, headers)
}

fn name(encoding: Encoding) -> Option<&'static str> {
    match encoding {
        Encoding::Identity => None,
        Encoding::Gzip => Some("gzip"),
        Encoding::Zstd => Some("zstd"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &str) -> Encoding {
        encoding(&HeaderMap::from_iter([(ACCEPT_ENCODING, accept.parse().unwrap())]))
    }

    #[test]
    fn the_best_encoding_that_is_accepted_is_chosen() {
        assert_eq!(encoding(&HeaderMap::new()), Encoding::Identity);
        assert_eq!(chosen("gzip"), Encoding::Gzip);
        assert_eq!(chosen("gzip, deflate, br, zstd"), Encoding::Zstd);
        assert_eq!(chosen("zstd;q=0.5, gzip"), Encoding::Gzip);
        assert_eq!(chosen("gzip;q=0, identity"), Encoding::Identity);
        assert_eq!(chosen("*"), Encoding::Zstd);
        assert_eq!(chosen("br"), Encoding::Identity);
    }

    #[test]
    fn a_tag_is_known_whatever_its_encoding() {
        let knows = |tags: &str| super::knows(&HeaderMap::from_iter([(IF_NONE_MATCH, tags.parse().unwrap())]), "ab");
        assert!(knows("\"ab\"") && knows("W/\"ab-gzip\"") && knows("\"x\", \"ab-zstd\"") && knows("*"));
        assert!(!knows("\"abc\"") && !knows("\"x\""));
    }
}
