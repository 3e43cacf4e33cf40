//! `nomad` keeps the contract of discoverers: each service is a source.

use rosterd_discovery_nomad::NomadConfig;
use rosterd_testkit::contract::{self, ServedGroup};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::{Value, json};

/// The instances of a service.
fn instances(group: &ServedGroup) -> Value {
    let instance = |(host, port)| json!({"ServiceName": group.name, "Address": host, "Port": port});
    group.endpoints().map(instance).collect()
}

#[test]
fn nomad_keeps_the_contract() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let text = format!("{{server: '{}', refresh_interval: 1s}}", server.url(""));
        let config = || serde_yaml::from_str::<NomadConfig>(&text).expect("a configuration");
        contract::check_catalog(config, |served| {
            let step = |path: &str, body: &Value| {
                Step::get(path).json(body.to_string()).index("x-nomad-index", served.index())
            };
            for group in served.all_groups() {
                let step = step(&format!("/v1/service/{}", group.name), &instances(group));
                server.then(served.answer_of(group, step));
            }
            let stubs: Vec<_> = served.groups().map(|group| json!({"ServiceName": group.name})).collect();
            let namespaces = json!([{"Namespace": "default", "Services": stubs}]);
            server.then(served.answer(step("/v1/services", &namespaces)));
        })
        .await;
        server.finish().await;
    });
}
