//! `/service-discovery`: what is read, by whom, and how that goes; and of a job, what was discovered beside what became of it.

use std::sync::Arc;
use std::time::SystemTime;

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;
use http::{StatusCode, Uri};
use rosterd_client::brief;
use rosterd_discovery::{ProviderStatus, ProviderWatch, Status, WatchStatus};
use rosterd_model::Report;
use rosterd_tasks::blocking;
use tokio::time::Instant;

use super::super::State;
use super::super::providers::size;
use super::super::query::Query;
use super::super::sd::unknown_job;
use super::super::targets::Cursor;
use super::super::words::{Moment, few};
use super::count::Count;
use super::cut::{Line, as_fits, line, written};
use super::entries::{Listed, Wanted, list};
use super::link::link;
use super::patience;
use super::shell::{Shell, page, refusing};
use super::situation::Situation;
use super::standing::Standing;
use super::targets::names;
use super::troubles::troubles;
use crate::explain::Search;
use crate::problem::Problem;
use crate::roster::presence::Presence;
use crate::roster::view::{JobView, RosterView};

#[derive(Template)]
#[template(path = "discovery.html")]
struct Discovery {
    shell: Shell,
    /// The names of all jobs, unless these are too many.
    jobs: Vec<Arc<str>>,
    job: String,
    became: &'static str,
    kinds: [Wanted; 6],
    search: String,
    wrong: Option<String>,
    /// What became of how many entries of the job.
    counts: Vec<Count>,
    /// The entries of the job.
    listed: Option<Listed>,
    next: Option<String>,
    /// Where more is looked at for the same page.
    longer: String,
    /// Of the job, or all.
    providers: Vec<Provider>,
    more_providers: usize,
    watches: Vec<Watch>,
    /// Those that are not shown.
    more_watches: usize,
}

struct Provider {
    name: String,
    reads: String,
    jobs: String,
    standing: Standing,
    /// Whether it works, and may not say what it should.
    warned: bool,
    counts: Vec<Count>,
    success: Option<Moment>,
    next: Option<Moment>,
    error: String,
    code: String,
    unread: Vec<Unread>,
    more_unread: usize,
}

/// A source that could not be read lately.
struct Unread {
    source: String,
    since: Moment,
    error: Line,
}

/// Something that is followed, for one or several providers.
struct Watch {
    what: String,
    jobs: String,
    standing: Standing,
    objects: Count,
    heard: Option<Moment>,
    lists: String,
    error: Line,
    failed: Option<Moment>,
}

/// How many bytes providers may have on a page, and watches, and about how many a row has besides its texts.
const ROOM: usize = 30_000;
const ROW: usize = 1_000;
/// How many providers, watches and sources of one provider are shown; those that do not go well come first.
const PROVIDERS: usize = 100;
const WATCHES: usize = 100;
const SOURCES: usize = 10;
/// How many bytes these sources may have together.
const UNREAD: usize = 5_000;

/// The page.
pub(in crate::api) async fn discovery(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let situation = Situation::of(&state);
    let shell = Shell::new(&state, "/service-discovery", "Service discovery", &troubles(&situation));
    let (now, view) = (situation.now, &situation.view);
    let name = query.get("job").unwrap_or_default();
    let wanted = query.one_of("became", &Wanted::ALL, Wanted::as_str)?.unwrap_or(Wanted::Any);
    let start = query.get("cursor").map(Cursor::decode).transpose()?;
    let text = query.get("search").unwrap_or_default();
    let (listed, wrong) = match (view.job(name), Search::parse(text)) {
        (None, _) if name.is_empty() => (None, None),
        (None, _) => (None, Some((StatusCode::NOT_FOUND, unknown_job(view, name).to_string()))),
        (_, Err(error)) => (None, Some((StatusCode::BAD_REQUEST, Report::of(&error).to_string()))),
        (Some(job), Ok(search)) => {
            let (job, start) = (Arc::clone(job), start.map_or((0, 0), |start| start.place_in(job)));
            let end = Instant::now() + patience::of(&query)?;
            (Some(blocking(move || list(&job, wanted, &search, start, &|| Instant::now() >= end)).await), None)
        }
    };
    let concerns = |jobs: &[Arc<str>]| name.is_empty() || jobs.iter().any(|job| **job == *name);
    let mut providers: Vec<_> = situation.providers.iter().filter(|provider| concerns(&provider.jobs)).collect();
    let (watches, more_watches) = Watch::all(&providers, now);
    // The sort is stable, and the worst presence is the least.
    providers.sort_by_key(|provider| (presence(provider, view), provider.status.warning.is_none()));
    let count = providers.len();
    let shown = providers.into_iter().take(PROVIDERS).map(|it| Provider::of(it, presence(it, view), view, now));
    let providers = as_fits(shown, ROOM, Provider::length);
    let more_providers = count - providers.len();
    let (status, wrong) = wrong.map_or((StatusCode::OK, None), |(status, wrong)| (status, Some(wrong)));
    let shown = page(&Discovery {
        shell: shell.with_json("/api/v1/providers"),
        jobs: names(view),
        job: name.to_owned(),
        became: wanted.as_str(),
        kinds: Wanted::ALL,
        search: text.to_owned(),
        wrong,
        counts: view.job(name).map(|job| counts(job)).unwrap_or_default(),
        next: listed.as_ref().and_then(|listed| listed.next.as_ref()).map(|next| next_page(&query, next)),
        longer: longer(&query),
        listed,
        providers,
        more_providers,
        watches,
        more_watches,
    });
    Ok(refusing(status, shown))
}

