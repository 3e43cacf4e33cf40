//! `/explain`: why a target is there, or is not: where it was discovered, what each rule made of it, and all that is known around it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;
use http::{StatusCode, Uri};
use rosterd_model::labels::{ADDRESS, INSTANCE};
use rosterd_model::selector::{Matcher, Op};
use rosterd_model::{Labels, Report, Selector};

use super::super::query::Query;
use super::super::sd::unknown_job;
use super::super::words::{Moment, counted, few, fine, grouped};
use super::super::{Error, State, explain as search_for};
use super::cut::{self, Label, as_fits, is_linked, line, linked};
use super::journal::Row;
use super::link::link;
use super::patience;
use super::shell::{Shell, page, refusing};
use super::standing::Standing;
use super::story::Story;
use super::targets::names;
use crate::explain::{Became, End, Explanation, Failing, Found, Gone, Published, Scrape, Search, Target, Unsure};
use crate::journal;
use crate::problem::{Problem, status_of};

/// How many entries are told, and how long what is said of them, and of their past, may be, in bytes.
const TOLD: usize = 5;
const MOST_BYTES: usize = 40_000;
/// How many of what may be many is told: lines of one kind, and addresses.
const LINES: usize = 20;

#[derive(Template)]
#[template(path = "explain.html")]
struct Page {
    shell: Shell,
    /// The names of all jobs, unless these are too many.
    jobs: Vec<Arc<str>>,
    job: String,
    text: String,
    wrong: Option<String>,
    answer: Option<Answer>,
}

struct Answer {
    /// What came of the search, in a sentence.
    head: String,
    /// In place of that, what is gone, since when, and why.
    gone: Option<(String, String, String)>,
    found: Vec<Shown>,
    /// How much was not looked at, and where all of it is.
    unseen: Option<(String, String)>,
    idle: Option<String>,
    /// Addresses like the one that was searched for, each with where it is explained.
    similar: Vec<(String, String)>,
    /// Which labels of a selector are not there, and what may be meant.
    hints: Vec<String>,
    unsure: Vec<String>,
    more_unsure: usize,
    /// What happened to it, the newest first.
    past: Vec<Row>,
    /// What was not looked at for that is older than this; and where it is.
    past_unseen: Option<(String, String)>,
    /// Where all of that is; empty where nothing is asked of the journal.
    journal: String,
}

