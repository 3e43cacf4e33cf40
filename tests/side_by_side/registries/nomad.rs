//! Nomad beside a Prometheus 3: Debian's is built without it. Prometheus asks once in an interval, rosterd waits for news.

use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::{Value, json};

use super::Pair;
use crate::built::Built;

const INDEX: &str = "x-nomad-index";

fn instance(service: &str, number: usize, tags: &[&str]) -> Value {
    json!({
        "ID": format!("_nomad-task-{number}-group-{service}-http"), "ServiceName": service, "Namespace": "default", "Datacenter": "dc1",
        "NodeID": format!("8a1a2c0e-6f4e-4b7c-9b67-2f0f3a1b9d{number:02}"), "JobID": service, "AllocID": format!("c0ffee00-0000-4000-8000-{number:012}"),
        "Tags": tags, "Address": if number == 3 { "::1".to_owned() } else { format!("127.0.7.{number}") }, "Port": 9, "CreateIndex": 18, "ModifyIndex": 20,
    })
}

/// What Nomad knows from now on.
fn know(server: &ScriptedServer, index: u64, services: &[(&str, Vec<Value>)]) {
    // Whoever learns of a service can ask for it.
    for (name, instances) in services {
        let step = Step::get(&format!("/v1/service/{name}")).json(json!(instances).to_string());
        server.then(step.index(INDEX, index));
    }
    let stubs: Vec<_> = services.iter().map(|(name, _)| json!({"ServiceName": name, "Tags": []})).collect();
    let list = json!([{"Namespace": "default", "Services": stubs}]).to_string();
    server.then(Step::get("/v1/services").json(list).index(INDEX, index));
}

#[test]
fn services_of_nomad() {
    let Some(built) = Built::find() else { return };
    leak_checked_live(|| async {
        let server = ScriptedServer::start([]).await;
        let web =
            vec![instance("web", 1, &["blue", "metrics=true"]), instance("web", 2, &[]), instance("web", 3, &["a,b"])];
        know(&server, 5, &[("web", web), ("api", vec![instance("api", 4, &["one"])]), ("none", Vec::new())]);
        let section = format!("{{server: '{}', refresh_interval: 1s, tag_separator: ;}}", server.url(""));
        let mut pair = Pair::beside_3(&built, &format!("nomad_sd_configs: [{section}]")).await;
        pair.agree(4, &[]).await;
        know(&server, 8, &[("web", vec![instance("web", 2, &["green"])]), ("new", vec![instance("new", 5, &["x"])])]);
        pair.agree(2, &[";green;", "127.0.7.5:9"]).await;
        for path in ["/v1/services", "/v1/service/web", "/v1/service/new"] {
            server.then(Step::get(path).any_times().status(500));
        }
        pair.fail(["rosterd_discovery_nomad_failures_total", "prometheus_sd_nomad_failures_total"], 1).await;
        know(&server, 9, &[("new", vec![instance("new", 6, &["x"])])]);
        pair.agree(1, &["127.0.7.6:9"]).await;
    });
}
