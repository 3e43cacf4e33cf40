//! `/relabel`: rules and discovered labels side by side, what each rule makes of them, and what becomes of them in the job. Nothing
//! of it is kept, and no target changes by it.

use std::path::Path;
use std::sync::Arc;

use askama::Template;
use axum::extract::State as Extract;
use axum::response::Response;
use http::{StatusCode, Uri};
use rosterd_model::relabel::{RuleConfig, Rules};
use rosterd_model::{Labels, NameScheme};
use rosterd_tasks::blocking;

use super::super::State;
use super::super::query::Query;
use super::super::sd::unknown_job;
use super::super::targets::Cursor;
use super::cut;
use super::entries;
use super::shell::{Shell, page, refusing};
use super::story::Story;
use super::targets::names;
use crate::explain::{End, Trace};
use crate::problem::Problem;
use crate::roster::JobSpec;
use crate::roster::view::RosterView;

/// So many rules are tried at most: each tells of all labels. And so many bytes of them.
const MOST_RULES: usize = 200;
const MOST_RULE_BYTES: usize = 64 * 1024;
/// So many bytes of labels are tried at most, in any step.
const MOST_BYTES: usize = 64 * 1024;
/// Rules and labels up to these sizes, as they are written, stand on the page again; and so much of what is wrong with them.
pub(super) const REPEATED_RULES: usize = 40_000;
const REPEATED: usize = 50_000;
pub(super) const WRONG: usize = 10_000;

#[derive(Template)]
#[template(path = "workbench.html")]
struct Page {
    shell: Shell,
    /// The names of all jobs, unless these are too many.
    jobs: Vec<Arc<str>>,
    job: String,
    bench: Bench,
}

/// Rules, labels, and what comes of them.
struct Bench {
    rules: String,
    labels: String,
    /// Whether a text is too long to stand on the page again.
    is_left_out: bool,
    wrong: Vec<String>,
    tried: Option<Story>,
    /// What the rules of the job itself make of it, where others are tried.
    own: Option<Story>,
}

/// The page.
pub(in crate::api) async fn workbench(Extract(state): Extract<Arc<State>>, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri);
    let view = state.roster.view();
    let at = |text: &str| Cursor::decode_as("at", "what a link of the page of discovery has", text);
    let place = query.get("at").map(at).transpose()?;
    let name = query.get("job").or(place.as_ref().map(Cursor::job)).unwrap_or_default().to_owned();
    let job = view.job(&name).map(|job| Arc::clone(job.spec()));
    let wrong = (job.is_none() && !name.is_empty()).then(|| unknown_job(&view, &name).to_string());
    let status = if wrong.is_some() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    let given = |name| query.get(name).map(|given| given.replace("\r\n", "\n"));
    let (rules, labels, known) = (given("rules"), given("labels"), Arc::clone(&view));
    // A block may be of any size, and what rules look for, too.
    let bench = blocking(move || {
        let of_place = || place.map(|place| of_place(&known, &place)).unwrap_or_default();
        Bench::of(job.as_deref(), rules, labels.unwrap_or_else(of_place), wrong)
    });
    let bench = bench.await;
    let shell = Shell::of(&state, "/relabel", "Relabel");
    Ok(refusing(status, page(&Page { shell, jobs: names(&view), job: name, bench })))
}

impl Bench {
    /// Tries rules on labels: those of the job unless others are given. `wrong` is what is wrong already.
    fn of(job: Option<&JobSpec>, rules: Option<String>, labels: String, wrong: Option<String>) -> Self {
        let mut wrong: Vec<_> = wrong.into_iter().collect();
        let given = rules.filter(|given| !given.trim().is_empty());
        let rules = given.or_else(|| Some(written(&job?.rules))).unwrap_or_default();
        let compiled = compile(&rules).map_err(|problems| wrong.extend(problems)).ok();
        if labels.len() > MOST_BYTES {
            let (kib, most) = (labels.len() >> 10, MOST_BYTES >> 10);
            wrong.push(format!("{kib} KiB of labels are too much to try at once: at most {most} KiB"));
        }
        let given = read_labels(&labels).map_err(|error| wrong.push(error)).ok();
        let given = given.filter(|given| !given.is_empty());
        if let (Some(rules), Some(labels)) = (&compiled, &given) {
            wrong.extend(too_large(rules, labels));
            wrong.extend(job.filter(|job| job.rules != *rules).and_then(|job| too_large(&job.rules, labels)));
        }
        let tried = compiled.as_ref().zip(given.as_ref()).filter(|_| wrong.is_empty());
        let tried = tried.map(|(rules, labels)| attempt(job, rules, labels));
        let own = match (job, &given, &compiled) {
            (Some(job), Some(labels), Some(rules)) if tried.is_some() && *rules != job.rules => {
                Some(Story::of(&Trace::of_job(job, labels)))
            }
            _ => None,
        };
        let (rules, labels) = (repeated(rules, REPEATED_RULES), repeated(labels, REPEATED));
        let is_left_out = rules.is_none() || labels.is_none();
        let (rules, labels) = (rules.unwrap_or_default(), labels.unwrap_or_default());
        Self {
            rules,
            labels,
            is_left_out,
            wrong: cut::lines(wrong, usize::MAX, WRONG),
            tried: tried.as_ref().map(Story::of),
            own,
        }
    }
}

/// A text that was given, where it is not too long to be repeated.
pub(super) fn repeated(text: String, most: usize) -> Option<String> {
    Some(text).filter(|text| cut::written(text) <= most)
}

