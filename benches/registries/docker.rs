//! A Docker Engine with many containers, each of which has what Compose gives them.

use std::sync::atomic::{AtomicUsize, Ordering};

use rosterd_testkit::FakeEngine;
use serde_json::{Value, json};

/// The networks, besides `bridge`.
const NETWORKS: usize = 20;
const CONTAINERS: &str = "containers/json";

pub(super) struct Docker {
    fake: FakeEngine,
    containers: AtomicUsize,
}

impl Docker {
    pub(super) async fn start(containers: usize) -> Self {
        let fake = FakeEngine::start().await;
        fake.set("networks", (0..=NETWORKS).map(network).collect());
        fake.set(CONTAINERS, (0..containers).map(container).collect());
        Self { fake, containers: AtomicUsize::new(containers) }
    }

    pub(super) fn place(&self) -> String {
        self.fake.host()
    }

    pub(super) fn requests(&self) -> usize {
        self.fake.asked().len()
    }

    pub(super) fn connections(&self) -> usize {
        self.fake.connections()
    }

    /// Starts one container more, and tells whoever listens.
    pub(super) async fn add(&self) {
        let number = self.containers.fetch_add(1, Ordering::Relaxed);
        self.fake.set(CONTAINERS, (0..=number).map(container).collect());
        let actor = json!({"ID": id(number), "Attributes": {"name": format!("project-{number}-1")}});
        self.fake.tell(json!({"Type": "container", "Action": "start", "Actor": actor, "scope": "local", "time": 1_700_000_000})).await;
    }
}

fn id(number: usize) -> String {
    format!("{:032x}{number:032x}", number * 2_654_435_761)
}

fn network_id(network: usize) -> String {
    format!("{:064x}", 1 + network)
}

fn network_name(network: usize) -> String {
    if network == NETWORKS { "bridge".to_owned() } else { format!("project-{network}_default") }
}

fn network(number: usize) -> Value {
    json!({
        "Name": network_name(number), "Id": network_id(number), "Created": "2026-01-01T00:00:00Z", "Scope": "local", "Driver": "bridge", "EnableIPv6": false,
        "IPAM": {"Driver": "default", "Options": null, "Config": [{"Subnet": format!("172.{}.0.0/16", 18 + number), "Gateway": format!("172.{}.0.1", 18 + number)}]},
        "Internal": false, "Attachable": true, "Ingress": false, "ConfigFrom": {"Network": ""}, "ConfigOnly": false, "Containers": {}, "Options": {},
        "Labels": {"com.docker.compose.network": "default", "com.docker.compose.project": format!("project-{number}"), "com.docker.compose.version": "2.24.0"},
    })
}

fn container(number: usize) -> Value {
    let network = number % NETWORKS;
    let (project, service) = (format!("project-{network}"), format!("service-{}", number / NETWORKS));
    let name = network_name(network);
    let address = format!("172.{}.{}.{}", 18 + network, number >> 8 & 255, number & 255);
    let endpoint = json!({
        "IPAMConfig": null, "Links": null, "Aliases": null, "NetworkID": network_id(network), "EndpointID": id(number + 1), "Gateway": format!("172.{}.0.1", 18 + network),
        "IPAddress": address, "IPPrefixLen": 16, "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "MacAddress": format!("02:42:ac:12:{:02x}:{:02x}", number >> 8 & 255, number & 255), "DriverOpts": null,
    });
    json!({
        "Id": id(number), "Names": [format!("/{project}-{service}-1")], "Image": format!("registry.example.com/{service}:1.{}.0", number % 17), "ImageID": format!("sha256:{}", id(number % 50)),
        "Command": "/usr/bin/service --config=/etc/service/config.yml", "Created": 1_700_000_000 + number, "State": "running", "Status": "Up 3 days (healthy)",
        "Ports": [{"IP": "0.0.0.0", "PrivatePort": 9100, "PublicPort": 20_000 + number, "Type": "tcp"}],
        "Labels": {
            "com.docker.compose.config-hash": id(number), "com.docker.compose.container-number": "1", "com.docker.compose.depends_on": "", "com.docker.compose.image": format!("sha256:{}", id(number % 50)),
            "com.docker.compose.oneoff": "False", "com.docker.compose.project": project, "com.docker.compose.project.config_files": format!("/srv/{project}/compose.yml"), "com.docker.compose.project.working_dir": format!("/srv/{project}"),
            "com.docker.compose.service": service, "com.docker.compose.version": "2.24.0", "org.opencontainers.image.version": format!("1.{}.0", number % 17), "team": format!("team-{}", number % 20),
        },
        "HostConfig": {"NetworkMode": name}, "NetworkSettings": {"Networks": {name.clone(): endpoint}},
        "Mounts": [{"Type": "bind", "Source": format!("/srv/{project}/config.yml"), "Destination": "/etc/service/config.yml", "Mode": "rw", "RW": true, "Propagation": "rprivate"}],
    })
}
