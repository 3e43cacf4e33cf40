//! `puppetdb` keeps the contract of discoverers.

use rosterd_discovery_puppetdb::PuppetdbConfig;
use rosterd_testkit::contract;
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::{Value, json};

#[test]
fn puppetdb_keeps_the_contract() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let text = format!("{{url: '{}', query: q, port: 9100, refresh_interval: 1s}}", server.url("/"));
        let config = || serde_yaml::from_str::<PuppetdbConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            // A node with a resource for each address: whose groups these are is not in a catalog.
            let nodes = served.groups().flat_map(|group| group.hosts());
            let body: Value = nodes.map(|node| json!({"certname": node, "resource": "1"})).collect();
            server.then(served.answer(Step::post("/pdb/query/v4").json(body.to_string())));
        })
        .await;
        server.finish().await;
    });
}
