//! `triton` keeps the contract of discoverers.

use async_trait::async_trait;
use rosterd_discovery::AnyConfig;
use rosterd_discovery_triton::TritonConfig;
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::json;

/// A container for each address. Its port is that of the server.
struct Containers {
    server: ScriptedServer,
    body: String,
}

impl Containers {
    fn serve(&self, status: u16) {
        self.server.then(Step::get("/v1/discover").any_times().status(status).json(self.body.clone()));
    }
}

#[async_trait]
impl Driver for Containers {
    fn config(&self) -> Box<dyn AnyConfig> {
        let text = format!(
            "{{account: me, dns_suffix: cns, endpoint: localhost, port: {}, refresh_interval: 1s, tls_config: {}}}",
            self.server.address().port(),
            self.server.tls_config()
        );
        Box::new(serde_yaml::from_str::<TritonConfig>(&text).expect("a configuration"))
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let all = groups.iter().flat_map(|(_, addresses)| addresses.iter());
        let containers: Vec<_> = all.map(|address| json!({"vm_uuid": address, "vm_brand": "lx"})).collect();
        self.body = json!({"containers": containers}).to_string();
        self.serve(200);
    }

    async fn break_source(&mut self) -> bool {
        self.serve(500);
        true
    }

    async fn heal(&mut self) {
        self.serve(200);
    }

    fn made_of(&self, address: &str) -> String {
        format!("{address}.cns:{}", self.server.address().port())
    }
}

#[test]
fn triton_keeps_the_contract() {
    leak_checked_live(|| async {
        let server = ScriptedServer::with_tls([]).await;
        contract::check(&mut Containers { server, body: r#"{"containers": []}"#.to_owned() }).await;
    });
}
