//! The mechanism `http` keeps the contract of a discoverer.

use async_trait::async_trait;
use rosterd_discovery::{AnyConfig, Mechanism, Registry};
use rosterd_discovery_http::HttpConfig;
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};

/// A list that takes effect when the server is asked again.
struct Source {
    server: ScriptedServer,
    body: String,
}

impl Source {
    async fn start() -> Self {
        let source = Self { server: ScriptedServer::start([]).await, body: "[]".to_owned() };
        source.serve(200);
        source
    }

    fn serve(&self, status: u16) {
        self.server.then(Step::get("/targets").any_times().status(status).json(self.body.clone()));
    }
}

#[async_trait]
impl Driver for Source {
    fn config(&self) -> Box<dyn AnyConfig> {
        // The timeout is the interval, so that it must not be too short for a busy machine.
        let text = format!("{{url: '{}', refresh_interval: 1s}}", self.server.url("/targets"));
        Box::new(serde_yaml::from_str::<HttpConfig>(&text).expect("a configuration"))
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let group =
            |(name, targets): &(&str, &[&str])| serde_json::json!({"targets": targets, "labels": {"name": name}});
        self.body = serde_json::Value::from_iter(groups.iter().map(group)).to_string();
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
    leak_checked_live(async || contract::check(&mut Source::start().await).await);
}

#[test]
fn the_mechanism_is_registered() {
    let registry = Registry::linked().expect("distinct names");
    assert_eq!(registry.by_key("http_sd_configs").map(|Mechanism { name, .. }| *name), Some("http"));
}