/// What became of entries of a job, each count with where they are listed.
fn counts(job: &JobView) -> Vec<Count> {
    let counts = job.counts();
    let of = [
        (Wanted::Targets, counts.targets),
        (Wanted::Duplicates, counts.duplicates),
        (Wanted::Dropped, counts.dropped),
        (Wanted::Impossible, counts.failed),
        (Wanted::Held, job.pages().held()),
    ];
    let count =
        |(wanted, number): (Wanted, usize)| Count::new(wanted.counted(number), number, path(&job.spec().name, wanted));
    of.into_iter().filter(|(_, number)| *number > 0).map(count).collect()
}

/// Where entries of a job are listed of which this became: a path below the prefix.
pub(super) fn path(job: &str, wanted: Wanted) -> String {
    link("/service-discovery", [("job", job), ("became", wanted.as_str())])
}

/// The next page of what was asked for.
fn next_page(query: &Query, cursor: &Cursor) -> String {
    let kept = ["job", "became", "search", "timeout"].map(|name| (name, query.get(name).unwrap_or_default()));
    link("/service-discovery", kept.into_iter().chain([("cursor", cursor.encode().as_str())]))
}

/// The same page, for which more is looked at.
fn longer(query: &Query) -> String {
    let kept = ["job", "became", "search", "cursor"].map(|name| (name, query.get(name).unwrap_or_default()));
    link("/service-discovery", kept.into_iter().chain([("timeout", patience::LONGER)]))
}

fn presence(provider: &ProviderStatus, view: &RosterView) -> Presence {
    Presence::of_provider(provider.status.presence, view.provider(&provider.key, &provider.jobs))
}

/// An error, on one line.
fn told(report: &Report) -> Line {
    Line::of(report.to_string(), report).cut()
}

/// What is not as it should be.
fn problem(status: &Status) -> Option<Report> {
    let failure = status.worst().map(|failure| failure.report);
    failure.or_else(|| status.warning.as_ref().map(|warning| warning.report.clone()))
}

impl Provider {
    /// About how many bytes it has on the page.
    fn length(&self) -> usize {
        let texts = [&self.name, &self.reads, &self.jobs, &self.error].iter().map(|text| written(text)).sum::<usize>();
        ROW + texts + self.unread.iter().map(Unread::length).sum::<usize>()
    }

    fn of(provider: &ProviderStatus, presence: Presence, view: &RosterView, now: SystemTime) -> Self {
        let ProviderStatus { key, jobs, reads, status, .. } = provider;
        let (groups, targets) = size(status, view.provider(key, jobs));
        let problem = problem(status);
        let unread = status.unread.iter().take(SOURCES).map(|(source, unread)| Unread {
            source: line(source),
            since: Moment::of(unread.since, now),
            error: told(&unread.report),
        });
        let unread = as_fits(unread, UNREAD, Unread::length);
        Self {
            name: key.to_string(),
            reads: brief(&reads.to_string()),
            jobs: line(&few(jobs)),
            standing: Standing::of_provider(presence),
            warned: status.warning.is_some() && status.worst().is_none(),
            counts: vec![Count::new("groups", groups, ""), Count::new("targets", targets, "")],
            success: status.last_success.map(|time| Moment::of(time, now)),
            next: status.next_try.map(|time| Moment::due(time, now)),
            code: problem.as_ref().map(|report| report.code.clone()).unwrap_or_default(),
            error: problem.map(|report| line(&report.to_string())).unwrap_or_default(),
            more_unread: status.unread.len() - unread.len(),
            unread,
        }
    }
}

impl Unread {
    fn length(&self) -> usize {
        150 + written(&self.source) + self.error.size()
    }
}

impl Watch {
    /// Each once, whoever shares it, and how many more there are.
    fn all(providers: &[&ProviderStatus], now: SystemTime) -> (Vec<Self>, usize) {
        let mut all: Vec<_> = providers.iter().flat_map(|provider| &provider.watches).collect();
        all.sort_by_key(|watch| watch.number);
        all.dedup_by_key(|watch| watch.number);
        all.sort_by(|a, b| {
            let place =
                |it: &ProviderWatch| (it.status.state, Arc::clone(&it.status.resource), it.status.scope.clone());
            place(a).cmp(&place(b))
        });
        let count = all.len();
        let shown = as_fits(all.into_iter().take(WATCHES).map(|watch| Self::of(watch, now)), ROOM, Self::length);
        let more = count - shown.len();
        (shown, more)
    }

    /// About how many bytes it has on the page.
    fn length(&self) -> usize {
        let texts = [&self.what, &self.jobs, &self.lists].iter().map(|text| written(text)).sum::<usize>();
        ROW + texts + self.error.size()
    }

    fn of(ProviderWatch { jobs, status, .. }: &ProviderWatch, now: SystemTime) -> Self {
        let WatchStatus { resource, scope, selectors, state, objects, last_heard, lists, last_error, .. } = status;
        let mut what = resource.to_string();
        if let Some(scope) = scope {
            what.push_str(&format!(" in {scope}"));
        }
        if !selectors.is_empty() {
            what.push_str(&format!(" where {}", selectors.join(" and ")));
        }
        let lists = lists.iter().map(|(cause, count)| format!("{count} {cause}"));
        Self {
            what: brief(&what),
            jobs: line(&few(jobs)),
            standing: Standing::of_watch(*state),
            objects: Count::new("objects", *objects, ""),
            heard: last_heard.map(|heard| Moment::of(heard, now)),
            lists: lists.collect::<Vec<_>>().join(", "),
            error: last_error.as_ref().map(|failure| told(&failure.report)).unwrap_or_default(),
            failed: last_error.as_ref().map(|failure| Moment::of(failure.at, now)),
        }
    }
}
