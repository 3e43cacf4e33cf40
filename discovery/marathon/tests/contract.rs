//! `marathon` keeps the contract of discoverers.

use async_trait::async_trait;
use rosterd_discovery::AnyConfig;
use rosterd_discovery_marathon::MarathonConfig;
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::json;

/// An application for each group.
struct Applications {
    server: ScriptedServer,
    body: String,
}

impl Applications {
    fn serve(&self, status: u16) {
        self.server.then(Step::get("/v2/apps/").any_times().status(status).body(self.body.clone()));
    }
}

#[async_trait]
impl Driver for Applications {
    fn config(&self) -> Box<dyn AnyConfig> {
        let text = format!("{{servers: ['{}'], refresh_interval: 1s}}", self.server.url(""));
        Box::new(serde_yaml::from_str::<MarathonConfig>(&text).expect("a configuration"))
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let task = |address: &&str| {
            let (host, port) = address.split_once(':').expect("an address has a port");
            json!({"id": address, "host": host, "ports": [port.parse::<u16>().expect("a port")]})
        };
        let app = |(name, addresses): &(&str, &[&str])| json!({"id": name, "tasks": addresses.iter().map(task).collect::<Vec<_>>()});
        self.body = json!({"apps": groups.iter().map(app).collect::<Vec<_>>()}).to_string();
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
fn marathon_keeps_the_contract() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([]).await;
        contract::check(&mut Applications { server, body: r#"{"apps": []}"#.to_owned() }).await;
    });
}
