//! `triton` keeps the contract of discoverers.

use rosterd_discovery_triton::TritonConfig;
use rosterd_testkit::contract;
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::json;

#[test]
fn triton_keeps_the_contract() {
    leak_checked_live(async || {
        let server = ScriptedServer::with_tls([]).await;
        let port = server.address().port();
        let text = format!(
            "{{account: me, dns_suffix: cns, endpoint: localhost, port: {port}, refresh_interval: 1s, tls_config: {}}}",
            server.tls_config()
        );
        let config = || serde_yaml::from_str::<TritonConfig>(&text).expect("a configuration");
        // A container for each address. Its port is that of the server.
        let answer = |served: &contract::Served| {
            let all = served.groups().flat_map(|group| &group.addresses);
            let containers: Vec<_> = all.map(|address| json!({"vm_uuid": address, "vm_brand": "lx"})).collect();
            let body = json!({"containers": containers});
            server.then(served.answer(Step::get("/v1/discover").json(body.to_string())));
        };
        contract::check_server_with_own_addresses(config, answer, |address| format!("{address}.cns:{port}")).await;
        server.finish().await;
    });
}
