//! The mechanism `docker` keeps the contract of a discoverer.

use rosterd_discovery_docker::DockerConfig;
use rosterd_testkit::contract::{self, ServedGroup};
use rosterd_testkit::{FakeEngine, leak_checked_live};
use serde_json::{Map, Value, json};

/// A container for each group, with a network for each address.
fn container(group: &ServedGroup) -> Value {
    let network = |host: &str| (host.to_owned(), json!({"NetworkID": host, "IPAddress": host}));
    let networks: Map<_, _> = group.hosts().map(network).collect();
    json!({"Id": group.name, "Names": [format!("/{}", group.name)], "NetworkSettings": {"Networks": networks}})
}

#[test]
fn the_contract_holds() {
    leak_checked_live(async || {
        let engine = FakeEngine::start().await;
        engine.set("networks", json!([]));
        let text =
            format!("{{host: '{}', port: 9100, match_first_network: false, refresh_interval: 1s}}", engine.host());
        let config = || serde_yaml::from_str::<DockerConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| match served.is_broken() {
            true => engine.fail("containers/json", 500, "broken"),
            false => engine.set("containers/json", served.groups().map(container).collect()),
        })
        .await;
        engine.finish().await;
    });
}
