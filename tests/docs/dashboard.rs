//! The dashboard asks for what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use rosterd_testkit::{Folder, need};
use serde_json::Value;

use crate::pages::{Page, rows};
use crate::sources::read;

/// What whoever scrapes rosterd adds; what rosterd itself calls `job` is called `exported_job` then.
const ADDED: [&str; 2] = ["job", "instance"];

fn dashboard() -> Value {
    serde_json::from_str(&read("deploy/grafana/rosterd.json")).expect("it is JSON")
}

/// All texts under a key, wherever.
fn texts<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| match value.as_str() {
            Some(text) if name == key => found.push(text),
            _ => texts(value, key, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| texts(item, key, found)),
        _ => {}
    }
}

/// What the panels ask for, each with the legend that is made of the answer.
fn questions(dashboard: &Value) -> Vec<(&str, &str)> {
    let panels = dashboard["panels"].as_array().expect("there are panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|it| (it["expr"].as_str().expect("it asks"), it["legendFormat"].as_str().unwrap_or_default())).collect()
}

/// The metrics that there are, each with its type and its labels.
pub(crate) fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let rows = rows(Page::read("metrics.md").text());
    let metrics = rows.into_iter().map(|(name, cells)| {
        let labels = cells[1].split('`').skip(1).step_by(2).map(|label| match label {
            "job" => "exported_job".to_owned(),
            label => label.to_owned(),
        });
        (name, (cells[0].clone(), labels.collect()))
    });
    metrics.collect()
}

/// A metric by the name of one of its series, with its labels.
fn labels_of(known: &BTreeMap<String, (String, BTreeSet<String>)>, name: &str) -> Result<BTreeSet<String>, String> {
    let own = |labels: &BTreeSet<String>| labels.iter().cloned().chain(ADDED.map(str::to_owned)).collect();
    match known.get(name) {
        Some((kind, _)) if kind == "histogram" || kind == "summary" => Err(format!("{name} is a {kind}")),
        Some((_, labels)) => Ok(own(labels)),
        None => {
            let family = |suffix| known.get(name.strip_suffix(suffix)?).filter(|(kind, _)| kind == "histogram");
            let (mut labels, le) = match (family("_bucket"), family("_sum").or_else(|| family("_count"))) {
                (Some((_, labels)), _) => (own(labels), true),
                (None, Some((_, labels))) => (own(labels), false),
                (None, None) => return Err(format!("there is no {name}")),
            };
            if le {
                labels.insert("le".to_owned());
            }
            Ok(labels)
        }
    }
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// The parts of an expression between these words, each with the word before it: those that stand by themselves, in no brackets and no
/// quotes.
fn parts<'a>(expression: &'a str, words: &[&'static str]) -> Vec<(&'static str, &'a str)> {
    let (mut parts, mut depth, mut quoted, mut begin, mut word) = (Vec::new(), 0usize, false, 0, "");
    for (at, character) in expression.char_indices() {
        match character {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 && !expression[..at].chars().next_back().is_some_and(is_name) => {
                let rest = &expression[at..];
                let is_here = |word: &&&str| {
                    rest.strip_prefix(**word).is_some_and(|rest| !rest.chars().next().is_some_and(is_name))
                };
                if let Some(next) = words.iter().find(is_here) {
                    parts.push((word, &expression[begin..at]));
                    (begin, word) = (at + next.len(), *next);
                }
            }
            _ => {}
        }
    }
    parts.push((word, &expression[begin..]));
    parts
}

/// Labels in brackets behind a word that an expression begins with, and what is behind them.
fn matching<'a>(expression: &'a str, word: &str) -> Option<(BTreeSet<String>, &'a str)> {
    let rest = expression.trim_start().strip_prefix(word)?.trim_start().strip_prefix('(')?;
    let (labels, rest) = rest.split_once(')')?;
    Some((labels.split(',').map(|label| label.trim().to_owned()).collect(), rest))
}

/// What is wrong with a question: metrics and labels that do not exist, and what never has the same labels as what it is compared with.
pub(crate) fn problems(
    known: &BTreeMap<String, (String, BTreeSet<String>)>,
    expression: &str,
    legend: &str,
) -> Vec<String> {
    let mut problems = Vec::new();
    // What has the labels of one part or another has those that all of them have.
    let parts = parts(expression, &["or"]).into_iter().map(|(word, part)| match word {
        // What is shown where there is nothing else has no labels.
        "or" if part.trim_start().starts_with("vector(") => BTreeSet::new(),
        _ => left_by_sets(known, part, &mut problems),
    });
    let left = parts.reduce(|all, part| all.intersection(&part).cloned().collect()).unwrap_or_default();
    let shown = legend.split("{{").skip(1).filter_map(|it| it.split("}}").next()).map(str::trim);
    problems.extend(shown.filter(|label| !left.contains(*label)).map(|label| format!("the legend has no {label}")));
    problems
}

