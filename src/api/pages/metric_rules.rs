//! `/relabel/metrics`: what `metric_relabel_configs` make of an exposition, series by series: of a text that was given, or of what
//! a target exposes just now. Nothing of it is kept.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::body::to_bytes;
use axum::extract::{Request, State as Extract};
use axum::response::Response;
use http::{StatusCode, Uri};
use rosterd_model::labels::METRIC_NAME;
use rosterd_model::relabel::{Rules, Scratch};
use rosterd_model::{Builder, Labels, Names};
use rosterd_tasks::blocking;
use tokio::time::Instant;

use super::super::query::Query;
use super::super::sd::unknown_job;
use super::super::words::{coarse, counted};
use super::super::{State, origin};
use super::cut::{self, line};
use super::exposed::Exposed;
use super::shell::{Shell, page, refusing};
use super::targets::names;
use super::workbench::{REPEATED_RULES, WRONG, compile, repeated, too_large, written as rules_of};
use crate::problem::Problem;

/// How many series are shown; all are counted.
const SHOWN: usize = 200;
/// How long what is shown of them may be together, in bytes.
const MOST_BYTES: usize = 60_000;
/// How large a form may be that is sent.
const LARGEST: usize = 16 << 20;
/// A text up to this size, as it is written, stands on the page again, with what became of it.
const REPEATED: usize = 40_000;
/// How long rules are tried. Samples that nobody tried until then are counted.
const LONGEST: Duration = Duration::from_secs(5);

#[derive(Template)]
#[template(path = "metric_rules.html")]
struct Page {
    shell: Shell,
    /// The names of all jobs, unless these are too many.
    jobs: Vec<Arc<str>>,
    job: String,
    target: String,
    rules: String,
    exposition: String,
    /// Whether rules were too long to be repeated, and whether a text was.
    is_rules_left_out: bool,
    is_left_out: bool,
    wrong: Vec<String>,
    tried: Option<Tried>,
}

/// What became of the series of an exposition.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tried {
    /// The target whose series they are, if they are of one.
    url: String,
    kept: usize,
    dropped: usize,
    series: Vec<Series>,
    bytes: usize,
    /// Those that are not shown.
    more: usize,
    /// Those for which the time was too short.
    untried: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Series {
    before: String,
    /// As it is afterwards; empty where it was dropped, or is as before.
    after: String,
    word: String,
    class: &'static str,
}

/// The page: rules on the text in its address, or on none. No target is asked by that.
pub(in crate::api) async fn metric_rules(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let rules = query.get("rules").map(str::to_owned);
    let rules = rules.or_else(|| own_rules(&state, query.get("job")?)).unwrap_or_default();
    let text = query.get("exposition").unwrap_or_default().to_owned();
    answer(&state, &query, rules, Some(text)).await
}

/// The page for a form that was sent: rules on its text, which may be large, or on what a target exposes.
pub(in crate::api) async fn try_metric_rules(
    Extract(state): Extract<Arc<State>>,
    request: Request,
) -> Result<Response, Problem> {
    origin::check(request.uri(), request.headers(), &state.external_url)?;
    // Kept from what is read to the answer: it is what takes memory.
    let _turn = state.trying.acquire().await;
    let Ok(form) = to_bytes(request.into_body(), LARGEST).await else {
        let query = Query::of_form(&[]);
        let wrong = format!("what was sent is larger than {} MiB, or broke off", LARGEST >> 20);
        return Ok(shown(&state, &query, String::new(), String::new(), vec![wrong], None));
    };
    let query = blocking(move || Query::of_form(&form)).await;
    let rules = query.get("rules").unwrap_or_default().to_owned();
    let text = query.get("exposition").unwrap_or_default().to_owned();
    answer(&state, &query, rules, (query.get("on") != Some("target")).then_some(text)).await
}

/// The rules for metrics of a job that is scraped.
fn own_rules(state: &State, job: &str) -> Option<String> {
    state.scraped.get(job).map(|job| rules_of(&job.rules.relabel))
}

/// Tries rules on a text or, without one, on what the target exposes that the query names.
async fn answer(state: &State, query: &Query, rules: String, text: Option<String>) -> Result<Response, Problem> {
    let rules = rules.replace("\r\n", "\n");
    let (view, job) = (state.roster.view(), query.get("job").unwrap_or_default());
    let unknown = (!job.is_empty() && view.job(job).is_none()).then(|| unknown_job(&view, job).to_string());
    let status = if unknown.is_some() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    let mut wrong: Vec<_> = unknown.into_iter().collect();
    let (compiled, rules) = blocking(move || (compile(&rules), rules)).await;
    let compiled = compiled.map_err(|problems| wrong.extend(problems)).ok();
    let text = text.map(|text| text.replace("\r\n", "\n"));
    let exposed = match (&compiled, &text) {
        (None, _) => None,
        (Some(_), None) if status != StatusCode::OK => None,
        (Some(_), Some(text)) => Some(text.trim()).filter(|text| !text.is_empty()).map(Exposed::text),
        (Some(_), None) => {
            let target = query.get("target").unwrap_or_default();
            Exposed::by(state, job, target).await?.map_err(|why| wrong.push(why)).ok()
        }
    };
    let tried = match compiled.zip(exposed) {
        Some((rules, exposed)) => {
            let tried = blocking(move || attempt(&rules, &exposed, Instant::now() + LONGEST)).await;
            tried.map_err(|why| wrong.push(why)).ok()
        }
        None => None,
    };
    Ok(refusing(status, shown(state, query, rules, text.unwrap_or_default(), wrong, tried)))
}

