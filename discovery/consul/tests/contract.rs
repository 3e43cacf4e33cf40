//! `consul` keeps the contract of discoverers: each service is a source.

use rosterd_discovery_consul::ConsulConfig;
use rosterd_testkit::contract::{self, ServedGroup};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::{Value, json};

/// The instances of a service.
fn instances(group: &ServedGroup) -> Value {
    let instance = |(host, port)| json!({"Node": {"Address": host}, "Service": {"Port": port}});
    group.endpoints().map(instance).collect()
}

#[test]
fn consul_keeps_the_contract() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let text = format!("{{server: '{}', datacenter: d, refresh_interval: 100ms}}", server.address());
        let config = || serde_yaml::from_str::<ConsulConfig>(&text).expect("a configuration");
        contract::check_catalog(config, |served| {
            let step = |path: &str, body: &Value| {
                Step::get(path).json(body.to_string()).index("x-consul-index", served.index())
            };
            for group in served.all_groups() {
                let step = step(&format!("/v1/health/service/{}", group.name), &instances(group));
                server.then(served.answer_of(group, step));
            }
            let services: Value = served.groups().map(|group| (group.name.clone(), json!([]))).collect();
            server.then(served.answer(step("/v1/catalog/services", &services)));
        })
        .await;
        server.finish().await;
    });
}
