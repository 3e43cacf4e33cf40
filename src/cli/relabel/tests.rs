//! Streams of label sets, by rules and as targets of a job.

use std::sync::Arc;

use rosterd_model::relabel::{RuleConfig, Rules};

use super::*;
use crate::roster::JobSpec;

fn rules(yaml: &str) -> Rules {
    let configs: Vec<RuleConfig> = serde_yaml::from_str(yaml).unwrap();
    Rules::compile(&configs, NameScheme::Utf8).unwrap()
}

/// What is written, and how it ends.
fn relabelled(rules: &str, explain: bool, input: &str) -> (String, Result<(), String>) {
    streamed(Subject::Rules(self::rules(rules)), explain, Output::Json, input)
}

fn streamed(subject: Subject, explain: bool, output: Output, input: &str) -> (String, Result<(), String>) {
    let worker = Worker::new(subject, explain, output, Colour::default());
    let mut output = Vec::new();
    let end = stream(worker, BufReader::new(input.as_bytes()), &mut output);
    let end = end.map_err(|failure| match failure {
        Failure::Untold(report) => report.to_string(),
        other => format!("{other:?}"),
    });
    (String::from_utf8(output).unwrap(), end)
}

#[test]
fn each_line_has_its_result() {
    let rules = "[{source_labels: [a], regex: x, action: drop}, {source_labels: [a], target_label: B}]";
    let input = "{\"b\": \"2\", \"a\": \"1\"}\n\n{\"a\":\"x\"}\r\n{}\n  {\"a\":\"ü\\n\\u00e4\",\"c\":\"\"}";
    let output = "{\"B\":\"1\",\"a\":\"1\",\"b\":\"2\"}\nnull\n{}\n{\"B\":\"ü\\nä\",\"a\":\"ü\\nä\"}\n";
    assert_eq!(relabelled(rules, false, input), (output.to_owned(), Ok(())));
}

#[test]
fn labelmap_goes_by_name_whatever_the_order_of_the_input() {
    let rules = "[{regex: 'x.*', replacement: y, action: labelmap}]";
    for input in [r#"{"x1":"1","x2":"2"}"#, r#"{"x2":"2","x1":"1"}"#] {
        let (output, _) = relabelled(rules, false, input);
        assert_eq!(output, "{\"x1\":\"1\",\"x2\":\"2\",\"y\":\"2\"}\n");
    }
}

#[test]
fn a_malformed_line_is_named_after_the_results_before_it() {
    for (line, reason) in [
        ("{\"a\": 1}", "column 7: expected text in quotes, found a number"),
        ("{\"a\": null}", "column 10: expected text in quotes, found null"),
        ("[", "column 1: expected a label set such as {\"__address__\": \"a:9100\"}, found a list"),
        ("{\"a\":\"1\"} x", "column 11: something follows the last bracket: remove it"),
        ("{\"\":\"1\"}", "column 8: a label cannot be without a name"),
        ("{'a':'1'}", "column 2: a key has to be text in double quotes"),
        (
            "{\"a\":",
            "column 5: the text ends too early: a bracket or a quote is not closed; \
             a label set has to stand in one line, as `jq -c` writes it",
        ),
    ] {
        let (output, end) = relabelled("[]", false, &format!("{{\"a\":\"1\"}}\n{line}\n{{}}\n"));
        assert_eq!(output, "{\"a\":\"1\"}\n", "{line}");
        assert_eq!(end, Err(format!("line 2 of the input, {reason}")), "{line}");
    }
}

#[test]
fn explaining_shows_the_way_to_the_same_result() {
    let rules = "[{target_label: b, replacement: '2'}, {source_labels: [a], regex: x, action: drop}]";
    let (output, end) = relabelled(rules, true, "{\"a\":\"1\"}\n{\"a\":\"x\"}");
    assert_eq!(end, Ok(()));
    let lines: Vec<serde_json::Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["input"], serde_json::json!({"a": "1"}));
    assert_eq!(lines[0]["steps"][0]["output"], serde_json::json!({"a": "1", "b": "2"}));
    assert_eq!(lines[0]["result"], serde_json::json!({"a": "1", "b": "2"}));
    assert_eq!((&lines[1]["steps"][1]["keep"], &lines[1]["result"]), (&false.into(), &serde_json::Value::Null));
}

