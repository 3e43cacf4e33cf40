//! `/api/v1/journal`, `/api/v1/roster` and `/api/v1/watch`: what happened, what was, and what happens.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::State as Extract;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Uri};
use hyper::body::Body as _;
use rosterd_model::{Labels, Selector};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::envelope::success;
use super::heavy::until_taken;
use super::query::{Query, one_of};
use super::sd::unknown_job;
use super::{Error, State};
use crate::explain::within_bounds;
use crate::journal::{
    self, A_TIME, Following, Held, JournalError, Kind, Page, Past, PastDifference, Time, meaning, time_of,
};
use crate::problem::Problem;

/// How many events or targets an answer has unless the request says otherwise.
const LISTED: usize = 1000;
/// How many events an answer has at most: a client goes on with the cursor.
const MOST_EVENTS: usize = 10_000;
/// How many targets an answer lists at most.
const MOST_TARGETS: usize = 1_000_000;
/// How long is looked for any event of a job.
const LOOKED_FOR: Duration = Duration::from_secs(1);
/// A larger answer is one of few, until its client has taken it.
const LARGE_ANSWER: u64 = 1 << 20;
/// How much of it is handed on at once.
const PIECE: usize = 64 << 10;
/// How many events are read at once for a client that follows.
const AT_ONCE: usize = 500;
/// After so long without an event a client that follows hears that the connection is alive.
const SILENCE: Duration = Duration::from_secs(15);
/// What a browser sends when it comes back, and any other client may.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What happened: the newest first, or the oldest.
pub(super) async fn journal(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let newest_first = match query.get("order") {
        None | Some("newest") => true,
        Some("oldest") => false,
        Some(other) => return Err(bad("order", other, "newest or oldest, whichever come first").into()),
    };
    let limit = query.count("limit")?.unwrap_or(LISTED).min(MOST_EVENTS);
    let wanted = journal::Query { newest_first, limit, ..wanted(&query)? };
    let jobs = wanted.jobs.clone();
    let page = state.journal.query(wanted).await?;
    let is_told = |job: &str| page.events.iter().any(|event| event.note.job.as_deref() == Some(job));
    are_known(&state, jobs.iter().map(String::as_str).filter(|job| !is_told(job))).await?;
    Ok(success(page))
}

/// Refuses jobs that there are not, and of which the journal has no event. Where it is too large to look for that in the time, which is
/// that of all jobs together, there may have been one.
pub(super) async fn are_known<'j>(state: &State, jobs: impl Iterator<Item = &'j str>) -> Result<(), Problem> {
    let (view, end) = (state.roster.view(), Instant::now() + LOOKED_FOR);
    for job in jobs.filter(|job| view.job(job).is_none()) {
        let patience = end.saturating_duration_since(Instant::now());
        if patience.is_zero() {
            return Ok(());
        }
        let of_job = journal::Query {
            jobs: vec![job.to_owned()],
            limit: 1,
            newest_first: true,
            patience: Some(patience),
            ..journal::Query::default()
        };
        let page = state.journal.query(of_job).await?;
        if page.events.is_empty() && !page.more {
            return Err(unknown_job(&view, job).into());
        }
    }
    Ok(())
}

fn bad(name: &'static str, value: &str, expected: &'static str) -> Error {
    Error::BadParameter { name, value: value.to_owned(), expected }
}

/// What all of them take, and the page.
pub(super) fn wanted(query: &Query) -> Result<journal::Query, Error> {
    let kinds = query.all("kind").flat_map(|kinds| kinds.split(','));
    let kind = |word: &str| one_of("kind", word.trim(), Kind::ALL, Kind::as_str);
    Ok(journal::Query {
        selector: selector(query)?,
        jobs: query.all("job").map(str::to_owned).collect(),
        kinds: kinds.map(kind).collect::<Result<_, _>>()?,
        from: time(query, "from")?,
        to: time(query, "to")?,
        limit: LISTED,
        cursor: query.get("cursor").map(cursor).transpose()?,
        newest_first: false,
        patience: None,
    })
}

