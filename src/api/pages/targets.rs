//! `/targets`: the targets for people, by job, in pages. A page costs the search for its rows and nothing for the others
//! before it but their count.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;
use http::{StatusCode, Uri};
use rosterd_model::labels::{INSTANCE, SCRAPE_INTERVAL};
use rosterd_model::target::{Target, scrape_url};
use rosterd_model::{Labels, Priority};
use rosterd_scrape::{Health, Statuses, TargetStatus};
use tokio::time::Instant;

use super::super::State;
use super::super::condition::Condition;
use super::super::missing::{self, Causes};
use super::super::query::Query;
use super::super::sd::unknown_job;
use super::super::targets::{Cursor, Kind, LOOKS, Scan, last_error};
use super::super::url::{Outside, global_url};
use super::super::words::{Moment, Tally, bytes, counted, fine, grouped, quoted};
use super::count::Count;
use super::cut::{self, Label, as_fits, line, linked, written};
use super::failures::{Failures, of_any};
use super::link::link;
use super::patience;
use super::shell::{Shell, page, refusing};
use crate::explain::{Scratch, Search, Words};
use crate::problem::Problem;
use crate::roster::confirmation::{Confirmation, Readings};
use crate::roster::hold::HoldReason;
use crate::roster::reasons::why_no_targets;
use crate::roster::view::{JobView, RosterView};
use crate::scrape::ToScrape;

/// The targets of a page unless the request says otherwise, and at most.
const ROWS: usize = 100;
const MOST_ROWS: usize = 1000;
/// A page whose targets have many labels has fewer of them: this is how long what they say of themselves may be, in bytes, and what
/// stands around each.
const MOST_BYTES: usize = 100_000;
const AROUND: usize = 600;
/// And what a job has above its targets.
const HEAD: usize = 800;
const AROUND_COUNT: usize = 80;
/// A longer address is no link: no browser or server takes it.
const MOST_URL: usize = 2_000;
/// So much of what is missing is named.
const MOST_MISSING: usize = 20;
/// And so many bytes.
const WHY: usize = 8_000;
/// Above so many jobs, or with longer names in bytes, nobody looks for one in a list.
const MOST_OPTIONS: usize = 200;
const MOST_OPTION_BYTES: usize = 20_000;
/// So many targets are looked at, however little time there is.
const LEAST: usize = 1024;

#[derive(Template)]
#[template(path = "targets.html")]
struct Page {
    shell: Shell,
    /// The names of all jobs, unless these are too many.
    jobs: Vec<Arc<str>>,
    job: String,
    health: String,
    healths: [&'static str; 4],
    search: String,
    /// The code that the errors have that are asked for.
    error: String,
    /// What is wrong with what was asked for.
    wrong: Option<String>,
    /// Why nothing is scraped, if nothing is.
    idle: Option<&'static str>,
    groups: Vec<Group>,
    /// What this page has, in words.
    count: String,
    /// What is missing of the job that was asked for, and why what it has are no targets.
    why: Vec<String>,
    /// Whether this is not the first page.
    later: bool,
    first: String,
    next: Option<String>,
    /// Where more is looked at, if there may be more of the page than was.
    longer: Option<String>,
}

/// The targets of one job on a page.
struct Group {
    job: Arc<str>,
    path: String,
    counts: Vec<Count>,
    /// What is wrong with those that are down.
    errors: Vec<Failures>,
    /// Those that are not told.
    more_errors: usize,
    /// Why some of them are held: a word, and what it means.
    held: Vec<(&'static str, String)>,
    rows: Vec<Row>,
}

struct Row {
    /// The member that scrapes it, if that is another one.
    member: String,
    health: &'static str,
    class: &'static str,
    misconfigured: bool,
    url: String,
    link: Option<String>,
    /// Where it is explained.
    explained: String,
    labels: Vec<Label>,
    last_scrape: Option<Moment>,
    duration: String,
    interval: String,
    samples: Option<String>,
    /// How large what it exposes is.
    size: String,
    /// How many of its scrapes failed, if any did.
    failures: String,
    error: String,
    /// The error without what is the target's own, and its code.
    kind: String,
    code: String,
    snoozed: Option<Moment>,
    /// Why it is there although its source does not say so now.
    held: Option<HeldRow>,
}

/// Why a target is held, since when, and until when where time alone ends it.
struct HeldRow {
    reason: HoldReason,
    since: Moment,
    until: Option<Moment>,
}

/// What is asked for of the targets of jobs.
struct Asked {
    search: Search,
    state: Option<Condition>,
    error: Option<String>,
    limit: usize,
    patience: Duration,
}

impl Asked {
    fn is_filtered(&self, text: &str) -> bool {
        self.state.is_some() || self.error.is_some() || !text.is_empty()
    }

