//! The mechanism `kuma` keeps the contract of a discoverer.

use async_trait::async_trait;
use rosterd_discovery::{AnyConfig, Mechanism, Registry};
use rosterd_discovery_kuma::KumaConfig;
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::{Value, json};

const KIND: &str = "type.googleapis.com/kuma.observability.v1.MonitoringAssignment";

/// A service for each group. It always answers at once, and with all that there is.
struct Source {
    server: ScriptedServer,
    resources: Value,
}

impl Source {
    fn serve(&self, status: u16) {
        let body = json!({"version_info": "v", "nonce": "n", "type_url": KIND, "resources": self.resources});
        let step = Step::post("/v3/discovery:monitoringassignments");
        self.server.then(step.any_times().status(status).json(body.to_string()));
    }
}

#[async_trait]
impl Driver for Source {
    fn config(&self) -> Box<dyn AnyConfig> {
        let text = format!("{{server: '{}', refresh_interval: 20ms}}", self.server.url(""));
        Box::new(serde_yaml::from_str::<KumaConfig>(&text).expect("a configuration"))
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let assignment = |(name, addresses): &(&str, &[&str])| {
            let targets: Vec<_> = addresses.iter().map(|address| json!({"address": address})).collect();
            json!({"@type": KIND, "mesh": "m", "service": name, "targets": targets})
        };
        self.resources = groups.iter().map(assignment).collect();
        self.serve(200);
    }

    async fn break_source(&mut self) -> bool {
        self.serve(500);
        true
    }

    async fn heal(&mut self) {
        self.serve(200);
    }
}

#[test]
fn the_contract_holds() {
    leak_checked_live(async || {
        let mut source = Source { server: ScriptedServer::start([]).await, resources: json!([]) };
        source.serve(200);
        contract::check(&mut source).await;
        source.server.finish().await;
    });
}

#[test]
fn the_mechanism_is_registered() {
    let registry = Registry::linked().expect("distinct names");
    assert_eq!(registry.by_key("kuma_sd_configs").map(|Mechanism { name, .. }| *name), Some("kuma"));
}
