//! A made-up cloud: rosterd finds the servers and hypervisors that Debian's Prometheus and vmagent find, through changes, failures and
//! recovery.

use rosterd_testkit::{ScriptedServer, Step, fixture, leak_checked_live};
use serde_json::{Value, json};

use super::built::Built;
use super::registries::{FAILURES, Pair};

const SERVERS: &str = "/compute/v2.1/servers/detail";
const HYPERVISORS: &str = "/compute/v2.1/os-hypervisors/detail";
const BALANCERS: &str = "/balancer/v2.0/lbaas/loadbalancers";
const LISTENERS: &str = "/balancer/v2.0/lbaas/listeners";
const FLOATING: &str = "/network/v2.0/floatingips";
/// Where Nova told of floating addresses before Neutron did.
const FLOATING_OF_NOVA: &str = "/compute/v2.1/os-floating-ips";

/// The catalog of a region with a service that computes, a network and load balancers.
fn catalog(server: &ScriptedServer) -> Value {
    let service = |kind: &str, path: &str| {
        let endpoint = |interface: &str| {
            json!({"id": format!("{kind}-{interface}"), "interface": interface, "region": "RegionOne", "region_id": "RegionOne",
                   "url": server.url(path)})
        };
        json!({"id": kind, "type": kind, "name": kind, "endpoints": [endpoint("public"), endpoint("internal")]})
    };
    json!([service("compute", "/compute/v2.1"), service("network", "/network"), service("load-balancer", "/balancer")])
}

/// Serves the lists for those who have a token.
fn serve(server: &ScriptedServer, path: &str, body: impl Into<Vec<u8>>) {
    server.then(Step::get(path).any_times().json(body.into()));
}

/// Which address leads to which of a server: in Neutron's words, and in those that Nova had.
fn float(server: &ScriptedServer, floating: &[(&str, &str, &str)]) {
    let ports: Vec<_> =
        floating.iter().map(|(_, device, fixed)| json!({"id": format!("port-{fixed}"), "device_id": device})).collect();
    let ips = floating.iter().map(|(ip, _, fixed)| {
        json!({"id": ip, "floating_ip_address": ip, "fixed_ip_address": fixed, "port_id": format!("port-{fixed}")})
    });
    let of_nova = floating.iter().map(
        |(ip, device, fixed)| json!({"id": ip, "ip": ip, "fixed_ip": fixed, "instance_id": device, "pool": "public"}),
    );
    serve(server, "/network/v2.0/ports", json!({"ports": ports}).to_string());
    serve(server, FLOATING, json!({"floatingips": ips.collect::<Vec<_>>()}).to_string());
    serve(server, FLOATING_OF_NOVA, json!({"floating_ips": of_nova.collect::<Vec<_>>()}).to_string());
}

/// A server without an image, because 2.42 and vmagent do not tell of images.
fn machine(id: &str, status: &str, addresses: Value) -> Value {
    json!({"id": id, "name": format!("name of {id}"), "status": status, "tenant_id": "project", "user_id": "user", "image": "",
           "flavor": {"id": "small"}, "metadata": {"env.tier": "prod"}, "addresses": addresses,
           "created": "2026-01-02T03:04:05Z", "updated": "2026-01-02T03:04:05Z"})
}

fn fixed(address: &str) -> Value {
    json!({"addr": address, "version": 4, "OS-EXT-IPS:type": "fixed"})
}

fn floating(address: &str) -> Value {
    json!({"addr": address, "version": 4, "OS-EXT-IPS:type": "floating"})
}

fn list(name: &str, items: &[Value]) -> String {
    json!({name: items}).to_string()
}

struct Cloud {
    server: ScriptedServer,
}

impl Cloud {
    async fn start() -> Self {
        let server = ScriptedServer::start([]).await;
        let grant = json!({"token": {"methods": ["password"], "issued_at": "2026-01-02T03:04:05.000000Z",
            "expires_at": "2099-01-02T03:04:05.000000Z", "catalog": catalog(&server)}});
        let keystone = Step::post("/v3/auth/tokens").any_times().status(201).reply_header("x-subject-token", "t");
        server.then(keystone.json(grant.to_string()));
        float(&server, &[("192.0.2.10", "a", "127.0.8.1")]);
        let cloud = Self { server };
        cloud.machines(&[
            machine("a", "ACTIVE", json!({"private": [fixed("127.0.8.1"), floating("192.0.2.10")]})),
            machine("b", "SHUTOFF", json!({"private": [fixed("127.0.8.2")], "back": [fixed("127.0.9.2")]})),
            machine("c", "BUILD", json!({})),
        ]);
        serve(&cloud.server, HYPERVISORS, fixture("discovery/openstack/hypervisors.json"));
        cloud
    }

    /// In two pages.
    fn machines(&self, machines: &[Value]) {
        let (first, rest) = machines.split_at(1);
        let next = self.server.url(&format!("{SERVERS}?marker=first"));
        let page = json!({"servers": first, "servers_links": [{"rel": "next", "href": next}]});
        serve(&self.server, SERVERS, page.to_string());
        // vmagent and Prometheus follow the link as it is given, and vmagent would say whose servers it wants.
        serve(&self.server, &format!("{SERVERS}?marker=first"), list("servers", rest));
    }

