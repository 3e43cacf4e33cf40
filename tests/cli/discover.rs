//! `rosterd discover`.

use rosterd_testkit::{assert_golden, free_address};

use super::{ended, rosterd, run};

const DISCOVER: [&str; 3] = ["discover", "--config.file", "discover/prometheus.yml"];

fn discovered(arguments: &[&str]) -> String {
    let ended = run(&[&DISCOVER[..], arguments].concat());
    assert_eq!(ended.status, Some(0), "{}", ended.errors);
    ended.output
}

#[test]
fn targets_are_printed_once_all_providers_have_reported() {
    assert_golden("cli/discover/targets.golden.json", &discovered(&[]));
    serde_json::from_str::<serde_json::Value>(&discovered(&[])).expect("it is JSON");
    assert_golden("cli/discover/targets.golden.txt", &discovered(&["--output=table"]));
}

#[test]
fn groups_are_printed_as_they_were_discovered() {
    let folder = rosterd_testkit::testdata("cli");
    let folder = folder.to_str().expect("the folder has a plain name");
    // Columns are as wide as the absolute paths in them.
    let words = |line: &str| line.replace(folder, "").split_whitespace().collect::<Vec<_>>().join(" ") + "\n";
    let json = discovered(&["--groups", "--job", "files"]);
    let groups: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(groups.as_array().map(Vec::len), Some(1), "{json}");
    assert_eq!(groups[0]["jobs"], serde_json::json!(["files"]));
    assert_eq!(groups[0]["targets"][0], serde_json::json!({"__address__": "web-1:9100"}));
    assert_golden(
        "cli/discover/groups.golden.txt",
        &discovered(&["--groups", "--output=table"]).lines().map(words).collect::<String>(),
    );
}

#[test]
fn the_end_tells_what_was_found_dropped_and_impossible_and_why() {
    let folder = rosterd_testkit::Folder::new();
    folder.write(
        "prometheus.yml",
        "scrape_configs:
- job_name: a
  static_configs: [{targets: ['a:1', 'b:1', 'b:2', 'c/d', 'e/f']}, {targets: ['c:1'], labels: {env: test}}]
  relabel_configs:
  - {source_labels: [env], regex: test, action: drop}
  - {source_labels: [__address__], regex: 'b:.*', target_label: __address__, replacement: b:9}
- job_name: b
  static_configs: [{targets: ['a:1']}]
rosterd: {templates: [{source: a.tmpl, destination: a.conf, check: [never-run, '{file}']}]}
",
    );
    let discover = |arguments: &[&str]| {
        let ended = ended(rosterd(&[&["discover"], arguments].concat()).current_dir(folder.root()));
        assert_eq!(ended.status, Some(0), "{}", ended.errors);
        ended.errors
    };
    let job = r#"a: 2 targets, 1 dropped by relabelling, 2 impossible, 1 equal to another
  1 dropped, by rule 1: drop source_labels: [env], regex: test; for example {__address__="c:1"
  1 impossible, "c/d" is not a host and port: the scheme goes into __scheme__, the path into __metrics_path__; for example {__address__="c/d"
  1 impossible, "e/f" is not a host and port: the scheme goes into __scheme__, the path into __metrics_path__; for example {__address__="e/f"
"#;
    let told = discover(&[]);
    assert!(told.ends_with("\nb: 1 target\n2 jobs: 3 targets\n"), "{told}");
    for (line, wanted) in told.lines().zip(job.lines()) {
        assert!(line.starts_with(wanted), "{line} in {told}");
    }
    assert_eq!(discover(&["--job=b"]), "b: 1 target\n");
    assert_eq!(discover(&["--groups"]), "a: 2 groups with 6 targets\nb: 1 group with 1 target\n");
}

#[test]
fn only_the_wanted_jobs_are_discovered() {
    let output = discovered(&["--job=files"]);
    assert!(output.contains("\"job\":\"files\"") && !output.contains("\"job\":\"static\""), "{output}");
    let ended = run(&[&DISCOVER[..], &["--job=file"]].concat());
    assert_eq!((ended.status, ended.output.as_str()), (Some(2), ""));
    assert!(ended.errors.contains("did you mean \"files\"?"), "{}", ended.errors);
}

#[test]
fn who_does_not_report_in_time_is_named_and_the_others_are_printed() {
    let folder = rosterd_testkit::Folder::new();
    let nobody = free_address();
    folder.write(
        "prometheus.yml",
        format!(
            "scrape_configs:\n- {{job_name: good, static_configs: [{{targets: ['a:1']}}]}}\n\
             - {{job_name: bad, http_sd_configs: [{{url: 'http://{nobody}/'}}]}}\n"
        ),
    );
    let ended = ended(rosterd(&["discover", "--timeout=10s"]).current_dir(folder.root()));
    assert_eq!(ended.status, Some(1), "{}", ended.errors);
    assert!(ended.output.contains("\"scrapeUrl\":\"http://a:1/metrics\""), "{}", ended.output);
    let told =
        ended.errors.contains(" of bad has not reported within 10s: ") && ended.errors.contains("(http_connect)");
    assert!(told, "{}", ended.errors);
    let summary = "good: 1 target\nbad: not known\n2 jobs: 1 target, of 1 not all is known\n";
    assert!(
        ended.errors.replace("bad: not known\ngood: 1 target\n", "good: 1 target\nbad: not known\n").ends_with(summary),
        "{}",
        ended.errors
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_others_are_printed() {
    let folder = rosterd_testkit::Folder::new();
    folder.write("prometheus.yml", "scrape_configs: [{job_name: a, file_sd_configs: [{files: ['*.json']}]}]");
    folder.write("good.json", r#"[{"targets": ["a:1"]}]"#);
    folder.write("bad.json", "[");
    for output in [&["--groups"][..], &[]] {
        let arguments = [&["discover", "--timeout=1s"], output].concat();
        let ended = ended(rosterd(&arguments).current_dir(folder.root()));
        assert_eq!(ended.status, Some(1), "{}", ended.errors);
        assert!(ended.output.contains("a:1"), "{}", ended.output);
        let file = folder.path("bad.json").display().to_string();
        let told = ended.errors.contains(&format!(" of a could not read {file} within 1s: "));
        assert!(told && ended.errors.contains("(sd_file_malformed)"), "{}", ended.errors);
    }
}
