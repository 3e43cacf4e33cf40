//! `eureka` keeps the contract of discoverers.

use async_trait::async_trait;
use rosterd_discovery::AnyConfig;
use rosterd_discovery_eureka::EurekaConfig;
use rosterd_testkit::contract::{self, Driver};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};

/// An application for each group.
struct Applications {
    server: ScriptedServer,
    body: String,
}

impl Applications {
    fn serve(&self, status: u16) {
        self.server.then(Step::get("/eureka/apps").any_times().status(status).body(self.body.clone()));
    }
}

#[async_trait]
impl Driver for Applications {
    fn config(&self) -> Box<dyn AnyConfig> {
        let text = format!("{{server: '{}', refresh_interval: 1s}}", self.server.url("/eureka"));
        Box::new(serde_yaml::from_str::<EurekaConfig>(&text).expect("a configuration"))
    }

    async fn set(&mut self, groups: &[(&str, &[&str])]) {
        let instance = |address: &&str| {
            let (host, port) = address.split_once(':').expect("an address has a port");
            format!("<instance><hostName>{host}</hostName><port>{port}</port></instance>")
        };
        let application = |(name, addresses): &(&str, &[&str])| {
            let instances: String = addresses.iter().map(instance).collect();
            format!("<application><name>{name}</name>{instances}</application>")
        };
        self.body = format!("<applications>{}</applications>", groups.iter().map(application).collect::<String>());
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
fn eureka_keeps_the_contract() {
    leak_checked_live(|| async {
        let server = ScriptedServer::start([]).await;
        contract::check(&mut Applications { server, body: "<applications/>".to_owned() }).await;
    });
}
