//! The mechanism `kuma` keeps the contract of a discoverer.

use rosterd_discovery_kuma::KumaConfig;
use rosterd_testkit::contract::{self, ServedGroup};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::{Value, json};

const KIND: &str = "type.googleapis.com/kuma.observability.v1.MonitoringAssignment";

/// A service for each group.
fn assignment(group: &ServedGroup) -> Value {
    let targets: Vec<_> = group.addresses.iter().map(|address| json!({"address": address})).collect();
    json!({"@type": KIND, "mesh": "m", "service": group.name, "targets": targets})
}

#[test]
fn the_contract_holds() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let text = format!("{{server: '{}', refresh_interval: 20ms}}", server.url(""));
        let config = || serde_yaml::from_str::<KumaConfig>(&text).expect("a configuration");
        // It always answers at once, and with all that there is.
        contract::check_server(config, |served| {
            let resources: Value = served.groups().map(assignment).collect();
            let body = json!({"version_info": "v", "nonce": "n", "type_url": KIND, "resources": resources});
            server.then(served.answer(Step::post("/v3/discovery:monitoringassignments").json(body.to_string())));
        })
        .await;
        server.finish().await;
    });
}
