//! The mechanism `docker` keeps the contract of a discoverer.

use async_trait::async_trait;
use rosterd_discovery::{AnyConfig, Mechanism, Registry};
use rosterd_discovery_docker::DockerConfig;
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{FakeEngine, leak_checked_live};
use serde_json::{Value, json};

/// A container for each group, with a network for each address.
struct Source {
    engine: FakeEngine,
    containers: Value,
}

#[async_trait]
impl Driver for Source {
    fn config(&self) -> Box<dyn AnyConfig> {
        let text =
            format!("{{host: '{}', port: 9100, match_first_network: false, refresh_interval: 1s}}", self.engine.host());
        Box::new(serde_yaml::from_str::<DockerConfig>(&text).expect("a configuration"))
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let network = |address: &&str| {
            let ip = address.split(':').next().unwrap_or_default();
            ((*address).to_owned(), json!({"NetworkID": address, "IPAddress": ip}))
        };
        let container = |(name, addresses): &(&str, &[&str])| {
            let networks: serde_json::Map<_, _> = addresses.iter().map(network).collect();
            json!({"Id": name, "Names": [format!("/{name}")], "NetworkSettings": {"Networks": networks}})
        };
        self.containers = groups.iter().map(container).collect();
        self.heal().await;
    }

    async fn break_source(&mut self) -> bool {
        self.engine.fail("containers/json", 500, "broken");
        true
    }

    async fn heal(&mut self) {
        self.engine.set("containers/json", self.containers.clone());
    }
}

#[test]
fn the_contract_holds() {
    leak_checked_live(async || {
        let engine = FakeEngine::start().await;
        engine.set("networks", json!([]));
        let mut source = Source { engine, containers: json!([]) };
        source.heal().await;
        contract::check(&mut source).await;
        source.engine.finish().await;
    });
}

#[test]
fn the_mechanism_is_registered() {
    let registry = Registry::linked().expect("distinct names");
    assert_eq!(registry.by_key("docker_sd_configs").map(|Mechanism { name, .. }| *name), Some("docker"));
}
