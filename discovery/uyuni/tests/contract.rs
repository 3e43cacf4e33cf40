//! `uyuni` keeps the contract of discoverers.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use rosterd_discovery_uyuni::UyuniConfig;
use rosterd_testkit::contract;
use rosterd_testkit::{ScriptedServer, Step, leak_checked_live, xmlrpc_answer};
use serde_json::{Value, json};

/// The answer to a call.
fn answer(method: &str, parameters: &[&str], result: &Value) -> Step {
    let values: String = parameters.iter().map(|value| format!("<param><value>{value}</value></param>")).collect();
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><methodCall><methodName>{method}</methodName><params>{values}</params></methodCall>"
    );
    Step::post("/rpc/api").any_times().with_body(body).body(xmlrpc_answer(result))
}

#[test]
fn uyuni_keeps_the_contract() {
    leak_checked_live(async || {
        let login = ["<string>u</string>", "<string>p</string>", "<int>600</int>"];
        let server = ScriptedServer::start([answer("auth.login", &login, &json!("session"))]).await;
        let text = format!("{{server: '{}', username: u, password: p, refresh_interval: 1s}}", server.url(""));
        let config = || serde_yaml::from_str::<UyuniConfig>(&text).expect("a configuration");
        contract::check_server(config, |served| {
            // A system with an exporter for each address: whose groups these are is not told.
            let number = |host: &str| u32::from(host.parse::<Ipv4Addr>().expect("an address"));
            let hosts: BTreeMap<_, _> =
                served.groups().flat_map(|group| group.hosts()).map(|host| (number(host), host)).collect();
            let of_all = |result: fn((&u32, &&str)) -> Value| hosts.iter().map(result).collect::<Value>();
            let systems: String = hosts.keys().map(|system| format!("<value><int>{system}</int></value>")).collect();
            let systems = format!("<array><data>{systems}</data></array>");
            let session = "<string>session</string>";
            for (method, parameter, result) in [
                (
                    "system.listSystemGroupsForSystemsWithEntitlement",
                    "<string>monitoring_entitled</string>",
                    of_all(|(system, _)| json!({"id": system, "system_groups": []})),
                ),
                (
                    "system.monitoring.listEndpoints",
                    &systems,
                    of_all(|(system, _)| json!({"system_id": system, "port": 9100})),
                ),
                (
                    "system.getNetworkForSystems",
                    &systems,
                    of_all(|(system, host)| json!({"system_id": system, "hostname": host})),
                ),
            ] {
                server.then(served.answer(answer(method, &[session, parameter], &result)));
            }
        })
        .await;
        server.finish().await;
    });
}
