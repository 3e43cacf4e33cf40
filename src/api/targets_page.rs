//! `/targets`: the targets for people, by job, in pages. A page costs the search for its rows and nothing for the others
//! before it but their count.

use std::sync::Arc;
use std::time::SystemTime;

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;
use http::Uri;
use rosterd_model::target::{Target, scrape_url};
use rosterd_model::{Labels, Priority};
use rosterd_scrape::{Health, Statuses, TargetStatus};

use super::State;
use super::missing::Causes;
use super::overview::page;
use super::query::Query;
use super::search::Search;
use super::targets::{Cursor, Kind, LOOKS, Scan, health, last_error};
use super::url::{Outside, global_url};
use super::words::{Moment, Tally, fine};
use crate::problem::Problem;
use crate::problem::TYPES;
use crate::roster::hold::HoldReason;
use crate::roster::reasons::why_no_targets;
use crate::roster::view::JobView;

/// The targets of a page unless the request says otherwise, and at most.
const ROWS: usize = 100;
const MOST_ROWS: usize = 1000;
/// So much of what is missing is named.
const MOST_MISSING: usize = 20;

#[derive(Template)]
#[template(path = "targets.html")]
struct Page {
    prefix: String,
    jobs: Vec<Arc<str>>,
    job: String,
    health: &'static str,
    search: String,
    /// What is wrong with what was asked for.
    wrong: Option<String>,
    /// Why nothing is scraped, if nothing is.
    idle: Option<&'static str>,
    /// Whether some targets of the jobs are left out because of what was asked for.
    filtered: bool,
    groups: Vec<Group>,
    rows: usize,
    /// What is missing of the job that was asked for, and why what it has are no targets.
    why: Vec<String>,
    /// Whether this is not the first page.
    later: bool,
    first: String,
    next: Option<String>,
    /// Where codes are explained.
    errors: &'static str,
}

/// The targets of one job on a page.
struct Group {
    job: Arc<str>,
    tally: Tally,
    rows: Vec<Row>,
}