    /// Of its servers and hypervisors.
    fn discovery(&self) -> String {
        format!("openstack_sd_configs: [{}, {}]", self.config("instance"), self.config("hypervisor"))
    }

    fn config(&self, role: &str) -> String {
        format!(
            "{{identity_endpoint: '{}', username: me, password: hunter2, domain_name: Default, project_name: p, \
             region: RegionOne, port: 9100, refresh_interval: 1s, role: {role}}}",
            self.server.url("/v3")
        )
    }
}

#[test]
fn prometheus_finds_the_same_servers_and_hypervisors() {
    leak_checked_live(|| async {
        let cloud = Cloud::start().await;
        let mut pair = Pair::start(&cloud.discovery()).await;
        pair.agree(6, &[]).await;
        float(&cloud.server, &[("192.0.2.11", "b", "127.0.9.2")]);
        let machines = [
            machine(
                "b",
                "ACTIVE",
                json!({"private": [fixed("127.0.8.2")], "back": [fixed("127.0.9.2"), floating("192.0.2.11")]}),
            ),
            machine("d", "ACTIVE", json!({"private": [fixed("127.0.8.4")]})),
        ];
        cloud.machines(&machines);
        pair.agree(6, &["192.0.2.11", "127.0.8.4:9100"]).await;
        cloud.server.then(Step::get(SERVERS).any_times().status(503));
        pair.fail(FAILURES, 1).await;
        cloud.machines(&machines);
        cloud.server.then(Step::get(HYPERVISORS).any_times().status(401));
        pair.fail(FAILURES, 1).await;
        cloud.machines(&[machine("e", "ERROR", json!({"private": [fixed("127.0.8.5")]}))]);
        serve(&cloud.server, HYPERVISORS, r#"{"hypervisors": []}"#);
        pair.agree(1, &["127.0.8.5:9100"]).await;
    });
}

#[test]
fn a_prometheus_3_finds_the_same_servers_with_their_images_and_load_balancers() {
    let Some(built) = Built::find() else { return };
    leak_checked_live(|| async {
        let cloud = Cloud::start().await;
        let servers = |body: &str| serve(&cloud.server, SERVERS, body.to_owned());
        for (path, name) in [("/network/v2.0/ports", "ports"), (FLOATING, "floatingips"), (BALANCERS, "loadbalancers")]
        {
            serve(&cloud.server, path, fixture(&format!("discovery/openstack/{name}.json")));
        }
        // It asks which versions there are.
        for path in ["/network/", "/balancer/"] {
            let version = json!({"id": "v2.0", "status": "CURRENT",
                "links": [{"rel": "self", "href": cloud.server.url(&format!("{path}v2.0/"))}]});
            serve(&cloud.server, path, json!({"versions": [version]}).to_string());
        }
        let listeners = fixture("discovery/openstack/listeners.json");
        serve(&cloud.server, LISTENERS, listeners.clone());
        let first = fixture("discovery/openstack/servers.json");
        servers(&first);
        let roles = ["instance", "hypervisor", "loadbalancer"].map(|role| cloud.config(role));
        let mut pair = Pair::beside_3(&built, &format!("openstack_sd_configs: [{}]", roles.join(", "))).await;
        pair.agree(10, &["10.0.0.32:8080", "[fd00::32]:9101"]).await;
        serve(&cloud.server, LISTENERS, listeners.replace("9101", "9102"));
        servers(&first.replace("ACTIVE", "PAUSED"));
        pair.agree(10, &["[fd00::32]:9102", "PAUSED"]).await;
        for path in [LISTENERS, SERVERS, HYPERVISORS] {
            cloud.server.then(Step::get(path).any_times().status(503));
        }
        pair.fail(FAILURES, 3).await;
        serve(&cloud.server, LISTENERS, r#"{"listeners": []}"#);
        servers(r#"{"servers": []}"#);
        serve(&cloud.server, HYPERVISORS, r#"{"hypervisors": []}"#);
        pair.agree(0, &[]).await;
    });
}

#[test]
fn vmagent_finds_the_same_servers_and_hypervisors() {
    leak_checked_live(|| async {
        let cloud = Cloud::start().await;
        // It knows ids of hypervisors only as numbers.
        let numbered: Value = serde_json::from_str(&fixture("discovery/openstack/hypervisors.json")).expect("JSON");
        let numbered: Vec<_> =
            numbered["hypervisors"].as_array().into_iter().flatten().filter(|it| it["id"].is_u64()).cloned().collect();
        serve(&cloud.server, HYPERVISORS, list("hypervisors", &numbered));
        let mut pair = Pair::beside_vmagent(&[], &cloud.discovery()).await;
        pair.agree(5, &[]).await;
        cloud.machines(&[
            machine("a", "SHUTOFF", json!({"private": [fixed("127.0.8.1"), floating("192.0.2.10")]})),
            machine("d", "ACTIVE", json!({"private": [fixed("127.0.8.4")]})),
        ]);
        pair.agree(4, &["SHUTOFF", "127.0.8.4:9100"]).await;
    });
}
