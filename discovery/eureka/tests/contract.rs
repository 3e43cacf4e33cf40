//! `eureka` keeps the contract of discoverers.

use rosterd_discovery_eureka::EurekaConfig;
use rosterd_testkit::contract::{self, ServedGroup};
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};

/// An application for each group.
fn application(group: &ServedGroup) -> String {
    let instance = |(host, port)| format!("<instance><hostName>{host}</hostName><port>{port}</port></instance>");
    let instances: String = group.endpoints().map(instance).collect();
    format!("<application><name>{}</name>{instances}</application>", group.name)
}

#[test]
fn eureka_keeps_the_contract() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let text = format!("{{server: '{}', refresh_interval: 1s}}", server.url("/eureka"));
        let config = || serde_yaml::from_str::<EurekaConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            let applications: String = served.groups().map(application).collect();
            let body = format!("<applications>{applications}</applications>");
            server.then(served.answer(Step::get("/eureka/apps").body(body)));
        })
        .await;
        server.finish().await;
    });
}
