//! The mechanism `http` keeps the contract of a discoverer.

use rosterd_discovery_http::HttpConfig;
use rosterd_testkit::contract;
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::{Value, json};

#[test]
fn the_contract_holds() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        // The timeout is the interval, so that it must not be too short for a busy machine.
        let text = format!("{{url: '{}', refresh_interval: 1s}}", server.url("/targets"));
        let config = || serde_yaml::from_str::<HttpConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            let groups = served.groups();
            let list: Value =
                groups.map(|group| json!({"targets": group.addresses, "labels": {"name": group.name}})).collect();
            server.then(served.answer(Step::get("/targets").json(list.to_string())));
        })
        .await;
        server.finish().await;
    });
}
