//! `stackit` keeps the contract of discoverers.

use rosterd_discovery_stackit::StackitConfig;
use rosterd_testkit::contract;
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::json;

#[test]
fn stackit_keeps_the_contract() {
    leak_checked_live(async || {
        let server = ScriptedServer::start([]).await;
        let text = format!(
            "{{project: p, endpoint: '{}', port: 9100, refresh_interval: 1s, bearer_token: t}}",
            server.url("/iaas")
        );
        let config = || serde_yaml::from_str::<StackitConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            let servers: Vec<_> = served
                .groups()
                .flat_map(|group| group.hosts().map(|host| json!({"id": host, "nics": [{"ipv4": host}]})))
                .collect();
            let step = Step::get("/iaas/v1/projects/p/servers?details=true").with_header("authorization", "Bearer t");
            server.then(served.answer(step.json(json!({"items": servers}).to_string())));
        })
        .await;
        server.finish().await;
    });
}
