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

/// What is wrong with a question: metrics and labels that do not exist.
pub(crate) fn problems(
    known: &BTreeMap<String, (String, BTreeSet<String>)>,
    expression: &str,
    legend: &str,
) -> Vec<String> {
    let (mut problems, mut everywhere) = (Vec::new(), None::<BTreeSet<String>>);
    let mut rest = expression;
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
    let shown = legend.split("{{").skip(1).filter_map(|it| it.split("}}").next()).map(str::trim);
    problems.extend(shown.filter(|label| !left.contains(*label)).map(|label| format!("the legend has no {label}")));
    problems
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
