//! Goldens, checks, and refreshes that events hint at.

use std::fmt::Write;

use rosterd_discovery::{CheckContext, Finding, Identity, MechanismConfig};
use rosterd_engine::{Filter, Filters, Network};
use rosterd_model::TargetGroup;
use rosterd_testkit::{
    FakeEngine, ScriptedServer, Step, addresses, assert_golden, contract, eventually, fixture, leak_checked_live,
    patience,
};
use serde_json::json;

use super::DockerConfig;
use super::containers::{Container, Settings, groups};
use super::discoverer::wanted;

fn rendered(groups: &[TargetGroup]) -> String {
    let mut text = String::new();
    for group in groups {
        writeln!(text, "{}\n  {}", group.source, group.labels).expect("a string takes all");
        group.targets.iter().for_each(|target| writeln!(text, "    {target}").expect("a string takes all"));
    }
    text
}

fn of_fixture(settings: &Settings) -> Vec<TargetGroup> {
    let read = |name: &str| fixture(&format!("discovery/docker/{name}.json"));
    let containers: Vec<Container> = serde_json::from_str(&read("containers")).expect("containers");
    let networks: Vec<Network> = serde_json::from_str(&read("networks")).expect("networks");
    groups(containers, networks, settings)
}

fn settings() -> Settings {
    Settings { port: 80, host_networking_host: "localhost".to_owned(), match_first_network: true }
}

#[test]
fn each_port_of_a_container_on_its_first_network_is_a_target() {
    assert_golden("discovery/docker/first_network.golden.txt", &rendered(&of_fixture(&settings())));
}

#[test]
fn all_networks_of_a_container_may_be_wanted() {
    let settings =
        Settings { port: 9100, host_networking_host: "10.0.0.1:9100".to_owned(), match_first_network: false };
    assert_golden("discovery/docker/all_networks.golden.txt", &rendered(&of_fixture(&settings)));
}

#[test]
fn containers_on_the_networks_of_each_other_have_none() {
    let container = |id: &str, other: &str| {
        let mode = format!("container:{other}");
        json!({"Id": id, "Names": [format!("/{id}")], "HostConfig": {"NetworkMode": mode}, "NetworkSettings": null})
    };
    let all = json!([container("a", "b"), container("b", "a"), container("c", "c"), container("d", "a")]);
    let containers: Vec<Container> = serde_json::from_value(all).expect("containers");
    assert_eq!(groups(containers, Vec::new(), &settings()), []);
}

fn config(text: &str) -> DockerConfig {
    serde_yaml::from_str(text).expect(text)
}

fn problems(text: &str) -> Vec<String> {
    let problems = config(text).check(&CheckContext::default());
    problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
}

#[test]
fn the_defaults_are_those_of_prometheus() {
    let text = "{host: '', port: 80, filters: [], host_networking_host: localhost, match_first_network: true, \
                refresh_interval: 60s, follow_redirects: true, enable_http2: true}";
    assert_eq!(config(text), DockerConfig::default());
}

#[test]
fn a_host_is_needed_and_settings_go_together() {
    for (text, want) in [
        ("{}", "cfg_missing_key host"),
        ("host: /var/run/docker.sock", "cfg_invalid_value host"),
        ("host: 'ssh://a'", "cfg_invalid_value host"),
        // They have no effect there, and are looked at all the same.
        ("{host: 'unix:///s', bearer_token: t, bearer_token_file: f}", "cfg_conflicting_keys bearer_token_file"),
    ] {
        assert_eq!(problems(text), [want], "{text}");
    }
    assert_eq!(problems("{host: 'unix:///var/run/docker.sock', filters: [{name: status, values: [exited]}]}"), [""; 0]);
    assert!(serde_yaml::from_str::<DockerConfig>("{host: 'unix:///s', filters: [{value: [x]}]}").is_err());
}

#[test]
fn settings_without_effect_are_told() {
    let idle = |text: &str| {
        let found = config(text).examine(&CheckContext::default());
        found.iter().any(|found| matches!(found, Finding::Idle(problem) if problem.code == "cfg_no_effect"))
    };
    assert!(idle("{host: 'unix:///s', tls_config: {insecure_skip_verify: true}}"));
    assert!(idle("{host: 'tcp://a:1', tls_config: {insecure_skip_verify: true}}"));
    assert!(!idle("{host: 'https://a:1', tls_config: {insecure_skip_verify: true}}"));
    assert!(!idle("{host: 'unix:///s'}"));
}

#[test]
fn what_is_asked_for_is_the_identity_and_not_how_often() {
    let hash = |text: &str| {
        let mut id = Identity::new();
        config(text).identity(&mut id);
        id.hash()
    };
    let one = hash("{host: 'unix:///run/docker.sock', filters: [{name: a, values: [x, y]}]}");
    let same = "{host: 'unix:///run/./docker.sock', refresh_interval: 5s, bearer_token: t, \
                filters: [{name: a, values: [y]}, {name: b, values: []}, {name: a, values: [x]}]}";
    assert_eq!(one, hash(same));
    for other in [
        "{host: 'unix:///run/docker.sock'}",
        "{host: 'unix:///run/other.sock', filters: [{name: a, values: [x, y]}]}",
        "{host: 'unix:///run/docker.sock', port: 81, filters: [{name: a, values: [x, y]}]}",
    ] {
        assert_ne!(one, hash(other), "{other}");
    }
}

fn container(name: &str, ip: &str) -> serde_json::Value {
    json!({"Id": name, "Names": [format!("/{name}")], "HostConfig": {"NetworkMode": "n"},
           "NetworkSettings": {"Networks": {"n": {"NetworkID": "1", "IPAddress": ip}}},
           "Ports": [{"PrivatePort": 9100, "Type": "tcp"}]})
}