/// An entry, and its story.
struct Shown {
    name: String,
    job: String,
    /// Where its past is.
    past: String,
    /// Where metric rules are tried on what it exposes; empty where it is not scraped.
    metrics: String,
    word: &'static str,
    class: &'static str,
    provider: String,
    source: String,
    presence: Option<Standing>,
    read: Option<Moment>,
    failing: String,
    discovered: Vec<Label>,
    story: Story,
    /// What else there is to say, by what it is about.
    facts: Vec<(&'static str, Vec<String>)>,
}

/// The page.
pub(in crate::api) async fn explain(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let (text, job) = (query.get("q").unwrap_or_default(), query.get("job"));
    // As much again is for what belongs to what was found, and for its past.
    let patience = patience::of(&query)? / 2;
    let view = state.roster.view();
    let unknown = job.filter(|job| view.job(job).is_none()).map(|job| unknown_job(&view, job));
    let answered = match Search::parse(text) {
        _ if unknown.is_some() || text.is_empty() => Ok(None),
        Err(source) => Err(Error::InvalidParameter { name: "q", source }),
        Ok(search) => {
            let explained = search_for::with_past(&state, search.clone(), job, TOLD, patience).await;
            explained.map(|it| Some((it.question(&search, job), it)))
        }
    };
    let told = |(question, it): (Option<journal::Query>, _)| Answer::of(it, question.as_ref(), job, SystemTime::now());
    let (answer, status, wrong) = match (unknown, answered) {
        (Some(error), _) => (None, StatusCode::NOT_FOUND, Some(error.to_string())),
        (None, Ok(explained)) => (explained.map(told), StatusCode::OK, None),
        (None, Err(error)) => {
            let error = Report::of(&error);
            (None, status_of(&error), Some(error.to_string()))
        }
    };
    let json = link("/api/v1/explain", [("q", text), ("job", job.unwrap_or_default())]);
    let shell = Shell::of(&state, "/explain", "Explain");
    let shown = page(&Page {
        shell: if answer.is_some() { shell.with_json(json) } else { shell },
        jobs: names(&view),
        job: job.unwrap_or_default().to_owned(),
        text: text.to_owned(),
        wrong,
        answer,
    });
    Ok(refusing(status, shown))
}

/// A selector of the target with these final labels: those of the job with its address are told apart by what they are called.
fn exactly(labels: &Labels) -> String {
    let is = |name| labels.get(name).map(|value| Matcher::new(name, Op::Eq, value).map(Selector::Matcher));
    Selector::and([ADDRESS, INSTANCE].into_iter().filter_map(is).flatten()).to_string()
}

/// Where the journal has all that a question asks for.
fn all_of(question: &journal::Query) -> String {
    let (selector, job) = (
        question.selector.to_string(),
        match &question.jobs[..] {
            [job] => job.as_str(),
            _ => "",
        },
    );
    link("/journal", [("selector", selector.as_str()), ("job", job)])
}

/// Where something is explained.
fn path(text: &str, job: Option<&str>) -> String {
    link("/explain", [("q", text), ("job", job.unwrap_or_default())])
}

impl Answer {
    fn of(explanation: Explanation, question: Option<&journal::Query>, job: Option<&str>, now: SystemTime) -> Self {
        let gone = explanation.gone().map(|Gone { since, job, why }| {
            let job = job.map(|job| format!(" of job {}", line(&job))).unwrap_or_default();
            let what = format!("{}{job} is gone", line(&explanation.query));
            (what, since.to_string(), why.map(|why| line(&why)).unwrap_or_default())
        });
        let Explanation {
            query,
            found,
            more,
            parts,
            entries,
            looked,
            // Then nothing is told as gone, and below how much was looked at.
            is_cut: _,
            similar,
            hints,
            unsure,
            more_unsure,
            idle,
            past,
            past_reached,
        } = explanation;
        let number = |number: usize| grouped(number as u64);
        let all = found.len() + more;
        let shown = as_fits(found.into_iter().map(|found| Shown::of(found, now)), MOST_BYTES, Shown::size);
        let more = all - shown.len();
        let head = match (shown.is_empty(), more, parts) {
            (true, ..) if gone.is_some() => String::new(),
            (true, ..) if past.as_ref().is_some_and(|past| !past.is_empty()) => {
                format!("Nothing is {} now", line(&query))
            }
            (true, ..) => format!("Nothing is known of {}", line(&query)),
            (_, 0, 0) if all == 1 => String::new(),
            (_, 0, 0) => format!("{} fit", number(all)),
            (_, 0, parts) => format!("{} fit, and {} in part", number(all), number(parts)),
            _ => {
                let are = if shown.len() == 1 { "is" } else { "are" };
                format!("{} fit, of which {} {are} told", number(all), shown.len())
            }
        };
        let again =
            link("/explain", [("q", query.as_str()), ("job", job.unwrap_or_default()), ("timeout", patience::LONGER)]);
        let past_unseen = past_reached.map(|time| (time.to_string(), again.clone()));
        // What is gone was a target, and is among what was discovered only where a rule drops it now.
        let unseen = (looked < entries && gone.is_none()).then(|| {
            (
                format!("Only {} of {} discovered entries were looked at in full.", number(looked), number(entries)),
                again,
            )
        });
        let similar = similar.into_iter().map(|it| (path(linked(&it.address), job), line(&it.address)));
        Self {
            head,
            gone,
            found: shown,
            unseen,
            idle,
            similar: similar.map(|(path, address)| (address, path)).collect(),
            hints: hints.iter().map(|hint| line(hint)).collect(),
            unsure: unsure.iter().map(|unsure| told_unsure(unsure, now)).collect(),
            more_unsure,
            past: as_fits(past.into_iter().flatten().map(Row::of), MOST_BYTES, Row::size),
            past_unseen,
            journal: question.map(all_of).unwrap_or_default(),
        }
    }
}

fn told_unsure(unsure: &Unsure, now: SystemTime) -> String {
    let Unsure { provider, source, jobs, presence, failing } = unsure;
    let source = source.as_ref().map(|source| format!("{source} of ")).unwrap_or_default();
    let failing = failing.as_ref().map(|failing| format!(": {}", told_failing(failing, now))).unwrap_or_default();
    format!("{source}{provider} of {} is {}{failing}", few(jobs), presence.as_str())
}

fn told_failing(Failing { since, report }: &Failing, now: SystemTime) -> String {
    format!("failing since {}: {report} ({})", Moment::of(since.0, now).words, report.code)
}

impl Shown {
    fn of(found: Found, now: SystemTime) -> Self {
        let Found { job, became, origin, trace, target } = found;
        let (word, class) = match became {
            Became::Target => ("a target", "up"),
            Became::Impossible => ("cannot be a target", "down"),
            Became::Dropped => ("dropped by relabelling", "idle"),
        };
        let address = trace.discovered.get(ADDRESS).unwrap_or("an entry without an address");
        let name = line(target.as_ref().map_or(address, |target| target.url.as_str()));
        let selector = match &trace.end {
            End::Kept { labels } => Some(exactly(labels)).filter(|it| is_linked(it)).unwrap_or_default(),
            End::Dropped | End::Impossible { .. } => String::new(),
        };
        let is_scraped = target.as_ref().is_some_and(|target| target.scrape.is_some());
        let metrics = link("/relabel/metrics", [("job", job.as_str()), ("target", selector.as_str())]);
        Self {
            name,
            metrics: if is_scraped { metrics } else { String::new() },
            past: link(
                "/journal",
                [("selector", if is_linked(address) { address } else { "" }), ("job", job.as_str())],
            ),
            job,
            word,
            class,
            provider: origin.provider,
            source: line(&origin.source),
            presence: origin.presence.map(Standing::of_provider),
            read: origin.last_success.map(|time| Moment::of(time.0, now)),
            failing: origin.failing.map(|failing| told_failing(&failing, now)).unwrap_or_default(),
            discovered: cut::plain(trace.discovered.iter()),
            story: Story::of(&trace),
            facts: target.map(|target| facts(&target, now)).unwrap_or_default(),
        }
    }

