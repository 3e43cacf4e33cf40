//! What PuppetDB is asked, and what becomes of its answers.

use rosterd_discovery::Word;
use rosterd_model::{Priority, Retry};
use rosterd_testkit::contract::Run;
use rosterd_testkit::{
    ScriptedServer, Step, addresses, assert_golden, eventually, fixture, leak_checked_live, patience,
};

use super::PuppetdbConfig;
use super::decode::{Settings, groups};

const ONE: &str = r#"[{"certname": "a", "resource": "1", "type": "Class", "title": "T", "exported": false}]"#;

fn settings(include_parameters: bool) -> Settings {
    Settings { query: "resources { type = \"Class\" }".to_owned(), include_parameters, port: 9100 }
}

fn refused(text: &str) -> String {
    groups(text.as_bytes(), &settings(true)).expect_err(text).to_string()
}

#[test]
fn resources_become_labels() {
    let body = fixture("discovery/puppetdb/resources.json");
    for (include_parameters, golden) in [(false, "resources"), (true, "parameters")] {
        let groups = groups(body.as_bytes(), &settings(include_parameters)).expect("groups");
        let golden = format!("discovery/puppetdb/{golden}.golden.yml");
        assert_golden(&golden, &serde_yaml::to_string(&groups).expect("writes"));
    }
}

#[test]
fn the_order_of_resources_is_no_change_and_a_node_changes_alone() {
    let resource = |node: &str, hash: &str| format!(r#"{{"certname": "{node}", "resource": "{hash}"}}"#);
    let read = |resources: &[(&str, &str)]| {
        let resources: Vec<_> = resources.iter().map(|(node, hash)| resource(node, hash)).collect();
        groups(format!("[{}]", resources.join(",")).as_bytes(), &settings(false)).expect("groups")
    };
    let groups = read(&[("b", "1"), ("a", "2"), ("b", "3")]);
    assert_eq!(groups.iter().map(|group| &*group.source).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(groups, read(&[("b", "3"), ("b", "1"), ("a", "2")]));
    let changed = read(&[("b", "1"), ("a", "2"), ("b", "4")]);
    assert!(groups[0] == changed[0] && groups[1] != changed[1]);
    assert!(read(&[]).is_empty());
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, want) in [
        ("{}", "line 1, column 0: expected a list, found a map"),
        ("", "line 1, column 0: the text ends too early"),
        ("[{\"certname\": \"a\"}", "line 1, column 18: the text ends too early"),
        ("[\n{\"certname\": 1}]", "line 2, column 14: expected text in quotes, found a number"),
        ("[{\"exported\": \"yes\"}]", "line 1, column 19: expected a boolean, found text"),
        ("[{\"tags\": \"a\"}]", "line 1, column 13: expected a list, found text"),
        ("[{\"parameters\": [1]}]", "line 1, column 16: expected a map"),
    ] {
        let told = refused(text);
        assert!(told.starts_with(want), "{text}: {told}");
    }
    let large = refused("[{\"parameters\": {\"a\": 1e400}}]");
    assert_eq!(large, "line 1, column 27: this is no number of JSON");
    let deep = format!("[{{\"parameters\": {{\"a\": {}1{}}}}}]", "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert!(refused(&deep).contains("this is nested too deep"), "{}", refused(&deep));
}

/// The question, with who asks.
fn asked(query: &str) -> Step {
    let body = format!("{{\"query\":\"{query}\"}}");
    let step = Step::post("/puppet/pdb/query/v4?team=a").any_times().with_body(body);
    let step = step.with_header("content-type", "application/json").with_header("accept", "application/json");
    step.with_header("authorization", "Basic dTpodW50ZXIy")
}

async fn start(server: &ScriptedServer, interval: &str) -> Run {
    let text = format!(
        "{{url: '{}', query: \"resources {{ title = \\\"ü\\\" }}\", port: 9100, refresh_interval: {interval},
           basic_auth: {{username: u, password: hunter2}}}}",
        server.url("/puppet//?team=a")
    );
    let config: PuppetdbConfig = serde_yaml::from_str(&text).expect("a configuration");
    Run::start(&config).await.expect("it can be built")
}

const QUERY: &str = r#"resources { title = \"ü\" }"#;

#[test]
fn one_question_asks_for_all_and_an_equal_answer_is_no_change() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([asked(QUERY).json(ONE).in_parts(9)]).await;
        let mut run = start(&server, "1s").await;
        let word = run.next().await.expect("a word");
        assert_eq!(addresses(word.groups()).first().map(String::as_str), Some("a:9100"));
        assert!(matches!(run.next().await, Some(Word::Unchanged)));
        server.then(asked(QUERY).reply_header("content-type", "application/json; charset=utf-8").body("[]"));
        let word = loop {
            match run.next().await.expect("a word") {
                Word::Unchanged => {}
                word => break word,
            }
        };
        assert_eq!(word.groups(), []);
        run.stop().await.expect("it ends").expect("in order");
        server.finish().await;
    });
}

/// The error of one answer: its code and words, and how it is met.
async fn failure(step: Step, interval: &str) -> (String, String, Priority, Retry) {
    let server = ScriptedServer::start([step]).await;
    let run = start(&server, interval).await;
    eventually(patience(), "the failure is told", || run.status().last_error.is_some()).await;
    let report = run.status().last_error.expect("it failed").report;
    run.stop().await.expect("it ends").expect("in order");
    server.finish().await;
    let words = std::iter::once(report.message).chain(report.causes).collect::<Vec<_>>().join(": ");
    (report.code.to_string(), words, report.priority, report.retry)
}

#[test]
fn refusals_take_nothing_away_and_are_told() {
    leak_checked_live(async || {
        for (step, code) in [
            (asked(QUERY).status(401), "http_unauthorized"),
            (asked(QUERY).status(403), "http_unauthorized"),
            (asked(QUERY).status(404), "http_status"),
            (asked(QUERY).status(500), "http_status"),
            (asked(QUERY).status(503), "http_throttled"),
            (asked(QUERY).json(ONE).truncate(20), "http_broken"),
            (asked(QUERY).close(), "http_broken"),
            (asked(QUERY).body(ONE).reply_header("content-type", "text/plain; charset=utf-8"), "sd_content_type"),
            (asked(QUERY).body(ONE), "sd_content_type"),
            (asked(QUERY).json("{}"), "sd_rest_malformed"),
        ] {
            assert_eq!(failure(step.clone(), "1h").await.0, code, "{step}");
        }
        assert_eq!(failure(asked(QUERY).stall(), "1s").await.0, "http_timeout");
    });
}

#[test]
fn how_long_to_wait_is_heard() {
    leak_checked_live(async || {
        let step = asked(QUERY).status(429).reply_header("retry-after", "17");
        let (code, _, _, retry) = failure(step, "1h").await;
        assert_eq!((code.as_str(), retry), ("http_throttled", Retry::After(std::time::Duration::from_secs(17))));
    });
}

#[test]
fn what_is_wrong_with_a_query_is_told_in_the_words_of_puppetdb() {
    leak_checked_live(async || {
        let said = "PQL parse error at line 1, column 13:\n\nresources { of hunter2\n            ^\n";
        let (code, words, priority, retry) =
            failure(asked(QUERY).status(400).reply_header("content-type", "text/plain").body(said), "1h").await;
        assert_eq!((code.as_str(), priority, retry), ("http_status", Priority::Remote, Retry::Interval));
        let want = "it says: PQL parse error at line 1, column 13: resources { of <secret> ^";
        assert!(words.contains("400 Bad Request") && words.ends_with(want), "{words}");
    });
}