fn shown(
    state: &State,
    query: &Query,
    rules: String,
    exposition: String,
    wrong: Vec<String>,
    tried: Option<Tried>,
) -> Response {
    let (rules, exposition) = (repeated(rules, REPEATED_RULES), repeated(exposition, REPEATED));
    page(&Page {
        shell: Shell::of(state, "/relabel", "Metric rules"),
        jobs: names(&state.roster.view()),
        job: query.get("job").unwrap_or_default().to_owned(),
        target: query.get("target").unwrap_or_default().to_owned(),
        is_rules_left_out: rules.is_none(),
        rules: rules.unwrap_or_default(),
        is_left_out: exposition.is_none(),
        exposition: exposition.unwrap_or_default(),
        wrong: cut::lines(wrong, usize::MAX, WRONG),
        tried,
    })
}

/// Applies rules to each series, until the end. Fails where the exposition cannot be read.
fn attempt(rules: &Rules, exposed: &Exposed, end: Instant) -> Result<Tried, String> {
    let url = exposed.of.as_ref().map(|target| target.url.clone()).unwrap_or_default();
    let (mut tried, mut scratch) = (Tried { url, ..Tried::default() }, Scratch::default());
    let mut refused = None;
    let read = exposed.each(|labels| {
        if tried.untried > 0 || Instant::now() >= end {
            tried.untried += 1;
            return;
        }
        refused = refused.take().or_else(|| too_large(rules, labels));
        if refused.is_some() {
            return;
        }
        let (dropped, after) = apply(labels, rules, &mut scratch);
        if dropped.is_some() {
            tried.dropped += 1
        } else {
            tried.kept += 1
        }
        if tried.series.len() == SHOWN || tried.bytes > MOST_BYTES {
            tried.more += 1;
            return;
        }
        let series = Series::of(labels, dropped, &after);
        let hide = |text: &str| exposed.secrets.hide(text);
        let series = Series { before: line(&hide(&series.before)), after: line(&hide(&series.after)), ..series };
        tried.bytes += 200 + cut::written(&series.before) + cut::written(&series.after);
        tried.series.push(series);
    });
    match read {
        Ok(()) => refused.map_or(Ok(tried), Err),
        Err(error) => Err(format!("the exposition cannot be read: {}", exposed.secrets.hide(&error.to_string()))),
    }
}

/// The rule that drops a series, if one does, and its labels afterwards.
fn apply(labels: &Labels, rules: &Rules, scratch: &mut Scratch) -> (Option<usize>, Labels) {
    let mut builder = Builder::new();
    builder.reset(labels);
    let dropped = rules.dropped_by(&mut builder, scratch);
    (dropped, builder.build(&mut Names::new()))
}

impl Series {
    fn of(labels: &Labels, dropped: Option<usize>, after: &Labels) -> Self {
        let (word, class, after) = match dropped {
            Some(rule) => (format!("dropped by rule {}", rule + 1), "down", String::new()),
            None if after == labels => ("kept".to_owned(), "up", String::new()),
            None => ("changed".to_owned(), "warn", written(after)),
        };
        Self { before: written(labels), after, word, class }
    }
}

/// A series as an exposition writes it.
fn written(labels: &Labels) -> String {
    let rest = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
    let rest: Vec<_> = rest.map(|(name, value)| format!("{name}={value:?}")).collect();
    let name = labels.get(METRIC_NAME).unwrap_or_default();
    if rest.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", rest.join(", ")) }
}

impl Tried {
    /// How many there were, in words.
    fn words(&self) -> String {
        let of = if self.url.is_empty() { String::new() } else { format!(" of {}", line(&self.url)) };
        let tried = counted(self.kept + self.dropped, "sample");
        let untried = match self.untried {
            0 => String::new(),
            more => format!("; {} not tried, as that took more than {}", counted(more, "sample"), coarse(LONGEST)),
        };
        format!("{tried}{of}: {} kept, {} dropped{untried}", self.kept, self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "- {source_labels: [__name__], regex: go_.*, action: drop}\n- {regex: id, action: labeldrop}";

    /// An end that no test reaches.
    fn later() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    #[test]
    fn each_series_is_kept_changed_or_dropped() {
        let text = "# HELP up x\nup 1\ngo_info{version=\"1\"} 1\nreads{id=\"7\", disk=\"a\"} 5 123";
        let tried = attempt(&compile(RULES).unwrap(), &Exposed::text(text), later()).unwrap();
        let told = |series: &Series| format!("{} {} {}", series.before, series.word, series.after);
        let expected = [
            "up kept ",
            "go_info{version=\"1\"} dropped by rule 1 ",
            "reads{disk=\"a\", id=\"7\"} changed reads{disk=\"a\"}",
        ];
        assert_eq!(tried.series.iter().map(told).collect::<Vec<_>>(), expected);
        assert_eq!(tried.words(), "3 samples: 2 kept, 1 dropped");
        let open = Exposed::text("# TYPE a counter\na_total 1 # {t=\"1\"} 1\n# EOF");
        let open = attempt(&compile(RULES).unwrap(), &open, later()).unwrap();
        assert_eq!((open.kept, open.dropped), (1, 0));
        let error = attempt(&Rules::default(), &Exposed::text("a{"), later()).unwrap_err();
        assert!(error.starts_with("the exposition cannot be read: "), "{error}");
    }

    #[test]
    fn all_are_counted_and_some_are_shown() {
        let text = (0..500).map(|number| format!("a{{n=\"{number}\"}} 1\n")).collect::<String>();
        let tried = attempt(&Rules::default(), &Exposed::text(&text), later()).unwrap();
        assert_eq!((tried.kept, tried.series.len(), tried.more), (500, SHOWN, 300));
        let tried = attempt(&Rules::default(), &Exposed::text(&text), Instant::now()).unwrap();
        assert_eq!(tried.words(), "0 samples: 0 kept, 0 dropped; 500 samples not tried, as that took more than 5s");
    }
}
