//! What rules did is told as it happened.

use std::sync::Arc;

use rosterd_model::Labels;
use rosterd_model::relabel::{Action, RuleConfig, Rules};

use super::*;
use crate::roster::JobSpec;

fn job(rules: &str) -> JobSpec {
    let configs: Vec<RuleConfig> = serde_yaml::from_str(rules).unwrap();
    JobSpec {
        name: Arc::from("node"),
        rules: Rules::compile(&configs, Default::default()).unwrap(),
        defaults: vec![("job".to_owned(), "node".to_owned())],
        interval: String::new(),
        timeout: String::new(),
        params: Default::default(),
        limits: Default::default(),
        keeping: Default::default(),
        providers: Vec::new(),
    }
}

fn labels(labels: &[(&str, &str)]) -> Labels {
    labels.iter().copied().collect()
}

fn change(name: &str, from: Option<&str>, to: Option<&str>) -> Change {
    Change { name: name.to_owned(), from: from.map(str::to_owned), to: to.map(str::to_owned) }
}

#[test]
fn each_rule_is_told_with_what_it_changed() {
    let rules = "[{source_labels: [__meta_env], target_label: env}, {regex: job, action: labeldrop}, \
                 {source_labels: [env], regex: prod, action: keep}]";
    let discovered = labels(&[("__address__", "a:1"), ("__meta_env", "prod"), ("env", "old")]);
    let trace = Trace::of_job(&job(rules), &discovered);
    assert_eq!((&trace.discovered, &trace.from_job), (&discovered, &vec![change("job", None, Some("node"))]));
    let changes: Vec<_> = trace.steps.iter().map(|step| step.changes.clone()).collect();
    let first = vec![change("env", Some("old"), Some("prod"))];
    assert_eq!(changes, [first, vec![change("job", Some("node"), None)], vec![]]);
    assert!(trace.steps.iter().all(|step| step.reached && step.kept));
    assert_eq!(trace.steps[2].saw.as_deref(), Some("\"prod\" matches"));
    assert_eq!(trace.at_last, [change("instance", None, Some("a:1")), change("__meta_env", Some("prod"), None)]);
    let kept = labels(&[("__address__", "a:1"), ("env", "prod"), ("instance", "a:1")]);
    assert_eq!((&trace.end, trace.dropped_by()), (&End::Kept { labels: kept }, None));
}

#[test]
fn what_was_dropped_names_the_rule_and_those_behind_were_not_reached() {
    let rules = "[{target_label: a, replacement: b}, {source_labels: [a], regex: b, action: drop}, {target_label: c}]";
    let trace = Trace::of_job(&job(rules), &labels(&[("__address__", "a:1")]));
    let steps: Vec<_> = trace.steps.iter().map(|step| (step.action, step.reached, step.kept)).collect();
    assert_eq!(steps, [(Action::Replace, true, true), (Action::Drop, true, false), (Action::Replace, false, false)]);
    assert_eq!((trace.dropped_by(), &trace.end, &trace.at_last[..]), (Some(2), &End::Dropped, &[][..]));
}

#[test]
fn what_cannot_be_a_target_says_why() {
    let trace =
        Trace::of_job(&job("[{target_label: __address__, replacement: ''}]"), &labels(&[("__address__", "a:1")]));
    assert_eq!((trace.end, trace.at_last.len()), (End::Impossible { reason: "no address".to_owned() }, 0));
}

#[test]
fn a_trace_comes_back_from_json_as_it_was() {
    for rules in ["[]", "[{source_labels: [job], action: drop, regex: node}]"] {
        let trace = Trace::of_job(&job(rules), &labels(&[("__address__", "a:1"), ("__meta_x", "y")]));
        let text = serde_json::to_string(&trace).unwrap();
        assert_eq!(serde_json::from_str::<Trace>(&text).unwrap(), trace, "{text}");
    }
}