fn job(rules: Rules) -> Subject {
    let defaults =
        [("job", "node"), ("__scheme__", "http"), ("__scrape_interval__", "15s"), ("__scrape_timeout__", "5s")];
    Subject::Job(Box::new(JobSpec {
        name: Arc::from("node"),
        rules,
        defaults: defaults.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        interval: "15s".to_owned(),
        timeout: "5s".to_owned(),
        params: Default::default(),
        limits: Default::default(),
        keeping: Default::default(),
        providers: Vec::new(),
    }))
}

#[test]
fn a_job_makes_targets_of_label_sets() {
    let rules =
        || rules("[{source_labels: [__meta_env], target_label: env}, {source_labels: [env], regex: x, action: drop}]");
    let input = "{\"__address__\":\"a:1\",\"__meta_env\":\"prod\"}\n{\"__meta_env\":\"x\"}\n{\"__meta_env\":\"y\"}\n";
    let target = r#"{"__address__":"a:1","__scheme__":"http","__scrape_interval__":"15s","__scrape_timeout__":"5s","env":"prod","instance":"a:1","job":"node"}"#;
    let (output, end) = streamed(job(rules()), false, Output::Json, input);
    assert_eq!((output, end), (format!("{target}\nnull\nnull\n"), Ok(())));
    let (output, _) = streamed(job(rules()), false, Output::Text, input);
    assert_eq!(output.lines().skip(1).collect::<Vec<_>>(), ["dropped", "no target: no address"]);
    let (output, _) = streamed(job(rules()), true, Output::Json, input);
    let lines: Vec<serde_json::Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["input"]["job"], "node");
    assert_eq!(lines[0]["result"].to_string(), target);
    assert_eq!((&lines[1]["error"], &lines[2]["error"]), (&serde_json::Value::Null, &"no address".into()));
}

#[test]
fn steps_are_told_in_words() {
    let all = "
- {source_labels: [__meta_env, __meta_role], regex: 'prod;.+', action: keep}
- {source_labels: [__address__], regex: '([^:]+):.*', target_label: host}
- {source_labels: [host], regex: no, target_label: host, replacement: x}
- {source_labels: [host], action: uppercase, target_label: host}
- {regex: __meta_role, action: labeldrop}
- {source_labels: [host], target_label: __meta_env, action: dropequal}
- {target_label: __address__, replacement: ''}
";
    let input =
        "{\"__address__\":\"a:1\",\"__meta_env\":\"prod\",\"__meta_role\":\"web\"}\n{\"__meta_env\":\"test\"}\n";
    let (output, end) = streamed(job(rules(all)), true, Output::Text, input);
    let wanted = r#"{__address__="a:1", __meta_env="prod", __meta_role="web"}
  from the job
     + __scheme__="http"
     + __scrape_interval__="15s"
     + __scrape_timeout__="5s"
     + job="node"
  1. keep source_labels: [__meta_env, __meta_role], regex: prod;.+
     "prod;web" matches: kept
  2. replace source_labels: [__address__], regex: ([^:]+):.*, target_label: host
     "a:1" matches
     + host="a"
  3. replace source_labels: [host], regex: no, target_label: host, replacement: x
     "a" does not match: nothing changes
  4. uppercase source_labels: [host], target_label: host
     of "a"
     ~ host="A", was "a"
  5. labeldrop regex: __meta_role
     - __meta_role="web"
  6. dropequal source_labels: [host], target_label: __meta_env
     "A" differs from __meta_env: kept
  7. replace target_label: __address__, replacement: ''
     - __address__="a:1"
  = no target: no address

{__meta_env="test"}
  from the job
     + __scheme__="http"
     + __scrape_interval__="15s"
     + __scrape_timeout__="5s"
     + job="node"
  1. keep source_labels: [__meta_env, __meta_role], regex: prod;.+
     "test;" does not match: dropped
  = dropped by rule 1, 6 more are not reached

"#;
    assert_eq!((output.as_str(), end), (wanted, Ok(())));
    let (output, _) = streamed(job(rules("[]")), true, Output::Text, "{\"__address__\":\"a:1\",\"__meta_x\":\"y\"}");
    let last: Vec<_> = output.lines().skip(6).collect();
    let target = r#"  = {__address__="a:1", __scheme__="http", __scrape_interval__="15s", __scrape_timeout__="5s", instance="a:1", job="node"}"#;
    assert_eq!(last, ["  at last", "     + instance=\"a:1\"", "     - __meta_x=\"y\"", target, ""]);
}
