//! `/explain`: why a target is there, or is not: where it was discovered, what each rule made of it, and all that is known around it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;
use http::{StatusCode, Uri};
use rosterd_model::labels::{ADDRESS, INSTANCE};
use rosterd_model::selector::{Matcher, Op};
use rosterd_model::{Labels, Selector};

use super::super::query::Query;
use super::super::words::{Moment, counted, few, fine, grouped, source_of};
use super::super::{Error, State, explain as search_for};
use super::brake;
use super::cut::{self, Label, Line, as_fits, is_linked, line, linked, written};
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
use crate::roster::confirmation::keeping;

/// How many entries are told, and how long what is said of them, and of their past, may be, in bytes.
const TOLD: usize = 5;
const MOST_BYTES: usize = 30_000;
/// How many of what may be many is told: lines of one kind, and addresses; and how long these lines may be together.
const LINES: usize = 20;
const LINES_BYTES: usize = 3_000;

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
    unsure: Vec<Line>,
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
    failing: Option<Line>,
    warning: Option<Line>,
    discovered: Vec<Label>,
    story: Story,
    /// What else there is to say, by what it is about.
    facts: Vec<(&'static str, Vec<Line>)>,
    /// Of one that is braked: where the button leads that lets go of it and of all others of the job, and what keeps them.
    release: String,
    keep: String,
}

/// The page.
pub(in crate::api) async fn explain(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let (text, job) = (query.get("q").unwrap_or_default(), query.get("job"));
    // As much again is for what belongs to what was found, and for its past.
    let patience = patience::of(&query)? / 2;
    let view = state.roster.view();
    let answered = match Search::parse(text) {
        _ if text.is_empty() => match job {
            Some(job) => search_for::is_known(&state, job).await.map(|()| None),
            None => Ok(None),
        },
        Err(source) => Err(Error::InvalidParameter { name: "q", source }.into()),
        Ok(search) => {
            let explained = search_for::with_past(&state, search.clone(), job, TOLD, patience).await;
            explained.map(|it| Some((it.question(&search, job), it)))
        }
    };
    let told = |(question, it): (Option<journal::Query>, _)| Answer::of(it, question.as_ref(), job, SystemTime::now());
    let (answer, status, wrong) = match answered {
        Ok(explained) => (explained.map(told), StatusCode::OK, None),
        Err(problem) => (None, status_of(problem.report()), Some(problem.report().to_string())),
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
        let is_settled = explanation.is_settled();
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
        let unseen = (looked < entries && gone.is_none() && !is_settled).then(|| {
            (
                format!("Only {} of {} discovered entries were looked at in full.", number(looked), number(entries)),
                again,
            )
        });
        let told = unsure.iter().map(|unsure| told_unsure(unsure, now).cut());
        let shown_unsure = as_fits(told, MOST_BYTES / 3, Line::size);
        let similar = similar.into_iter().map(|it| (path(linked(&it.address), job), line(&it.address)));
        Self {
            head,
            gone,
            found: shown,
            unseen,
            idle,
            similar: similar.map(|(path, address)| (address, path)).collect(),
            hints: cut::lines(hints, LINES, LINES_BYTES),
            more_unsure: more_unsure + unsure.len() - shown_unsure.len(),
            unsure: shown_unsure,
            past: as_fits(past.into_iter().flatten().map(Row::of), MOST_BYTES, Row::size),
            past_unseen,
            journal: question.map(all_of).unwrap_or_default(),
        }
    }
}

fn told_unsure(unsure: &Unsure, now: SystemTime) -> Line {
    let Unsure { provider, source, jobs, failing, warning, .. } = unsure;
    let source = source.as_ref().map(|source| format!("{} of ", source_of(provider, source))).unwrap_or_default();
    let told = [
        failing.as_ref().map(|failing| told_failing(failing, now)),
        warning.as_ref().map(|warning| told_warning(warning, now)),
    ];
    let text = |it: &Line| format!(": {}", it.text);
    let texts = told.iter().flatten().map(text).collect::<String>();
    // What fails is worse than what is warned of.
    let code = told.into_iter().flatten().next().map(|it| it.code).unwrap_or_default();
    Line { text: format!("{source}{provider} of {} {}{texts}", few(jobs), unsure.how()), code }
}

fn told_warning(Failing { since, report }: &Failing, now: SystemTime) -> Line {
    Line::of(format!("a warning since {}: {report}", Moment::of(since.0, now).words), report)
}

