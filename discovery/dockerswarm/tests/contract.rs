//! The mechanism `dockerswarm` keeps the contract of a discoverer.

use async_trait::async_trait;
use rosterd_discovery::{AnyConfig, Mechanism, Registry};
use rosterd_discovery_dockerswarm::DockerSwarmConfig;
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{FakeEngine, leak_checked_live};
use serde_json::{Value, json};

/// A task for each group, with its addresses.
struct Source {
    engine: FakeEngine,
    tasks: Value,
}

#[async_trait]
impl Driver for Source {
    fn config(&self) -> Box<dyn AnyConfig> {
        let text = format!("{{host: '{}', role: tasks, port: 9100, refresh_interval: 1s}}", self.engine.host());
        Box::new(serde_yaml::from_str::<DockerSwarmConfig>(&text).expect("a configuration"))
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let task = |(name, addresses): &(&str, &[&str])| {
            let cidrs: Vec<_> = addresses.iter().map(|address| address.replace(":9100", "/24")).collect();
            json!({"ID": name, "NetworksAttachments": [{"Network": {"ID": "n"}, "Addresses": cidrs}]})
        };
        self.tasks = groups.iter().map(task).collect();
        self.heal().await;
    }

    async fn break_source(&mut self) -> bool {
        self.engine.fail("tasks", 503, "This node is not a swarm manager.");
        true
    }

    async fn heal(&mut self) {
        self.engine.set("tasks", self.tasks.clone());
    }
}

#[test]
fn the_contract_holds() {
    leak_checked_live(async || {
        let engine = FakeEngine::start().await;
        for list in ["services", "nodes", "networks"] {
            engine.set(list, json!([]));
        }
        let mut source = Source { engine, tasks: json!([]) };
        source.heal().await;
        contract::check(&mut source).await;
        source.engine.finish().await;
    });
}

#[test]
fn the_mechanism_is_registered() {
    let registry = Registry::linked().expect("distinct names");
    assert_eq!(registry.by_key("dockerswarm_sd_configs").map(|Mechanism { name, .. }| *name), Some("dockerswarm"));
}