fn selector(query: &Query) -> Result<Selector, Error> {
    let text = query.get("selector").unwrap_or_default();
    let selector = meaning(text).map_err(Into::into).and_then(within_bounds);
    selector.map_err(|source| Error::InvalidParameter { name: "selector", source })
}

fn time(query: &Query, name: &'static str) -> Result<Option<Time>, Error> {
    let read = |text| time_of(text, SystemTime::now().into()).ok_or_else(|| bad(name, text, A_TIME));
    query.get(name).map(read).transpose()
}

fn cursor(text: &str) -> Result<u64, Error> {
    text.trim().parse().map_err(|_| bad("cursor", text, "the cursor of an answer, or the id of an event"))
}

/// A target of a roster.
#[derive(Serialize)]
struct Row {
    job: Arc<str>,
    labels: Labels,
    held: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RosterOf {
    /// Where whoever follows goes on.
    cursor: u64,
    /// Whether no part of the journal that tells of it is damaged or missing.
    complete: bool,
    targets: Vec<Row>,
    target_count: usize,
}

#[derive(Serialize)]
struct Changes {
    cursor: u64,
    complete: bool,
    added: Vec<Row>,
    removed: Vec<Row>,
    held: Vec<Row>,
    released: Vec<Row>,
    counts: Counts,
}

/// How many there are, of which so many may be listed.
#[derive(Serialize)]
struct Counts {
    added: usize,
    removed: usize,
    held: usize,
    released: usize,
}

/// The roster of a time, or what changed from one time to another.
pub(super) async fn roster(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let (at, diff) = (time(&query, "at")?, time(&query, "diff")?);
    let limit = query.count("limit")?.unwrap_or(LISTED).min(MOST_TARGETS);
    let (jobs, selector) = (query.all("job").map(str::to_owned).collect::<Vec<_>>(), selector(&query)?);
    let named = jobs.clone();
    let wanted = move |job: &str, labels: &Labels| {
        (jobs.is_empty() || jobs.iter().any(|wanted| wanted == job)) && selector.matches(labels)
    };
    // A job of then has an event by which it went, or is there still.
    are_known(&state, named.iter().map(String::as_str)).await?;
    let rebuild = state.journal.rebuild().await?;
    if limit > LISTED && !rebuild.has_place() {
        return Err(Error::TooManyRosters { most: journal::TAKEN }.into());
    }
    let answer = if query.get("diff").is_none() {
        rebuild.roster(at, wanted, move |past| success(shown(&past, limit))).await?
    } else {
        let before = rebuild.roster(at, wanted.clone(), |past| past).await?;
        rebuild.roster(diff, wanted, move |after| success(changes(&before, &after, limit))).await?
    };
    if answer.body().size_hint().lower() <= LARGE_ANSWER {
        return Ok(answer);
    }
    // Whoever is slow to take it keeps others from answers as large, and from nothing else.
    let taken = rebuild.taken().ok_or(Error::TooManyRosters { most: journal::TAKEN })?;
    Ok(until_taken(in_pieces(answer).await, taken))
}

/// The same answer, of which no more is handed on than its client takes: what comes in one piece is taken at once.
async fn in_pieces(answer: Response) -> Response {
    let (head, body) = answer.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.expect("it is in memory already");
    let length = whole.len();
    let piece = move |at: usize| Ok::<_, Infallible>(whole.slice(at..whole.len().min(at + PIECE)));
    let pieces = (0..length).step_by(PIECE).map(piece);
    Response::from_parts(head, Body::from_stream(stream::iter(pieces)))
}

fn shown(past: &Past, limit: usize) -> RosterOf {
    let rows = past.first(limit).into_iter();
    let row = |(job, labels, held): (&Arc<str>, &Labels, Option<Held>)| Row {
        job: Arc::clone(job),
        labels: labels.clone(),
        held: held.is_some(),
    };
    RosterOf {
        cursor: past.cursor,
        complete: past.is_whole,
        targets: rows.map(row).collect(),
        target_count: past.len(),
    }
}

fn changes(before: &Past, after: &Past, limit: usize) -> Changes {
    let PastDifference { added, removed, held, released } = before.difference(after);
    let counts = Counts { added: added.len(), removed: removed.len(), held: held.len(), released: released.len() };
    let rows = |list: Vec<(Arc<str>, Labels)>, of: &Past| -> Vec<Row> {
        let row = |(job, labels): (Arc<str>, Labels)| {
            let held = of.get(&job, &labels).flatten().is_some();
            Row { job, labels, held }
        };
        list.into_iter().take(limit).map(row).collect()
    };
    Changes {
        cursor: after.cursor,
        complete: before.is_whole && after.is_whole,
        added: rows(added, after),
        removed: rows(removed, before),
        held: rows(held, after),
        released: rows(released, after),
        counts,
    }
}

/// What happens, as it happens: server-sent events, each with its number as the id. A client that comes back with the last id
/// loses nothing that the journal still has; one that is slow is waited for, and reads what happened meanwhile from there.
pub(super) async fn watch(
    Extract(state): Extract<Arc<State>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut query = journal::Query { limit: AT_ONCE, ..wanted(&Query::of(&uri))? };
    if let Some(id) = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty()) {
        query.cursor = Some(cursor(id)?);
    }
    let permit = Arc::clone(&state.waiting).try_acquire_owned().map_err(|_| Error::TooManyWaiting)?;
    let watching = Watching {
        following: state.journal.follow(query)?,
        stopping: state.lifecycle.stopping.clone(),
        begun: false,
        failed: false,
        _permit: permit,
    };
    let parts = stream::unfold(watching, |mut watching| async {
        let part = watching.next().await?;
        Some((Ok::<_, Infallible>(part), watching))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(parts)).into_response())
}

