//! `yandexcloud` keeps the contract of discoverers.

use rosterd_discovery_yandexcloud::YandexcloudConfig;
use rosterd_testkit::contract;
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::json;

#[test]
fn yandexcloud_keeps_the_contract() {
    leak_checked_live(async || {
        let cloud = ScriptedServer::start([]).await;
        let address = cloud.address().to_string();
        let services = ["iam", "compute"].map(|name| json!({"id": name, "address": address}));
        cloud.then(Step::get("/endpoints").any_times().json(json!({"endpoints": services}).to_string()));
        cloud.then(Step::post("/iam/v1/tokens").any_times().json(r#"{"iamToken": "t"}"#));
        let text = format!(
            "{{service: compute, api_endpoint: '{}', yandex_passport_oauth_token: o, folder_ids: [f], refresh_interval: 1s}}",
            cloud.url("")
        );
        let config = || serde_yaml::from_str::<YandexcloudConfig>(&text).expect("a configuration");
        contract::check_server_with_own_addresses(
            config,
            |served| {
                let instances: Vec<_> = served
                    .groups()
                    .flat_map(|group| group.hosts().map(|host| json!({"id": host, "fqdn": host})))
                    .collect();
                let step = Step::get("/compute/v1/instances?pageSize=1000&folderId=f")
                    .with_header("authorization", "Bearer t");
                cloud.then(served.answer(step.json(json!({"instances": instances}).to_string())));
            },
            |address| address.split(':').next().unwrap_or_default().to_owned(),
        )
        .await;
        cloud.finish().await;
    });
}