/// The labels of what `and` and `unless` leave: those of what stands before them.
fn left_by_sets(
    known: &BTreeMap<String, (String, BTreeSet<String>)>,
    expression: &str,
    problems: &mut Vec<String>,
) -> BTreeSet<String> {
    let mut left = None::<BTreeSet<String>>;
    for (word, part) in parts(expression, &["and", "unless"]) {
        let (on, ignoring) = (matching(part, "on"), matching(part, "ignoring"));
        let rest = on.as_ref().or(ignoring.as_ref()).map_or(part, |(_, rest)| *rest);
        let labels = left_by_vector(known, rest, problems);
        let Some(left) = &left else {
            left = Some(labels);
            continue;
        };
        match (on, ignoring) {
            (Some((on, _)), _) => {
                let nowhere = on.iter().filter(|label| !left.contains(*label) || !labels.contains(*label));
                problems.extend(nowhere.map(|label| format!("{word} on {label}, which is not on both sides")));
            }
            (None, ignoring) => {
                let ignored = ignoring.map(|(ignored, _)| ignored).unwrap_or_default();
                let nowhere = ignored.iter().filter(|label| !left.contains(*label) && !labels.contains(*label));
                problems.extend(nowhere.map(|label| format!("{word} ignoring {label}, which is nowhere")));
                let other = left.symmetric_difference(&labels).filter(|label| !ignored.contains(*label));
                problems.extend(other.map(|label| format!("{word}, but {label} is on one side alone")));
            }
        }
    }
    left.unwrap_or_default()
}

