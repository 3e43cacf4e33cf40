//! `marathon` keeps the contract of discoverers.

use rosterd_discovery_marathon::MarathonConfig;
use rosterd_testkit::contract::{self, ServedGroup};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::{Value, json};

/// An application for each group.
fn app(group: &ServedGroup) -> Value {
    let task = |(host, port)| json!({"id": host, "host": host, "ports": [port]});
    json!({"id": group.name, "tasks": group.endpoints().map(task).collect::<Vec<_>>()})
}

#[test]
fn marathon_keeps_the_contract() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let text = format!("{{servers: ['{}'], refresh_interval: 1s}}", server.url(""));
        let config = || serde_yaml::from_str::<MarathonConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            let body = json!({"apps": served.groups().map(app).collect::<Vec<_>>()});
            server.then(served.answer(Step::get("/v2/apps/").json(body.to_string())));
        })
        .await;
        server.finish().await;
    });
}
