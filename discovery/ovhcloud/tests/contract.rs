//! `ovhcloud` keeps the contract of discoverers.

use rosterd_discovery_ovhcloud::OvhcloudConfig;
use rosterd_testkit::contract::{self, ServedGroup};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::json;

/// The name of a server, which has one address.
fn name(group: &ServedGroup, host: &str) -> String {
    format!("{}-{host}", group.name)
}

#[test]
fn ovhcloud_keeps_the_contract() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        server.then(Step::get("/1.0/auth/time").any_times().json("1700000000"));
        let text = format!(
            "{{endpoint: '{}', application_key: a, application_secret: s, consumer_key: c, service: vps, refresh_interval: 1s}}",
            server.url("/1.0")
        );
        let config = || serde_yaml::from_str::<OvhcloudConfig>(&text).expect("a configuration");
        let answer = |served: &contract::Served| {
            let mut names = Vec::new();
            for group in served.groups() {
                for host in group.hosts() {
                    names.push(name(group, host));
                    let path = format!("/1.0/vps/{}", name(group, host));
                    server.then(served.answer(Step::get(&path).json(json!({"name": group.name}).to_string())));
                    let addresses = Step::get(&format!("{path}/ips")).json(json!([host]).to_string());
                    server.then(served.answer(addresses));
                }
            }
            // Last, so that nobody asks about a server that does not answer yet.
            server.then(served.answer(Step::get("/1.0/vps").json(json!(names).to_string())));
        };
        // There is no port.
        let host = |address: &str| address.split(':').next().unwrap_or_default().to_owned();
        contract::check_server_with_own_addresses(config, answer, host).await;
        server.finish().await;
    });
}
