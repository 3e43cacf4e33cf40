//! `gce` keeps the contract of discoverers.

use rosterd_discovery::{Environment, System};
use rosterd_discovery_gce::GceConfig;
use rosterd_testkit::contract;
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::json;

#[test]
fn gce_keeps_the_contract() {
    leak_checked_live(async || {
        let google = ScriptedServer::start([]).await;
        let token = json!({"access_token": "t", "expires_in": 3599, "token_type": "Bearer"}).to_string();
        let machine = "/computeMetadata/v1/instance/service-accounts/default/token";
        google.then(Step::get(machine).any_times().with_header("metadata-flavor", "Google").json(token));
        let environment = Environment::from_iter([("GCE_METADATA_HOST", google.address().to_string())]);
        let text = format!("{{project: p, zone: z, port: 9100, refresh_interval: 1s, endpoint: '{}'}}", google.url(""));
        let config = || serde_yaml::from_str::<GceConfig>(&text).expect("a configuration");
        let answer = |served: &contract::Served| {
            let hosts = served.groups().flat_map(|group| group.hosts());
            let instances: Vec<_> =
                hosts.map(|host| json!({"id": "1", "networkInterfaces": [{"networkIP": host}]})).collect();
            let asked = Step::get("/compute/v1/projects/p/zones/z/instances?alt=json&prettyPrint=false");
            let asked = asked.with_header("authorization", "Bearer t");
            google.then(served.answer(asked.json(json!({"items": instances}).to_string())));
        };
        contract::check_server_on(System::new("m", environment), config, answer).await;
        google.finish().await;
    });
}
