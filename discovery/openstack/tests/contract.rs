//! `openstack` keeps the contract of discoverers.

use async_trait::async_trait;
use rosterd_discovery::AnyConfig;
use rosterd_discovery_openstack::OpenstackConfig;
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::json;

/// A server for each group.
struct Servers {
    server: ScriptedServer,
    body: String,
}

impl Servers {
    async fn start() -> Self {
        let server = ScriptedServer::start([]).await;
        let service = |kind: &str| {
            let url = server.url(&format!("/{kind}"));
            json!({"type": kind, "endpoints": [{"interface": "public", "region": "One", "url": url}]})
        };
        let grant = json!({"token": {"catalog": [service("compute"), service("network")]}}).to_string();
        let keystone = Step::post("/v3/auth/tokens").any_times().status(201).reply_header("x-subject-token", "t");
        server.then(keystone.json(grant));
        server.then(Step::get("/network/v2.0/ports").any_times().json(r#"{"ports": []}"#));
        server.then(Step::get("/network/v2.0/floatingips").any_times().json(r#"{"floatingips": []}"#));
        Self { server, body: r#"{"servers": []}"#.to_owned() }
    }

    fn serve(&self, status: u16) {
        let step = Step::get("/compute/v2.1/servers/detail").with_header("x-auth-token", "t").any_times();
        self.server.then(step.status(status).json(self.body.clone()));
    }
}

#[async_trait]
impl Driver for Servers {
    fn config(&self) -> Box<dyn AnyConfig> {
        let text = format!(
            "{{identity_endpoint: '{}', userid: u, password: p, role: instance, region: One, port: 9100, refresh_interval: 1s}}",
            self.server.url("/v3")
        );
        Box::new(serde_yaml::from_str::<OpenstackConfig>(&text).expect("a configuration"))
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let address = |address: &&str| json!({"addr": address.strip_suffix(":9100").expect("all ports are this one")});
        let server = |(name, addresses): &(&str, &[&str])| {
            let addresses: Vec<_> = addresses.iter().map(address).collect();
            json!({"id": name, "flavor": {"id": "f"}, "image": "", "addresses": {"net": addresses}})
        };
        self.body = json!({"servers": groups.iter().map(server).collect::<Vec<_>>()}).to_string();
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
fn openstack_keeps_the_contract() {
    leak_checked_live(|| async {
        contract::check(&mut Servers::start().await).await;
    });
}
