//! `puppetdb` keeps the contract of discoverers.

use async_trait::async_trait;
use rosterd_discovery::AnyConfig;
use rosterd_discovery_puppetdb::PuppetdbConfig;
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::{Value, json};

/// A node with a resource for each address: whose groups these are is not in a catalog.
struct Catalogs {
    server: ScriptedServer,
    body: String,
}

impl Catalogs {
    fn serve(&self, status: u16) {
        self.server.then(Step::post("/pdb/query/v4").any_times().status(status).json(self.body.clone()));
    }
}

#[async_trait]
impl Driver for Catalogs {
    fn config(&self) -> Box<dyn AnyConfig> {
        let text = format!("{{url: '{}', query: q, port: 9100, refresh_interval: 1s}}", self.server.url("/"));
        Box::new(serde_yaml::from_str::<PuppetdbConfig>(&text).expect("a configuration"))
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let node = |address: &&str| address.trim_end_matches(":9100").to_owned();
        let nodes = groups.iter().flat_map(|(_, addresses)| addresses.iter().map(node));
        self.body = nodes.map(|node| json!({"certname": node, "resource": "1"})).collect::<Value>().to_string();
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
fn puppetdb_keeps_the_contract() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([]).await;
        contract::check(&mut Catalogs { server, body: "[]".to_owned() }).await;
    });
}
