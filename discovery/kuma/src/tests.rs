//! Goldens, checks, and what is asked after which answer.

use rosterd_discovery::{CheckContext, MechanismConfig, Word};
use rosterd_testkit::{
    ScriptedServer, Step, assert_golden, contract, eventually, fixture, leak_checked_live, patience,
};

use super::KumaConfig;
use super::assignments::{Known, read};

const PATH: &str = "/v3/discovery:monitoringassignments?fetch-timeout=120000ms";

fn config(text: &str) -> KumaConfig {
    serde_yaml::from_str(text).expect(text)
}

#[test]
fn assignments_become_groups_of_services() {
    for name in ["snake_case", "camel_case"] {
        let (known, groups) = read(fixture(&format!("discovery/kuma/{name}.json")).as_bytes()).expect(name);
        assert_eq!(known, Known { version: "v2".to_owned(), nonce: "n2".to_owned() });
        assert_golden("discovery/kuma/groups.golden.yml", &serde_yaml::to_string(&groups).expect("serialises"));
    }
}

#[test]
fn what_is_no_list_of_assignments_is_refused() {
    let kind = "type.googleapis.com/kuma.observability.v1.MonitoringAssignment";
    for text in [
        "{}".to_owned(),
        "[]".to_owned(),
        r#"{"type_url": "type.googleapis.com/envoy.config.cluster.v3.Cluster"}"#.to_owned(),
        format!(r#"{{"type_url": "{kind}", "resources": [{{"@type": "{kind}"}}, {{"@type": "other"}}]}}"#),
        format!(r#"{{"type_url": "{kind}", "resources": [{{"@type": "{kind}", "targets": [{{"name": 1}}]}}]}}"#),
    ] {
        assert!(read(text.as_bytes()).is_err(), "{text}");
    }
    let empty = format!(r#"{{"type_url": "{kind}", "resources": null, "of a later version": {{}}}}"#);
    assert!(read(empty.as_bytes()).expect("none are left").1.is_empty());
}

/// A question of who knows this.
fn asked(version: &str, nonce: &str) -> Step {
    let kind = "type.googleapis.com/kuma.observability.v1.MonitoringAssignment";
    let node = r#""node":{"id":"me"}"#;
    let body = match version {
        "" => format!(r#"{{{node},"type_url":"{kind}"}}"#),
        _ => format!(r#"{{"version_info":"{version}",{node},"type_url":"{kind}","response_nonce":"{nonce}"}}"#),
    };
    let json = "application/json";
    Step::post(PATH).with_header("content-type", json).with_header("accept", json).with_body(body)
}

fn reply(version: &str, address: &str) -> String {
    let kind = "type.googleapis.com/kuma.observability.v1.MonitoringAssignment";
    format!(
        r#"{{"version_info": "{version}", "nonce": "of {version}", "type_url": "{kind}", "resources": [
            {{"@type": "{kind}", "mesh": "m", "service": "s", "targets": [{{"name": "n", "address": "{address}"}}]}}]}}"#
    )
}

async fn stop(run: contract::Run) {
    run.stop().await.expect("it ends when asked").expect("and well");
}

#[test]
fn only_what_was_taken_is_known_to_the_server() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([
            asked("", "").json(reply("1", "10.0.0.1:1")),
            asked("1", "of 1").status(304),
            // It cannot be read, so that the version before is what is known.
            asked("1", "of 1").json(reply("2", "10.0.0.2:1").replace("\"mesh\": \"m\"", "\"mesh\": 1")),
            asked("1", "of 1").status(500),
            asked("1", "of 1").json(reply("2", "10.0.0.2:1")),
            asked("2", "of 2").stall(),
        ])
        .await;
        let text = format!("{{server: '{}', client_id: me, refresh_interval: 10ms}}", server.url("/?a=b"));
        let mut run = contract::Run::start(&config(&text)).await.expect("it is built");
        let address = |word: Option<Word>| {
            let word = word.expect("a word");
            word.groups().first().and_then(|group| group.targets[0].get("__address__").map(str::to_owned))
        };
        assert_eq!(address(run.next().await).as_deref(), Some("10.0.0.1:1"));
        assert!(matches!(run.next().await, Some(Word::Unchanged)));
        assert_eq!(address(run.next().await).as_deref(), Some("10.0.0.2:1"));
        server.wait_steps().await;
        stop(run).await;
        server.finish().await;
    });
}

#[test]
fn who_knows_nothing_is_not_told_that_nothing_is_new() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([Step::post(PATH).any_times().status(304)]).await;
        let text = format!("{{server: '{}', refresh_interval: 10ms}}", server.url(""));
        let run = contract::Run::start(&config(&text)).await.expect("it is built");
        eventually(patience(), "it fails", || run.status().last_error.is_some()).await;
        assert_eq!(run.status().last_error.expect("it failed").report.code.as_str(), "http_status");
        stop(run).await;
        server.finish().await;
    });
}

#[test]
fn the_defaults_are_those_of_prometheus_and_the_server_must_be_a_url() {
    let text = "{server: '', client_id: '', refresh_interval: 15s, fetch_timeout: 2m, follow_redirects: true, enable_http2: true}";
    assert_eq!(config(text), KumaConfig::default());
    let problems = |text: &str| -> Vec<String> {
        let problems = config(text).check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
    };
    assert_eq!(problems("{}"), ["cfg_missing_key server"]);
    assert_eq!(problems("server: kuma:5676"), ["cfg_invalid_value server"]);
    assert_eq!(problems("{server: 'grpc://kuma:5676'}"), ["cfg_invalid_value server"]);
    assert_eq!(
        problems("{server: 'http://kuma-control-plane.kuma-system.svc:5676', client_id: main-prometheus}"),
        [""; 0]
    );
    assert!(serde_yaml::from_str::<KumaConfig>("{url: 'http://a'}").is_err());
}