fn told_failing(Failing { since, report }: &Failing, now: SystemTime) -> Line {
    Line::of(format!("failing since {}: {report}", Moment::of(since.0, now).words), report)
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
        let confirm = target.as_ref().and_then(|target| target.held.as_ref()?.confirm.clone());
        let release = confirm.as_ref().map(|_| brake::path(&job)).unwrap_or_default();
        let keep = confirm.filter(|confirm| confirm != "never").map(|_| keeping(&job)).unwrap_or_default();
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
            source: line(&source_of(&origin.provider, &origin.source)),
            provider: origin.provider,
            presence: origin.presence.map(Standing::of_provider),
            read: origin.last_success.map(|time| Moment::of(time.0, now)),
            failing: origin.failing.map(|failing| told_failing(&failing, now).cut()),
            warning: origin.warning.map(|warning| told_warning(&warning, now).cut()),
            discovered: cut::plain(trace.discovered.iter()),
            story: Story::of(&trace),
            release,
            keep,
            facts: target.map(|target| facts(&target, now)).unwrap_or_default(),
        }
    }

    /// About how long it is on the page.
    fn size(&self) -> usize {
        let facts = self.facts.iter().flat_map(|(_, lines)| lines).chain(&self.failing).chain(&self.warning);
        let facts = facts.map(Line::size).sum::<usize>();
        let said = [&self.name, &self.metrics, &self.past, &self.source, &self.provider];
        let said = said.iter().map(|text| written(text)).sum::<usize>() + 7 * written(&self.job);
        let said = said + written(&self.release) + written(&self.keep);
        1_000 + said + cut::size(&self.discovered) + self.story.size() + facts
    }
}

/// What there is to say of a target besides its way.
fn facts(target: &Target, now: SystemTime) -> Vec<(&'static str, Vec<Line>)> {
    let held = target
        .held
        .as_ref()
        .map(|held| held.told(|time| Moment::of(time.0, now).words, |time| Moment::due(time.0, now).words));
    let held = held.into_iter().map(Line::from).collect();
    let merged = target
        .merged
        .iter()
        .map(|it| format!("{} of {}", source_of(&it.provider, &it.source), it.provider).into())
        .collect();
    let same_url = target.same_url.iter().map(|it| {
        let collides = if it.collides { ", with equal labels: their samples collide" } else { "" };
        Line::from(format!("{} of job {:?}{collides}", it.labels, it.job))
    });
    let elsewhere = target.member.iter().map(|member| Line::from(format!("by the member {member}")));
    let all = [
        ("Held", held),
        ("Limits", target.limits.iter().cloned().map(Line::from).collect()),
        ("Comes from other entries, too", merged),
        ("Others with the same URL", same_url.collect()),
        ("Scraped", target.scrape.iter().flat_map(|scrape| told_scrape(scrape, now)).chain(elsewhere).collect()),
        ("Published", target.published.iter().map(|published| told_published(published, now)).collect()),
    ];
    all.into_iter()
        .filter(|(_, lines): &(_, Vec<Line>)| !lines.is_empty())
        .map(|(what, lines)| (what, cut::coded_lines(lines, LINES, LINES_BYTES)))
        .collect()
}

fn told_scrape(scrape: &Scrape, now: SystemTime) -> Vec<Line> {
    let last = scrape.last_scrape.map(|time| {
        let took = fine(Duration::try_from_secs_f64(scrape.duration).unwrap_or_default());
        let samples = match scrape.scrapes > scrape.failures {
            true => format!(", {} in the last good one", counted(scrape.samples, "sample")),
            false => String::new(),
        };
        format!("last {}, took {took}{samples}", Moment::of(time.0, now).words)
    });
    let error = scrape.error.as_ref().map(|error| Line::of(error.to_string(), error));
    let rest =
        scrape.snoozed_until.map(|until| format!("asked for rest, next try {}", Moment::due(until.0, now).words));
    let often = (scrape.failures > 0).then(|| {
        format!("{} of {} failed", grouped(scrape.failures.into()), counted(scrape.scrapes as usize, "scrape"))
    });
    let over = scrape.last_failure.as_ref().filter(|_| scrape.error.is_none());
    let failed = |at| Moment::of(at, now).words;
    let over = over.map(|last| Line::of(format!("failed {}: {}", failed(last.at.0), last.report), &last.report));
    let first = format!("{}, every {}, within {}", scrape.health, scrape.interval, scrape.timeout);
    let [last, often, rest] = [last, often, rest].map(|told| told.map(Line::from));
    std::iter::once(first.into()).chain(last).chain(error).chain(often).chain(over).chain(rest).collect()
}

fn told_published(published: &Published, now: SystemTime) -> Line {
    let Published { kind, place, state, withheld, .. } = published;
    let state = state.as_ref().map(|state| format!(", {state}")).unwrap_or_default();
    let last = published.when(|time| Moment::of(time.0, now).words);
    let why = withheld.as_ref().map(|report| format!("; withheld: {report}")).unwrap_or_default();
    let code = withheld.as_ref().map(|report| report.code.clone()).unwrap_or_default();
    Line { text: format!("{kind} at {place}{state}, {last}{why}"), code }
}