async fn engine() -> FakeEngine {
    let engine = FakeEngine::start().await;
    engine.set("networks", json!([]));
    engine.set("containers/json", json!([container("a", "10.0.0.1")]));
    engine
}

async fn start(engine: &FakeEngine, more: &str) -> contract::Run {
    let text = format!("{{host: '{}', refresh_interval: 1h{more}}}", engine.host());
    contract::Run::start(&config(&text)).await.expect("it is built")
}

async fn stop(run: contract::Run) {
    run.stop().await.expect("it ends when asked").expect("and well");
}

#[test]
fn an_event_is_seen_long_before_the_interval_is_over() {
    leak_checked_live(async || {
        let engine = engine().await;
        let mut run = start(&engine, "").await;
        assert_eq!(addresses(run.next().await.expect("the first word").groups()).len(), 1);
        engine.set("containers/json", json!([container("a", "10.0.0.1"), container("b", "10.0.0.2")]));
        // A burst is one hint.
        for _ in 0..20 {
            engine.event(json!({"Type": "container", "Action": "start"})).await;
        }
        assert_eq!(addresses(run.next().await.expect("another word").groups()).len(), 2);
        // What were left of it would be read before the end of the stream is.
        engine.cut_events();
        let count = |part: &str| engine.asked().iter().filter(|asked| asked.contains(part)).count();
        eventually(patience(), "the stream is opened again", || count("/events") == 2).await;
        let lists = count("/containers/json");
        assert!(lists <= 4, "{lists} lists for one burst");
        stop(run).await;
        engine.finish().await;
    });
}

#[test]
fn a_stream_that_breaks_is_opened_again_and_what_was_missed_is_listed() {
    leak_checked_live(async || {
        let engine = engine().await;
        let mut run = start(&engine, "").await;
        run.next().await.expect("the first word");
        engine.set("containers/json", json!([]));
        engine.cut_events();
        assert_eq!(run.next().await.expect("another word").groups(), []);
        let streams = engine.asked().iter().filter(|asked| asked.starts_with("GET /events")).count();
        assert_eq!(streams, 2);
        stop(run).await;
        engine.finish().await;
    });
}

#[test]
fn an_engine_that_tells_no_events_is_listed_all_the_same() {
    leak_checked_live(async || {
        let engine = engine().await;
        engine.fail("events", 403, "events are not for you");
        let mut run = start(&engine, "").await;
        assert_eq!(addresses(run.next().await.expect("the first word").groups()).len(), 1);
        stop(run).await;
        engine.finish().await;
    });
}

#[test]
fn the_api_is_spoken_in_the_version_of_the_engine_also_after_it_was_replaced() {
    leak_checked_live(async || {
        let engine = engine().await;
        engine.speak(Some("1.41"));
        let mut run = start(&engine, ", filters: [{name: status, values: [running]}]").await;
        run.next().await.expect("the first word");
        engine.speak(Some("1.40"));
        engine.set("containers/json", json!([]));
        engine.event(json!({})).await;
        assert_eq!(run.next().await.expect("another word").groups(), []);
        stop(run).await;
        let asked = engine.asked();
        let filters = "?filters=%7B%22status%22%3A%7B%22running%22%3Atrue%7D%7D";
        for wanted in ["1.41/containers/json", "1.40/containers/json"] {
            assert!(asked.contains(&format!("GET /v{wanted}{filters}")), "{asked:?}");
        }
        assert!(asked.contains(&"GET /v1.40/networks".to_owned()), "{asked:?}");
        engine.finish().await;
    });
}

#[test]
fn the_words_of_an_engine_that_refuses_are_told() {
    leak_checked_live(async || {
        let engine = engine().await;
        engine.fail("containers/json", 400, "Invalid filter 'foo'");
        let run = start(&engine, "").await;
        eventually(patience(), "the failure is told", || run.status().last_error.is_some()).await;
        let report = run.status().last_error.expect("it failed").report;
        assert_eq!(report.code.as_str(), "sd_engine_refused");
        assert_eq!(report.message.as_str(), "the Docker Engine refuses: Invalid filter 'foo'");
        stop(run).await;
        engine.finish().await;
    });
}

#[test]
fn only_events_that_may_change_the_list_are_wanted() {
    let filters = |name: &str| Filters::of(&[Filter { name: name.to_owned(), values: vec!["x".to_owned()] }]);
    for (filters, pause, health) in
        [(Filters::default(), false, false), (filters("status"), true, false), (filters("health"), false, true)]
    {
        let wanted = wanted(&filters).filters.json();
        let has = |event: &str| wanted.contains(&format!("\"{event}\""));
        assert_eq!((has("pause"), has("health_status"), has("start")), (pause, health, true), "{wanted}");
    }
}

#[test]
fn a_secret_that_an_engine_sends_back_is_not_told() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([
            Step::get("/_ping").any_times().body("OK"),
            Step::get("/events").any_times().status(404),
            Step::get("/containers/json").any_times().status(400).json(r#"{"message": "hush-hush may not do that"}"#),
        ])
        .await;
        let text = format!("{{host: '{}', bearer_token: hush-hush}}", server.url(""));
        let run = contract::Run::start(&config(&text)).await.expect("it is built");
        eventually(patience(), "the failure is told", || run.status().last_error.is_some()).await;
        let report = run.status().last_error.expect("it failed").report.to_string();
        assert!(report.contains("may not do that") && !report.contains("hush-hush"), "{report}");
        stop(run).await;
        server.finish().await;
    });
}