    /// Whether any target of a job may be among them.
    fn may_be_in(&self, job: &JobView, statuses: &Statuses, scraped: &ToScrape) -> bool {
        let tally = Tally::of(job, statuses, scraped);
        let of_state = match self.state {
            Some(Condition::Health(Health::Up)) => tally.up,
            Some(Condition::Health(Health::Down)) => tally.down,
            // How those are that others scrape is not known here.
            Some(Condition::Health(Health::Unknown)) => tally.unknown + tally.elsewhere,
            Some(Condition::Held) => job.pages().held(),
            None if self.error.is_some() => tally.down,
            None => job.counts().targets,
        };
        of_state > 0
    }

    /// Whether a target with this status is among them.
    fn wants(&self, job: &JobView, labels: &Labels, status: Option<&TargetStatus>) -> bool {
        let code = || status.and_then(|status| status.error.as_ref()).map(|error| error.code.as_str());
        self.error.as_deref().is_none_or(|wanted| code() == Some(wanted))
            && self.state.is_none_or(|wanted| wanted.is_of(job, labels, status))
    }
}

/// Where targets of a job are shown, all or those of a health: a path below the prefix.
pub(super) fn path(job: &str, health: &str) -> String {
    link("/targets", [("job", job), ("health", health)])
}

/// The page.
pub(in crate::api) async fn targets(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let cursor = query.get("cursor").map(Cursor::decode).transpose()?;
    let (job, text) = (query.get("job").unwrap_or_default(), query.get("search").unwrap_or_default());
    let (search, unreadable) = match Search::parse(text) {
        Ok(search) => (search, None),
        Err(error) => (Search::Words(Words::default()), Some(rosterd_model::Report::of(&error).to_string())),
    };
    let asked = Asked {
        search,
        state: Condition::of(&query)?,
        error: query.get("error").map(str::to_owned),
        limit: query.count("limit")?.unwrap_or(ROWS).min(MOST_ROWS),
        patience: patience::of(&query)?,
    };
    let view = state.roster.view();
    let wanted: Vec<_> = view.jobs().filter(|known| job.is_empty() || *known.spec().name == *job).cloned().collect();
    let unknown = (wanted.is_empty() && !job.is_empty()).then(|| unknown_job(&view, job).to_string());
    let status = match (&unknown, &unreadable) {
        (Some(_), _) => StatusCode::NOT_FOUND,
        (None, Some(_)) => StatusCode::BAD_REQUEST,
        (None, None) => StatusCode::OK,
    };
    let wrong = unknown.or(unreadable);
    let found = match wrong {
        None => find(&state, &wanted, cursor.as_ref(), &asked).await,
        Some(_) => FoundRows::default(),
    };
    let rows: usize = found.groups.iter().map(|group| group.rows.len()).sum();
    let filtered = asked.is_filtered(text);
    let is_whole = wanted.iter().all(|job| job.missing().is_empty());
    let why = match &*wanted {
        _ if cursor.is_some() => Vec::new(),
        [job] => why(&state, job, rows == 0 && !filtered),
        _ if is_whole => Vec::new(),
        jobs => not_known(&state, jobs),
    };
    let shown = page(&Page {
        shell: Shell::of(&state, "/targets", "Targets").with_json("/api/v1/targets?state=active&limit=1000"),
        jobs: names(&view),
        job: job.to_owned(),
        health: query.get("health").unwrap_or_default().to_owned(),
        healths: Condition::ALL.map(Condition::as_str),
        search: text.to_owned(),
        error: asked.error.unwrap_or_default(),
        idle: state.config.borrow().idle,
        count: match &wrong {
            None => count(rows, filtered, found.is_cut, is_whole),
            Some(_) => String::new(),
        },
        wrong,
        why,
        groups: found.groups,
        later: cursor.is_some(),
        first: other_page(&query, None),
        longer: found.is_cut.then(|| longer(&query)),
        next: found.next.map(|next| other_page(&query, Some(&next))),
    });
    Ok(refusing(status, shown))
}

/// The names of all jobs; none where they are too many for a list to choose from.
pub(super) fn names(view: &RosterView) -> Vec<Arc<str>> {
    let jobs = view.jobs();
    if jobs.len() > MOST_OPTIONS {
        return Vec::new();
    }
    let names: Vec<_> = jobs.map(|job| Arc::clone(&job.spec().name)).collect();
    let bytes = names.iter().map(|name| written(name) + "<option></option>".len()).sum::<usize>();
    if bytes > MOST_OPTION_BYTES { Vec::new() } else { names }
}

/// How many targets a page has, in words.
fn count(rows: usize, filtered: bool, is_cut: bool, is_whole: bool) -> String {
    match rows {
        0 if is_cut => "No target that was looked at is like that.".to_owned(),
        0 if filtered && !is_whole => "No target that is known is like that.".to_owned(),
        0 if !is_whole => "No targets are known yet.".to_owned(),
        0 if filtered => "No target is like that.".to_owned(),
        0 => "There are no targets.".to_owned(),
        rows => format!("{} on this page.", counted(rows, "target")),
    }
}

/// Of which jobs targets are not known, and why not.
fn not_known(state: &State, jobs: &[Arc<JobView>]) -> Vec<String> {
    let causes = Causes::of(state);
    let unknown: Vec<_> = jobs.iter().filter(|job| !job.missing().is_empty()).collect();
    let told = |job: &&Arc<JobView>| {
        let told = missing::unknown(&quoted(&job.spec().name), &causes.explain(job.missing()));
        line(&format!("Not {told}"))
    };
    let mut lines = as_fits(unknown.iter().take(MOST_MISSING).map(told), WHY, |line| written(line));
    if let more @ 1.. = unknown.len() - lines.len() {
        lines.push(format!("Nor are those of {}.", counted(more, "more job")));
    }
    lines
}

/// What is missing of a job; and if it has no target at all, why not.
fn why(state: &State, job: &JobView, has_none: bool) -> Vec<String> {
    let missing = Causes::of(state).explain(job.missing());
    let mut lines = cut::lines(missing.iter().map(ToString::to_string), MOST_MISSING, WHY);
    if has_none {
        lines.extend(cut::lines(why_no_targets(job, LOOKS), usize::MAX, WHY));
        if lines.is_empty() {
            lines.push("What the job discovers by has reported, and found nothing.".to_owned());
        }
    }
    lines
}

/// Another page of what was asked for.
fn other_page(query: &Query, cursor: Option<&Cursor>) -> String {
    let cursor = cursor.map(Cursor::encode).unwrap_or_default();
    link("/targets", kept(query).into_iter().chain([given(query, "timeout"), ("cursor", cursor.as_str())]))
}

/// The same page, for which more is looked at.
fn longer(query: &Query) -> String {
    link("/targets", kept(query).into_iter().chain([given(query, "cursor"), ("timeout", patience::LONGER)]))
}

/// What was asked for, whichever the page.
fn kept(query: &Query) -> [(&'static str, &str); 5] {
    ["job", "health", "error", "search", "limit"].map(|name| given(query, name))
}

fn given<'a>(query: &'a Query, name: &'static str) -> (&'static str, &'a str) {
    (name, query.get(name).unwrap_or_default())
}

#[derive(Default)]
struct FoundRows {
    groups: Vec<Group>,
    next: Option<Cursor>,
    /// Whether the time was over before there were enough.
    is_cut: bool,
}

impl FoundRows {
    /// Adds a row. Returns about how long it is on the page, with what the group has for it.
    fn push(&mut self, job: &JobView, row: Row, statuses: &Statuses, scraped: &ToScrape) -> usize {
        let size = row.size();
        match self.groups.last_mut() {
            Some(group) if group.job == job.spec().name => {
                group.rows.push(row);
                size
            }
            _ => {
                let group = Group::new(job, statuses, scraped, row);
                let head = group.size();
                self.groups.push(group);
                size + head
            }
        }
    }
}

impl Group {
    fn new(job: &JobView, statuses: &Statuses, scraped: &ToScrape, row: Row) -> Self {
        let (name, tally) = (Arc::clone(&job.spec().name), Tally::of(job, statuses, scraped));
        let (errors, more_errors) = Failures::of(&name, statuses);
        let count = |what, number| Count::new(what, number, path(&name, what));
        let counts = [
            ("up", tally.up),
            ("down", tally.down),
            ("unknown", tally.unknown),
            (Condition::Held.as_str(), job.pages().held()),
        ];
        let counts = counts.into_iter().filter(|(_, number)| *number > 0);
        let counts = counts.map(|(what, number)| count(what, number)).collect();
        Self { path: path(&name, ""), counts, errors, more_errors, held: Vec::new(), rows: vec![row], job: name }
    }

