//! `rosterd explain`, `targets` and `top`, which ask a running one.

use rosterd_testkit::{Folder, Process, leak_checked_live};
use rustix::process::Signal;

use super::{Ended, rosterd, run};

const CONFIG: &str = "
scrape_configs:
- job_name: nodes
  static_configs: [{targets: ['a:9100', 'b:9100'], labels: {env: prod}}]
  relabel_configs: [{source_labels: [__address__], regex: 'b.*', action: drop}]
- job_name: others
  static_configs: [{targets: ['a:9100']}]
";

/// Asks an agent, and checks how each question ends.
fn asked(questions: &[&[&str]], check: impl Fn(&[&str], Ended)) {
    leak_checked_live(async || {
        let folder = Folder::new();
        folder.write("prometheus.yml", CONFIG);
        let mut command = rosterd(&["run", "--web.listen-address=127.0.0.1:0"]);
        let mut process = Process::start("rosterd run", command.current_dir(folder.root()));
        process.wait_log("listening").await;
        let log = process.log();
        let line = log.lines().find(|line| line.contains("msg=listening")).expect("it was waited for");
        let address = line.split_once(" address=").expect("the line tells the address").1;
        let url = format!("http://{}", address.split(' ').next().unwrap_or(address));
        process.wait_http(&format!("{url}/-/ready")).await;
        for question in questions {
            check(question, run(&[*question, &["--url", &url][..]].concat()));
        }
        process.signal(Signal::TERM);
        process.wait().await;
    });
}

#[test]
fn a_target_is_explained_in_words_and_as_json() {
    let json: &[&str] = &["explain", "{env=\"prod\"}", "--job=nodes", "-o", "json"];
    asked(
        &[&["explain", "a:9100"], &["explain", "http://b:9100/metrics"], json, &["explain", "c:9100"]],
        |asked, ended| {
            let lines: &[&str] = match asked[1] {
                "a:9100" => &[
                    "target of job nodes http://a:9100/metrics",
                    "target of job others http://a:9100/metrics",
                    "  same URL   in job others: {instance=\"a:9100\", job=\"others\"}",
                    "  scraped    by nobody: there is no remote_write",
                    "  published  http_sd /sd/nodes, not served yet",
                    "             1. drop source_labels: [__address__], regex: b.*",
                ],
                "c:9100" => &["nothing is c:9100: never seen, or gone", "similar: a:9100, target of job nodes"],
                "http://b:9100/metrics" => &["dropped of job nodes", "             = dropped by rule 1"],
                _ => {
                    let value: serde_json::Value = serde_json::from_str(&ended.output).expect("it is JSON");
                    assert_eq!(
                        (&value["found"][0]["became"], &value["found"][1]["became"]),
                        (&"target".into(), &"dropped".into())
                    );
                    &[]
                }
            };
            for wanted in lines {
                let found = ended.output.lines().any(|line| line.starts_with(wanted));
                assert!(found, "{asked:?}: {wanted:?} is not in {}{}", ended.output, ended.errors);
            }
            let status = if asked[1] == "c:9100" { 1 } else { 0 };
            assert_eq!((ended.status, ended.errors.as_str()), (Some(status), ""), "{asked:?}");
        },
    );
}

#[test]
fn targets_and_what_they_cost_are_listed() {
    let json: &[&str] = &["targets", "--limit=1", "--health=unknown", "-o", "json"];
    let questions: [&[&str]; 9] = [
        &["roster", "nosuch:1"],
        &["targets", "env=prod"],
        json,
        &["top"],
        &["targets", "nosuch"],
        &["targets", "{"],
        &["journal", "--kind=nosuch"],
        &["top", "--limit=0"],
        &["targets", "--health=held"],
    ];
    asked(&questions, |asked, ended| {
        let wanted = match asked {
            ["targets", "env=prod"] => {
                "JOB    HEALTH   URL                    LABELS\n\
                 nodes  unknown  http://a:9100/metrics  {env=\"prod\", instance=\"a:9100\", job=\"nodes\"}\n"
            }
            ["top"] => {
                "SAMPLES  BYTES  DURATION  FAILURES  TARGETS  JOB\n\nSAMPLES  BYTES  DURATION  FAILURES  HEALTH  JOB  URL\n"
            }
            ["targets", "nosuch" | "--health=held"] => {
                assert_eq!((ended.status, &*ended.output), (Some(0), "JOB  HEALTH  URL  LABELS\n"));
                assert!(ended.errors.ends_with("no target is like that\n"), "{ended:?}");
                return;
            }
            ["roster", "nosuch:1"] => {
                assert_eq!(
                    ended,
                    Ended { status: Some(0), output: String::new(), errors: "no target is like that\n".to_owned() }
                );
                return;
            }
            // What is wrong is the command line, though rosterd says so.
            ["targets", "{"] | ["journal", _] | ["top", _] => {
                assert!(ended.status == Some(2) && ended.errors.contains("web_bad_parameter"), "{ended:?}");
                return;
            }
            _ => {
                let list: Vec<serde_json::Value> = serde_json::from_str(&ended.output).expect("it is JSON");
                assert_eq!((list.len(), &list[0]["scrapePool"]), (1, &"nodes".into()));
                return;
            }
        };
        let errors = "note: nothing is scraped: there is no remote_write\n".to_owned();
        assert_eq!(ended, Ended { status: Some(0), output: wanted.to_owned(), errors }, "{asked:?}");
    });
}

#[test]
fn a_job_that_there_is_not_and_no_targets_at_all_are_refused() {
    let questions: [&[&str]; 5] = [
        &["targets", "--job=node"],
        &["journal", "--job=node"],
        &["roster", "--job=node", "-o", "json"],
        &["targets", "--limit=0"],
        &["journal", "--limit=0", "-o", "json"],
    ];
    asked(&questions, |asked, ended| {
        // Which jobs there are is not the command line's to know.
        let (status, wanted) = match asked[1] {
            "--limit=0" => (2, "a whole number above 0"),
            _ => (1, "there is no job \"node\"; did you mean \"nodes\"? (roster_unknown_job)"),
        };
        assert_eq!((ended.status, &*ended.output), (Some(status), ""), "{asked:?}");
        assert!(ended.errors.contains(wanted), "{asked:?}: {}", ended.errors);
    });
}
