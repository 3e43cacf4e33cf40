//! `openstack` keeps the contract of discoverers.

use rosterd_discovery_openstack::OpenstackConfig;
use rosterd_testkit::contract::{self, ServedGroup};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::{Value, json};

/// A server for each group.
fn server(group: &ServedGroup) -> Value {
    let addresses: Vec<_> = group.hosts().map(|host| json!({"addr": host})).collect();
    json!({"id": group.name, "flavor": {"id": "f"}, "image": "", "addresses": {"net": addresses}})
}

#[test]
fn openstack_keeps_the_contract() {
    leak_checked_live(async || {
        let cloud = ScriptedServer::start([]).await;
        let service = |kind: &str| {
            let url = cloud.url(&format!("/{kind}"));
            json!({"type": kind, "endpoints": [{"interface": "public", "region": "One", "url": url}]})
        };
        let grant = json!({"token": {"catalog": [service("compute"), service("network")]}}).to_string();
        let keystone = Step::post("/v3/auth/tokens").any_times().status(201).reply_header("x-subject-token", "t");
        cloud.then(keystone.json(grant));
        cloud.then(Step::get("/network/v2.0/ports").any_times().json(r#"{"ports": []}"#));
        cloud.then(Step::get("/network/v2.0/floatingips").any_times().json(r#"{"floatingips": []}"#));
        let text = format!(
            "{{identity_endpoint: '{}', userid: u, password: p, role: instance, region: One, port: 9100, refresh_interval: 1s}}",
            cloud.url("/v3")
        );
        let config = || serde_yaml::from_str::<OpenstackConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            let servers: Vec<_> = served.groups().map(server).collect();
            let step = Step::get("/compute/v2.1/servers/detail").with_header("x-auth-token", "t");
            cloud.then(served.answer(step.json(json!({"servers": servers}).to_string())));
        })
        .await;
        cloud.finish().await;
    });
}
