//! The mechanism `dockerswarm` keeps the contract of a discoverer.

use rosterd_discovery_dockerswarm::DockerSwarmConfig;
use rosterd_testkit::contract::{self, ServedGroup};
use rosterd_testkit::{FakeEngine, leak_checked_live};
use serde_json::{Value, json};

/// A task for each group, with its addresses.
fn task(group: &ServedGroup) -> Value {
    let cidrs: Vec<_> = group.hosts().map(|host| format!("{host}/24")).collect();
    json!({"ID": group.name, "NetworksAttachments": [{"Network": {"ID": "n"}, "Addresses": cidrs}]})
}

#[test]
fn the_contract_holds() {
    leak_checked_live(async || {
        let engine = FakeEngine::start().await;
        for list in ["services", "nodes", "networks"] {
            engine.set(list, json!([]));
        }
        let text = format!("{{host: '{}', role: tasks, port: 9100, refresh_interval: 1s}}", engine.host());
        let config = || serde_yaml::from_str::<DockerSwarmConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| match served.is_broken() {
            true => engine.fail("tasks", 503, "This node is not a swarm manager."),
            false => engine.set("tasks", served.groups().map(task).collect()),
        })
        .await;
        engine.finish().await;
    });
}
