//! A Consul with many services, each entry of which has what real ones have.

use std::sync::atomic::{AtomicUsize, Ordering};

use rosterd_testkit::FakeConsul;
use serde_json::{Value, json};

/// The instances of a service.
pub(super) const INSTANCES: usize = 10;
/// Changes follow each other in services that are far apart.
const STEP: usize = 7;

pub(super) struct Consul {
    fake: FakeConsul,
    services: usize,
    added: AtomicUsize,
}

impl Consul {
    pub(super) async fn start(services: usize) -> Self {
        let fake = FakeConsul::start().await;
        for service in 0..services {
            fake.set(&name(service), instances(service, INSTANCES));
        }
        Self { fake, services, added: AtomicUsize::new(0) }
    }

    pub(super) fn place(&self) -> String {
        self.fake.address().to_string()
    }

    pub(super) fn requests(&self) -> usize {
        self.fake.requests()
    }

    pub(super) fn connections(&self) -> usize {
        self.fake.connections()
    }

    /// Registers one instance more, each time of another service.
    pub(super) fn add(&self) {
        let number = self.added.fetch_add(1, Ordering::Relaxed);
        let (service, round) = (number * STEP % self.services, number / self.services);
        self.fake.set(&name(service), instances(service, INSTANCES + 1 + round));
    }
}

fn name(service: usize) -> String {
    format!("service-{service}")
}

fn instances(service: usize, count: usize) -> Vec<Value> {
    (0..count).map(|number| instance(service, number)).collect()
}

fn instance(service: usize, number: usize) -> Value {
    let node = (service * 31 + number * 977) % 3_000;
    let (name, address) = (name(service), format!("10.{}.{}.{}", 1 + number, service >> 8 & 255, service & 255));
    let host = format!("10.200.{}.{}", node >> 8, node & 255);
    let tags = ["http", "production", &format!("version-1.{}", service % 17), &format!("team-{}", service % 20)];
    json!({
        "Node": {
            "ID": format!("40e4a748-2192-161a-0510-{node:012x}"), "Node": format!("node-{node}"), "Address": host, "Datacenter": "dc1",
            "TaggedAddresses": {"lan": host, "lan_ipv4": host, "wan": host, "wan_ipv4": host},
            "Meta": {"consul-network-segment": "", "consul-version": "1.18.0", "rack": format!("r{}", node % 91), "instance_type": "m5.2xlarge"},
            "CreateIndex": 11, "ModifyIndex": 12,
        },
        "Service": {
            "ID": format!("{name}-{number}"), "Service": name, "Tags": tags, "Address": address, "Port": 9100 + service % 100, "SocketPath": "",
            "TaggedAddresses": {"lan_ipv4": {"Address": address, "Port": 9100}, "wan_ipv4": {"Address": address, "Port": 9100}},
            "Meta": {"version": format!("1.{}.0", service % 17), "owner": format!("owner-{}", service % 20), "metrics_path": "/metrics"},
            "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": false, "Proxy": {"Mode": "", "MeshGateway": {}, "Expose": {}}, "Connect": {},
            "PeerName": "", "CreateIndex": 1_000 + service, "ModifyIndex": 1_000 + service,
        },
        "Checks": [
            {"Node": format!("node-{node}"), "CheckID": "serfHealth", "Name": "Serf Health Status", "Status": "passing", "Notes": "", "Output": "Agent alive and reachable", "ServiceID": "", "ServiceName": "", "ServiceTags": [], "Type": "", "Definition": {}, "CreateIndex": 11, "ModifyIndex": 11},
            {"Node": format!("node-{node}"), "CheckID": format!("service:{name}-{number}"), "Name": "HTTP", "Status": "passing", "Notes": "", "Output": format!("HTTP GET http://{address}/healthz: 200 OK Output: {{\"status\": \"UP\"}}"), "ServiceID": format!("{name}-{number}"), "ServiceName": name, "ServiceTags": tags, "Type": "http", "Interval": "10s", "Timeout": "5s", "Definition": {}, "CreateIndex": 13, "ModifyIndex": 14},
        ],
    })
}
