//! Goldens, checks, and refreshes that events hint at.

use std::fmt::Write;

use rosterd_discovery::{CheckContext, Identity, MechanismConfig};
use rosterd_engine::{Network, Networks};
use rosterd_model::TargetGroup;
use rosterd_testkit::{FakeEngine, addresses, assert_golden, contract, fixture, leak_checked_live};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::DockerSwarmConfig;
use super::groups::Making;
use super::labels::NETWORK;
use super::objects::{Node, Service, Task};

fn rendered(groups: &[TargetGroup]) -> String {
    let mut text = String::new();
    for group in groups {
        writeln!(text, "{}\n  {}", group.source, group.labels).expect("a string takes all");
        group.targets.iter().for_each(|target| writeln!(text, "    {target}").expect("a string takes all"));
    }
    text
}

fn read<T: DeserializeOwned>(name: &str) -> Vec<T> {
    serde_json::from_str(&fixture(&format!("discovery/dockerswarm/{name}.json"))).expect(name)
}

fn making() -> Making {
    Making::new(9100, Networks::new(read::<Network>("networks"), &NETWORK))
}

#[test]
fn each_port_of_each_virtual_address_of_a_service_is_a_target() {
    let services = making().services(&read::<Service>("services"));
    assert_golden("discovery/dockerswarm/services.golden.txt", &rendered(&services));
}

#[test]
fn tasks_are_targets_on_their_nodes_and_on_their_networks() {
    let tasks = making().tasks(&read::<Task>("tasks"), &read::<Service>("services"), &read::<Node>("nodes"));
    assert_golden("discovery/dockerswarm/tasks.golden.txt", &rendered(&tasks));
}

#[test]
fn each_node_is_a_target() {
    assert_golden("discovery/dockerswarm/nodes.golden.txt", &rendered(&making().nodes(&read::<Node>("nodes"))));
}

fn config(text: &str) -> DockerSwarmConfig {
    serde_yaml::from_str(text).expect(text)
}

#[test]
fn the_defaults_are_those_of_prometheus() {
    let text = "{host: '', port: 80, filters: [], refresh_interval: 60s, follow_redirects: true, enable_http2: true}";
    assert_eq!(config(text), DockerSwarmConfig::default());
}

#[test]
fn a_host_and_a_role_are_needed() {
    let problems = |text: &str| -> Vec<String> {
        let problems = config(text).check(&CheckContext::default());
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.path)).collect()
    };
    assert_eq!(problems("{}"), ["cfg_missing_key host", "cfg_missing_key role"]);
    assert_eq!(problems("{host: 'tcp://', role: nodes}"), ["cfg_invalid_value host"]);
    assert_eq!(problems("{host: 'http://127.0.0.1:2375', role: nodes}"), [""; 0]);
    assert!(serde_yaml::from_str::<DockerSwarmConfig>("{host: 'unix:///s', role: containers}").is_err());
    assert!(serde_yaml::from_str::<DockerSwarmConfig>("{host: 'unix:///s', match_first_network: true}").is_err());
}

#[test]
fn what_is_asked_for_is_the_identity_and_not_how_often() {
    let hash = |text: &str| {
        let mut id = Identity::new();
        config(text).identity(&mut id);
        id.hash()
    };
    let one = hash("{host: 'tcp://A:2375', role: tasks}");
    assert_eq!(one, hash("{host: 'tcp://a:2375/', role: tasks, refresh_interval: 5s, port: 80}"));
    assert_ne!(one, hash("{host: 'tcp://a:2375', role: nodes}"));
    assert_ne!(one, hash("{host: 'tcp://a:2375', role: tasks, filters: [{name: name, values: [x]}]}"));
}

async fn stop(run: contract::Run) {
    run.stop().await.expect("it ends when asked").expect("and well");
}

/// The values of the parameter `filters` of what was asked for.
fn asked(engine: &FakeEngine) -> Vec<String> {
    let path = |asked: String| asked.trim_start_matches("GET /").trim_start_matches("v1.41/").to_owned();
    let is_list = |asked: &String| !asked.starts_with("events") && asked != "_ping";
    engine.asked().into_iter().map(path).filter(is_list).collect()
}

#[test]
fn each_role_asks_for_what_it_needs_and_filters_its_own() {
    let filters = "?filters=%7B%22name%22%3A%7B%22x%22%3Atrue%7D%7D";
    for (role, others) in
        [("services", &["networks"][..]), ("tasks", &["services", "nodes", "networks"]), ("nodes", &[])]
    {
        leak_checked_live(async || {
            let engine = FakeEngine::start().await;
            for list in ["services", "tasks", "nodes", "networks"] {
                engine.set(list, json!([]));
            }
            let host = engine.host();
            let text = format!("{{host: '{host}', role: {role}, filters: [{{name: name, values: [x]}}]}}");
            let mut run = contract::Run::start(&config(&text)).await.expect("it is built");
            assert_eq!(run.next().await.expect("the first word").groups(), []);
            stop(run).await;
            let mut wanted = vec![format!("{role}{filters}")];
            wanted.extend(others.iter().map(|other| (*other).to_owned()));
            assert_eq!(asked(&engine), wanted);
            let all = engine.asked();
            let at = |part: &str| all.iter().position(|asked| asked.contains(part)).expect("it was asked for");
            assert!(at("/events") < at(&format!("/{role}")), "what changes after the list would be missed: {all:?}");
            engine.finish().await;
        });
    }
}

#[test]
fn tasks_are_looked_at_again_some_time_after_an_event() {
    leak_checked_live(async || {
        let engine = FakeEngine::start().await;
        let set = |state: &str| {
            let attached = json!([{"Network": {"ID": "n"}, "Addresses": ["10.0.0.1/24"]}]);
            let task = json!({"ID": "t", "Status": {"State": state}, "NetworksAttachments": attached});
            engine.set("tasks", json!([task]));
        };
        for list in ["services", "nodes", "networks"] {
            engine.set(list, json!([]));
        }
        set("preparing");
        let text = format!("{{host: '{}', role: tasks, refresh_interval: 1h}}", engine.host());
        let mut run = contract::Run::start(&config(&text)).await.expect("it is built");
        let state = |word: rosterd_discovery::Word| {
            assert_eq!(addresses(word.groups()).into_iter().collect::<Vec<_>>(), ["10.0.0.1:80"]);
            word.groups()[0].labels.get("__meta_dockerswarm_task_state").map(str::to_owned)
        };
        assert_eq!(state(run.next().await.expect("the first word")).as_deref(), Some("preparing"));
        set("starting");
        engine.event(json!({"Type": "service", "Action": "update"})).await;
        assert_eq!(state(run.next().await.expect("of the event")).as_deref(), Some("starting"));
        // Nothing tells of this.
        set("running");
        assert_eq!(state(run.next().await.expect("of the echo")).as_deref(), Some("running"));
        stop(run).await;
        engine.finish().await;
    });
}