/// The labels of what is left of what an expression without `and`, `or` and `unless` asks for.
fn left_by_vector(
    known: &BTreeMap<String, (String, BTreeSet<String>)>,
    expression: &str,
    problems: &mut Vec<String>,
) -> BTreeSet<String> {
    let (mut everywhere, mut rest) = (None::<BTreeSet<String>>, expression);
    while let Some(at) = ["rosterd_", "process_"].iter().filter_map(|prefix| rest.find(prefix)).min() {
        let begins = rest[..at].chars().next_back().is_none_or(|before| !is_name(before));
        let end = rest[at..].find(|it| !is_name(it)).map_or(rest.len(), |length| at + length);
        let name = &rest[at..end];
        rest = &rest[end..];
        if !begins {
            continue;
        }
        let labels = match labels_of(known, name) {
            Ok(labels) => labels,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        if let Some(matchers) = rest.strip_prefix('{') {
            let matchers = &matchers[..matchers.find('}').expect("a brace is closed")];
            let asked = matchers.split("\",").filter_map(|it| it.split(['=', '!']).next()).map(str::trim);
            problems.extend(
                asked.filter(|label| !labels.contains(*label)).map(|label| format!("{name} has no label {label}")),
            );
        }
        everywhere = Some(match everywhere {
            None => labels,
            Some(others) => others.intersection(&labels).cloned().collect(),
        });
    }
    let mut left = everywhere.unwrap_or_default();
    if left.is_empty() {
        problems.push("asks for nothing".to_owned());
    }
    for by in expression.split("by (").skip(1) {
        let by = by.split(')').next().unwrap_or_default().split(',').map(str::trim);
        let by: BTreeSet<String> = by.map(str::to_owned).collect();
        problems.extend(by.difference(&left).map(|label| format!("by {label}, which is nowhere")));
        left.retain(|label| by.contains(label));
    }
    left
}

#[test]
fn what_does_not_exist_is_found() {
    let known = documented();
    let found = |expression: &str, legend: &str| problems(&known, expression, legend);
    assert_eq!(found("rosterd_roster_targets", "{{exported_job}} {{instance}}"), [""; 0]);
    assert_eq!(found("sum by (le) (rate(rosterd_scrape_duration_seconds_bucket{job=\"a\"}[5m]))", "{{le}}"), [""; 0]);
    assert_eq!(found("rosterd_roster_target", ""), ["there is no rosterd_roster_target", "asks for nothing"]);
    assert_eq!(found("rosterd_roster_targets_bucket", "").len(), 2, "it is a gauge");
    assert_eq!(found("rosterd_scrape_duration_seconds", "").len(), 2, "it is a histogram");
    assert_eq!(
        found("rosterd_roster_targets{provider!=\"x\", job=\"y\"}", ""),
        ["rosterd_roster_targets has no label provider"]
    );
    assert_eq!(found("sum by (provider) (rosterd_roster_targets)", ""), ["by provider, which is nowhere"]);
    assert_eq!(found("sum by (instance) (rosterd_roster_targets)", "{{job}}"), ["the legend has no job"]);
}

#[test]
fn what_never_meets_what_it_is_compared_with_is_found() {
    let known = documented();
    let found = |expression: &str, legend: &str| problems(&known, expression, legend);
    let started = "time() - process_start_time_seconds < 900";
    let begins = |by: &str| format!("rosterd_roster_targets > 0 and {by} {started}");
    assert_eq!(found(&begins("on (instance)"), "{{exported_job}}"), [""; 0], "what is before it keeps its labels");
    assert_eq!(found(&begins("ignoring (exported_job)"), "{{exported_job}}"), [""; 0]);
    assert_eq!(found(&begins(""), ""), ["and, but exported_job is on one side alone"]);
    assert_eq!(found(&begins("on (exported_job)"), ""), ["and on exported_job, which is not on both sides"]);
    assert_eq!(found(&begins("ignoring (exported_job, reason)"), ""), ["and ignoring reason, which is nowhere"]);
    assert_eq!(found("rosterd_roster_targets and on (instance) time() < 900", "").len(), 2, "nothing is behind it");
    // A word within a name, a text or brackets is none of these.
    let quiet = "rosterd_roster_held_targets{reason=\"this or that and so\"} > 0 unless ignoring (reason) (rosterd_roster_targets > 0)";
    assert_eq!(found(quiet, "{{reason}} {{exported_job}}"), [""; 0]);
    let either = format!("rosterd_roster_targets or {started}");
    assert_eq!(found(&either, "{{instance}}"), [""; 0]);
    assert_eq!(found(&either, "{{exported_job}}"), ["the legend has no exported_job"]);
    assert_eq!(found("count(rosterd_roster_targets > 0) or vector(0)", ""), [""; 0]);
    assert_eq!(found("vector(0)", ""), ["asks for nothing"]);
}

#[test]
fn every_question_is_about_metrics_and_labels_that_exist() {
    let (dashboard, known) = (dashboard(), documented());
    let questions = questions(&dashboard);
    let mut all = Vec::new();
    texts(&dashboard, "expr", &mut all);
    assert_eq!(all.len(), questions.len(), "every question is looked at");
    let problems: Vec<_> =
        questions.iter().flat_map(|(expression, legend)| problems(&known, expression, legend)).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    for part in ["discovery", "roster", "scrape", "remote_write", "reconcile", "journal", "http", "task"] {
        let prefix = format!("rosterd_{part}_");
        assert!(questions.iter().any(|(expression, _)| expression.contains(&prefix)), "nothing about {part}");
    }
}

#[test]
fn panels_stand_beside_each_other_and_follow_the_variables() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().expect("there are variables");
    let names: Vec<_> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "job", "instance"]);
    let (mut cells, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = &panel["title"];
        assert!(ids.insert(panel["id"].as_u64()), "{title} has the id of another panel");
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        for (x, y) in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
            assert!(x < 24 && cells.insert((x, y)), "{title} lies over another panel, or beside the page");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let selects = expression.matches("job=~\"$job\", instance=~\"$instance\"").count();
            let asks = expression.matches("rosterd_").count() + expression.matches("process_").count();
            assert_eq!(selects, asks, "{title} shows what was not chosen: {expression}");
        }
    }
}

#[test]
fn promtool_takes_every_question() {
    let dashboard = dashboard();
    let rules: Vec<_> = questions(&dashboard)
        .into_iter()
        .enumerate()
        .map(|(index, (expression, _))| {
            let expression = expression.replace("$__rate_interval", "5m");
            serde_json::json!({"record": format!("question:{index}"), "expr": expression})
        })
        .collect();
    let rules = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    let folder = Folder::new();
    let path = folder.write("rules.yml", rules.to_string());
    let output = Command::new(need("promtool", "prometheus")).args(["check", "rules"]).arg(path).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