    /// About how long it is on the page.
    fn size(&self) -> usize {
        let facts = self.facts.iter().flat_map(|(_, lines)| lines).map(|line| line.len() + 20).sum::<usize>();
        let said = self.name.len() + self.metrics.len() + self.past.len() + self.failing.len();
        1_000 + said + cut::size(&self.discovered) + self.story.size() + facts
    }
}

/// What there is to say of a target besides its way.
fn facts(target: &Target, now: SystemTime) -> Vec<(&'static str, Vec<String>)> {
    let held = target
        .held
        .as_ref()
        .map(|held| held.told(|time| Moment::of(time.0, now).words, |time| Moment::due(time.0, now).words));
    let merged = target.merged.iter().map(|it| format!("{} of {}", it.source, it.provider)).collect();
    let same_url = target.same_url.iter().map(|it| {
        let collides = if it.collides { ", with equal labels: their samples collide" } else { "" };
        format!("{} of job {:?}{collides}", it.labels, it.job)
    });
    let all = [
        ("Held", held.into_iter().collect()),
        ("Limits", target.limits.clone()),
        ("Comes from other entries, too", merged),
        ("Others with the same URL", same_url.collect()),
        ("Scraped", target.scrape.iter().flat_map(|scrape| told_scrape(scrape, now)).collect()),
        ("Published", target.published.iter().map(|published| told_published(published, now)).collect()),
    ];
    all.into_iter()
        .filter(|(_, lines): &(_, Vec<String>)| !lines.is_empty())
        .map(|(what, lines)| (what, few_lines(lines)))
        .collect()
}

/// The first lines, cut, and how many more there are.
fn few_lines(lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(LINES);
    let more = (more > 0).then(|| format!("and {} more", grouped(more as u64)));
    lines.iter().take(LINES).map(|it| line(it)).chain(more).collect()
}

fn told_scrape(scrape: &Scrape, now: SystemTime) -> Vec<String> {
    let last = scrape.last_scrape.map(|time| {
        let took = fine(Duration::try_from_secs_f64(scrape.duration).unwrap_or_default());
        format!(
            "last {}, took {took}, {} in the last good one",
            Moment::of(time.0, now).words,
            counted(scrape.samples, "sample")
        )
    });
    let error = scrape.error.as_ref().map(|error| format!("{error} ({})", error.code));
    let rest =
        scrape.snoozed_until.map(|until| format!("asked for rest, next try {}", Moment::due(until.0, now).words));
    let often = (scrape.failures > 0).then(|| {
        format!("{} of {} failed", grouped(scrape.failures.into()), counted(scrape.scrapes as usize, "scrape"))
    });
    let over = scrape.last_failure.as_ref().filter(|_| scrape.error.is_none());
    let over =
        over.map(|last| format!("failed {}: {} ({})", Moment::of(last.at.0, now).words, last.report, last.report.code));
    let first = format!("{}, every {}, within {}", scrape.health, scrape.interval, scrape.timeout);
    std::iter::once(first).chain(last).chain(error).chain(often).chain(over).chain(rest).collect()
}

fn told_published(published: &Published, now: SystemTime) -> String {
    let Published { kind, place, state, last, withheld } = published;
    let state = state.as_ref().map(|state| format!(", {state}")).unwrap_or_default();
    let done = if kind == "http_sd" { "served" } else { "written" };
    let last =
        last.map_or_else(|| format!("not {done} yet"), |time| format!("last {done} {}", Moment::of(time.0, now).words));
    let withheld =
        withheld.as_ref().map(|report| format!("; withheld: {report} ({})", report.code)).unwrap_or_default();
    format!("{kind} at {place}{state}, {last}{withheld}")
}