/// What is wrong with rules that would make too much of labels.
pub(super) fn too_large(rules: &Rules, labels: &Labels) -> Option<String> {
    rules.outgrows(labels, MOST_BYTES).map(|rule| {
        let (rule, kib) = (rule + 1, MOST_BYTES / 1024);
        format!("rule {rule} may make more than {kib} KiB of the labels, which is too much to try: let it repeat less, or try shorter values")
    })
}

/// What rules make of labels, in a job or without one.
fn attempt(job: Option<&JobSpec>, rules: &Rules, labels: &Labels) -> Trace {
    if let Some(job) = job {
        return Trace::of_job(&JobSpec { rules: rules.clone(), ..job.clone() }, labels);
    }
    let steps = rules.explain(labels);
    let end = match steps.last() {
        Some(step) if !step.keep => End::Dropped,
        last => End::Kept { labels: last.map_or(labels, |step| &step.output).clone() },
    };
    Trace::new(labels, labels, &steps, end)
}

/// The rules as one writes them.
pub(super) fn written(rules: &Rules) -> String {
    let configs: Vec<_> = rules.iter().map(|rule| rule.config()).collect();
    if configs.is_empty() {
        String::new()
    } else {
        serde_yaml::to_string::<Vec<&RuleConfig>>(&configs).unwrap_or_default()
    }
}

/// Reads rules as one writes them. Fails with all that is wrong.
pub(super) fn compile(text: &str) -> Result<Rules, Vec<String>> {
    if text.trim().is_empty() {
        return Ok(Rules::default());
    }
    if text.len() > MOST_RULE_BYTES {
        let (kib, most) = (text.len() >> 10, MOST_RULE_BYTES >> 10);
        return Err(vec![format!("{kib} KiB of rules are too much to try at once: at most {most} KiB")]);
    }
    let parsed = rosterd_config::parse_rules(Path::new("rules"), text.as_bytes(), NameScheme::Utf8);
    let rules = parsed.map_err(|errors| errors.problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    match rules.len() {
        0..=MOST_RULES => Ok(rules),
        many => Err(vec![format!("{many} rules are too many to try at once: at most {MOST_RULES}")]),
    }
}

/// The discovered labels at a place, a line for each; none where there is nothing any more.
fn of_place(view: &RosterView, place: &Cursor) -> String {
    let found = view.job(place.job()).and_then(|job| entries::discovered(job, place));
    let line = |(name, value): &(String, String)| format!("{name}={}\n", value_of(value));
    found.iter().flat_map(|labels| labels.iter()).map(line).collect()
}

/// A value as it stands behind its name: in quotes where it would not be read as it is.
fn value_of(value: &str) -> String {
    let plain = !value.starts_with('"') && value.trim() == value && !value.contains(char::is_control);
    if plain { value.to_owned() } else { serde_json::Value::from(value).to_string() }
}

/// Reads labels: a JSON object, or a line `name=value` for each.
fn read_labels(text: &str) -> Result<Labels, String> {
    if text.trim_start().starts_with('{') {
        let read = serde_json::from_str::<Labels>(text);
        return read.map_err(|error| format!("the labels are no JSON object of texts: {error}"));
    }
    let mut labels = rosterd_model::Builder::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: &str| format!("line {} of the labels {why}", index + 1);
        let (name, value) = line.split_once('=').ok_or_else(|| wrong("has no =: write name=value"))?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() {
            return Err(wrong("begins with =: a label cannot be without a name"));
        }
        if value.starts_with('"') {
            let value: String = serde_json::from_str(value).map_err(|_| wrong("has a quote that is not closed"))?;
            labels.set(name, &value);
        } else {
            labels.set(name, value);
        }
    }
    Ok(labels.build(&mut rosterd_model::Names::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_they_are_written() {
        for value in ["1", "a=b", "\"", " x ", "a\nb", "", "ü\t"] {
            let labels = read_labels(&format!("\n__name = {}\n", value_of(value))).unwrap();
            let expected = [("__name", value)].into_iter().filter(|(_, value)| !value.is_empty());
            assert_eq!(labels, expected.collect::<Labels>(), "{value:?}");
        }
        assert_eq!(read_labels("{\"a\": \"1\"}").unwrap().get("a"), Some("1"));
        for (text, words) in [
            ("a=1\nb", "line 2 of the labels has no ="),
            ("=1", "line 1 of the labels begins with ="),
            ("a=\"1", "line 1 of the labels has a quote"),
            ("{\"a\": 1}", "no JSON object of texts"),
        ] {
            let error = read_labels(text).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn rules_come_back_as_they_were_written() {
        let text = "- source_labels:\n  - a\n  regex: b|c\n  action: keep\n- target_label: d\n  replacement: e\n";
        let rules = compile(text).unwrap();
        assert_eq!((written(&rules).as_str(), written(&Rules::default()).as_str()), (text, ""));
        assert_eq!(compile(" \n").unwrap().len(), 0);
        let problems = compile("- {regex: '(', target_label: x}\n- {action: kep, target_label: x}").unwrap_err();
        assert!(problems.len() == 2 && problems[0].starts_with("rules:1:"), "{problems:?}");
        let many = "- {target_label: x}\n".repeat(MOST_RULES + 1);
        assert!(compile(&many).unwrap_err()[0].contains("201 rules are too many"));
    }
}
