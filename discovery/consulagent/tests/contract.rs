//! `consulagent` keeps the contract of discoverers.

use rosterd_discovery_consulagent::ConsulAgentConfig;
use rosterd_testkit::contract::{self, ServedGroup};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::{Map, Value, json};

/// An instance for each address of a service, by their ids.
fn instances(group: &ServedGroup) -> impl Iterator<Item = (String, Value)> {
    group.endpoints().map(|(host, port)| {
        let id = format!("{}-{host}", group.name);
        let service = json!({"ID": id, "Service": group.name, "Address": host, "Port": port, "Datacenter": "d"});
        (id, service)
    })
}

#[test]
fn consulagent_keeps_the_contract() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([
            Step::get("/v1/agent/self").any_times().json(r#"{"Config": {"Datacenter": "d"}}"#),
            Step::get("/v1/agent/checks").any_times().json("{}"),
        ])
        .await;
        let text = format!("{{server: '{}', refresh_interval: 1s}}", server.address());
        let config = || serde_yaml::from_str::<ConsulAgentConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            let services: Map<_, _> = served.groups().flat_map(instances).collect();
            server.then(served.answer(Step::get("/v1/agent/services").json(Value::from(services).to_string())));
        })
        .await;
        server.finish().await;
    });
}
