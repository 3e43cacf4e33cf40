//! `uyuni` keeps the contract of discoverers.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use async_trait::async_trait;
use rosterd_discovery::AnyConfig;
use rosterd_discovery_uyuni::UyuniConfig;
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live, xmlrpc_answer};
use serde_json::{Value, json};

/// A system with an exporter for each address: whose groups these are is not told.
struct Systems {
    server: ScriptedServer,
    /// The hosts, by the numbers of the systems.
    hosts: BTreeMap<u32, String>,
}

impl Systems {
    fn serve(&self, status: u16) {
        let systems: String = self.hosts.keys().map(|system| format!("<value><int>{system}</int></value>")).collect();
        let systems = format!("<array><data>{systems}</data></array>");
        self.answers(
            "auth.login",
            &["<string>u</string>", "<string>p</string>", "<int>600</int>"],
            200,
            &json!("session"),
        );
        let entitled = ["<string>session</string>", "<string>monitoring_entitled</string>"];
        let of_all = |result: fn((&u32, &String)) -> Value| self.hosts.iter().map(result).collect::<Value>();
        let known = of_all(|(system, _)| json!({"id": system, "system_groups": []}));
        self.answers("system.listSystemGroupsForSystemsWithEntitlement", &entitled, status, &known);
        let endpoints = of_all(|(system, _)| json!({"system_id": system, "port": 9100}));
        self.answers("system.monitoring.listEndpoints", &["<string>session</string>", &systems], status, &endpoints);
        let networks = of_all(|(system, host)| json!({"system_id": system, "hostname": host}));
        self.answers("system.getNetworkForSystems", &["<string>session</string>", &systems], status, &networks);
    }

    fn answers(&self, method: &str, parameters: &[&str], status: u16, result: &Value) {
        let values: String = parameters.iter().map(|value| format!("<param><value>{value}</value></param>")).collect();
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><methodCall><methodName>{method}</methodName><params>{values}</params></methodCall>"
        );
        let asked = Step::post("/rpc/api").any_times().with_body(body);
        self.server.then(asked.status(status).body(xmlrpc_answer(result)));
    }
}

#[async_trait]
impl Driver for Systems {
    fn config(&self) -> Box<dyn AnyConfig> {
        let text = format!("{{server: '{}', username: u, password: p, refresh_interval: 1s}}", self.server.url(""));
        Box::new(serde_yaml::from_str::<UyuniConfig>(&text).expect("a configuration"))
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let host = |address: &&str| {
            let host = address.trim_end_matches(":9100");
            (u32::from(host.parse::<Ipv4Addr>().expect("an address")), host.to_owned())
        };
        self.hosts = groups.iter().flat_map(|(_, addresses)| addresses.iter().map(host)).collect();
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
fn uyuni_keeps_the_contract() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([]).await;
        contract::check(&mut Systems { server, hosts: BTreeMap::new() }).await;
    });
}