    /// About how long what stands above its targets is on the page.
    fn size(&self) -> usize {
        let counts = self.counts.iter().map(|count| AROUND_COUNT + written(&count.path)).sum::<usize>();
        HEAD + 2 * written(&self.job)
            + written(&self.path)
            + counts
            + self.errors.iter().map(Failures::size).sum::<usize>()
    }

    /// Tells once why targets are held, and until when they are braked.
    fn tell_held(&mut self, braked: Option<Confirmation>, now: SystemTime) {
        let reasons: BTreeSet<_> = self.rows.iter().filter_map(|row| Some(row.held.as_ref()?.reason)).collect();
        let told = |reason: HoldReason| match braked.as_ref().filter(|_| reason == HoldReason::Braked) {
            Some(braked) => {
                format!("{}; held {}", reason.told(), braked.told(|time| Moment::due(time, now).words))
            }
            None => reason.told().to_owned(),
        };
        self.held = reasons.into_iter().map(|reason| (reason.as_str(), told(reason))).collect();
    }
}

/// The targets of a page, and where the next one begins.
async fn find(state: &State, wanted: &[Arc<JobView>], start: Option<&Cursor>, asked: &Asked) -> FoundRows {
    let scraped = state.scraped.now();
    let jobs = wanted.iter().filter(|job| asked.may_be_in(job, &state.scrapes, &scraped));
    let mut scan = Scan::new(jobs.cloned().collect());
    if let Some(cursor) = start {
        scan.resume(cursor);
    }
    let (now, outside) = (SystemTime::now(), Outside::new(&state.external_url, state.listen_port));
    let (mut found, mut rows, mut bytes, mut looked) = (FoundRows::default(), 0, 0, 0);
    let (mut all, mut scratch, mut end) = (0, Scratch::default(), None);
    while !scan.is_over() {
        // What was passed is not looked at: however long that takes, a page gets on.
        if end.is_none() && !scan.is_passing() {
            (all, end) = (0, Some(Instant::now() + asked.patience));
        }
        let mut status = None;
        let place = scan.step(Kind::Active, |job, labels| {
            if !asked.search.finds(labels, &mut scratch) {
                return false;
            }
            status = state.scrapes.get(&job.spec().name, labels);
            asked.wants(job, labels, status.as_ref())
        });
        if let Some(place) = place {
            if rows == asked.limit || bytes > MOST_BYTES {
                found.next = Some(scan.cursor(Kind::Active, place));
                break;
            }
            rows += 1;
            let job = scan.job(place);
            if let Some(labels) = scan.labels(place) {
                let mut row = Row::of(job, labels, &status.unwrap_or_default(), &outside, now);
                row.member = scraped.other(&job.spec().name, labels).map(|member| line(member)).unwrap_or_default();
                row.held = scan.hold(place).map(|hold| HeldRow {
                    reason: hold.reason,
                    since: Moment::of(hold.since, now),
                    until: hold.until.filter(|_| hold.reason == HoldReason::Grace).map(|until| Moment::due(until, now)),
                });
                bytes += found.push(job, row, &state.scrapes, &scraped);
            }
        }
        let here = scan.looked();
        (looked, all) = (looked + here, all + here);
        if all >= LEAST
            && end.is_some_and(|end| Instant::now() >= end)
            && let Some(next) = scan.here(Kind::Active)
        {
            (found.next, found.is_cut) = (Some(next), true);
            break;
        }
        if looked > LOOKS {
            looked = 0;
            tokio::task::yield_now().await;
        }
    }
    for Group { errors, rows, .. } in &mut found.groups {
        errors.iter_mut().for_each(|it| it.count_here(rows.iter().map(|row| (row.code.as_str(), row.kind.as_str()))));
    }
    let braked = wanted.iter().filter(|job| job.braked().is_some());
    let braked: HashMap<_, _> = braked.map(|job| (&*job.spec().name, job)).collect();
    let providers = if braked.is_empty() { Vec::new() } else { state.providers.list() };
    let readings = Readings::of(&providers);
    for group in &mut found.groups {
        let job = braked.get(&*group.job);
        group.tell_held(job.and_then(|job| Confirmation::of(job, &readings, now)), now);
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
            member: String::new(),
            health: status.health.as_str(),
            class: match status.health {
                Health::Up => "up",
                Health::Down => "down",
                Health::Unknown => "idle",
            },
            misconfigured: down.is_some_and(|report| report.priority == Priority::Operator),
            // Discovery chooses the scheme, and not every scheme should be clicked on.
            link: (reached.starts_with("http://") || reached.starts_with("https://"))
                .then_some(reached)
                .filter(|url| url.len() <= MOST_URL),
            url: line(&url),
            explained: link(
                "/explain",
                [("q", linked(labels.get(INSTANCE).unwrap_or_default())), ("job", &*job.spec().name)],
            ),
            labels: cut::plain(target.public()),
            last_scrape: status.last_scrape.map(|time| Moment::of(time, now)),
            duration: status.last_scrape.map(|_| fine(status.duration)).unwrap_or_default(),
            interval: labels.get(SCRAPE_INTERVAL).unwrap_or(&job.spec().interval).to_owned(),
            samples: (status.health == Health::Up).then(|| grouped(status.samples as u64)),
            size: if status.health == Health::Up { bytes(u64::from(status.bytes)) } else { String::new() },
            failures: match status.outcomes.failures() {
                0 => String::new(),
                failed => {
                    let [failed, all] = [failed, status.outcomes.scrapes()].map(|count| grouped(u64::from(count)));
                    format!("{failed} of {all} failed")
                }
            },
            error: match (last_error(job, target, status), unsplit) {
                (error, None) => line(&error),
                (error, Some(unsplit)) => line(&format!("{error}: {unsplit}")),
            },
            kind: down.map(|report| line(&of_any(report, target.address()))).unwrap_or_default(),
            code: down.map(|report| report.code.clone()).unwrap_or_default(),
            held: None,
            snoozed: status.snoozed_until.filter(|until| *until > now).map(|until| Moment::of(until, now)),
        }
    }

    /// About how long what it says is on the page.
    fn size(&self) -> usize {
        let link = self.link.as_deref().map_or(0, written);
        let texts = [&self.url, &self.url, &self.explained, &self.error, &self.code, &self.member];
        AROUND + link + texts.iter().map(|text| written(text)).sum::<usize>() + cut::size(&self.labels)
    }
}
