//! `/journal`: what happened, as a timeline, the newest first.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;
use http::{StatusCode, Uri};
use rosterd_model::target::Target;
use rosterd_model::{Labels, Report};

use super::super::State;
use super::super::journal::{are_known, wanted};
use super::super::query::Query;
use super::super::words::source_of;
use super::cut::{self, Label, line, written};
use super::link::link;
use super::patience;
use super::shell::{Shell, page, refusing};
use super::story::Changed;
use super::targets::names;
use crate::explain::changes;
use crate::journal::{self, Event, Kind};
use crate::problem::{Problem, status_of};

/// How many events stand on a page unless the request says otherwise, and at most; and how long what they say may be together, in bytes.
const SHOWN: usize = 100;
const MOST_SHOWN: usize = 300;
const MOST_BYTES: usize = 120_000;

#[derive(Template)]
#[template(path = "journal.html")]
struct Page {
    shell: Shell,
    /// The names of all jobs, unless these are too many.
    jobs: Vec<Arc<str>>,
    job: String,
    kind: String,
    kinds: Vec<&'static str>,
    selector: String,
    from: String,
    to: String,
    wrong: Option<String>,
    events: Vec<Row>,
    /// Whether events are damaged or missing that might be among these.
    gap: bool,
    /// What was not looked at is older than this; and where more of it is looked at.
    reached: Option<String>,
    longer: String,
    /// Whether this is not the newest there is.
    is_older: bool,
    newest: String,
    older: Option<String>,
}

/// How far before and after an event one looks who wants to know what else happened.
const AROUND: Duration = Duration::from_secs(60);

/// An event.
pub(super) struct Row {
    pub(super) time: String,
    /// Where what happened around that time is.
    pub(super) around: String,
    pub(super) kind: &'static str,
    pub(super) class: &'static str,
    pub(super) job: String,
    /// The target, and where it is explained.
    pub(super) target: String,
    pub(super) path: String,
    pub(super) changed: Vec<Changed>,
    pub(super) labels: Vec<Label>,
    pub(super) why: String,
    pub(super) whence: String,
}

/// The page.
pub(in crate::api) async fn journal(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let given = |name| query.get(name).unwrap_or_default().to_owned();
    let limit = query.count("limit")?.unwrap_or(SHOWN).min(MOST_SHOWN);
    let patience = patience::of(&query)?;
    let asked = match wanted(&query) {
        Ok(wanted) => {
            let asked = journal::Query { newest_first: true, limit, patience: Some(patience), ..wanted };
            of_known(&state, asked).await
        }
        Err(error) => Err((StatusCode::BAD_REQUEST, Report::of(&error))),
    };
    let (found, status, wrong) = match asked {
        Ok(found) => (found, StatusCode::OK, None),
        Err((status, error)) => (journal::Page::default(), status, Some(error.to_string())),
    };
    let gap = found.gap;
    let (mut events, mut bytes, mut cursor) = (Vec::new(), 0, found.more.then_some(found.cursor));
    let mut reached = found.reached;
    for event in found.events {
        if bytes > MOST_BYTES {
            (cursor, reached) = (Some(event.number + 1), None);
            break;
        }
        let row = Row::of(event);
        bytes += row.size();
        events.push(row);
    }
    let given_as = |name| (name, query.get(name).unwrap_or_default());
    let kept = ["selector", "job", "kind", "from", "to", "limit"].map(given_as);
    let older = |cursor: u64| {
        link("/journal", kept.into_iter().chain([given_as("timeout"), ("cursor", cursor.to_string().as_str())]))
    };
    let view = state.roster.view();
    let shown = page(&Page {
        shell: Shell::of(&state, "/journal", "Journal").with_json(link("/api/v1/journal", kept)),
        jobs: names(&view),
        job: given("job"),
        kind: given("kind"),
        kinds: Kind::ALL.iter().map(|kind| kind.as_str()).collect(),
        selector: given("selector"),
        from: given("from"),
        to: given("to"),
        wrong,
        events,
        gap,
        reached: reached.map(|time| time.to_string()),
        longer: link("/journal", kept.into_iter().chain([given_as("cursor"), ("timeout", patience::LONGER)])),
        is_older: query.get("cursor").is_some(),
        newest: link("/journal", kept),
        older: cursor.map(older),
    });
    Ok(refusing(status, shown))
}

/// What happened of what is asked for, unless a job of it is neither there nor in the journal.
async fn of_known(state: &State, asked: journal::Query) -> Result<journal::Page, (StatusCode, Report)> {
    let jobs = asked.jobs.clone();
    let found = state.journal.query(asked).await.map_err(|error| {
        let report = Report::of(&error);
        // One that is off, or has nothing yet, is nobody's mistake.
        let status = if report.code == "journal_empty" { StatusCode::OK } else { status_of(&report) };
        (status, report)
    })?;
    let is_told = |job: &str| found.events.iter().any(|event| event.note.job.as_deref() == Some(job));
    let others = jobs.iter().map(String::as_str).filter(|job| !is_told(job));
    match are_known(state, others).await {
        Ok(()) => Ok(found),
        Err(problem) => Err((status_of(problem.report()), problem.report().clone())),
    }
}

/// The colour of what happened.
fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Added | Kind::Released | Kind::Up | Kind::LimitKept | Kind::Started => "up",
        Kind::Removed | Kind::Down | Kind::LimitExceeded | Kind::ReloadRefused | Kind::Missed | Kind::Damaged => "down",
        Kind::Held | Kind::Brake | Kind::Clock => "warn",
        _ => "idle",
    }
}

impl Row {
    pub(super) fn of(event: Event) -> Self {
        let note = event.note;
        let text = |text: &Option<Arc<str>>| line(text.as_deref().unwrap_or_default());
        let job = text(&note.job);
        let instance = note.labels.as_ref().map(|labels| Target(labels).public_label("instance").unwrap_or_default());
        let instance = instance.unwrap_or_default();
        let changed = match (&note.from, &note.labels) {
            (Some(from), Some(labels)) => cut::changes(&changes(from, labels), usize::MAX),
            _ => Vec::new(),
        };
        let reason = journal::why(&note).map_or_else(|| text(&note.reason), str::to_owned);
        let why = [reason, text(&note.detail)];
        let provider = text(&note.provider);
        let source = note.source.as_deref().map(|source| line(&source_of(&provider, source))).unwrap_or_default();
        let whence = [source, provider];
        let (from, to) = (event.time.before(AROUND).to_string(), event.time.after(AROUND).to_string());
        Self {
            time: event.time.to_string(),
            around: link("/journal", [("from", from.as_str()), ("to", to.as_str())]),
            kind: note.kind.as_str(),
            class: class(note.kind),
            path: link("/explain", [("q", cut::linked(instance)), ("job", job.as_str())]),
            labels: note.labels.as_ref().filter(|_| changed.is_empty()).map(public).unwrap_or_default(),
            job,
            target: line(instance),
            changed,
            why: why.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": "),
            whence: whence.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" of "),
        }
    }

    /// About how long what it says is on the page.
    pub(super) fn size(&self) -> usize {
        let changed = self.changed.iter().map(Changed::size).sum::<usize>();
        let texts = [&self.job, &self.target, &self.path, &self.around, &self.why, &self.whence];
        500 + cut::size(&self.labels) + changed + texts.iter().map(|text| written(text)).sum::<usize>()
    }
}

fn public(labels: &Labels) -> Vec<Label> {
    cut::plain(Target(labels).public())
}
