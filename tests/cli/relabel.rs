//! `rosterd relabel`.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use rosterd_testkit::{Folder, assert_golden, fixture};

use super::{Ended, rosterd, run, run_with_input};

const RULES: [&str; 3] = ["relabel", "--config", "relabel/rules.yml"];

#[test]
fn label_sets_come_out_as_the_rules_say() {
    let ended = run_with_input(&RULES, &fixture("cli/relabel/input.jsonl"));
    assert_eq!((ended.status, ended.errors.as_str()), (Some(0), ""));
    assert_golden("cli/relabel/output.golden.jsonl", &ended.output);
}

#[test]
fn each_step_can_be_explained() {
    for (output, golden) in [(&["--output=json"][..], "explain.golden.jsonl"), (&[], "explain.golden.txt")] {
        let ended = run_with_input(&[&RULES[..], &["--explain"], output].concat(), &fixture("cli/relabel/input.jsonl"));
        assert_eq!((ended.status, ended.errors.as_str()), (Some(0), ""));
        assert_golden(&format!("cli/relabel/{golden}"), &ended.output);
    }
}

#[test]
fn a_job_of_a_configuration_makes_targets_with_what_stands_in_global() {
    let folder = Folder::new();
    let text = "global: {scrape_interval: 7s, scrape_timeout: 3s, metric_name_validation_scheme: legacy}\n\
                scrape_configs:\n- {job_name: other}\n- job_name: nodes\n  scheme: https\n  params: {module: [x, y]}\n  \
                exec_sd_configs: [{command: [never, run]}]\n  \
                relabel_configs: [{regex: __meta_(.+), replacement: $1, action: labelmap}]\n";
    let file = folder.write("prometheus.yml", text);
    let file = file.to_str().expect("folders have plain names");
    let ended = run_with_input(
        &["relabel", "--config", file, "--job=nodes"],
        "{\"__address__\":\"a:1\",\"__meta_x\":\"1\"}\n{}\n",
    );
    let target: serde_json::Value =
        serde_json::from_str(ended.output.lines().next().expect("there is a line")).expect("it is JSON");
    for (name, value) in [
        ("__scheme__", "https"),
        ("__scrape_interval__", "7s"),
        ("__scrape_timeout__", "3s"),
        ("__param_module", "x"),
        ("job", "nodes"),
        ("x", "1"),
        ("instance", "a:1"),
    ] {
        assert_eq!(target[name], value, "{name} in {target}");
    }
    let warning = "warning: line 2 of the input cannot be a target: no address\n";
    assert_eq!((ended.status, ended.errors.as_str()), (Some(0), warning));
    assert!(ended.output.ends_with("\nnull\n"), "{}", ended.output);
    let ended = run(&["relabel", "--config", file, "--job=node"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.errors.contains("did you mean \"nodes\"?"), "{}", ended.errors);
    let ended = run(&["relabel", "--config", file]);
    assert!(ended.status == Some(1) && ended.errors.contains("name the job by --job"), "{}", ended.errors);
}

#[test]
fn a_malformed_line_ends_the_run_with_its_number() {
    let input = "{\"a\":\"1\",\"__meta_env\":\"x\"}\n\n{\"a\":1}\n{}\n";
    let ended = run_with_input(&RULES, input);
    let errors = "error: line 3 of the input, column 6: expected text in quotes, found a number (cli_malformed_line)\n";
    assert_eq!(ended, Ended { status: Some(1), output: "null\n".to_owned(), errors: errors.to_owned() });
}

#[test]
fn refused_rules_are_named_with_their_places() {
    let folder = Folder::new();
    let file = folder.write("rules.yml", "- {regex: '(', target_label: x}\n- {actoin: drop, target_label: x}\n");
    let file = file.to_str().expect("folders have plain names");
    let ended = run(&["relabel", "--config", file]);
    assert_eq!(ended.status, Some(1));
    let lines: Vec<_> = ended.errors.lines().filter(|line| line.starts_with(file)).collect();
    assert_eq!(lines.len(), 2, "{}", ended.errors);
    assert!(
        lines[0].starts_with(&format!("{file}:1:11: ")) && lines[0].ends_with("(cfg_invalid_rule)"),
        "{}",
        lines[0]
    );
    assert!(lines[1].starts_with(&format!("{file}:2:4: ")) && lines[1].ends_with("(cfg_unknown_key)"), "{}", lines[1]);
}

#[test]
fn the_scheme_of_names_is_that_of_the_flag() {
    let folder = Folder::new();
    let file = folder.write("rules.yml", "- {regex: (.+), target_label: größe, source_labels: [a]}\n");
    let file = file.to_str().expect("folders have plain names");
    let ended = run_with_input(&["relabel", "--config", file], "{\"a\":\"1\"}");
    assert_eq!((ended.status, ended.output.as_str()), (Some(0), "{\"a\":\"1\",\"größe\":\"1\"}\n"));
    let ended = run(&["relabel", "--config", file, "--metric-name-validation-scheme=legacy"]);
    assert_eq!(ended.status, Some(1));
    assert!(ended.errors.contains("cfg_invalid_rule"), "{}", ended.errors);
}

/// A program can keep one rosterd running, and ask it again and again.
#[test]
fn a_line_is_answered_before_the_next_one_comes() {
    let mut child = rosterd(&RULES).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the binary starts");
    let mut input = child.stdin.take().expect("it was asked for");
    let mut answers = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
    for _ in 0..3 {
        input.write_all(b"{}\n").expect("the binary reads");
        assert_eq!(answers.next().expect("there is an answer").expect("it can be read"), "null");
    }
    drop(input);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn nobody_is_told_that_nobody_reads() {
    let mut command = rosterd(&RULES);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    drop(child.stdout.take());
    let mut input = child.stdin.take().expect("it was asked for");
    input.write_all(b"{}\n").expect("the binary has not looked yet");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}