/// A client that follows.
struct Watching {
    following: Following,
    stopping: CancellationToken,
    begun: bool,
    /// The journal cannot be read: the client hears why, and comes back.
    failed: bool,
    _permit: OwnedSemaphorePermit,
}

impl Watching {
    /// The next part of the stream; `None` when rosterd stops. A client comes back by itself then.
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.begun, true) {
            // From where it goes on, were the connection lost before there is an event.
            return Some(format!("retry: 2000\nid: {}\n\n", self.following.cursor()).into());
        }
        while !self.failed {
            let news = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return None,
                news = timeout(SILENCE, self.following.next()) => news,
            };
            let text = match news {
                // What is not wanted is passed over when it comes back, too.
                Err(_) => format!(": alive\nid: {}\n\n", self.following.cursor()),
                Ok(page) => {
                    let page = page?;
                    self.failed = page.is_err();
                    told(&page)
                }
            };
            if !text.is_empty() {
                return Some(text.into());
            }
        }
        None
    }
}

/// A page as server-sent events.
fn told(page: &Result<Page, JournalError>) -> String {
    let mut text = String::new();
    let page = match page {
        Ok(page) => page,
        Err(error) => {
            let report = rosterd_model::Report::of(error);
            return format!("event: error\ndata: {}\n\n", serde_json::to_string(&report).unwrap_or_default());
        }
    };
    if page.gap {
        let at = page.events.first().map_or(page.cursor, |event| event.number - 1);
        put(&mut text, at, "gap", &serde_json::json!({ "cursor": at }));
    }
    for event in &page.events {
        put(&mut text, event.number, event.note.kind.as_str(), event);
    }
    text
}

fn put(text: &mut String, id: u64, event: &str, data: &impl Serialize) {
    let data = serde_json::to_string(data).expect("an event is maps with text as keys");
    write!(text, "id: {id}\nevent: {event}\ndata: {data}\n\n").expect("a string takes any text");
}
