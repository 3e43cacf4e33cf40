//! `consul` keeps the contract of discoverers: each service is a source.

use async_trait::async_trait;
use rosterd_discovery::AnyConfig;
use rosterd_discovery_consul::ConsulConfig;
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::{Value, json};

const NAMES: [&str; 2] = ["one", "two"];

/// A service for each group.
struct Services {
    server: ScriptedServer,
    index: u64,
    held: Vec<(String, Vec<String>)>,
    broken: Vec<String>,
}

impl Services {
    fn tell(&mut self) {
        self.index += 1;
        let step =
            |path: &str, body: &Value| Step::get(path).json(body.to_string()).index("x-consul-index", self.index);
        for name in NAMES {
            let held = self.held.iter().filter(|(held, _)| held == name).flat_map(|(_, addresses)| addresses);
            let instance = |address: &String| {
                let (host, port) = address.split_once(':').expect("an address has a port");
                json!({"Node": {"Address": host}, "Service": {"Port": port.parse::<u16>().expect("a port")}})
            };
            let path = format!("/v1/health/service/{name}");
            match self.broken.iter().any(|broken| broken == name) {
                true => self.server.then(Step::get(&path).any_times().status(500)),
                false => self.server.then(step(&path, &held.map(instance).collect())),
            }
        }
        let services: Value = self.held.iter().map(|(name, _)| (name.clone(), json!([]))).collect();
        match self.broken.len() {
            2 => self.server.then(Step::get("/v1/catalog/services").any_times().status(500)),
            _ => self.server.then(step("/v1/catalog/services", &services)),
        }
    }
}

#[async_trait]
impl Driver for Services {
    fn config(&self) -> Box<dyn AnyConfig> {
        let text = format!("{{server: '{}', datacenter: d, refresh_interval: 100ms}}", self.server.address());
        Box::new(serde_yaml::from_str::<ConsulConfig>(&text).expect("a configuration"))
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let owned = |addresses: &[&str]| addresses.iter().map(|&address| address.to_owned()).collect();
        self.held = groups.iter().map(|(name, addresses)| ((*name).to_owned(), owned(addresses))).collect();
        self.tell();
    }

    async fn break_source(&mut self) -> bool {
        self.broken = NAMES.map(str::to_owned).to_vec();
        self.tell();
        true
    }

    async fn break_one(&mut self, name: &str) -> bool {
        self.broken = vec![name.to_owned()];
        self.tell();
        true
    }

    async fn heal(&mut self) {
        self.broken.clear();
        self.tell();
    }
}

#[test]
fn consul_keeps_the_contract() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([]).await;
        contract::check(&mut Services { server, index: 0, held: Vec::new(), broken: Vec::new() }).await;
    });
}