struct Row {
    health: &'static str,
    misconfigured: bool,
    url: String,
    link: Option<String>,
    labels: Vec<(String, String)>,
    last_scrape: Option<Moment>,
    duration: String,
    error: String,
    code: String,
    snoozed: Option<Moment>,
    /// Why it is there although its source does not say so now, and since when.
    held: Option<(&'static str, Moment)>,
}

/// The page.
pub(super) async fn targets(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let limit = query.count("limit")?.unwrap_or(ROWS).min(MOST_ROWS);
    let cursor = query.get("cursor").map(Cursor::decode).transpose()?;
    let health = health(&query)?;
    let (job, search) = (query.get("job").unwrap_or_default(), query.get("search").unwrap_or_default());
    let view = state.roster.view();
    let wanted: Vec<_> = view.jobs().filter(|known| job.is_empty() || *known.spec().name == *job).cloned().collect();
    let (found, wrong) = match Search::parse(search) {
        Ok(_) if wanted.is_empty() && !job.is_empty() => {
            (FoundRows::default(), Some(super::sd::unknown_job(&view, job).to_string()))
        }
        Ok(search) => (find(&state, wanted.clone(), cursor.as_ref(), health, &search, limit).await, None),
        Err(error) => (FoundRows::default(), Some(rosterd_model::Report::of(&error).to_string())),
    };
    let rows: usize = found.groups.iter().map(|group| group.rows.len()).sum();
    let filtered = health.is_some() || !search.is_empty();
    let why = match &*wanted {
        [job] if cursor.is_none() => why(&state, job, rows == 0 && !filtered),
        _ => Vec::new(),
    };
    let link = |cursor: Option<&Cursor>| link(&query, cursor);
    Ok(page(&Page {
        prefix: state.external_url.path().to_owned(),
        jobs: view.jobs().map(|job| Arc::clone(&job.spec().name)).collect(),
        job: job.to_owned(),
        health: health.map_or("", Health::as_str),
        search: search.to_owned(),
        wrong,
        idle: state.config.borrow().idle,
        filtered,
        rows,
        why,
        groups: found.groups,
        later: cursor.is_some(),
        first: link(None),
        next: found.next.map(|next| link(Some(&next))),
        errors: TYPES,
    }))
}

/// What is missing of a job; and if it has no target at all, why not.
fn why(state: &State, job: &JobView, has_none: bool) -> Vec<String> {
    let causes = Causes::of(state);
    let missing = job.missing().iter().map(|missing| match (&missing.report, causes.get(&missing.provider)) {
        (None, Some(cause)) => format!("{missing}: {cause} ({})", cause.code),
        _ => missing.to_string(),
    });
    let mut lines: Vec<_> = missing.take(MOST_MISSING).collect();
    if let more @ 1.. = job.missing().len().saturating_sub(MOST_MISSING) {
        lines.push(format!("and {more} more"));
    }
    if has_none {
        lines.extend(why_no_targets(job, LOOKS));
        if lines.is_empty() {
            lines.push("What the job discovers by has reported, and found nothing.".to_owned());
        }
    }
    lines
}

/// The query of another page of what was asked for.
fn link(query: &Query, cursor: Option<&Cursor>) -> String {
    let mut link = url::form_urlencoded::Serializer::new(String::from("?"));
    for name in ["job", "health", "search", "limit"] {
        if let Some(value) = query.get(name) {
            link.append_pair(name, value);
        }
    }
    if let Some(cursor) = cursor {
        link.append_pair("cursor", &cursor.encode());
    }
    link.finish()
}

#[derive(Default)]
struct FoundRows {
    groups: Vec<Group>,
    next: Option<Cursor>,
}

impl FoundRows {
    fn push(&mut self, job: &JobView, row: Row, statuses: &Statuses) {
        match self.groups.last_mut() {
            Some(group) if group.job == job.spec().name => group.rows.push(row),
            _ => {
                let (name, tally) = (Arc::clone(&job.spec().name), Tally::of(job, statuses));
                self.groups.push(Group { job: name, tally, rows: vec![row] });
            }
        }
    }
}

/// The targets of a page, and where the next one begins.
async fn find(
    state: &State,
    jobs: Vec<Arc<JobView>>,
    start: Option<&Cursor>,
    health: Option<Health>,
    search: &Search,
    limit: usize,
) -> FoundRows {
    let mut scan = Scan::new(jobs);
    if let Some(cursor) = start {
        scan.resume(cursor);
    }
    let (now, outside) = (SystemTime::now(), Outside::new(&state.external_url, state.listen_port));
    let (mut found, mut rows, mut looked, mut buffer) = (FoundRows::default(), 0, 0, String::new());
    while !scan.is_over() {
        let mut status = None;
        let place = scan.step(Kind::Active, |job, labels| {
            if !search.finds(labels, &mut buffer) {
                return false;
            }
            status = state.scrapes.get(&job.spec().name, labels);
            health.is_none_or(|wanted| status.as_ref().map_or(Health::Unknown, |status| status.health) == wanted)
        });
        if let Some(place) = place {
            if rows == limit {
                found.next = Some(scan.cursor(Kind::Active, place));
                break;
            }
            rows += 1;
            let job = scan.job(place);
            if let Some(labels) = scan.labels(place) {
                let mut row = Row::of(job, labels, &status.unwrap_or_default(), &outside, now);
                row.held = scan.hold(place).map(|hold| (held_because(hold.reason), Moment::of(hold.since, now)));
                found.push(job, row, &state.scrapes);
            }
        }
        looked += scan.looked();
        if looked > LOOKS {
            looked = 0;
            tokio::task::yield_now().await;
        }
    }
    found
}

impl Row {
    fn of(job: &JobView, labels: &Labels, status: &TargetStatus, outside: &Outside, now: SystemTime) -> Self {
        let target = Target(labels);
        let (mut url, mut reached) = (String::new(), String::new());
        scrape_url(target, &job.spec().params, &mut url);
        let unsplit = global_url(target, &job.spec().params, outside, &mut reached).err();
        let down = status.error.as_ref().filter(|_| status.health == Health::Down);
        Self {
            health: status.health.as_str(),
            misconfigured: down.is_some_and(|report| report.priority == Priority::Operator),
            // Discovery chooses the scheme, and not every scheme should be clicked on.
            link: (reached.starts_with("http://") || reached.starts_with("https://")).then_some(reached),
            url,
            labels: target.public().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            last_scrape: status.last_scrape.map(|time| Moment::of(time, now)),
            duration: status.last_scrape.map(|_| fine(status.duration)).unwrap_or_default(),
            error: match (last_error(job, target, status), unsplit) {
                (error, None) => error,
                (error, Some(unsplit)) => format!("{error}: {unsplit}"),
            },
            code: down.map(|report| report.code.clone()).unwrap_or_default(),
            held: None,
            snoozed: status.snoozed_until.filter(|until| *until > now).map(|until| Moment::of(until, now)),
        }
    }
}

/// Why a target is held, in words.
fn held_because(reason: HoldReason) -> &'static str {
    match reason {
        HoldReason::Restored => "known from before the restart, its provider has not reported yet",
        HoldReason::Unread => "known from before the restart, its source is not there yet or could not be read",
        HoldReason::Replaced => "of the configuration before, the new one has not reported yet",
        HoldReason::Braked => "its source says that it is gone, with so many others that nobody has confirmed it yet",
        HoldReason::Grace => "its source says that it is gone, it may come back within its time of grace",
    }
}
