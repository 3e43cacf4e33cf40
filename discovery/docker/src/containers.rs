//! What an engine tells of its containers, and the targets that these become. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use rosterd_discovery::Sheet;
use rosterd_engine::{Network, NetworkLabels, Networks};
use rosterd_model::{Names, TargetGroup};

const CONTAINER_ID: &str = "__meta_docker_container_id";
const CONTAINER_NAME: &str = "__meta_docker_container_name";
const CONTAINER_IMAGE: &str = "__meta_docker_container_image";
const CONTAINER_IMAGE_ID: &str = "__meta_docker_container_image_id";
const CONTAINER_NETWORK_MODE: &str = "__meta_docker_container_network_mode";
const CONTAINER_LABEL: &str = "__meta_docker_container_label_";
const NETWORK_IP: &str = "__meta_docker_network_ip";
const PORT_PRIVATE: &str = "__meta_docker_port_private";
const PORT_PUBLIC: &str = "__meta_docker_port_public";
const PORT_PUBLIC_IP: &str = "__meta_docker_port_public_ip";

static NETWORK: NetworkLabels = NetworkLabels {
    id: "__meta_docker_network_id",
    name: "__meta_docker_network_name",
    scope: "__meta_docker_network_scope",
    internal: "__meta_docker_network_internal",
    ingress: "__meta_docker_network_ingress",
    label: "__meta_docker_network_label_",
};

/// The mode of a container that is on the network of its host.
const HOST_MODE: &str = "host";
/// What the mode of a container begins with that is on the networks of another one.
const SHARED_MODE: &str = "container:";

rosterd_rest::reply! {
    /// A container.
    pub(super) struct Container {
        id: String = "Id",
        names: Vec<String> = "Names",
        image: String = "Image",
        image_id: String = "ImageID",
        labels: BTreeMap<String, String> = "Labels",
        ports: Vec<Port> = "Ports",
        host: HostConfig = "HostConfig",
        settings: NetworkSettings = "NetworkSettings",
    }

    struct HostConfig {
        network_mode: String = "NetworkMode",
    }

    struct NetworkSettings {
        networks: BTreeMap<String, Option<Attachment>> = "Networks",
    }

    /// A place of a container on a network.
    struct Attachment {
        network: String = "NetworkID",
        ipv4: String = "IPAddress",
        ipv6: String = "GlobalIPv6Address",
    }

    struct Port {
        public_ip: String = "IP",
        private: u16 = "PrivatePort",
        public: u16 = "PublicPort",
        protocol: String = "Type",
    }
}

/// What the configuration says of targets.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) port: u16,
    pub(super) host_networking_host: String,
    pub(super) match_first_network: bool,
}

impl Container {
    fn mode(&self) -> &str {
        &self.host.network_mode
    }

    fn networks(&self) -> &BTreeMap<String, Option<Attachment>> {
        &self.settings.networks
    }
}

impl Attachment {
    fn ip(&self) -> &str {
        if self.ipv4.is_empty() { &self.ipv6 } else { &self.ipv4 }
    }
}

/// The groups of all containers that have a network: one for each, of which it is the source.
pub(super) fn groups(mut containers: Vec<Container>, networks: Vec<Network>, settings: &Settings) -> Vec<TargetGroup> {
    for container in &mut containers {
        // An engine tells them in any order.
        container.ports.sort_by(|a, b| (a.private, a.public, &a.public_ip).cmp(&(b.private, b.public, &b.public_ip)));
    }
    let by_id = containers.iter().map(|container| (&*container.id, container)).collect();
    let networks = Networks::new(networks, &NETWORK);
    let mut making = Making { by_id, networks, settings, sheet: Sheet::default(), names: Names::new() };
    containers.iter().filter_map(|container| making.group(container)).collect()
}

struct Making<'c> {
    by_id: HashMap<&'c str, &'c Container>,
    networks: Networks,
    settings: &'c Settings,
    sheet: Sheet,
    names: Names,
}

impl<'c> Making<'c> {
    fn group(&mut self, container: &'c Container) -> Option<TargetGroup> {
        let name = container.names.first()?;
        let mut group = TargetGroup { source: container.id.as_str().into(), ..TargetGroup::default() };
        for attachment in self.attachments(container) {
            let mut ports = container.ports.iter().filter(|port| port.protocol == "tcp").peekable();
            if ports.peek().is_none() {
                if container.mode() == HOST_MODE {
                    self.sheet.address(&self.settings.host_networking_host);
                } else {
                    self.sheet.endpoint(attachment.ip(), self.settings.port);
                }
                group.targets.push(self.target(attachment));
            }
            for port in ports {
                self.sheet.endpoint(attachment.ip(), port.private);
                self.sheet.number(PORT_PRIVATE, port.private);
                if port.public > 0 {
                    self.sheet.number(PORT_PUBLIC, port.public);
                    self.sheet.set(PORT_PUBLIC_IP, &port.public_ip);
                }
                group.targets.push(self.target(attachment));
            }
        }
        self.sheet.set(CONTAINER_ID, &container.id);
        self.sheet.set(CONTAINER_NAME, name);
        self.sheet.set(CONTAINER_IMAGE, &container.image);
        self.sheet.set(CONTAINER_IMAGE_ID, &container.image_id);
        self.sheet.set(CONTAINER_NETWORK_MODE, container.mode());
        self.sheet.map(CONTAINER_LABEL, &container.labels);
        group.labels = self.sheet.build(&mut self.names);
        (!group.targets.is_empty()).then_some(group)
    }

    fn target(&mut self, attachment: &Attachment) -> rosterd_model::Labels {
        self.sheet.set(NETWORK_IP, attachment.ip());
        self.networks.label(&attachment.network, &mut self.sheet);
        self.sheet.build(&mut self.names)
    }

    /// The places of a container on networks, by the names of these. One that has none of its own may be on those of another.
    fn attachments(&self, container: &'c Container) -> Vec<&'c Attachment> {
        let networks = self.owner(container).networks();
        let only_first = self.settings.match_first_network && networks.len() > 1;
        networks.values().flatten().take(if only_first { 1 } else { usize::MAX }).collect()
    }

    /// The container whose networks this one is on.
    fn owner(&self, mut container: &'c Container) -> &'c Container {
        let mut seen = HashSet::new();
        while container.networks().is_empty()
            && let Some(id) = container.mode().strip_prefix(SHARED_MODE)
            // Containers may be on each other's networks, which are none.
            && seen.insert(id)
            && let Some(other) = self.by_id.get(id)
        {
            container = other;
        }
        container
    }
}
