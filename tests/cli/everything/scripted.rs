//! What is asked in other words than lists in JSON: an index, XML, and a token in a header.

use std::net::Ipv4Addr;

use rosterd_testkit::{ScriptedServer, Step, xmlrpc_answer};
use serde_json::{Value, json};

use super::entries::{PORT, hosts};

const UYUNI: &str = "/rpc/api";
const KEYSTONE: &str = "/v3/auth/tokens";
const SERVERS: &str = "/compute/v2.1/servers/detail";
const EUREKA: &str = "/eureka/apps";
const NOMAD: [&str; 2] = ["/v1/services", "/v1/service/web"];

/// Each has its hosts of these numbers.
pub(super) fn show(server: &ScriptedServer, index: u64, numbers: &[u8]) {
    nomad(server, index, numbers);
    eureka(server, numbers);
    openstack(server, numbers);
    uyuni(server, numbers);
}

/// None of them answers.
pub(super) fn fail(server: &ScriptedServer) {
    let [services, service] = NOMAD;
    for path in [services, service, EUREKA, SERVERS] {
        server.then(Step::get(path).any_times().status(503));
    }
    for path in [KEYSTONE, UYUNI] {
        server.then(Step::post(path).any_times().status(503));
    }
}

fn nomad(server: &ScriptedServer, index: u64, numbers: &[u8]) {
    let answer = |path: &str, body: &Value| {
        server.then(Step::get(path).json(body.to_string()).index("x-nomad-index", index));
    };
    let instance = |host: &String| json!({"ServiceName": "web", "Address": host, "Port": PORT});
    let [services, service] = NOMAD;
    answer(service, &hosts("nomad", numbers).iter().map(instance).collect());
    answer(services, &json!([{"Namespace": "default", "Services": [{"ServiceName": "web"}]}]));
}

fn eureka(server: &ScriptedServer, numbers: &[u8]) {
    let instance = |host: &String| format!("<instance><hostName>{host}</hostName><port>{PORT}</port></instance>");
    let instances: String = hosts("eureka", numbers).iter().map(instance).collect();
    let body = format!("<applications><application><name>A</name>{instances}</application></applications>");
    server.then(Step::get(EUREKA).any_times().body(body));
}

fn openstack(server: &ScriptedServer, numbers: &[u8]) {
    let service = |kind: &str| {
        let url = server.url(&format!("/{kind}"));
        json!({"type": kind, "endpoints": [{"interface": "public", "region": "One", "url": url}]})
    };
    let grant = json!({"token": {"catalog": [service("compute"), service("network")]}}).to_string();
    let keystone = Step::post(KEYSTONE).any_times().status(201).reply_header("x-subject-token", "t");
    server.then(keystone.json(grant));
    server.then(Step::get("/network/v2.0/ports").any_times().json(r#"{"ports": []}"#));
    server.then(Step::get("/network/v2.0/floatingips").any_times().json(r#"{"floatingips": []}"#));
    let instance =
        |host: &String| json!({"id": host, "flavor": {"id": "f"}, "image": "", "addresses": {"net": [{"addr": host}]}});
    let servers: Value = hosts("openstack", numbers).iter().map(instance).collect();
    server.then(Step::get(SERVERS).any_times().json(json!({"servers": servers}).to_string()));
}

fn uyuni(server: &ScriptedServer, numbers: &[u8]) {
    let answer = |method: &str, parameters: &[&str], result: &Value| {
        let values: String = parameters.iter().map(|value| format!("<param><value>{value}</value></param>")).collect();
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><methodCall><methodName>{method}</methodName><params>{values}</params></methodCall>"
        );
        server.then(Step::post(UYUNI).any_times().with_body(body).body(xmlrpc_answer(result)));
    };
    let session = "<string>session</string>";
    answer("auth.login", &["<string>u</string>", "<string>p</string>", "<int>600</int>"], &json!("session"));
    // A system with an exporter for each host, by its number.
    let number = |host: &String| u32::from(host.parse::<Ipv4Addr>().expect("an address"));
    let hosts = hosts("uyuni", numbers);
    let of_all =
        |result: fn(u32, &str) -> Value| -> Value { hosts.iter().map(|host| result(number(host), host)).collect() };
    let systems: String = hosts.iter().map(|host| format!("<value><int>{}</int></value>", number(host))).collect();
    let systems = format!("<array><data>{systems}</data></array>");
    // The list of them last, so that nobody asks about a system that is not known yet.
    let endpoints = of_all(|system, _| json!({"system_id": system, "port": 9100}));
    answer("system.monitoring.listEndpoints", &[session, &systems], &endpoints);
    let networks = of_all(|system, host| json!({"system_id": system, "hostname": host}));
    answer("system.getNetworkForSystems", &[session, &systems], &networks);
    let entitled = "<string>monitoring_entitled</string>";
    let listed = of_all(|system, _| json!({"id": system, "system_groups": []}));
    answer("system.listSystemGroupsForSystemsWithEntitlement", &[session, entitled], &listed);
}
