//! `azure` keeps the contract of discoverers.

use rosterd_discovery_azure::AzureConfig;
use rosterd_testkit::contract;
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live};
use serde_json::{Value, json};

/// A machine for each address, with one network interface.
fn machine(address: &str) -> Value {
    let id = |kind: &str| format!("/subscriptions/s/resourceGroups/g/providers/{kind}/{address}");
    let interface = json!({"id": id("Microsoft.Network/networkInterfaces")});
    json!({"id": id("Microsoft.Compute/virtualMachines"), "properties": {"networkProfile": {"networkInterfaces": [interface]}}})
}

#[test]
fn azure_keeps_the_contract() {
    leak_checked_live(async || {
        let azure = ScriptedServer::start([]).await;
        let token = json!({"access_token": "t", "expires_in": 3599, "token_type": "Bearer"}).to_string();
        azure.then(Step::post("/tenant/oauth2/v2.0/token").any_times().json(token));
        let listed = "/subscriptions/s/providers/Microsoft.Compute/virtualMachineScaleSets";
        azure.then(Step::get(listed).any_times().json(r#"{"value": []}"#));
        for host in ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.1.1"] {
            let interface =
                format!("/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/networkInterfaces/{host}");
            let address = json!({"properties": {"privateIPAddress": host}});
            let body = json!({"properties": {"primary": true, "ipConfigurations": [address]}});
            azure.then(
                Step::get(&interface).any_times().with_header("authorization", "Bearer t").json(body.to_string()),
            );
        }
        let text = format!(
            "{{subscription_id: s, tenant_id: tenant, client_id: c, client_secret: hunter2, port: 9100, refresh_interval: 1s,
               endpoint: '{0}', authority: '{0}'}}",
            azure.url("")
        );
        let config = || serde_yaml::from_str::<AzureConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            let machines: Vec<_> = served.groups().flat_map(|group| group.hosts()).map(machine).collect();
            let step = Step::get("/subscriptions/s/providers/Microsoft.Compute/virtualMachines?api-version=2024-03-01");
            let body = json!({"value": machines}).to_string();
            azure.then(served.answer(step.with_header("authorization", "Bearer t").json(body)));
            // All of it is broken, or nothing.
            azure.then(served.answer(Step::get(listed).json(r#"{"value": []}"#)));
        })
        .await;
        azure.finish().await;
    });
}
